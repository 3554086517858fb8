//! Who is here: a stream of a caller goes on, and its session stays, no longer than what the caller has shown.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::LOOK;
use crate::gate::callers::{Callers, Pass, Validity};

/// For a client whose token has expired to come back to its session with a newer one.
pub const RENEWAL: Duration = Duration::from_secs(60);

/// A caller, as one of its requests showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    /// As sessions are told apart.
    pub identity: String,
    /// What it has shown.
    pub pass: Pass,
}

/// All of them, as far as they have streams.
#[derive(Debug)]
pub struct Guests {
    callers: Arc<Callers>,
    streams: Mutex<Vec<Weak<Stay>>>,
}

/// How long one stream may go on.
#[derive(Debug)]
pub struct Stay {
    pass: Pass,
    over: CancellationToken,
}

impl Stay {
    /// Until what its caller has shown is accepted no more.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }
}

impl Guests {
    /// Nobody yet.
    #[must_use]
    pub fn new(callers: Arc<Callers>) -> Self {
        Self {
            callers,
            streams: Mutex::default(),
        }
    }

    /// A stream of whoever has shown this. It is looked at until this is dropped.
    #[must_use]
    pub fn stay(&self, pass: &Pass) -> Arc<Stay> {
        let stay = Arc::new(Stay {
            pass: pass.clone(),
            over: CancellationToken::new(),
        });
        if *pass != Pass::Anyone {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(Arc::downgrade(&stay));
        }
        stay
    }

    /// Whether a session stays that was used last by whoever had shown this. A token ends sooner than the work with it:
    /// its client may come back with the next one.
    #[must_use]
    pub fn keeps_session(&self, pass: &Pass) -> bool {
        match self.callers.validity(pass, Timestamp::now()) {
            Validity::Holds => true,
            Validity::Expired(since) => since < RENEWAL,
            Validity::Withdrawn => false,
        }
    }

    /// Whether there can be several callers that are told apart: one of them leaves half of all places to others then.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.callers.are_several()
    }

    /// Ends the streams whose time is over, for ever.
    pub async fn keep(&self) {
        loop {
            sleep(LOOK).await;
            self.look(Timestamp::now());
        }
    }

    fn look(&self, now: Timestamp) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|stay| {
            let Some(stay) = stay.upgrade() else {
                return false;
            };
            let holds = self.callers.validity(&stay.pass, now) == Validity::Holds;
            if !holds {
                stay.over.cancel();
            }
            holds
        });
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};

    use super::*;

    fn shown(callers: &Callers, key: &str) -> Pass {
        let mut headers = HeaderMap::new();
        let field = format!("Bearer {key}");
        headers.insert(header::AUTHORIZATION, field.parse().unwrap());
        callers.admit(&headers).unwrap().1
    }

    #[test]
    fn streams_end_with_the_key_that_began_them_and_others_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, key: &str| std::fs::write(dir.path().join(name), key).unwrap();
        write("ada", "one");
        write("bob", "two");
        let callers = Arc::new(Callers::new(Some(dir.path().to_owned()), None));
        let guests = Guests::new(Arc::clone(&callers));
        let [ada, bob] = ["one", "two"].map(|key| shown(&callers, key));
        let streams = [&ada, &bob, &bob].map(|pass| guests.stay(pass));
        let over = || [0, 1, 2].map(|one: usize| streams[one].over.is_cancelled());
        guests.look(Timestamp::now());
        assert_eq!(over(), [false; 3]);
        // Another key of the same name is not the one that was shown.
        write("bob", "three");
        callers.reload();
        guests.look(Timestamp::now());
        assert_eq!(over(), [false, true, true]);
        assert!(guests.keeps_session(&ada) && !guests.keeps_session(&bob));
        drop(streams);
        guests.look(Timestamp::now());
        assert!(guests.streams.lock().unwrap().is_empty());
    }
}
