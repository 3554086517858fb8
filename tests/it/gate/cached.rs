//! What one caller could learn of another one's prompt from what the engine has kept of it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bed::{FakeLaunch, Gate, PATIENCE, answer, post, request};
use super::engine::{Engine, chunk};
use super::seal::serving;

const PATH: &str = "/v1/chat/completions";

/// How much of a prompt the engine had read before, as llama-server says it.
const USAGE: &str = r#""usage":{"completion_tokens":2,"prompt_tokens":912,"prompt_tokens_details":{"cached_tokens":907}}"#;
const TIMINGS: &str = r#""timings":{"cache_n":907,"prompt_n":5,"prompt_ms":41.5,"prompt_per_token_ms":8.3,"prompt_per_second":120.48,"predicted_n":2,"predicted_ms":30.25}"#;

/// A gate with two keys.
async fn two_keys() -> (tempfile::TempDir, Gate, Engine, FakeLaunch) {
    let secret = tempfile::tempdir().unwrap();
    for key in ["one", "other"] {
        std::fs::write(secret.path().join(key), key).unwrap();
    }
    let dir = secret.path().to_str().unwrap().to_owned();
    let (gate, engine, launch) = serving(&["--api-keys-dir", &dir]).await;
    (secret, gate, engine, launch)
}

fn of(key: &str) -> String {
    format!("authorization: Bearer {key}\r\n")
}

/// What the chunks of a body hold together (RFC 9112, section 7.1).
pub fn without_chunks(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        text.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    text
}

fn tells_nothing(body: &str) {
    for word in ["907", "41.5", "8.3", "120.48", "\"prompt_n\":5"] {
        assert!(!body.contains(word), "{word} is in {body}");
    }
}

#[tokio::test]
async fn nobody_reads_how_much_of_anothers_prompt_was_theirs() {
    let (_secret, mut gate, engine, _launch) = two_keys().await;
    let body = r#"{"messages":[{"role":"user","content":"Patient X has"}]}"#;
    for key in ["one", "other"] {
        engine.answer(200, &format!("{{\"choices\":[],{USAGE},{TIMINGS}}}"));
        let answer = post(gate.api, PATH, body, &of(key)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        tells_nothing(&answer.body);
        let read: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(read["usage"]["prompt_tokens"], 912, "{read}");
        assert_eq!(read["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
        assert_eq!(read["timings"]["predicted_ms"], 30.25, "{read}");
        // The audit and the budgets count what there was.
        let line = gate.audit_line().await;
        assert_eq!(line["promptTokens"], 912, "{line}");
    }
}

#[tokio::test]
async fn nor_in_a_stream_wherever_it_is_cut() {
    let (_secret, mut gate, engine, _launch) = two_keys().await;
    let chunks = engine.stream();
    let text = request(PATH, r#"{"messages":[],"stream":true}"#, &of("other"));
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    client.write_all(text.as_bytes()).await.unwrap();
    let last = format!("data: {{\"choices\":[],{TIMINGS}}}\n\ndata: [DONE]\n\n");
    for piece in last.as_bytes().chunks(7) {
        let piece = std::str::from_utf8(piece).unwrap();
        chunks.send(chunk(piece)).await.unwrap();
    }
    drop(chunks);
    let mut all = String::new();
    timeout(PATIENCE, client.read_to_string(&mut all))
        .await
        .unwrap()
        .unwrap();
    let body = without_chunks(&answer(&all).body);
    tells_nothing(&body);
    assert_eq!(body.len(), last.len());
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    assert_eq!(gate.audit_line().await["promptTokens"], 912);
}

#[tokio::test]
async fn nobody_chooses_whose_prompt_it_is_compared_with() {
    let (_secret, gate, engine, _launch) = two_keys().await;
    for body in [
        r#"{"messages":[],"id_slot":0}"#,
        r#"{"messages":[],"slot_id":0}"#,
        r#"{"messages":[],"stream":true,"return_progress":true}"#,
        r#"{"messages":[],"n_cache_reuse":1}"#,
    ] {
        let answer = post(gate.api, PATH, body, &of("other")).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.body.contains("not_offered"), "{answer:?}");
    }
    assert!(engine.requests().is_empty(), "the engine saw none of them");
    // What speeds a caller's own conversation up stays theirs to ask for.
    let body = r#"{"messages":[],"cache_prompt":true}"#;
    assert_eq!(post(gate.api, PATH, body, &of("one")).await.status, 200);
}
