use std::net::Shutdown;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio::time::timeout;

use super::*;
use crate::mcp::{Message, Object};

impl Child {
    /// One that the test plays: it, what it says beside answers, and its end of the connection.
    pub(crate) async fn sample(
        limits: Limits,
        owner: Owner,
    ) -> (Arc<Self>, mpsc::Receiver<Said>, UnixStream) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let (child, loose) = Self::connect(&socket, limits, owner).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (child, loose, stream)
    }
}

async fn connected() -> (Arc<Child>, mpsc::Receiver<Said>, UnixStream) {
    let limits = Limits {
        line: 1024,
        budget: Arc::new(Budget::new(1024 * 1024)),
    };
    Child::sample(limits, Owner::Client).await
}

/// The writer notices the end before the reader does.
#[tokio::test]
async fn whoever_waits_hears_of_an_end_that_only_the_writer_sees() {
    let (child, _loose, stream) = connected().await;
    let stream = stream.into_std().unwrap();
    stream.shutdown(Shutdown::Read).unwrap();
    let request = Message::request(&Id::number(7), "ping", Object::default());
    let mut call = child.call(request).await.unwrap();
    let answer = timeout(Duration::from_secs(5), call.answer()).await;
    assert!(answer.expect("the call goes on without a child").is_err());
    assert!(child.is_over());
}

fn ping() -> Message {
    Message::request(&Id::number(0), "ping", Object::default())
}

async fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_ping_is_no_call_and_its_answer_is_heard_once() {
    let (child, _loose, mut stream) = connected().await;
    child.ping(ping());
    assert!(!child.is_used(), "it would never be idle");
    let mut asked = BufReader::new(&mut stream).lines();
    let asked = asked.next_line().await.unwrap().unwrap();
    assert!(asked.contains(r#""id":1"#), "{asked}");
    let answer = |id: u64| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n");
    let answers = [answer(0), answer(2), answer(1), answer(1)].concat();
    stream.write_all(answers.as_bytes()).await.unwrap();
    until(|| child.heard() > 0).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(child.heard(), 1);
}

#[tokio::test]
async fn who_waits_for_a_child_that_is_given_up_hears_of_it() {
    let (child, _loose, mut stream) = connected().await;
    let mut call = child.call(ping()).await.unwrap();
    child.give_up();
    assert!(call.answer().await.is_err());
    until(|| child.is_over()).await;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert!(child.call(ping()).await.is_err());
}

/// It may answer nothing else while it waits for a client.
#[tokio::test]
async fn what_it_asks_and_is_answered_counts_once_and_as_no_answer_of_its_own() {
    let (child, _loose, _stream) = connected().await;
    let id = Id::text("q");
    assert!(child.asks(&id) && !child.asks(&id));
    assert_eq!(child.talked(), 1);
    assert!(child.answered(&id) && !child.answered(&id));
    assert_eq!((child.talked(), child.heard()), (2, 0));
}
