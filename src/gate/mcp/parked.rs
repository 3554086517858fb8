//! Calls that wait for their client to come back with what their server asked (2026-07-28, Multi Round-Trip Requests).
//!
//! The client holds a `requestState` that nobody can guess. It is good once, for the caller and the call that it was
//! given to, and as long as the call waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::budget::Share;
use super::entrance::Held;
use super::outbox::Outbox;
use super::secret::secret;
use crate::mcp::retry::Fingerprint;
use crate::mcp::{Askable, Id, Level, Object};

/// Most of them.
const MAX: usize = 64;
/// Most of one caller.
const MAX_OF_CALLER: usize = 16;

/// Whose call waits, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Who has called.
    pub caller: String,
    /// What was called.
    pub call: Fingerprint,
}

/// A client that waits for a call: the first time, or come back.
pub struct Turn {
    /// The id of this request.
    pub id: Id,
    /// Where messages go.
    pub outbox: Arc<Outbox>,
    /// It gives the call up.
    pub cancel: CancellationToken,
    /// The place of its request among all: a call that waits for its client has none.
    pub held: Option<Held>,
    /// By what it wants to know of the progress.
    pub token: Option<Box<RawValue>>,
    /// From which level on it wants the log, as this request says.
    pub from: Option<Level>,
    /// What it can be asked, as this request says.
    pub askable: Askable,
    /// What it answers, by the keys of the questions.
    pub answers: Object,
    /// Their share of the memory for bodies.
    pub share: Option<Share>,
}

/// Why a client that came back gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotParked {
    /// It never was, it was used, it has expired, or it is somebody else's: to this caller it does not exist.
    #[error(
        "requestState is unknown, was used or has expired: nothing was run; begin the call anew"
    )]
    Unknown,
    /// It is this caller's, and another call's. It stays good for that.
    #[error("requestState belongs to another call")]
    Other,
}

/// All of them, by their states.
#[derive(Debug, Default)]
pub struct Parked(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    owner: Owner,
    back: oneshot::Sender<Turn>,
}

impl Parked {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, until its ticket is dropped; `None` where there are too many.
    #[must_use]
    pub fn park(self: &Arc<Self>, owner: &Owner) -> Option<Ticket> {
        let mut all = self.all();
        let of_caller = all
            .values()
            .filter(|entry| entry.owner.caller == owner.caller);
        if all.len() >= MAX || of_caller.count() >= MAX_OF_CALLER {
            return None;
        }
        let (back, came) = oneshot::channel();
        let state = secret();
        let owner = owner.clone();
        all.insert(state.clone(), Entry { owner, back });
        Some(Ticket {
            state,
            came,
            parked: Arc::clone(self),
        })
    }

    /// Gives a client that came back to its call.
    ///
    /// # Errors
    /// [`NotParked`].
    pub fn resume(&self, state: &str, owner: &Owner, turn: Turn) -> Result<(), NotParked> {
        let mut all = self.all();
        let entry = all
            .get(state)
            .filter(|entry| entry.owner.caller == owner.caller)
            .ok_or(NotParked::Unknown)?;
        if entry.owner.call != owner.call {
            return Err(NotParked::Other);
        }
        let entry = all.remove(state).ok_or(NotParked::Unknown)?;
        // Under the lock: a ticket that is about to expire finds it or hears of it.
        entry.back.send(turn).map_err(|_| NotParked::Unknown)
    }
}

/// A place among those who wait.
#[derive(Debug)]
pub struct Ticket {
    /// What the client brings back.
    pub state: String,
    came: oneshot::Receiver<Turn>,
    parked: Arc<Parked>,
}

impl Ticket {
    /// The client, once it is back; never again after that.
    pub async fn back(&mut self) -> Turn {
        match (&mut self.came).await {
            Ok(turn) => turn,
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives the place up; the client, if it came back in this moment.
    #[must_use]
    pub fn expire(mut self) -> Option<Turn> {
        self.parked.all().remove(&self.state);
        self.came.try_recv().ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.parked.all().remove(&self.state);
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::mcp::outbox::CALL;

    fn owner(caller: &str, word: &str) -> Owner {
        let params = Object::default().with("arguments", word);
        Owner {
            caller: caller.to_owned(),
            call: Fingerprint::of("tools/call", &params),
        }
    }

    fn turn(id: u64) -> Turn {
        Turn {
            id: Id::number(id),
            outbox: Arc::new(Outbox::new(CALL)),
            cancel: CancellationToken::new(),
            held: None,
            token: None,
            from: None,
            askable: Askable::default(),
            answers: Object::default(),
            share: None,
        }
    }

    #[tokio::test]
    async fn a_state_is_good_once_for_its_caller_and_its_call() {
        let parked = Arc::new(Parked::default());
        let mut ticket = parked.park(&owner("ada", "x")).unwrap();
        let state = ticket.state.clone();
        let resume = |owner, id| parked.resume(&state, &owner, turn(id));
        assert_eq!(resume(owner("bob", "x"), 1), Err(NotParked::Unknown));
        assert_eq!(resume(owner("ada", "y"), 2), Err(NotParked::Other));
        assert_eq!(resume(owner("ada", "x"), 3), Ok(()));
        assert_eq!(ticket.back().await.id, Id::number(3));
        assert_eq!(resume(owner("ada", "x"), 4), Err(NotParked::Unknown));
    }

    #[tokio::test]
    async fn nobody_comes_back_to_what_has_expired_and_nobody_is_lost() {
        let parked = Arc::new(Parked::default());
        let ada = owner("ada", "x");
        let gone = parked.park(&ada).unwrap();
        let state = gone.state.clone();
        assert!(gone.expire().is_none());
        assert_eq!(
            parked.resume(&state, &ada, turn(1)),
            Err(NotParked::Unknown)
        );
        let late = parked.park(&ada).unwrap();
        parked.resume(&late.state, &ada, turn(2)).unwrap();
        assert_eq!(late.expire().unwrap().id, Id::number(2));
    }

    #[test]
    fn they_are_bounded_in_number() {
        let parked = Arc::new(Parked::default());
        let mut all = Vec::new();
        while let Some(ticket) = parked.park(&owner("ada", "x")) {
            all.push(ticket);
        }
        assert_eq!(all.len(), MAX_OF_CALLER);
        for number in 0.. {
            let Some(ticket) = parked.park(&owner(&number.to_string(), "x")) else {
                break;
            };
            all.push(ticket);
        }
        assert_eq!(all.len(), MAX);
        all.clear();
        assert!(parked.park(&owner("ada", "x")).is_some());
    }
}
