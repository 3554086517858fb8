//! An engine that fails, lies or falls silent: what its client gets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;

use super::bed::{Gate, get, post, posted};
use super::engine::{ANSWER, Chunk, chunk};
use super::seal::serving;

const BODY: &str = r#"{"prompt":"x"}"#;
const PATH: &str = "/v1/completions";
/// What only the engine says.
const WORDS: &str = "/models/weights.gguf is gone";

/// A client that has asked.
async fn asked(gate: &Gate) -> TcpStream {
    posted(gate.api, PATH, BODY).await
}

/// Everything that it reads until the connection ends.
async fn rest_of(mut client: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = client.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

async fn die(engine: Sender<Chunk>) {
    let killed = std::io::Error::other("killed");
    engine.send(Err(killed)).await.unwrap();
}

#[tokio::test]
async fn its_faults_become_errors_in_our_words() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let error = format!(r#"{{"error":{{"message":"{WORDS}"}}}}"#);
    for (status, body, expected, code) in [
        (500, error.as_str(), 502, "engine_error"),
        (200, error.as_str(), 502, "engine_error"),
        (200, r#"{"choices":[{"text":"Par"#, 502, "engine_error"),
        (200, "<html>", 502, "engine_error"),
        (302, "", 502, "engine_error"),
        (503, error.as_str(), 503, "engine_busy"),
    ] {
        engine.answer(status, body);
        let answer = post(gate.api, PATH, BODY, "").await;
        assert_eq!(answer.status, expected, "{status} {body}");
        assert!(answer.body.contains(code), "{answer:?}");
        assert!(!answer.body.contains(WORDS), "{answer:?}");
        assert!(answer.head.contains("retry-after: 2"), "{answer:?}");
        let line = gate.audit_line().await;
        assert_eq!(line["outcome"], "upstreamError");
        assert_eq!(line["status"], expected);
    }
    // What the client did wrong is told as the engine tells it.
    engine.answer(400, r#"{"error":{"message":"the context is 256 tokens"}}"#);
    let answer = post(gate.api, PATH, BODY, "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("256 tokens"));
    assert_eq!(gate.audit_line().await["outcome"], "ok");
    // Some of these faults the engine takes for its own.
    let long = "input (701 tokens) is too large to process. increase the physical batch size (current batch size: 512)";
    let image = "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj";
    for (words, code) in [(long, "input_too_long"), (image, "no_images")] {
        engine.answer(500, &format!(r#"{{"error":{{"message":"{words}"}}}}"#));
        let answer = post(gate.api, PATH, BODY, "").await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains(code), "{answer:?}");
        assert!(!answer.body.contains(words) && !answer.head.contains("retry-after"));
        assert_eq!(gate.audit_line().await["outcome"], "ok");
    }
}

#[tokio::test]
async fn a_long_answer_in_one_piece_passes_whole() {
    let (gate, engine, _launch) = serving(&[]).await;
    let long = format!(r#"{{"choices":[],"text":"{}"}}"#, "x".repeat(600 * 1024));
    engine.answer(200, &long);
    let answer = post(gate.api, PATH, BODY, "").await;
    assert_eq!(answer.status, 200);
    // Between them stand the lengths of the chunks.
    let count = answer.body.matches('x').count();
    assert_eq!(count, 600 * 1024 + "text".matches('x').count());
    assert!(answer.body.ends_with("\"}\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_piece_that_breaks_off_is_an_error_and_no_half() {
    let (gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream_of("application/json");
    let client = tokio::spawn(async move { post(gate.api, PATH, BODY, "").await });
    chunks.send(chunk(r#"{"choices":[{"te"#)).await.unwrap();
    die(chunks).await;
    let answer = client.await.unwrap();
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(!answer.body.contains("choices"), "{answer:?}");
}

#[tokio::test]
async fn death_between_events_is_told_as_one_and_is_no_end() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream();
    let client = asked(&gate).await;
    chunks.send(chunk("data: {\"n\":0}\n\n")).await.unwrap();
    die(chunks).await;
    let text = rest_of(client).await;
    assert!(text.contains(r#"data: {"n":0}"#), "{text}");
    assert!(text.contains(r#"data: {"error":{"#), "{text}");
    assert!(text.contains("engine_error"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(gate.audit_line().await["outcome"], "upstreamError");
}

#[tokio::test]
async fn an_error_within_a_stream_is_told_in_our_words() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream();
    let client = asked(&gate).await;
    chunks.send(chunk("data: {\"n\":0}\n\n")).await.unwrap();
    let error = format!("data: {{\"error\":{{\"message\":\"{WORDS}\"}}}}\n\n");
    chunks.send(chunk(&error)).await.unwrap();
    drop(chunks);
    let text = rest_of(client).await;
    assert!(text.contains(r#"data: {"n":0}"#), "{text}");
    assert!(!text.contains(WORDS), "{text}");
    assert!(text.contains(r#"data: {"error":{"#), "{text}");
    assert!(text.contains("engine_error"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(gate.audit_line().await["outcome"], "upstreamError");
}

#[tokio::test]
async fn an_error_behind_the_last_token_or_in_pieces_is_told_in_our_words() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let error = format!("data: {{\"error\":{{\"message\":\"{WORDS}\"}}}}\n\n");
    let (begin, rest) = error.split_at("data: {\"error\"".len());
    let token = "data: {\"n\":0}\n\n";
    for pieces in [
        vec![format!("{token}{error}")],
        vec![token.to_owned(), begin.to_owned(), rest.to_owned()],
        vec![format!("{token}{begin}"), rest.to_owned()],
        vec![format!("{token}error: {{\"message\":\"{WORDS}\"}}\n\n")],
        // It ends with half of one.
        vec![token.to_owned(), begin.to_owned()],
    ] {
        let chunks = engine.stream();
        let client = asked(&gate).await;
        for piece in &pieces {
            // The gate may have heard enough.
            let _ = chunks.send(chunk(piece)).await;
        }
        drop(chunks);
        let text = rest_of(client).await;
        assert!(text.contains(r#"data: {"n":0}"#), "{pieces:?}: {text}");
        assert!(!text.contains(WORDS), "{pieces:?}: {text}");
        assert!(text.contains(r#"data: {"error":{"#), "{pieces:?}: {text}");
        assert!(text.contains("engine_error"), "{pieces:?}: {text}");
        assert!(!text.ends_with("0\r\n\r\n"), "{pieces:?}: {text}");
        assert_eq!(gate.audit_line().await["outcome"], "upstreamError");
    }
}

/// As proxies that speak HTTP/1.0 ask: there an answer without a length ends with its connection.
#[tokio::test]
async fn half_an_answer_of_http_1_0_ends_with_a_reset_and_a_whole_one_does_not() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    for (whole, begin) in [
        (true, "data: {\"n\":0}\n\n"),
        (false, "data: {\"n\":0}\n\n"),
        (false, "data: {\"n\""),
    ] {
        let chunks = engine.stream();
        let mut client = TcpStream::connect(gate.api).await.unwrap();
        let text = format!(
            "POST {PATH} HTTP/1.0\r\nhost: x\r\ncontent-length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        client.write_all(text.as_bytes()).await.unwrap();
        chunks.send(chunk(begin)).await.unwrap();
        if whole {
            drop(chunks);
        } else {
            die(chunks).await;
        }
        let mut read = Vec::new();
        let ended = client.read_to_end(&mut read).await;
        let text = String::from_utf8_lossy(&read);
        assert_eq!(ended.is_ok(), whole, "{begin}: {ended:?} {text}");
        if whole {
            assert!(
                text.starts_with("HTTP/1.0 200") && text.ends_with(begin),
                "{text}"
            );
        }
        let outcome = if whole { "ok" } else { "upstreamError" };
        assert_eq!(gate.audit_line().await["outcome"], outcome);
    }
}

/// What is wrong with the next head of such a connection takes nothing of the answer before it.
#[tokio::test]
async fn a_whole_answer_of_http_1_0_stays_whole_whatever_is_sent_behind_its_request() {
    let (gate, _engine, _launch) = serving(&[]).await;
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    let text = "GET /v1/models HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n\u{1}\r\n\r\n";
    client.write_all(text.as_bytes()).await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.0 200"), "{text}");
}

#[tokio::test]
async fn death_within_an_event_is_a_cut() {
    let (gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream();
    let client = asked(&gate).await;
    chunks.send(chunk("data: {\"n\"")).await.unwrap();
    die(chunks).await;
    let text = rest_of(client).await;
    assert!(!text.contains("error"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_stream_without_end_is_ended() {
    let (mut gate, engine, _launch) = serving(&["--answer-seconds", "1"]).await;
    let chunks = engine.stream();
    let client = asked(&gate).await;
    let endless = tokio::spawn(async move {
        while chunks.send(chunk("data: {\"n\":0}\n\n")).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let text = rest_of(client).await;
    assert!(text.contains("engine_timeout"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(gate.audit_line().await["outcome"], "timeout");
    endless.await.unwrap();
}

#[tokio::test]
async fn silence_after_half_an_answer_has_an_end_too() {
    let (gate, engine, _launch) = serving(&["--answer-seconds", "1"]).await;
    let chunks = engine.stream_of("application/json");
    chunks.send(chunk(r#"{"choices":["#)).await.unwrap();
    let answer = post(gate.api, PATH, BODY, "").await;
    assert_eq!(answer.status, 504, "{answer:?}");
    drop(chunks);
    assert_eq!(post(gate.api, PATH, BODY, "").await.body, ANSWER);
}

#[tokio::test]
async fn a_request_that_leaves_no_line_is_refused() {
    let flags = ["--max-concurrent", "1", "--max-queued", "0"];
    let (mut gate, _engine, _launch) = serving(&flags).await;
    // More than the queue and the pipe to the log's reader hold.
    let mut refused = None;
    for count in 0..8_000 {
        let answer = get(gate.api, "/v1/models").await;
        if answer.status == 503 {
            refused = Some((count, answer));
            break;
        }
    }
    let (count, answer) = refused.unwrap();
    assert!(answer.body.contains("AuditUnavailable"), "{answer:?}");
    for _ in 0..count {
        assert_eq!(gate.audit_line().await["status"], 200);
    }
    assert_eq!(get(gate.api, "/v1/models").await.status, 200);
}
