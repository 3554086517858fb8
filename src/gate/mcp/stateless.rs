//! Children for clients without sessions: one for each caller and what its client can be asked, while it is used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::attend::attend;
use super::call::Said;
use super::hello::{NoHello, PATIENCE};
use super::house::{House, NoChild, Owner, Started};
use super::live::Live;
use super::sessions::Sessions;
use crate::mcp::{Askable, CANCELLED, Era, Kind};

/// A child that was not used for so long gives way, where there are as many as there may be.
const UNUSED: Duration = Duration::from_secs(30);
/// How often idle ones are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// For the place of one that ends to be free.
const ROOM: Duration = Duration::from_secs(1);
/// Between two looks for it.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(20);

/// Whose child is where.
#[derive(Debug)]
pub struct Stateless {
    house: Arc<House>,
    sessions: Arc<Sessions>,
    all: Mutex<HashMap<Whose, Arc<Slot>>>,
}

/// For which requests a child is: those of one caller. A server of the older era is told once what its client can be
/// asked, so it is also for those that say the same of that.
type Whose = (String, Askable);

#[derive(Debug)]
struct Slot {
    /// Held while it is had, so that one caller has one.
    child: tokio::sync::Mutex<Option<Arc<Live>>>,
    used: Mutex<Instant>,
}

impl Slot {
    fn idle(&self) -> Duration {
        match self.child.try_lock() {
            Err(_) => Duration::ZERO,
            Ok(child)
                if child
                    .as_ref()
                    .is_some_and(|live| live.child.under_way() > 0) =>
            {
                Duration::ZERO
            }
            Ok(_) => self
                .used
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .elapsed(),
        }
    }

    fn has_child(&self) -> bool {
        self.child.try_lock().is_ok_and(|child| child.is_some())
    }

    /// Whether its child ended, and holds the place of another one.
    fn is_over(&self) -> bool {
        let child = self.child.try_lock();
        child.is_ok_and(|child| child.as_ref().is_some_and(|live| live.child.is_over()))
    }
}

impl Stateless {
    /// None yet.
    #[must_use]
    pub fn new(house: Arc<House>, sessions: Arc<Sessions>) -> Self {
        Self {
            house,
            sessions,
            all: Mutex::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Whose, Arc<Slot>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The child of a caller whose client can be asked this. Whoever waits for one that is being had waits as long as
    /// that may take, and no longer.
    ///
    /// # Errors
    /// [`NoChild`].
    pub async fn child(&self, caller: &str, askable: &Askable) -> Result<Arc<Live>, NoChild> {
        // A server of the newer era hears it with each request.
        let askable = match self.house.era() {
            Some((Era::Modern, _)) => Askable::default(),
            Some((Era::Legacy, _)) | None => askable.clone(),
        };
        let slot = {
            let mut all = self.all();
            let whose = (caller.to_owned(), askable.clone());
            let slot = all.entry(whose).or_insert_with(|| {
                Arc::new(Slot {
                    child: tokio::sync::Mutex::default(),
                    used: Mutex::new(Instant::now()),
                })
            });
            *slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            Arc::clone(slot)
        };
        let child = timeout(PATIENCE, slot.child.lock()).await;
        let mut child = child.map_err(|_| NoHello::Slow)?;
        if let Some(live) = &*child
            && !live.child.is_over()
        {
            return Ok(Arc::clone(live));
        }
        *child = None;
        let (live, loose) = match self.house.start(Owner::Client, &askable).await {
            Err(NoChild::Full) if self.make_room() || self.sessions.make_room(UNUSED) => {
                self.start_soon(&askable).await?
            }
            started => started?,
        };
        if self.house.is_pinned() {
            self.house.inspect(&live).await?;
        }
        let house = Arc::clone(&self.house);
        tokio::spawn(attend(Arc::downgrade(&live), loose, house, hears));
        *child = Some(Arc::clone(&live));
        Ok(live)
    }

    /// A child in the place of one that ends.
    async fn start_soon(&self, askable: &Askable) -> Result<Started, NoChild> {
        let end = Instant::now() + ROOM;
        loop {
            match self.house.start(Owner::Client, askable).await {
                Err(NoChild::Full) if Instant::now() < end => sleep(LOOK_FOR_ROOM).await,
                started => return started,
            }
        }
    }

    /// Ends the child that was not used for longest, if it was not used at all for a while.
    #[must_use]
    pub fn make_room(&self) -> bool {
        let mut all = self.all();
        let longest = (all.iter())
            .filter(|(_, slot)| slot.has_child() && slot.idle() >= UNUSED)
            .max_by_key(|(_, slot)| slot.idle());
        let Some(whose) = longest.map(|(whose, _)| whose.clone()) else {
            return false;
        };
        all.remove(&whose).is_some()
    }

    /// Ends the idle ones, for ever.
    pub async fn keep(&self) {
        loop {
            sleep(LOOK).await;
            let idle = self.house.config.idle;
            self.all()
                .retain(|_, slot| !slot.is_over() && slot.idle() <= idle);
        }
    }
}

/// What the child says beside answers: what it asks of which nobody knows by whom it is to be answered.
fn hears(live: &Arc<Live>, said: Said) {
    match &said.message.kind {
        Kind::Request { id, method } => live.child.refuse(id, method),
        Kind::Notification { method } if method == CANCELLED => {
            // It waits for no answer any more.
            if let Some(id) = said.message.cancelled() {
                live.child.answered(&id);
            }
        }
        _ => {}
    }
}
