use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::*;
use crate::gate::mcp::budget::Budget;
use crate::gate::mcp::call::Call;
use crate::gate::mcp::house::Owner;
use crate::gate::mcp::outbox::{CALL, Outbox};
use crate::mcp::Object;
use crate::mcp::pages::Pages;
use crate::mcp::pin::NoInventory;

const PATIENCE: Duration = Duration::from_secs(10);

fn limits(budget: usize) -> Limits {
    Limits {
        line: 1024 * 1024,
        budget: Arc::new(Budget::new(budget)),
    }
}

fn no_memory_left() -> Limits {
    limits(0)
}

/// The next line that the child is told.
async fn told(stream: &mut UnixStream) -> Message {
    let mut told = BufReader::new(stream).lines();
    let told = timeout(PATIENCE, told.next_line()).await;
    let told = told.expect("it waits").unwrap().unwrap();
    Message::parse(told.as_bytes()).unwrap()
}

/// Its client would wait as long as a call may take.
#[tokio::test]
async fn a_call_whose_answer_is_no_message_gets_an_error() {
    let (child, _loose, mut stream) = Child::sample(no_memory_left(), Owner::Client).await;
    let deep = [b"[".repeat(200), b"]".repeat(200)].concat();
    for result in [b"\"caf\xe9\"".to_vec(), deep, b"{\"half".to_vec()] {
        let request = Message::request(&Id::text("c"), "tools/call", Object::default());
        let mut call = child.call(request).await.unwrap();
        let number = call.number();
        let mut line = format!(r#"{{"jsonrpc":"2.0","id":{number},"result":"#).into_bytes();
        line.extend_from_slice(&result);
        line.extend_from_slice(b"}\n");
        stream.write_all(&line).await.unwrap();
        let answer = timeout(PATIENCE, call.answer()).await;
        let answer = answer.expect("it waits").unwrap().message;
        let id = Id::text("c");
        assert_eq!(answer.kind, Kind::Response { id });
        assert_eq!(answer.error_code(), Some(INTERNAL));
    }
}

#[tokio::test]
async fn a_question_that_is_no_message_is_answered_with_an_error() {
    let (_child, _loose, mut stream) = Child::sample(no_memory_left(), Owner::Client).await;
    let head = br#"{"jsonrpc":"2.0","id":"q","method":"roots/list","params":{"x":""#;
    stream.write_all(head).await.unwrap();
    stream.write_all(b"caf\xe9\"}}\n").await.unwrap();
    let answer = told(&mut stream).await;
    let id = Id::text("q");
    assert_eq!(answer.kind, Kind::Response { id });
    assert_eq!(answer.error_code(), Some(INTERNAL));
}

#[tokio::test]
async fn answers_that_are_kept_for_clients_that_went_give_way_to_a_question() {
    let limits = limits(4 * SMALL);
    let kept = Arc::new(Outbox::new(CALL));
    let budget = limits.budget.try_take(4 * SMALL);
    let message = Message::result(&Id::number(1), &"kept");
    kept.finish(Said { message, budget });
    limits.budget.keeps(&kept);
    assert!(limits.budget.try_take(1).is_none());
    let (_child, mut loose, mut stream) = Child::sample(limits, Owner::Client).await;
    let long = "x".repeat(2 * SMALL);
    let head = r#""jsonrpc":"2.0","id":"q","method":"sampling/createMessage""#;
    let line = format!("{{{head},\"params\":{{\"x\":\"{long}\"}}}}\n");
    stream.write_all(line.as_bytes()).await.unwrap();
    let asked = timeout(PATIENCE, loose.recv()).await;
    let asked = asked.expect("it is refused").unwrap();
    assert!(asked.budget.is_some() && !kept.holds_anything());
}

/// A tool may ask for everything at once, and read the answers then.
#[tokio::test]
async fn every_question_that_is_refused_is_told_so_however_many_come_at_once() {
    const MANY: usize = 400;
    let (_child, loose, mut stream) = Child::sample(no_memory_left(), Owner::Client).await;
    // Nobody hears them.
    drop(loose);
    let asks = |id: usize| {
        format!(r#"{{"jsonrpc":"2.0","id":"{id:0200}","method":"sampling/createMessage"}}"#) + "\n"
    };
    let all: Vec<String> = (0..MANY).map(asks).collect();
    stream.write_all(all.concat().as_bytes()).await.unwrap();
    let mut told = BufReader::new(&mut stream).lines();
    for _ in 0..MANY {
        let line = timeout(PATIENCE, told.next_line()).await;
        assert!(line.expect("some are not").unwrap().is_some());
    }
}

#[tokio::test]
async fn a_child_that_asks_without_end_and_reads_nothing_is_given_up() {
    let (child, loose, _stream) = Child::sample(no_memory_left(), Owner::Client).await;
    drop(loose);
    let begun = std::time::Instant::now();
    while !child.is_over() {
        assert!(begun.elapsed() < PATIENCE, "it goes on");
        // As fast as the reader could take them.
        (0..64).for_each(|id| child.refuse(&Id::number(id), "roots/list"));
        tokio::task::yield_now().await;
    }
}

/// It waits for the answer, and nobody else could tell it that there will be none.
#[tokio::test]
async fn a_question_for_which_there_is_no_memory_is_answered_with_an_error() {
    let (_child, _loose, mut stream) = Child::sample(no_memory_left(), Owner::Client).await;
    for (id, bytes) in [(1, 2 * SMALL), (2, 2 * OWN)] {
        let long = "x".repeat(bytes);
        let head = format!(r#""jsonrpc":"2.0","id":"q{id}","method":"sampling/createMessage""#);
        let line = format!("{{{head},\"params\":{{\"x\":\"{long}\"}}}}\n");
        stream.write_all(line.as_bytes()).await.unwrap();
        let answer = told(&mut stream).await;
        let asked = Id::text(&format!("q{id}"));
        assert_eq!(answer.kind, Kind::Response { id: asked });
        assert!(answer.error_code().is_some(), "{answer:?}");
    }
}

/// While others leave nothing of the memory.
#[tokio::test]
async fn the_gate_reads_a_list_of_tools_for_which_no_client_leaves_memory() {
    let (child, _loose, mut stream) = Child::sample(no_memory_left(), Owner::Gate).await;
    let asks = || Message::request(&Id::number(0), "tools/list", Object::default());
    let listed = async |mut call: Call, stream: &mut tokio::net::UnixStream, bytes: usize| {
        let long = "x".repeat(bytes);
        let number = call.number();
        let tools = format!(r#"{{"tools":[{{"name":"a","description":"{long}"}}]}}"#);
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"result\":{tools}}}\n");
        stream.write_all(line.as_bytes()).await.unwrap();
        let said = call.answer().await.unwrap();
        Pages::default().take(&said.message).unwrap()
    };
    let call = child.list(asks()).await.unwrap();
    let list = listed(call, &mut stream, 2 * SMALL).await;
    assert_eq!(list.unwrap().len(), 1);
    // That of a client, and one that is longer.
    let call = child.call(asks()).await.unwrap();
    let list = listed(call, &mut stream, 2 * SMALL).await;
    assert_eq!(list, Err(NoInventory::Refused));
    let call = child.list(asks()).await.unwrap();
    let list = listed(call, &mut stream, 2 * OWN).await;
    assert_eq!(list, Err(NoInventory::Refused), "nobody has read it");
}
