//! Whether a client's child lives, for whose answer somebody waits: pure, with the time passed in.
//!
//! A server may answer nothing while it carries out a call: where a tool computes in the loop that should answer, nobody
//! can tell it from one that hangs. So it may be silent for as long as one call may take. Beyond that no answer of it is
//! worth anything, and whoever else waits for it would wait in vain.

use std::time::{Duration, Instant};

/// A child that answers nothing for so long is asked whether it lives.
const ASK: Duration = Duration::from_secs(10);
/// For the answer to that, at least.
const ANSWER: Duration = Duration::from_secs(5);

/// What is seen of a child at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Signs {
    /// How much it has said to its calls, asked, and been answered.
    pub heard: u64,
    /// Somebody waits for it to say something.
    pub needed: bool,
    /// It waits for somebody's answer itself.
    pub waits: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// Nothing.
    Nothing,
    /// It is to be asked whether it lives.
    Ask,
    /// It hangs, and is to be ended.
    End,
}

/// How long it may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// While somebody waits for it.
    pub call: Duration,
    /// While it waits for somebody itself.
    pub client: Duration,
}

/// What was seen of it before.
#[derive(Debug)]
pub struct Watch {
    patience: Patience,
    heard: u64,
    /// Since when it is silent though somebody needs it.
    since: Instant,
    /// When it was asked and has said nothing since.
    asked: Option<Instant>,
}

impl Watch {
    /// Of a child that may be silent for so long.
    #[must_use]
    pub fn new(patience: Patience, now: Instant) -> Self {
        Self {
            patience,
            heard: 0,
            since: now,
            asked: None,
        }
    }

    /// A look at it. Once it was asked, it owes an answer, whoever still needs it.
    pub fn look(&mut self, signs: Signs, now: Instant) -> Do {
        let owes = signs.needed || self.asked.is_some();
        if signs.heard != self.heard || !owes {
            self.heard = signs.heard;
            self.since = now;
            self.asked = None;
            return Do::Nothing;
        }
        let silent = now.saturating_duration_since(self.since);
        match self.asked {
            // It may read nothing else until then.
            _ if signs.waits && silent < self.patience.client => Do::Nothing,
            None if silent >= ASK => {
                self.asked = Some(now);
                Do::Ask
            }
            Some(asked)
                if silent >= self.patience.call
                    && now.saturating_duration_since(asked) >= ANSWER =>
            {
                Do::End
            }
            _ => Do::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_secs(120);
    const CLIENT: Duration = Duration::from_secs(600);
    const NEEDED: Signs = Signs {
        heard: 0,
        needed: true,
        waits: false,
    };

    /// What is done with a child that shows these signs, second by second, and when.
    fn done(call: Duration, seconds: u64, signs: impl Fn(u64) -> Signs) -> Vec<(u64, Do)> {
        let begun = Instant::now();
        let client = CLIENT;
        let patience = Patience { call, client };
        let mut watch = Watch::new(patience, begun);
        let looks = (0..seconds).map(|second| {
            let now = begun + Duration::from_secs(second);
            (second, watch.look(signs(second), now))
        });
        looks.filter(|(_, what)| *what != Do::Nothing).collect()
    }

    #[rstest::rstest]
    #[case::as_long_as_a_call(CALL, 120)]
    #[case::time_to_answer(Duration::from_secs(1), 15)]
    fn a_silent_child_is_asked_once_and_ended(#[case] patience: Duration, #[case] end: u64) {
        let expected = [(10, Do::Ask), (end, Do::End)];
        assert_eq!(done(patience, end + 1, |_| NEEDED), expected);
    }

    /// It computes for 110 seconds, answers, and begins with the next call that waits.
    #[test]
    fn one_long_call_after_the_other_is_no_hang() {
        let signs = |second| Signs {
            heard: second / 110,
            ..NEEDED
        };
        let done = done(CALL, 400, signs);
        assert!(done.iter().all(|(_, what)| *what == Do::Ask), "{done:?}");
    }

    #[test]
    fn a_child_that_answers_each_ping_lives() {
        let signs = |second| Signs {
            heard: second / 11,
            ..NEEDED
        };
        let done = done(CALL, 1000, signs);
        assert!(done.iter().all(|(_, what)| *what == Do::Ask), "{done:?}");
    }

    #[test]
    fn a_child_that_nobody_needs_is_left_alone() {
        let signs = Signs {
            needed: false,
            ..NEEDED
        };
        assert_eq!(done(CALL, 1000, |_| signs), []);
    }

    /// Its time begins when it has the answer. A client that never gives one is waited for as long as for any.
    #[test]
    fn a_child_that_waits_for_its_client_is_left_alone_meanwhile() {
        let until = |end| {
            move |second| Signs {
                heard: u64::from(second >= end),
                waits: second < end,
                ..NEEDED
            }
        };
        let expected = [(310, Do::Ask), (420, Do::End)];
        assert_eq!(done(CALL, 421, until(300)), expected);
        let expected = [(600, Do::Ask), (605, Do::End)];
        assert_eq!(done(CALL, 606, until(1000)), expected);
    }

    /// Each is answered in time, all of them together are not.
    #[test]
    fn one_question_after_the_other_is_no_hang() {
        let signs = |second| Signs {
            heard: second / 110,
            waits: true,
            ..NEEDED
        };
        assert_eq!(done(CALL, 2000, signs), []);
    }

    /// Each call is given up in time, and the next one would hang as well.
    #[test]
    fn who_goes_saves_no_child_that_was_asked() {
        let signs = |second| Signs {
            needed: second < 60,
            ..NEEDED
        };
        assert_eq!(done(CALL, 121, signs), [(10, Do::Ask), (120, Do::End)]);
    }

    /// The gate itself stood still: what came meanwhile was not read yet.
    #[test]
    fn after_a_pause_of_the_gate_a_child_is_asked_first() {
        let begun = Instant::now();
        let (call, client) = (CALL, CLIENT);
        let mut watch = Watch::new(Patience { call, client }, begun);
        let late = begun + 2 * CALL;
        assert_eq!(watch.look(NEEDED, late), Do::Ask);
        assert_eq!(watch.look(NEEDED, late + ANSWER / 2), Do::Nothing);
        let heard = Signs { heard: 1, ..NEEDED };
        assert_eq!(watch.look(heard, late + ANSWER), Do::Nothing);
    }
}
