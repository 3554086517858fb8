//! One child whose template somebody changes, in seconds that are passed in.

use std::time::Duration;

use super::*;

fn foreign(harms: bool) -> Foreign {
    let what = "container proxy was added".to_owned();
    Foreign { what, harms }
}

fn took(
    contests: &mut Contests,
    hash: &str,
    remains: bool,
    harms: bool,
    now: Instant,
) -> Option<Told> {
    let found = foreign(harms);
    let taken = Taken {
        child: "Deployment assistant",
        by: "the field manager \"injector\"",
        found: &found,
        remains,
    };
    contests.took("key", hash, taken, now)
}

/// After one taking back at 0 s: what is found at that second, and whether the answer is a write, and what else.
#[rstest::rstest]
#[case::still_as_wanted(1, "h", None, "write")]
#[case::back_at_once(1, "h", Some(true), "contested")]
#[case::back_at_once_and_harmless(1, "h", Some(false), "unchanged")]
#[case::back_later(10, "h", Some(true), "write")]
#[case::something_else_is_wanted(1, "other", Some(true), "write")]
fn who_comes_back_waits(
    #[case] second: u64,
    #[case] hash: &str,
    #[case] found: Option<bool>,
    #[case] expected: &str,
) {
    let begin = Instant::now();
    let now = begin + Duration::from_secs(second);
    let mut contests = Contests::default();
    assert_eq!(took(&mut contests, "h", false, true, begin), None);
    let found = found.map(foreign);
    let answer = match contests.turn("key", hash, found.as_ref(), now) {
        None => "write",
        Some(Ack::Contested { message, after }) => {
            assert!(message.contains("field manager \"injector\""), "{message}");
            assert_eq!(after, Duration::from_secs(10 - second));
            "contested"
        }
        Some(Ack::Unchanged) => "unchanged",
        Some(Ack::Written) => "written",
    };
    assert_eq!(answer, expected);
}

#[test]
fn what_is_told_stays_until_the_next_time() {
    let begin = Instant::now();
    let at = |second| begin + Duration::from_secs(second);
    let mut contests = Contests::default();
    assert_eq!(took(&mut contests, "h", false, true, at(0)), None);
    let told = took(&mut contests, "h", false, true, at(10)).unwrap();
    assert!(
        told.message.contains("2 times in a row"),
        "{}",
        told.message
    );
    assert!(told.message.contains("20 s later"), "{}", told.message);
    for second in [11, 29] {
        let ack = contests.turn("key", "h", None, at(second));
        let after = Duration::from_secs(30 - second);
        let message = told.message.clone();
        assert_eq!(
            ack,
            Some(Ack::Contested { message, after }),
            "mended by now"
        );
    }
    assert_eq!(contests.turn("key", "h", None, at(30)), None);
}

#[test]
fn what_is_there_again_with_the_answer_is_told_at_once() {
    let now = Instant::now();
    let mut contests = Contests::default();
    let told = took(&mut contests, "h", true, true, now).unwrap();
    assert!(told.message.contains("taken back once"), "{}", told.message);
    assert!(
        contests
            .turn("key", "h", Some(&foreign(true)), now)
            .is_some()
    );
}

#[test]
fn a_harmless_contest_that_becomes_worse_is_told() {
    let now = Instant::now();
    let mut contests = Contests::default();
    took(&mut contests, "h", true, false, now);
    let ack = contests.turn("key", "h", Some(&foreign(false)), now);
    assert_eq!(ack, Some(Ack::Unchanged));
    let ack = contests.turn("key", "h", Some(&foreign(true)), now);
    assert!(matches!(ack, Some(Ack::Contested { .. })), "{ack:?}");
}

#[test]
fn contests_end_and_are_forgotten() {
    let begin = Instant::now();
    let mut contests = Contests::default();
    for key in 0..100 {
        let found = foreign(true);
        let taken = Taken {
            child: "c",
            by: "b",
            found: &found,
            remains: false,
        };
        contests.took(&key.to_string(), "h", taken, begin);
    }
    assert_eq!(contests.0.len(), 100);
    let later = begin + Duration::from_secs(600);
    assert_eq!(took(&mut contests, "h", false, true, later), None);
    assert_eq!(contests.0.len(), 1);
}

#[test]
fn messages_are_bounded() {
    let found = Foreign {
        what: "x".repeat(2_000),
        harms: true,
    };
    let taken = Taken {
        child: "c",
        by: "b",
        found: &found,
        remains: true,
    };
    let told = Contests::default().took("key", "h", taken, Instant::now());
    assert_eq!(told.unwrap().message.chars().count(), 1_024);
}
