//! What waits, for how long, and what becomes of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::gate::mcp::budget::Budget;
use crate::mcp::{Id, Object};

fn note(text: &str) -> Said {
    Message::notification("a", &Object::default().with("text", text)).into()
}

#[tokio::test]
async fn a_stream_is_read_in_order_and_again() {
    let outbox = Outbox::new(CALL);
    outbox.push(note("1"));
    outbox.push(note("2"));
    outbox.finish(Message::result(&Id::number(1), &1).into());
    outbox.push(note("too late"));
    for _ in 0..2 {
        let mut seen = Vec::new();
        let mut at = 0;
        while let Some(event) = outbox.after(at).await {
            at = event.number;
            seen.push(event.last);
        }
        assert_eq!(seen, [false, false, true]);
    }
    assert_eq!(outbox.after(2).await.unwrap().number, 3);
}

#[tokio::test]
async fn the_oldest_go_and_the_answer_stays() {
    let outbox = Outbox::new(Bound {
        events: 2,
        bytes: 1000,
        shares: true,
    });
    for _ in 0..9 {
        outbox.push(note("x"));
    }
    outbox.push(note(&"y".repeat(2000)));
    assert_eq!(outbox.after(0).await.unwrap().number, 10);
    outbox.finish(Message::result(&Id::number(1), &1).into());
    assert_eq!(outbox.after(0).await.unwrap().number, 11);
    assert_eq!(outbox.dropped(), 10);
}

#[tokio::test]
async fn what_may_wait_for_long_takes_no_share_and_has_an_end() {
    let budget = Budget::new(1024 * 1024);
    let outbox = Outbox::new(STANDING);
    let said = |text: &str| Said {
        message: note(text).message,
        budget: budget.try_take(text.len()),
    };
    outbox.push(said(&"x".repeat(STANDING.bytes)));
    outbox.push(said(&"y".repeat(STANDING.bytes / 2)));
    assert!(budget.try_take(1024 * 1024).is_some());
    assert_eq!(outbox.dropped(), 1);
    outbox.push(said(&"z".repeat(STANDING.bytes / 2)));
    assert_eq!(outbox.after(0).await.unwrap().number, 2);
    assert_eq!(outbox.dropped(), 2);
}

#[tokio::test]
async fn whoever_waits_hears_of_the_end() {
    let outbox = std::sync::Arc::new(Outbox::new(CALL));
    let waits = std::sync::Arc::clone(&outbox);
    let waits = tokio::spawn(async move { waits.after(0).await });
    tokio::task::yield_now().await;
    outbox.close();
    assert_eq!(waits.await.unwrap(), None);
}

#[tokio::test]
async fn all_streams_that_stand_have_one_memory() {
    let budget = Arc::new(Budget::new(4 * 1024 * 1024));
    let many: Vec<_> = (0..64)
        .map(|_| Outbox::standing(STANDING, &budget))
        .collect();
    let word = "x".repeat(STANDING.bytes / 2);
    let waits = many.iter().filter(|outbox| outbox.push(note(&word)));
    assert_eq!(
        waits.count(),
        31,
        "with what each event takes beside its text"
    );
    assert!(
        budget.try_take(4 * 1024 * 1024).is_some(),
        "of answers nothing"
    );
    // Where all of it is taken, what waited here for longest goes, and nothing of others.
    assert!(many[0].push(note(&word)));
    assert_eq!(many[0].after(0).await.unwrap().number, 2);
    assert_eq!(many[1].after(0).await.unwrap().number, 1);
    assert!(!many[40].push(note(&word)) && many[40].dropped() == 2);
    // The last word of a stream has a place all the same.
    many[40].finish(Message::result(&Id::number(1), &1).into());
    assert!(many[40].after(0).await.unwrap().last);
    drop(many);
    assert!(Outbox::standing(STANDING, &budget).push(note(&word)));
}

/// How many of the questions have gone without having been read.
fn questions() -> (Arc<AtomicUsize>, impl Fn() -> Unheard) {
    let lost = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&lost);
    let question = move || {
        let counts = Arc::clone(&counts);
        Unheard::new(move || {
            counts.fetch_add(1, Ordering::SeqCst);
        })
    };
    (lost, question)
}

#[tokio::test]
async fn a_question_that_goes_unread_is_told_of() {
    let (lost, question) = questions();
    let lost = || lost.load(Ordering::SeqCst);
    let outbox = Outbox::new(STANDING);
    outbox.ask(note("?"), question());
    for _ in 1..STANDING.events {
        outbox.push(note("x"));
    }
    assert_eq!(lost(), 0, "it waits");
    outbox.push(note("x"));
    assert_eq!(lost(), 1, "it was the oldest");
    outbox.ask(note(&"?".repeat(STANDING.bytes)), question());
    assert_eq!(lost(), 2, "it is too long");
    outbox.ask(note("?"), question());
    outbox.forget();
    assert_eq!(lost(), 3, "all was given up");
    outbox.ask(note("?"), question());
    assert_eq!(lost(), 4, "nothing more comes");
    let outbox = Outbox::new(STANDING);
    outbox.ask(note("?"), question());
    drop(outbox);
    assert_eq!(lost(), 5);
}

#[tokio::test]
async fn a_question_that_was_read_is_its_clients() {
    let (lost, question) = questions();
    let outbox = Outbox::new(STANDING);
    outbox.ask(note("?"), question());
    outbox.after(0).await.unwrap();
    for _ in 0..=STANDING.events {
        outbox.push(note("x"));
    }
    outbox.forget();
    assert_eq!(lost.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_a_subscription_says_takes_nothing_of_answers_and_its_end_has_a_place() {
    let budget = Arc::new(Budget::new(1024 * 1024));
    let outbox = Outbox::standing(LISTEN, &budget);
    let said = |text: &str| Said {
        message: note(text).message,
        budget: budget.try_take(text.len()),
    };
    assert!(outbox.push(said("x")));
    assert!(budget.try_take(1024 * 1024).is_some());
    assert!(!outbox.push(said(&"x".repeat(LISTEN.bytes))), "too long");
    let end = Message::result(&Id::number(1), &"x".repeat(LISTEN.bytes));
    outbox.finish(end.into());
    assert!(outbox.after(1).await.unwrap().last);
}

#[tokio::test]
async fn who_reads_only_the_answer_hears_no_question() {
    let (lost, question) = questions();
    let outbox = Arc::new(Outbox::new(CALL));
    outbox.push(note("x"));
    outbox.ask(note("?"), question());
    let waits = Arc::clone(&outbox);
    let waits = tokio::spawn(async move { waits.answer().await });
    tokio::task::yield_now().await;
    assert_eq!(lost.load(Ordering::SeqCst), 1, "it is told at once");
    outbox.finish(Message::result(&Id::number(1), &1).into());
    let answer = waits.await.unwrap().unwrap();
    assert!(answer.last && answer.number == 3 && outbox.is_read());
}
