use super::*;

const CHAT: &str = "chat";
const VECTORS: &str = "vectors";

fn doubts(now: Instant) -> Doubts {
    Doubts::new(Limits::default(), now)
}

/// A request that takes no time.
fn request(doubts: &mut Doubts, model: &str, end: End, now: Instant) {
    doubts.begins();
    doubts.ends(model, end, now);
}

/// Doubted: the question is under way.
fn doubted(now: Instant) -> Doubts {
    let mut doubts = doubts(now);
    for _ in 0..FAILURES {
        request(&mut doubts, CHAT, End::Failed, now);
    }
    assert_eq!(doubts.next(now), Next::Ask(CHAT.to_owned()));
    doubts
}

use End::{Failed, Good, Late, Refused};

#[rstest::rstest]
#[case::nothing(&[], false)]
#[case::one(&[Failed], false)]
#[case::four(&[Failed, Failed, Failed, Failed], false)]
#[case::five(&[Failed, Failed, Failed, Failed, Failed], true)]
#[case::a_good_one_between(&[Failed, Failed, Failed, Failed, Good, Failed, Failed, Failed, Failed], false)]
#[case::a_good_one_last(&[Failed, Failed, Failed, Failed, Failed, Good], false)]
#[case::the_clients_fault_between(&[Failed, Failed, Refused, Failed, Failed, Refused, Failed], true)]
#[case::the_clients_fault(&[Refused, Refused, Refused, Refused, Refused], false)]
#[case::two_late(&[Late, Late], false)]
#[case::three_late(&[Late, Late, Late], true)]
#[case::of_both_kinds(&[Late, Failed, Failed, Late, Failed], true)]
fn what_raises_a_doubt(#[case] ends: &[End], #[case] doubted: bool) {
    let now = Instant::now();
    let mut doubts = doubts(now);
    for end in ends {
        request(&mut doubts, CHAT, *end, now);
    }
    let expected = if doubted {
        Next::Ask(CHAT.to_owned())
    } else {
        Next::Rest
    };
    assert_eq!(doubts.next(now), expected);
}

#[rstest::rstest]
#[case::at_once(Some(0), false)]
#[case::soon(Some(59), false)]
#[case::after_a_minute(Some(60), true)]
#[case::which_did_not_read(None, false)]
fn clients_that_go(#[case] waited: Option<u64>, #[case] doubted: bool) {
    let now = Instant::now();
    let mut doubts = doubts(now);
    let later = now + Duration::from_secs(waited.unwrap_or(600));
    for _ in 0..TOO_LATE {
        request(&mut doubts, CHAT, End::Gone(waited.map(|_| now)), later);
    }
    assert_eq!(doubts.next(later) != Next::Rest, doubted);
}

#[test]
fn models_are_doubted_each_for_itself() {
    let now = Instant::now();
    let mut doubts = doubts(now);
    for _ in 0..FAILURES {
        assert_eq!(doubts.next(now), Next::Rest);
        request(&mut doubts, VECTORS, Failed, now);
        request(&mut doubts, CHAT, Good, now);
    }
    assert_eq!(doubts.next(now), Next::Ask(VECTORS.to_owned()));
    assert_eq!(doubts.next(now), Next::Wait, "one at a time");
}

#[test]
fn a_right_answer_begins_anew() {
    let now = Instant::now();
    let mut doubts = doubted(now);
    doubts.answered(true);
    assert_eq!(doubts.next(now), Next::Rest);
    request(&mut doubts, CHAT, Failed, now);
    assert_eq!(doubts.next(now), Next::Rest);
}

#[test]
fn whoever_cannot_be_reached_is_asked_again() {
    let now = Instant::now();
    let mut doubts = doubted(now);
    doubts.answered(false);
    assert_eq!(doubts.next(now), Next::Ask(CHAT.to_owned()));
}

#[test]
fn a_good_answer_to_a_client_ends_the_question() {
    let now = Instant::now();
    let mut doubts = doubted(now);
    request(&mut doubts, CHAT, Good, now);
    assert_eq!(doubts.next(now + ENGINE_PATIENCE), Next::Rest);
}

/// Models that are loaded by turns: the question waits behind another model's requests.
#[test]
fn a_model_that_gets_no_turn_is_not_convicted() {
    let now = Instant::now();
    let mut doubts = doubted(now);
    doubts.begins();
    for minute in 1..=60 {
        let later = now + Duration::from_secs(60 * minute);
        request(&mut doubts, VECTORS, Good, later);
        assert_eq!(doubts.next(later), Next::Wait, "{minute}");
    }
}

#[test]
fn another_engine_begins_anew() {
    let now = Instant::now();
    let mut doubts = doubted(now);
    doubts.begins();
    doubts.forget();
    assert_eq!(doubts.next(now), Next::Rest);
    assert_eq!(doubts.under_way, 1, "it has not ended yet");
}

/// Seconds after the question: another request begins, the engine is heard, the request ends; and when it is convicted.
#[rstest::rstest]
#[case::nothing_else_to_do(None, None, None, 600)]
#[case::busy(Some(1), None, None, 1_500)]
#[case::busy_and_heard(Some(1), Some(500), None, 2_000)]
#[case::no_longer_busy(Some(1), None, Some(100), 700)]
fn a_question_without_an_answer(
    #[case] begins: Option<u64>,
    #[case] heard: Option<u64>,
    #[case] ends: Option<u64>,
    #[case] convicted: u64,
) {
    let now = Instant::now();
    let mut doubts = doubted(now);
    for second in 1..=convicted {
        let at = now + Duration::from_secs(second);
        let is = |when: Option<u64>| when == Some(second);
        if is(begins) {
            doubts.begins();
        }
        if is(heard) {
            doubts.hears(at);
        }
        if is(ends) {
            doubts.ends(CHAT, End::Gone(None), at);
        }
        let expected = if second == convicted {
            Next::Convict
        } else {
            Next::Wait
        };
        assert_eq!(doubts.next(at), expected, "{second}");
    }
}
