//! One child whose template somebody changes, in seconds that are passed in.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::controller::apply::Compare;
use crate::controller::apply::amiss::amiss;

fn foreign(harm: Harm) -> Foreign {
    let what = "container proxy was added".to_owned();
    Foreign { what, harm }
}

fn took(
    contests: &mut Contests,
    hash: &str,
    remains: bool,
    harm: Harm,
    now: Instant,
) -> Option<Told> {
    let found = foreign(harm);
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
#[case::back_at_once(1, "h", Some(Harm::Unlike), "contested")]
#[case::another_field_at_once(1, "h", Some(Harm::Lacks), "contested")]
#[case::back_at_once_and_harmless(1, "h", Some(Harm::Asks), "later")]
#[case::back_later(10, "h", Some(Harm::Unlike), "write")]
#[case::something_else_is_wanted(1, "other", Some(Harm::Unlike), "write")]
fn who_comes_back_waits(
    #[case] second: u64,
    #[case] hash: &str,
    #[case] found: Option<Harm>,
    #[case] expected: &str,
) {
    let begin = Instant::now();
    let now = begin + Duration::from_secs(second);
    let mut contests = Contests::default();
    assert_eq!(took(&mut contests, "h", false, Harm::Unlike, begin), None);
    let found = found.map(foreign);
    let answer = match contests.turn("key", hash, found.as_ref(), now) {
        None => "write",
        Some(Ack::Contested { message, after }) => {
            assert!(message.contains("field manager \"injector\""), "{message}");
            assert_eq!(after, Duration::from_secs(10 - second));
            "contested"
        }
        Some(Ack::Later(after)) => {
            assert_eq!(after, Duration::from_secs(10 - second));
            "later"
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
    assert_eq!(took(&mut contests, "h", false, Harm::Unlike, at(0)), None);
    let told = took(&mut contests, "h", false, Harm::Unlike, at(10)).unwrap();
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

/// A was contested, then B was wanted and written, and now A is wanted again: the child is B, and that is our own doing.
#[test]
fn what_is_wanted_again_is_written_at_once() {
    let now = Instant::now();
    let mut contests = Contests::default();
    took(&mut contests, "a", true, Harm::Unlike, now);
    let lacks = foreign(Harm::Lacks);
    assert!(contests.turn("key", "a", Some(&lacks), now).is_some());
    contests.written("other", "b");
    contests.written("key", "a");
    assert!(contests.turn("key", "a", Some(&lacks), now).is_some());
    contests.written("key", "b");
    assert_eq!(contests.turn("key", "a", Some(&lacks), now), None);
    assert_eq!(took(&mut contests, "a", false, Harm::Lacks, now), None);
}

#[test]
fn what_is_there_again_with_the_answer_is_told_at_once() {
    let now = Instant::now();
    let mut contests = Contests::default();
    let told = took(&mut contests, "h", true, Harm::Unlike, now).unwrap();
    assert!(told.message.contains("taken back once"), "{}", told.message);
    assert!(
        contests
            .turn("key", "h", Some(&foreign(Harm::Unlike)), now)
            .is_some()
    );
}

#[test]
fn a_harmless_contest_that_becomes_worse_is_told() {
    let now = Instant::now();
    let mut contests = Contests::default();
    took(&mut contests, "h", true, Harm::Asks, now);
    let mut turn = |found: Option<Harm>| {
        let found = found.map(foreign);
        contests.turn("key", "h", found.as_ref(), now)
    };
    // With nobody to wake the object after the wait, it would stay for as long as nothing else happens.
    let wait = Duration::from_secs(10);
    assert_eq!(turn(Some(Harm::Asks)), Some(Ack::Later(wait)));
    assert_eq!(turn(None), None, "there is nothing that is left for later");
    let ack = turn(Some(Harm::Unlike));
    assert!(matches!(ack, Some(Ack::Contested { .. })), "{ack:?}");
}

/// The pace is the child's; what is told and counted was for the same.
#[test]
fn what_was_taken_back_for_something_else_does_not_count() {
    let begin = Instant::now();
    let at = |second| begin + Duration::from_secs(second);
    let mut contests = Contests::default();
    assert_eq!(took(&mut contests, "h", false, Harm::Asks, at(0)), None);
    assert_eq!(took(&mut contests, "h", false, Harm::Lacks, at(10)), None);
    assert_eq!(contests.turn("key", "h", None, at(11)), None);
    let told = took(&mut contests, "h", false, Harm::Lacks, at(30)).unwrap();
    let message = told.message;
    assert!(message.contains("2 times in a row"), "{message}");
    assert!(message.contains("40 s later"), "{message}");
}

/// It hides nothing else, and no other child, and never waits for long.
#[test]
fn what_no_write_mends_is_put_off() {
    let begin = Instant::now();
    let wanted = json!({ "metadata": { "ownerReferences": [] }, "spec": { "replicas": 1 } });
    let there =
        json!({ "metadata": { "ownerReferences": [{ "uid": "v" }] }, "spec": { "replicas": 0 } });
    let found = amiss(&wanted, &there, Compare::Ours);
    let mut contests = Contests::default();
    let put_off = |contests: &Contests, key: &str, second| {
        let mut found = found.clone();
        let wait = contests.put_off(key, &mut found, begin + Duration::from_secs(second));
        (found.len(), wait.map(|wait| wait.as_secs()))
    };
    assert_eq!(put_off(&contests, "key", 0), (2, None));
    for _ in 0..9 {
        contests.in_vain("key", "metadata.ownerReferences", begin);
    }
    assert_eq!(put_off(&contests, "key", 3), (1, Some(7)));
    assert_eq!(put_off(&contests, "other", 3), (2, None));
    assert_eq!(put_off(&contests, "key", 10), (2, None));
    contests.in_vain("other", "spec", begin + Duration::from_secs(10));
    assert_eq!(contests.vain.len(), 1, "what has waited is forgotten");
}

#[test]
fn a_field_that_is_changed_again_is_told_without_the_template() {
    let begin = Instant::now();
    let later = begin + Duration::from_secs(10);
    let mut contests = Contests::default();
    assert_eq!(took(&mut contests, "h", false, Harm::Lacks, begin), None);
    let told = took(&mut contests, "h", false, Harm::Lacks, later).unwrap();
    let message = told.message;
    assert!(
        message.contains("\"injector\" changes Deployment assistant ("),
        "{message}"
    );
    assert!(!message.contains("never proven"), "{message}");
}

#[test]
fn contests_end_and_are_forgotten() {
    let begin = Instant::now();
    let mut contests = Contests::default();
    for key in 0..100 {
        let found = foreign(Harm::Unlike);
        let taken = Taken {
            child: "c",
            by: "b",
            found: &found,
            remains: false,
        };
        contests.took(&key.to_string(), "h", taken, begin);
    }
    assert_eq!(contests.taken.len(), 100);
    let later = begin + Duration::from_secs(600);
    assert_eq!(took(&mut contests, "h", false, Harm::Unlike, later), None);
    assert_eq!(contests.taken.len(), 1);
}

#[test]
fn messages_are_bounded() {
    let found = Foreign {
        what: "x".repeat(2_000),
        harm: Harm::Unlike,
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
