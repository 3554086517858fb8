//! All sessions: bounded, and ended when nobody uses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use super::LOOK;
use super::guests::{Guest, Guests};
use super::session::Session;

/// A session that was not used for so long gives its place to a new one, where there are as many as there may be.
const SPARE: Duration = Duration::from_secs(10);
/// For a client whose stream of a call broke to take it up again. Without a reader a call goes on for so long.
pub const GRACE: Duration = Duration::from_secs(60);

/// Why there is no new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// There are too many.
    #[error("there are as many sessions as there may be")]
    Full,
    /// This caller has too many.
    #[error("this caller has as many sessions as one may have")]
    OfCaller,
}

/// Who begins a session.
#[derive(Clone, Copy, Debug)]
pub struct Begins<'a> {
    /// The caller's identity.
    pub caller: &'a str,
    /// There can be other callers: half of all sessions are left to them.
    pub has_others: bool,
}

/// All sessions by their ids.
#[derive(Debug)]
pub struct Sessions {
    all: Mutex<HashMap<String, Arc<Session>>>,
    most: usize,
    idle: Duration,
    grace: Duration,
    gauge: Gauge,
}

impl Sessions {
    /// At most so many, each ended when it was not used for `idle`; their calls go on without a reader for `grace`.
    #[must_use]
    pub fn new(most: usize, idle: Duration, grace: Duration, gauge: Gauge) -> Self {
        Self {
            all: Mutex::default(),
            most,
            idle,
            grace,
            gauge,
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more. Where there are too many, the one that was unused for longest ends, of this caller's own first.
    ///
    /// # Errors
    /// [`NoRoom`]: none was unused for [`SPARE`].
    pub fn add(&self, session: &Arc<Session>, has_others: bool) -> Result<(), NoRoom> {
        let caller = &session.owner;
        let mut all = self.all();
        let spare = self.spare(&all, Begins { caller, has_others })?;
        if let Some(spare) = spare.and_then(|id| all.remove(&id)) {
            spare.end();
        }
        all.insert(session.id.clone(), Arc::clone(session));
        self.gauge.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Whether there is room for one more, or can be made.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn has_room(&self, begins: Begins<'_>) -> Result<(), NoRoom> {
        self.spare(&self.all(), begins).map(drop)
    }

    /// The one that ends where another one begins, if one has to.
    fn spare(
        &self,
        all: &HashMap<String, Arc<Session>>,
        Begins { caller, has_others }: Begins<'_>,
    ) -> Result<Option<String>, NoRoom> {
        let own = |session: &Session| session.owner == caller;
        let of_caller = all.values().filter(|session| own(session)).count();
        let too_many = has_others && of_caller >= self.most.div_ceil(2);
        if !too_many && all.len() < self.most {
            return Ok(None);
        }
        let spare = longest(all, SPARE, own);
        if too_many {
            return spare.map(Some).ok_or(NoRoom::OfCaller);
        }
        let spare = spare.or_else(|| longest(all, SPARE, |_| true));
        spare.map(Some).ok_or(NoRoom::Full)
    }

    /// The session of that id, if it is this caller's: to everybody else it does not exist.
    #[must_use]
    pub fn find(&self, id: &str, guest: &Guest) -> Option<Arc<Session>> {
        let all = self.all();
        let session = all.get(id);
        let session = session.filter(|session| session.owner == guest.identity)?;
        session.used(&guest.pass);
        Some(Arc::clone(session))
    }

    /// Ends one.
    pub fn end(&self, id: &str) {
        let mut all = self.all();
        if let Some(session) = all.remove(id) {
            session.end();
        }
        self.gauge.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
    }

    /// Ends the one of these callers with a child of its own that was not used for longest, if it was not used at all
    /// for this long; whether there was one.
    #[must_use]
    pub fn make_room(&self, unused: Duration, these: impl Fn(&str) -> bool) -> bool {
        let spare = longest(&self.all(), unused, |session| {
            session.own.is_some() && these(&session.owner)
        });
        spare.inspect(|id| self.end(id)).is_some()
    }

    /// All of them.
    #[must_use]
    pub fn every(&self) -> Vec<Arc<Session>> {
        self.all().values().map(Arc::clone).collect()
    }

    /// Ends the idle ones, those whose callers are let in no longer, and calls that nobody reads, for ever.
    pub async fn keep(&self, guests: &Guests) {
        loop {
            tokio::time::sleep(LOOK).await;
            let over = |session: &Arc<Session>| {
                let dead = session
                    .own
                    .as_ref()
                    .is_some_and(|live| live.child.is_over());
                dead || session.idle() > self.idle || !guests.keeps_session(&session.pass())
            };
            for session in self.every() {
                if over(&session) {
                    self.end(&session.id);
                } else {
                    session.give_up_unread(self.grace);
                }
            }
        }
    }
}

/// The one of these that was unused for longest, if that is so long.
fn longest(
    all: &HashMap<String, Arc<Session>>,
    unused: Duration,
    these: impl Fn(&Session) -> bool,
) -> Option<String> {
    let these = all.values().filter(|session| these(session));
    let idle = these.map(|session| (session.idle(), session));
    let longest = idle.max_by_key(|(idle, _)| *idle)?;
    (longest.0 >= unused).then(|| longest.1.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::callers::Pass;
    use crate::gate::mcp::budget::Budget;
    use crate::mcp::Version;
    use crate::mcp::translate::ClientSaid;

    fn guest(name: &str) -> Guest {
        Guest {
            identity: name.to_owned(),
            pass: Pass::Anyone,
        }
    }

    fn sessions(most: usize) -> Sessions {
        Sessions::new(most, GRACE, GRACE, Gauge::default())
    }

    fn begin(sessions: &Sessions, name: &str, others: bool) -> Result<Arc<Session>, NoRoom> {
        let (version, said) = (Version::latest_legacy(), ClientSaid::default());
        let budget = Arc::new(Budget::new(1024));
        let session = Arc::new(Session::new(guest(name), version, None, said, budget));
        let begins = Begins {
            caller: name,
            has_others: others,
        };
        assert_eq!(
            sessions.has_room(begins).is_ok(),
            sessions.add(&session, others).is_ok(),
            "what is told before a child is had"
        );
        if sessions.find(&session.id, &guest(name)).is_some() {
            return Ok(session);
        }
        Err(sessions.has_room(begins).unwrap_err())
    }

    #[test]
    fn one_caller_leaves_half_of_them_to_others_if_there_can_be_any() {
        let all = sessions(4);
        for _ in 0..2 {
            begin(&all, "ada", true).unwrap();
        }
        assert_eq!(begin(&all, "ada", true).unwrap_err(), NoRoom::OfCaller);
        for _ in 0..2 {
            begin(&all, "bob", true).unwrap();
        }
        assert_eq!(begin(&all, "cyd", true).unwrap_err(), NoRoom::Full);
        let all = sessions(4);
        for _ in 0..4 {
            begin(&all, "ada", false).unwrap();
        }
        assert_eq!(begin(&all, "ada", false).unwrap_err(), NoRoom::Full);
    }

    #[test]
    fn the_one_unused_for_longest_gives_way_of_its_callers_own_first() {
        let all = sessions(4);
        let ada = [(); 2].map(|()| begin(&all, "ada", true).unwrap());
        let bob = [(); 2].map(|()| begin(&all, "bob", true).unwrap());
        let is_over = |session: &Arc<Session>| session.ended.is_cancelled();
        ada[1].unused_for(SPARE);
        bob[0].unused_for(3 * SPARE);
        bob[1].unused_for(2 * SPARE);
        let _reads = bob[0].reads(0);
        begin(&all, "ada", true).unwrap();
        assert!(is_over(&ada[1]), "her own");
        begin(&all, "cyd", true).unwrap();
        assert!(is_over(&bob[1]) && !is_over(&bob[0]), "it is read");
        assert_eq!(begin(&all, "ada", true).unwrap_err(), NoRoom::OfCaller);
        assert!(!is_over(&ada[0]));
    }
}
