//! All sessions: bounded, and ended when nobody uses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use super::session::Session;

/// How often idle ones are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// All sessions by their ids.
#[derive(Debug)]
pub struct Sessions {
    all: Mutex<HashMap<String, Arc<Session>>>,
    most: usize,
    idle: Duration,
    gauge: Gauge,
}

impl Sessions {
    /// At most so many, each ended when it was not used for so long.
    #[must_use]
    pub fn new(most: usize, idle: Duration, gauge: Gauge) -> Self {
        Self {
            all: Mutex::default(),
            most,
            idle,
            gauge,
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; false when there are too many.
    #[must_use]
    pub fn add(&self, session: &Arc<Session>) -> bool {
        let mut all = self.all();
        if all.len() >= self.most {
            return false;
        }
        all.insert(session.id.clone(), Arc::clone(session));
        self.gauge.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        true
    }

    /// Whether there is room for one more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.all().len() < self.most
    }

    /// The session of that id, if it is this caller's: to everybody else it does not exist.
    #[must_use]
    pub fn find(&self, id: &str, caller: &str) -> Option<Arc<Session>> {
        let all = self.all();
        let session = all.get(id).filter(|session| session.owner == caller)?;
        session.used();
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

    /// Ends the one that was not used for longest, if it was not used at all for this long.
    #[must_use]
    pub fn make_room(&self, unused: Duration) -> bool {
        let longest = {
            let all = self.all();
            let sessions = all.values().filter(|session| session.own.is_some());
            let longest = sessions.max_by_key(|session| session.idle());
            longest.map(|session| (session.id.clone(), session.idle()))
        };
        match longest {
            Some((id, idle)) if idle >= unused => {
                self.end(&id);
                true
            }
            _ => false,
        }
    }

    /// All of them.
    #[must_use]
    pub fn every(&self) -> Vec<Arc<Session>> {
        self.all().values().map(Arc::clone).collect()
    }

    /// Ends the idle ones, for ever.
    pub async fn keep(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let over = |session: &Arc<Session>| {
                let dead = session
                    .own
                    .as_ref()
                    .is_some_and(|live| live.child.is_over());
                dead || session.idle() > self.idle
            };
            for session in self.every() {
                if over(&session) {
                    self.end(&session.id);
                }
            }
        }
    }
}
