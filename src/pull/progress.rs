//! How far a pull is, for `/progress`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Reason;

/// Where a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Reading the manifest or the header.
    Planning,
    /// Somebody must mend something.
    Waiting,
    /// Bytes are coming.
    Pulling,
    /// All bytes are there and right.
    Verified,
    /// It ended without them.
    Failed,
}

/// What somebody must mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingFor {
    /// `SecretMissing`, `Unauthorized`, `UnknownCA` or `Unreachable`.
    pub reason: Reason,
    /// For a human.
    pub message: String,
}

/// The body of `GET /progress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressReport {
    /// Version of this body.
    pub v: u8,
    /// Where it is.
    pub phase: Phase,
    /// Bytes that are there and hashed.
    pub bytes: u64,
    /// Bytes that there will be; 0 until the manifest was read.
    pub total: u64,
    /// Set in phase `Waiting`.
    pub waiting_for: Option<WaitingFor>,
}

/// Shared by the pull, which writes it, and the listener, which reads it.
#[derive(Debug)]
pub struct Progress(Mutex<ProgressReport>);

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new(ProgressReport {
            v: 1,
            phase: Phase::Planning,
            bytes: 0,
            total: 0,
            waiting_for: None,
        }))
    }
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, ProgressReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is now.
    #[must_use]
    pub fn report(&self) -> ProgressReport {
        self.state().clone()
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.waiting_for = None;
    }

    pub(super) fn planning(&self) {
        self.enter(Phase::Planning);
    }

    pub(super) fn pulling(&self, bytes: u64, total: u64) {
        self.enter(Phase::Pulling);
        let mut state = self.state();
        (state.bytes, state.total) = (bytes, total);
    }

    pub(super) fn written(&self, bytes: u64) {
        self.state().bytes = bytes;
    }

    pub(super) fn waiting(&self, reason: Reason, message: String) {
        self.enter(Phase::Waiting);
        self.state().waiting_for = Some(WaitingFor { reason, message });
    }

    pub(super) fn verified(&self, total: u64) {
        self.enter(Phase::Verified);
        let mut state = self.state();
        (state.bytes, state.total) = (total, total);
    }

    pub(super) fn failed(&self) {
        self.enter(Phase::Failed);
    }
}
