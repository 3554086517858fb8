//! Answers piece by piece, and the seal that cuts them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::played::{Model, piece};
use super::pod::{BODY, CHAT, Pod, until};
use crate::gate::bed::{PATIENCE, posted, request};

/// Each piece is there before the model sends the next, and the model sees the program go.
#[tokio::test]
async fn answers_stream() {
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret").await;
    let pieces = model.stream();
    let mut program = posted(pod.offered, CHAT, BODY).await;
    for text in ["one", "two", "three"] {
        pieces.send(piece(text)).await.unwrap();
        until(&mut program, text).await;
    }
    drop(program);
    timeout(PATIENCE, pieces.closed()).await.unwrap();
}

#[tokio::test]
async fn nothing_leaves_while_the_seal_is_not_proven() {
    let model = Model::start(None).await;
    let mut pod = Pod::start(model.at, "http", "").await;
    pod.key("secret").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("NotProven"), "{}", answer.body);

    pod.gate.prove().await;
    let pieces = model.stream();
    let mut program = TcpStream::connect(pod.offered).await.unwrap();
    let sent = request(CHAT, BODY, "");
    program.write_all(sent.as_bytes()).await.unwrap();
    pieces.send(piece("first")).await.unwrap();
    until(&mut program, "first").await;

    // The stream is cut, the model sees that nobody listens, and nothing new begins.
    pod.gate.order_open("EgressOpen").await;
    let mut rest = Vec::new();
    let cut = timeout(PATIENCE, program.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(cut.is_err(), "{cut:?}");
    timeout(PATIENCE, pieces.closed()).await.unwrap();
    let answer = pod.ask().await;
    assert!(answer.body.contains("EgressOpen"), "{}", answer.body);
    assert_eq!(model.requests().len(), 1);
}
