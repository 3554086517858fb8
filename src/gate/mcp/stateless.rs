//! Children for clients without sessions: one for each caller and what its client can be asked, while it is used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{sleep, timeout};

use super::LOOK;
use super::attend::attend;
use super::call::Said;
use super::guests::Guests;
use super::hello::{NoHello, PATIENCE};
use super::house::{House, NoChild};
use super::listeners::Listeners;
use super::live::Live;
use super::places::{NoPlace, UNUSED, Whose};
use super::sessions::Sessions;
use super::slot::{Had, Slot};
use crate::mcp::filter::{UPDATED, is_of_list};
use crate::mcp::{Askable, CANCELLED, Era, Kind};

/// Where their children are.
#[derive(Debug)]
pub struct Stateless {
    house: Arc<House>,
    sessions: Arc<Sessions>,
    listeners: Arc<Listeners>,
    guests: Arc<Guests>,
    all: Mutex<HashMap<Key, Arc<Slot>>>,
}

/// For which requests a child is: those of one caller. A server of the older era is told once what its client can be
/// asked, so it is also for those that say the same of that.
type Key = (String, Askable);

impl Stateless {
    /// None yet.
    #[must_use]
    pub fn new(
        house: Arc<House>,
        sessions: Arc<Sessions>,
        listeners: Arc<Listeners>,
        guests: Arc<Guests>,
    ) -> Self {
        Self {
            house,
            sessions,
            listeners,
            guests,
            all: Mutex::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of a caller whose client can be asked this, and what the server is told of that.
    fn slot(&self, caller: &str, askable: &Askable) -> (Arc<Slot>, Askable) {
        // A server of the newer era hears it with each request.
        let askable = match self.house.known.era() {
            Some((Era::Modern, _)) => Askable::default(),
            Some((Era::Legacy, _)) | None => askable.clone(),
        };
        let mut all = self.all();
        let slot = all.entry((caller.to_owned(), askable.clone())).or_default();
        slot.uses();
        (Arc::clone(slot), askable)
    }

    /// The child of a caller whose client can be asked this. Whoever waits for one that is being had waits as long as
    /// that may take, and no longer.
    ///
    /// # Errors
    /// [`NoChild`].
    pub async fn child(&self, caller: &str, askable: &Askable) -> Result<Arc<Live>, NoChild> {
        let (slot, askable) = self.slot(caller, askable);
        let had = timeout(PATIENCE, slot.had()).await;
        let mut had = had.map_err(|_| NoHello::Slow)?;
        match had.live() {
            Some(live) => Ok(live),
            None => self.have(&mut had, caller, &askable).await,
        }
    }

    /// The same for those who send no request, as soon as there is one: however many wait for it, it is tried at one pace.
    pub async fn next(&self, caller: &str, askable: &Askable) -> Arc<Live> {
        loop {
            let (slot, askable) = self.slot(caller, askable);
            let mut had = slot.had().await;
            if let Some(live) = had.live() {
                return live;
            }
            let pause = had.pause();
            if !pause.is_zero() {
                drop(had);
                // The slot is kept meanwhile, and with it the pace.
                sleep(pause).await;
                continue;
            }
            match self.have(&mut had, caller, &askable).await {
                Ok(live) => return live,
                Err(why) => tracing::debug!(%why, "a subscription has no child"),
            }
        }
    }

    /// The same as soon as a request has had one: none is started for those who only hear of lists, and nobody's place is
    /// taken.
    pub async fn served(&self, caller: &str, askable: &Askable) -> Arc<Live> {
        let key = (caller.to_owned(), askable.clone());
        loop {
            let slot = self.all().get(&key).map(Arc::clone);
            if let Some(slot) = slot {
                let had = slot.had().await;
                if let Some(live) = had.live() {
                    return live;
                }
            }
            sleep(LOOK).await;
        }
    }

    async fn have(
        &self,
        had: &mut Had,
        caller: &str,
        askable: &Askable,
    ) -> Result<Arc<Live>, NoChild> {
        had.gone();
        let tried = self.start(caller, askable).await;
        had.tried(tried.as_ref().ok());
        tried
    }

    async fn start(&self, caller: &str, askable: &Askable) -> Result<Arc<Live>, NoChild> {
        let own = |whose: &str| whose == caller;
        let whose = Whose {
            caller,
            has_others: self.guests.are_several(),
            session: false,
        };
        let make_room = |why| {
            let full = why == NoPlace::Full;
            // Where there is nobody else, only children without a session keep it from one.
            self.make_room(own)
                || (whose.has_others || full) && self.sessions.make_room(UNUSED, own)
                || full && (self.make_room(|_| true) || self.sessions.make_room(UNUSED, |_| true))
        };
        let place = self.house.places.take_soon(whose, make_room).await?;
        let (live, loose) = self.house.start(Some(place), askable).await?;
        if self.house.known.is_pinned() {
            self.house.inspect(&live).await?;
        }
        let (house, listeners) = (Arc::clone(&self.house), Arc::clone(&self.listeners));
        let hears = move |live: &Arc<Live>, said: Said| hears(live, &listeners, &said);
        tokio::spawn(attend(Arc::downgrade(&live), loose, house, hears));
        Ok(live)
    }

    /// Ends the child of these callers that was not used for longest, if it was not used at all for a while; whether there
    /// was one.
    #[must_use]
    pub fn make_room(&self, these: impl Fn(&str) -> bool) -> bool {
        let mut all = self.all();
        let longest = (all.iter())
            .filter(|((caller, _), slot)| {
                these(caller) && slot.has_child() && slot.idle() >= UNUSED
            })
            .max_by_key(|(_, slot)| slot.idle());
        let Some(key) = longest.map(|(key, _)| key.clone()) else {
            return false;
        };
        all.remove(&key).is_some()
    }

    /// Ends the idle ones, for ever.
    pub async fn keep(&self) {
        loop {
            sleep(LOOK).await;
            let idle = self.house.config.idle;
            self.all().retain(|_, slot| {
                slot.tidy();
                // Whoever has it waits for its child.
                slot.idle() <= idle || Arc::strong_count(slot) > 1
            });
        }
    }
}

/// What the child says beside answers: to whom a question is nobody knows, and of its lists and resources hear those who
/// asked for that.
fn hears(live: &Live, listeners: &Listeners, said: &Said) {
    match &said.message.kind {
        Kind::Request { id, method } => live.child.refuse(id, method),
        Kind::Notification { method } if method == CANCELLED => {
            // It waits for no answer any more.
            if let Some(id) = said.message.cancelled() {
                live.child.answered(&id);
            }
        }
        Kind::Notification { method } if method == UPDATED => {
            listeners.updated(&live.child, &said.message);
        }
        Kind::Notification { method } if is_of_list(method) => {
            listeners.hear(&live.child, method);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;
    use std::time::{Duration, Instant};

    use serde_json::json;
    use tempfile::TempDir;
    use tokio::net::UnixListener;
    use tokio::task::JoinSet;

    use super::*;
    use crate::gate::callers::{Callers, Pass};
    use crate::gate::mcp::budget::Budget;
    use crate::gate::mcp::child::{Child, Limits};
    use crate::gate::mcp::guests::Guest;
    use crate::gate::mcp::hello::Hello;
    use crate::gate::mcp::house::Owner;
    use crate::gate::mcp::pace::BACK_OFF;
    use crate::gate::mcp::session::Session;
    use crate::mcp::translate::ClientSaid;
    use crate::mcp::{Object, Version};

    /// With the bridge, which the test plays.
    fn bed(max_children: usize) -> (Arc<Stateless>, UnixListener, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let idle = Duration::from_secs(60);
        let (house, bridge) = House::sample(dir.path(), max_children, idle);
        let sessions = Sessions::new(16, idle, idle, Gauge::default());
        let guests = Arc::new(Guests::new(Arc::new(Callers::new(None, None))));
        let (house, sessions) = (Arc::new(house), Arc::new(sessions));
        let stateless = Stateless::new(house, sessions, Arc::default(), guests);
        (Arc::new(stateless), bridge, dir)
    }

    /// Of that caller, with a child of its own.
    async fn unused_session() -> Arc<Session> {
        let budget = Arc::new(Budget::new(1024 * 1024));
        let limits = Limits {
            line: 1024,
            budget: Arc::clone(&budget),
        };
        let (child, _loose, _stream) = Child::sample(limits, Owner::Client).await;
        let hello = Hello {
            era: Era::Legacy,
            legacy: true,
            result: Object::default(),
        };
        let live = Live {
            child,
            hello,
            place: None,
        };
        let guest = Guest {
            identity: "ada".to_owned(),
            pass: Pass::Anyone,
        };
        let (version, said) = (Version::latest_legacy(), ClientSaid::default());
        let session = Session::new(guest, version, Some(Arc::new(live)), said, budget);
        session.unused_for(2 * UNUSED);
        Arc::new(session)
    }

    #[tokio::test]
    async fn one_callers_requests_and_streams_leave_children_to_others() {
        let (stateless, bridge, _dir) = bed(1 + 3);
        let roots = Askable::of(&Object::default().with("roots", &json!({})));
        let sampling = Askable::of(&Object::default().with("sampling", &json!({})));
        let mut waiting = JoinSet::new();
        // A request, a stream that goes on, and somebody else's request.
        let all = Arc::clone(&stateless);
        waiting.spawn(async move { all.child("ada", &Askable::default()).await.is_ok() });
        let mut children = vec![bridge.accept().await.unwrap()];
        let all = Arc::clone(&stateless);
        waiting.spawn(async move { all.next("ada", &roots).await.child.is_over() });
        children.push(bridge.accept().await.unwrap());
        let session = unused_session().await;
        stateless.sessions.add(&session, false).unwrap();
        let third = stateless.child("ada", &sampling);
        let third = timeout(Duration::from_secs(2), third).await;
        let why = third.expect("it is told at once").unwrap_err();
        assert!(matches!(why, NoChild::NoPlace(NoPlace::OfCaller)), "{why}");
        assert!(!session.ended.is_cancelled(), "that makes it no room");
        waiting.spawn(async move { stateless.child("bob", &sampling).await.is_ok() });
        children.push(bridge.accept().await.unwrap());
    }

    #[tokio::test]
    async fn however_many_wait_for_a_callers_child_it_is_tried_at_one_pace() {
        let (stateless, bridge, _dir) = bed(16);
        let begun = Instant::now();
        let mut waiting = JoinSet::new();
        for _ in 0..8 {
            let stateless = Arc::clone(&stateless);
            waiting.spawn(async move { stateless.next("ada", &Askable::default()).await });
        }
        // Each child ends at once, and is had twice for one try: the server could be of either era.
        for pauses in [1, 1 + 2] {
            for _ in 0..2 {
                drop(bridge.accept().await.unwrap());
            }
            let elapsed = begun.elapsed();
            assert!(elapsed >= pauses * BACK_OFF, "{pauses}: {elapsed:?}");
        }
    }
}
