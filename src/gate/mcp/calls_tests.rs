//! To which call what a child says belongs.

use serde_json::json;

use super::*;

fn begin(calls: &mut Calls, hears: Hears) -> (u64, mpsc::Receiver<Said>) {
    let (notes, heard) = mpsc::channel(1);
    let number = calls.number().unwrap();
    let waiter = Waiter {
        id: Id::number(7),
        token: None,
        notes,
        answer: oneshot::channel().0,
        hears,
    };
    calls.begin(number, waiter);
    (number, heard)
}

/// A client without a session that can be asked, and wants no log.
const ASKS: Hears = Hears::Stateless {
    from: None,
    asks: true,
};

fn question() -> Said {
    Message::request(&Id::number(1), "roots/list", Object::default()).into()
}

#[test]
fn a_question_belongs_to_the_only_call() {
    let now = Instant::now();
    let mut calls = Calls::default();
    assert!(calls.question(question(), now).is_err(), "of nobody");
    let (one, mut heard) = begin(&mut calls, ASKS);
    calls.question(question(), now).unwrap();
    assert!(heard.try_recv().is_ok());
    let (two, mut other) = begin(&mut calls, ASKS);
    assert!(calls.question(question(), now).is_err(), "of which?");
    assert!(heard.try_recv().is_err() && other.try_recv().is_err());
    assert!(calls.answered(one).is_some());
    calls.question(question(), now).unwrap();
    assert!(other.try_recv().is_ok());
    assert!(calls.answered(two).is_some());
    let (_three, _heard) = begin(&mut calls, Hears::Log);
    assert!(calls.question(question(), now).is_err(), "nothing is asked");
}

#[test]
fn a_call_that_was_given_up_may_be_the_one_that_asks() {
    let now = Instant::now();
    let mut calls = Calls::default();
    let (gone, _heard) = begin(&mut calls, ASKS);
    assert!(calls.forget(gone, now));
    let (_there, mut heard) = begin(&mut calls, ASKS);
    assert!(calls.question(question(), now).is_err());
    assert!(calls.answered(gone).is_none());
    calls.question(question(), now).unwrap();
    assert!(heard.try_recv().is_ok(), "it was answered late");
    let (again, _heard) = begin(&mut calls, ASKS);
    calls.forget(again, now);
    assert!(calls.question(question(), now).is_err());
    calls.question(question(), now + LINGERS).unwrap();
    assert!(heard.try_recv().is_ok(), "it had its time");
}

fn of_subscription(id: &serde_json::Value) -> Said {
    let meta = serde_json::json!({ SUBSCRIPTION: id });
    let params = Object::default().with("_meta", &meta);
    Message::notification("notifications/x", &params).into()
}

/// The id of a subscription goes out as a number, and some servers give it back as a text.
#[test]
fn a_note_belongs_to_the_subscription_that_it_names() {
    let mut calls = Calls::default();
    let (number, mut heard) = begin(&mut calls, Hears::Own);
    for id in [serde_json::json!(number), number.to_string().into()] {
        calls.note(of_subscription(&id)).unwrap();
        let said = heard.try_recv().unwrap().message;
        let meta = said.params().unwrap().object("_meta").unwrap();
        assert_eq!(meta.read::<u64>(SUBSCRIPTION), Some(7), "the client's own");
    }
    for id in ["", "two", "-1"] {
        assert!(calls.note(of_subscription(&id.into())).is_err(), "{id}");
    }
}

/// So is a progress token.
#[test]
fn progress_belongs_to_the_call_that_it_names() {
    let mut calls = Calls::default();
    let (number, mut heard) = begin(&mut calls, Hears::Own);
    let own = serde_json::value::to_raw_value("t").ok();
    calls.rename(number, own, Hears::Own);
    for token in [json!(number), json!(number.to_string()), json!(1.0)] {
        let params = Object::default().with("progressToken", &token);
        let note = Message::notification("notifications/progress", &params);
        calls.note(note.into()).unwrap();
        let params = heard.try_recv().unwrap().message.params().unwrap();
        assert_eq!(params.text("progressToken").as_deref(), Some("t"));
    }
}

