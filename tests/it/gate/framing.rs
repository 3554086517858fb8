//! Where a request ends: what a proxy before the gate could read as one, and the gate as two.

use super::bed::{Answer, Gate, raw, request};
use super::engine::Engine;
use super::seal::serving;

const PATH: &str = "/v1/completions";
const BODY: &str = r#"{"prompt":"first"}"#;

/// A request that nobody was to see as one.
fn hidden() -> String {
    request(PATH, r#"{"prompt":"hidden"}"#, "")
}

fn chunks(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Asks for no end of the connection: that is the gate's to know.
async fn ask(gate: &Gate, fields: &str, rest: &str) -> Answer {
    let text = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\n{fields}\r\n{rest}");
    let answer = raw(gate.api, &text).await;
    assert!(!answer.body.contains("HTTP/1."), "{fields}: {answer:?}");
    answer
}

fn bodies(engine: &Engine) -> Vec<String> {
    let requests = engine.requests().into_iter();
    requests.map(|(_, _, body)| body).collect()
}

/// The two fields in either order.
fn both(length: usize) -> [String; 2] {
    let length = format!("content-length: {length}\r\n");
    let coding = "transfer-encoding: chunked\r\n";
    [format!("{length}{coding}"), format!("{coding}{length}")]
}

#[tokio::test]
async fn chunks_count_and_a_length_beside_them_ends_the_connection() {
    let (gate, engine, _launch) = serving(&[]).await;
    // Of this length, the hidden request is a part of the body; by its chunks, it follows.
    let rest = chunks(BODY) + &hidden();
    for fields in both(rest.len()) {
        let answer = ask(&gate, &fields, &rest).await;
        assert_eq!(answer.status, 200, "{fields}: {answer:?}");
        assert!(answer.head.contains("connection: close"), "{answer:?}");
    }
    assert_eq!(bodies(&engine), [BODY, BODY]);

    // Of this length, it follows; by its chunks, it is the body, and no JSON.
    let rest = chunks(&hidden());
    let first_line = rest.find("\r\n").unwrap() + 2;
    for length in [0, first_line] {
        for fields in both(length) {
            let answer = ask(&gate, &fields, &rest).await;
            assert_eq!(answer.status, 400, "{fields}: {answer:?}");
            assert!(answer.body.contains("invalid_json"), "{answer:?}");
            assert!(answer.head.contains("connection: close"), "{answer:?}");
        }
    }
    assert_eq!(bodies(&engine).len(), 2, "nothing of it reached the engine");
}

#[tokio::test]
async fn what_has_no_one_end_is_refused() {
    let (gate, engine, _launch) = serving(&[]).await;
    let rest = chunks(BODY) + &hidden();
    let all = rest.len();
    let lengths = [
        format!("content-length: {all}\r\ncontent-length: 5\r\n"),
        format!("content-length: 5\r\ncontent-length: {all}\r\n"),
        format!("content-length: 5, {all}\r\n"),
        format!("content-length: +{all}\r\n"),
        format!("content-length: {all}\r\ntransfer-encoding: xchunked\r\n"),
        format!("transfer-encoding: chunked, identity\r\ncontent-length: {all}\r\n"),
    ];
    let codings = [
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity, chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: identity, xchunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding: \u{b}chunked\r\n",
        "transfer-encoding:\r\n chunked\r\n",
    ];
    let codings = codings.map(str::to_owned);
    for fields in lengths.into_iter().chain(codings) {
        let answer = ask(&gate, &fields, &rest).await;
        assert_eq!(answer.status, 400, "{fields}: {answer:?}");
    }
    assert!(engine.requests().is_empty());
}

/// A client keeps its connection for the next request unless it is told that there is none: then that one would come to
/// nothing, without an answer.
#[tokio::test]
async fn who_is_refused_before_the_body_is_read_is_told_that_the_connection_ends() {
    let (gate, engine, _launch) = serving(&[]).await;
    let left = format!("content-length: {}\r\n", BODY.len());
    // `raw` reads to the end of the connection.
    let text = format!("POST /v1/nothing HTTP/1.1\r\nhost: x\r\n{left}\r\n");
    let answer = raw(gate.api, &text).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.head.contains("connection: close"), "{answer:?}");

    // Nothing is left of one without a body, nor of one that was read.
    let keeps = [
        "GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n{{"),
        format!("POST {PATH} HTTP/1.1\r\nhost: x\r\n{left}\r\n{BODY}"),
    ];
    let last = "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answers = raw(gate.api, &(keeps.concat() + last)).await;
    let count = answers.body.matches("HTTP/1.1 ").count();
    assert_eq!(count, keeps.len(), "{answers:?}");
    assert_eq!(bodies(&engine), [BODY]);
}
