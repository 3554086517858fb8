//! Whose sessions are forgotten, and when.

use super::*;

const MOST: usize = 8;
const IDLE: Duration = Duration::from_secs(600);

/// All of them, and a clock: each use is a second after the one before.
struct Bed {
    all: Owners,
    now: Instant,
}

impl Bed {
    fn new() -> Self {
        Self {
            all: Owners::new(MOST, IDLE),
            now: Instant::now(),
        }
    }

    fn tick(&mut self) -> Instant {
        self.now += Duration::from_secs(1);
        self.now
    }

    fn begins(&mut self, session: &str, guest: &Guest, has_others: bool) -> bool {
        let now = self.tick();
        self.all.begins(session, guest, has_others, now)
    }

    fn is_owner(&mut self, session: &str, guest: &Guest) -> bool {
        let now = self.tick();
        self.all.uses(session, guest, now).is_some()
    }
}

fn guest(name: &str) -> Guest {
    Guest {
        identity: name.to_owned(),
        pass: Pass::Anyone,
    }
}

#[test]
fn a_session_stays_with_whoever_began_it() {
    let (mut bed, ada, bob) = (Bed::new(), guest("ada"), guest("bob"));
    assert!(bed.begins("s", &ada, true) && bed.begins("s", &ada, true));
    assert!(!bed.begins("s", &bob, true));
    assert!(bed.is_owner("s", &ada) && !bed.is_owner("s", &bob));
    assert!(!bed.begins(&"x".repeat(MAX_NAME + 1), &ada, true));
}

#[test]
fn one_caller_forgets_its_own_sessions_and_not_those_of_others() {
    let mut bed = Bed::new();
    let (ada, bob, cyd) = (guest("ada"), guest("bob"), guest("cyd"));
    assert!(bed.begins("s", &ada, true));
    for number in 0..MOST {
        assert!(bed.begins(&number.to_string(), &bob, true));
    }
    assert!(bed.is_owner("s", &ada), "it is not bob's");
    let of_bob = |bed: &mut Bed, number: usize| bed.is_owner(&number.to_string(), &bob);
    let half = MOST / 2;
    assert!(!of_bob(&mut bed, half - 1) && of_bob(&mut bed, half));
    // Of bob's, that one was used last now.
    for number in 0..half {
        assert!(bed.begins(&format!("c{number}"), &cyd, true));
    }
    assert!(bed.is_owner("s", &ada), "others have more");
    assert!(of_bob(&mut bed, half) && !of_bob(&mut bed, half + 1));
}

#[test]
fn where_nobody_is_asked_who_they_are_the_oldest_is_forgotten() {
    let (mut bed, anyone) = (Bed::new(), guest("anyone"));
    for number in 0..=MOST {
        assert!(bed.begins(&number.to_string(), &anyone, false));
    }
    assert!(!bed.is_owner("0", &anyone) && bed.is_owner("1", &anyone));
}

#[test]
fn one_that_gives_way_is_not_in_use_and_the_server_hears_of_it() {
    let (mut bed, anyone) = (Bed::new(), guest("anyone"));
    assert!(bed.begins("used", &anyone, false));
    let now = bed.tick();
    let in_use = bed.all.uses("used", &anyone, now);
    for number in 1..=MOST {
        assert!(bed.begins(&number.to_string(), &anyone, false));
    }
    assert_eq!(bed.all.end(|_| false, bed.now), ["1"], "once");
    assert!(bed.all.end(|_| false, bed.now).is_empty());
    drop(in_use);
    assert!(bed.begins("one more", &anyone, false));
    assert_eq!(bed.all.end(|_| false, bed.now), ["2"], "used until now");
}

#[test]
fn a_session_that_nobody_uses_is_over() {
    let (mut bed, ada) = (Bed::new(), guest("ada"));
    assert!(bed.begins("left", &ada, true) && bed.begins("used", &ada, true));
    let in_use = bed.all.uses("used", &ada, bed.now);
    let later = bed.now + 2 * IDLE;
    assert_eq!(bed.all.end(|_| false, later), ["left"]);
    drop(in_use);
    assert!(bed.all.end(|_| false, later + IDLE).is_empty());
    let over = bed.all.end(|_| false, later + 2 * IDLE);
    assert_eq!(over, ["used"]);
}

#[test]
fn sessions_end_with_what_their_callers_showed_last() {
    let (mut bed, ada) = (Bed::new(), guest("ada"));
    assert!(bed.begins("s", &ada, true));
    assert!(bed.all.end(|_| false, bed.now).is_empty());
    let over = bed.all.end(|pass| *pass == Pass::Anyone, bed.now);
    assert_eq!(over, ["s"]);
    assert!(!bed.is_owner("s", &ada));
}