fn log(level: &str) -> Said {
    Message::notification(LOG, &Object::default().with("level", level)).into()
}

/// A client without a session that wants the log from that level on.
fn from(level: &str) -> Hears {
    Hears::Stateless {
        from: Level::parse(level),
        asks: false,
    }
}

#[test]
fn a_log_is_for_the_only_client_that_waits() {
    let now = Instant::now();
    let mut calls = Calls::default();
    let (_own, _heard) = begin(&mut calls, Hears::Own);
    assert!(calls.to_only(log("info"), now).is_err(), "no client waits");
    let (_one, mut heard) = begin(&mut calls, from("debug"));
    calls.to_only(log("info"), now).unwrap();
    assert!(heard.try_recv().is_ok());
    let (_two, _heard) = begin(&mut calls, from("debug"));
    assert!(calls.to_only(log("info"), now).is_err(), "of which?");
}

#[test]
fn a_log_about_a_call_that_was_given_up_reaches_nobody_else() {
    let now = Instant::now();
    let mut calls = Calls::default();
    let (gone, _heard) = begin(&mut calls, from("debug"));
    calls.forget(gone, now);
    let (_there, mut heard) = begin(&mut calls, from("debug"));
    assert!(calls.to_only(log("alert"), now).is_err());
    assert!(heard.try_recv().is_err());
    assert!(calls.answered(gone).is_none());
    calls.to_only(log("alert"), now).unwrap();
    assert!(heard.try_recv().is_ok(), "it was answered late");
    let (again, _heard) = begin(&mut calls, from("debug"));
    calls.forget(again, now);
    calls.to_only(log("alert"), now + LINGERS).unwrap();
    assert!(heard.try_recv().is_ok(), "it had its time");
}

#[test]
fn what_a_session_gave_up_keeps_nothing_from_itself() {
    let now = Instant::now();
    let mut calls = Calls::default();
    let (gone, _heard) = begin(&mut calls, Hears::Log);
    calls.forget(gone, now);
    let (_there, mut heard) = begin(&mut calls, Hears::Log);
    calls.to_only(log("strange"), now).unwrap();
    assert!(heard.try_recv().is_ok());
}

#[rstest::rstest]
#[case::above("info", "error", true)]
#[case::the_same("info", "info", true)]
#[case::below("info", "debug", false)]
#[case::no_level("info", "loud", false)]
#[case::none_wanted("", "emergency", false)]
fn a_client_without_a_session_hears_the_log_that_it_wants(
    #[case] wanted: &str,
    #[case] level: &str,
    #[case] hears: bool,
) {
    let now = Instant::now();
    let mut calls = Calls::default();
    let (number, mut heard) = begin(&mut calls, from(wanted));
    assert_eq!(calls.to_only(log(level), now).is_ok(), hears);
    assert_eq!(heard.try_recv().is_ok(), hears);
    // A line that names its call is no other.
    calls.rename(
        number,
        serde_json::value::to_raw_value("t").ok(),
        from(wanted),
    );
    let mut named = log(level);
    let params = named.message.params().unwrap();
    let params = params.with("progressToken", &number);
    named.message.body.put("params", &params);
    calls.note(named).unwrap();
    assert_eq!(heard.try_recv().is_ok(), hears);
}

#[test]
fn a_client_that_is_back_says_anew_what_it_wants() {
    let now = Instant::now();
    let mut calls = Calls::default();
    let (number, mut heard) = begin(&mut calls, from("debug"));
    calls.rename(number, None, from(""));
    assert!(calls.to_only(log("info"), now).is_err());
    calls.rename(number, None, from("info"));
    calls.to_only(log("info"), now).unwrap();
    assert!(heard.try_recv().is_ok());
}
