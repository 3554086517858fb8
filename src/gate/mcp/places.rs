//! Places for the children of clients: bounded in all, and for each caller. The gate's own child takes none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// A child that was not used for so long gives its place to a new one, where all are taken.
pub const UNUSED: Duration = Duration::from_secs(30);
/// For the place of a child that ends to be free.
const ROOM: Duration = Duration::from_secs(1);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(20);

/// Why a child has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// All are taken.
    #[error("there are as many children of the server as there may be")]
    Full,
    /// This caller has as many as one may have.
    #[error("this caller has as many children of the server as one may have")]
    OfCaller,
}

/// For whom a child is to have one.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The caller's identity.
    pub caller: &'a str,
    /// There can be other callers: one of them leaves half of all places to them.
    pub has_others: bool,
    /// It is a session's. Those without one leave half of all places to sessions, also where there is one caller.
    pub session: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

/// Those of a caller for its sessions, or for what it has without one.
type Of = (Arc<str>, bool);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Also of a caller that was the only one: others may come.
    of_callers: HashMap<Of, usize>,
}

/// One of them, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    of: Of,
}

impl Places {
    /// So many, all free.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Most of one caller: half of them, or its streams, which keep their children for as long as it likes, would leave
    /// none to others.
    fn most_of_caller(&self) -> usize {
        self.most.div_ceil(2)
    }

    /// Takes one, of those that this caller may have where it leaves some to others.
    ///
    /// # Errors
    /// [`NoPlace`]; [`NoPlace::OfCaller`] also where all are taken: no end of another caller's child makes room for it.
    pub fn take(self: &Arc<Self>, whose: Whose<'_>) -> Result<Place, NoPlace> {
        let of = (Arc::<str>::from(whose.caller), whose.session);
        let mut taken = self.taken();
        let has = |of: &Of| taken.of_callers.get(of).copied().unwrap_or_default();
        let mut counted = has(&of);
        if whose.has_others {
            counted += has(&(Arc::clone(&of.0), !whose.session));
        }
        let leaves_half = whose.has_others || !whose.session;
        if leaves_half && counted >= self.most_of_caller() {
            return Err(NoPlace::OfCaller);
        }
        if taken.all >= self.most {
            return Err(NoPlace::Full);
        }
        taken.all += 1;
        *taken.of_callers.entry(of.clone()).or_default() += 1;
        Ok(Place {
            places: Arc::clone(self),
            of,
        })
    }

    /// The same; where there is none and `make_room` ends a child, that one's place as soon as it is free.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub async fn take_soon(
        self: &Arc<Self>,
        whose: Whose<'_>,
        make_room: impl FnOnce(NoPlace) -> bool,
    ) -> Result<Place, NoPlace> {
        match self.take(whose) {
            Err(why) if make_room(why) => {}
            taken => return taken,
        }
        let end = Instant::now() + ROOM;
        loop {
            match self.take(whose) {
                Err(_) if Instant::now() < end => sleep(LOOK).await,
                taken => return taken,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(has) = taken.of_callers.get_mut(&self.of) {
            *has = has.saturating_sub(1);
            if *has == 0 {
                taken.of_callers.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session of a caller beside others.
    fn session(caller: &str) -> Whose<'_> {
        Whose {
            caller,
            has_others: true,
            session: true,
        }
    }

    /// A session of the only caller.
    fn alone(caller: &str) -> Whose<'_> {
        Whose {
            has_others: false,
            ..session(caller)
        }
    }

    /// What a caller beside others has without a session.
    fn without(caller: &str) -> Whose<'_> {
        Whose {
            session: false,
            ..session(caller)
        }
    }

    fn take_all(places: &Arc<Places>, whose: Whose<'_>) -> (Vec<Place>, NoPlace) {
        let mut all = Vec::new();
        loop {
            match places.take(whose) {
                Ok(place) => all.push(place),
                Err(why) => return (all, why),
            }
        }
    }

    #[rstest::rstest]
    #[case::of_one_place(1, 1)]
    #[case::of_two(2, 1)]
    #[case::as_usual(15, 8)]
    fn one_caller_has_half_of_them(#[case] most: usize, #[case] half: usize) {
        let places = Arc::new(Places::new(most));
        let (of_ada, why) = take_all(&places, session("ada"));
        assert_eq!(of_ada.len(), half);
        assert_eq!(why, NoPlace::OfCaller);
        // What others take is none of its business, as long as there is room.
        let (others, why) = take_all(&places, alone("bob"));
        assert_eq!((others.len(), why), (most - half, NoPlace::Full));
    }

    #[test]
    fn a_callers_sessions_and_what_it_has_without_them_are_counted_together() {
        let places = Arc::new(Places::new(4));
        let _one = places.take(without("ada")).unwrap();
        let (ada, why) = take_all(&places, session("ada"));
        assert_eq!((ada.len(), why), (1, NoPlace::OfCaller));
        let (bob, why) = take_all(&places, without("bob"));
        assert_eq!((bob.len(), why), (2, NoPlace::OfCaller));
        assert_eq!(places.take(session("cyd")).unwrap_err(), NoPlace::Full);
    }

    #[test]
    fn what_the_only_caller_has_counts_when_others_come() {
        let places = Arc::new(Places::new(4));
        let (mut ada, why) = take_all(&places, alone("ada"));
        assert_eq!((ada.len(), why), (4, NoPlace::Full));
        ada.pop();
        for whose in [session("ada"), without("ada")] {
            assert_eq!(places.take(whose).unwrap_err(), NoPlace::OfCaller);
        }
        assert!(places.take(session("bob")).is_ok());
    }

    #[test]
    fn the_only_callers_requests_leave_half_to_its_sessions_which_may_take_all() {
        let places = Arc::new(Places::new(4));
        let requests = Whose {
            session: false,
            ..alone("ada")
        };
        let sessions = [(); 2].map(|()| places.take(alone("ada")).unwrap());
        let (some, why) = take_all(&places, requests);
        assert_eq!((some.len(), why), (2, NoPlace::OfCaller));
        drop((sessions, some));
        assert_eq!(take_all(&places, alone("ada")).0.len(), 4);
    }

    #[test]
    fn a_place_is_free_again_for_its_caller_and_for_all() {
        let places = Arc::new(Places::new(2));
        let ada = places.take(session("ada")).unwrap();
        let again = places.take(session("ada"));
        assert_eq!(again.unwrap_err(), NoPlace::OfCaller);
        let bob = places.take(session("bob")).unwrap();
        assert_eq!(places.take(alone("cyd")).unwrap_err(), NoPlace::Full);
        drop(ada);
        let ada = places.take(session("ada")).unwrap();
        drop((ada, bob));
        assert!(places.taken().of_callers.is_empty());
        assert_eq!(take_all(&places, alone("ada")).0.len(), 2);
    }

    #[tokio::test]
    async fn who_makes_room_has_it_as_soon_as_it_is_free() {
        let places = Arc::new(Places::new(1));
        let first = places.take(alone("ada")).unwrap();
        let none = places.take_soon(alone("ada"), |_| false).await;
        assert_eq!(none.unwrap_err(), NoPlace::Full);
        let soon = places.take_soon(alone("ada"), |why| {
            assert_eq!(why, NoPlace::Full);
            tokio::spawn(async move {
                sleep(2 * LOOK).await;
                drop(first);
            });
            true
        });
        let place = soon.await.unwrap();
        let begun = Instant::now();
        let none = places.take_soon(alone("ada"), |_| true).await;
        assert_eq!(none.unwrap_err(), NoPlace::Full, "nobody went");
        assert!(begun.elapsed() >= ROOM);
        drop(place);
    }
}
