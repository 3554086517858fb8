//! The place of one caller's child: it, how long nobody has used it, and when it is had anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::MutexGuard;

use super::live::Live;
use super::pace::Pace;

/// One of them.
#[derive(Debug)]
pub struct Slot {
    had: tokio::sync::Mutex<Had>,
    used: Mutex<Instant>,
}

/// The child, if there is one.
#[derive(Debug, Default)]
pub struct Had {
    live: Option<Arc<Live>>,
    pace: Pace,
}

impl Slot {
    /// Without a child yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            had: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
        }
    }

    /// Held while a child is had, so that one caller has one.
    pub async fn had(&self) -> MutexGuard<'_, Had> {
        self.had.lock().await
    }

    /// Somebody uses it.
    pub fn uses(&self) {
        *self.used() = Instant::now();
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nobody has used it. The end of what used it counts, too.
    #[must_use]
    pub fn idle(&self) -> Duration {
        let in_use = match self.had.try_lock() {
            Err(_) => true,
            Ok(had) => had.live.as_ref().is_some_and(|live| live.child.is_used()),
        };
        if in_use {
            self.uses();
            return Duration::ZERO;
        }
        self.used().elapsed()
    }

    /// Whether it takes a place among the children.
    #[must_use]
    pub fn has_child(&self) -> bool {
        self.had.try_lock().is_ok_and(|had| had.live.is_some())
    }

    /// A child that ended gives up the place of another one.
    pub fn tidy(&self) {
        if let Ok(mut had) = self.had.try_lock()
            && had.live().is_none()
        {
            had.live = None;
        }
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl Had {
    /// The child, while it lives.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Live>> {
        let live = self.live.as_ref().filter(|live| !live.child.is_over());
        live.map(Arc::clone)
    }

    /// The last one has ended, and its place is free.
    pub fn gone(&mut self) {
        self.live = None;
    }

    /// Another one was tried, for whomever: this came of it.
    pub fn tried(&mut self, live: Option<&Arc<Live>>) {
        self.live = live.map(Arc::clone);
        self.pace.tried(live.is_some(), Instant::now());
    }

    /// There is none: for how long nobody tries who sends no request.
    pub fn pause(&mut self) -> Duration {
        self.pace.pause(Instant::now())
    }
}
