use futures::FutureExt as _;

use super::*;
use crate::gate::answer::{Refusal, whole};

fn state(client: &Client) -> (usize, usize, bool) {
    let state = client.0.borrow();
    (state.under_way, state.broken_off, state.leave)
}

#[tokio::test]
async fn a_turn_ends_with_the_body_of_its_answer() {
    let client = Arc::new(Client::default());
    let turn = client.enter(Version::HTTP_2);
    let mut body = turn.answer(Response::new(whole(vec![7; 9000]))).into_body();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
    assert_eq!(state(&client), (1, 0, false));
    drop(body);
    assert_eq!(state(&client), (0, 0, false));
}

#[tokio::test]
async fn requests_of_http_1_wake_nobody_before_a_drain() {
    let client = Arc::new(Client::default());
    drop(client.enter(Version::HTTP_11));
    let hears = client.0.subscribe();
    drop(client.enter(Version::HTTP_11));
    assert!(!hears.has_changed().unwrap());

    assert!(client.rests().now_or_never().is_none());
    // That it has begun is told too, and not what this is about.
    let mut hears = client.0.subscribe();
    let turn = client.enter(Version::HTTP_11);
    assert!(hears.has_changed().unwrap());
    hears.mark_unchanged();
    drop(turn);
    assert!(hears.has_changed().unwrap());
}

#[test]
fn turns_that_are_broken_off_are_counted() {
    let client = Arc::new(Client::default());
    for _ in 0..3 {
        drop(client.enter(Version::HTTP_2));
    }
    assert_eq!(state(&client), (0, 3, false));
    drop(client.enter(Version::HTTP_11));
    assert_eq!(
        state(&client),
        (0, 2, false),
        "HTTP/1 ends with its connection"
    );
}

#[rstest::rstest]
#[case::the_pod_ends(StatusCode::SERVICE_UNAVAILABLE, true)]
#[case::one_body_is_too_large(StatusCode::PAYLOAD_TOO_LARGE, false)]
fn only_the_pod_ends_a_connection(#[case] status: StatusCode, #[case] leaves: bool) {
    let client = Arc::new(Client::default());
    let turn = client.enter(Version::HTTP_2);
    let refusal = Refusal::new(status, "x", "x").close().into_response();
    let answer = turn.answer(refusal);
    assert!(!answer.headers().contains_key(header::CONNECTION));
    assert_eq!(state(&client).2, leaves);
}

#[test]
fn only_an_answer_of_http_1_0_ends_by_closing() {
    for (version, expected) in [
        (Version::HTTP_10, true),
        (Version::HTTP_11, false),
        (Version::HTTP_2, false),
    ] {
        let client = Arc::new(Client::default());
        assert!(!client.ends_by_closing(), "nothing was asked yet");
        let turn = client.enter(version);
        assert_eq!(client.ends_by_closing(), expected, "{version:?}");
        drop(turn);
    }
}
