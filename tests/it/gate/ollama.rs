//! The gate before an engine on a port of loopback.

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::bed::{FakeLaunch, Gate, PATIENCE, answer, get, post, posted, raw};
use super::cached::without_chunks;
use super::engine::{Engine, chunk};

const TOLD: &str = r#","usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}"#;
const ZEROS: &str = r#","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;

/// A stream as Ollama 0.17.4 writes it: two pieces of text, each with this behind it, and in the end the tokens or nothing.
fn stream(of_each: &str, told: Option<&str>) -> String {
    let event = |choices: &str, behind: &str| {
        format!("data: {{\"model\":\"assistant\",\"choices\":[{choices}]{behind}}}\n\n")
    };
    let text = event(r#"{"delta":{"content":"Paris"}}"#, of_each).repeat(2);
    let told = told.map(|told| event("", told)).unwrap_or_default();
    format!("{text}{told}data: [DONE]\n\n")
}

/// What a client reads where the engine answers with this stream, in pieces of seven bytes.
async fn streamed(gate: &Gate, engine: &Engine, path: &str, body: &str, stream: &str) -> String {
    let chunks = engine.stream();
    let mut client = posted(gate.api, path, body).await;
    for piece in stream.as_bytes().chunks(7) {
        let piece = std::str::from_utf8(piece).unwrap();
        chunks.send(chunk(piece)).await.unwrap();
    }
    drop(chunks);
    let mut all = String::new();
    let read = client.read_to_string(&mut all);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    without_chunks(&answer(&all).body)
}

async fn serving(locks: &[&str]) -> (Gate, Engine, FakeLaunch) {
    serving_with(&[], locks).await
}

/// A gate with these flags too, once it is ready.
pub async fn serving_with(flags: &[&str], locks: &[&str]) -> (Gate, Engine, FakeLaunch) {
    let (engine, port) = Engine::start_on_a_port().await;
    let port = port.to_string();
    let own = ["--engine", "Ollama", "--runtime-port", &port];
    let mut gate = Gate::start(&[&own, flags].concat()).await;
    let mut launch = FakeLaunch::connect_with(&gate.path("lease.sock"), locks).await;
    gate.prove().await;
    launch.run_engine().await;
    gate.until("/readyz", 200).await;
    (gate, engine, launch)
}

#[tokio::test]
async fn it_is_ready_after_a_completion_and_serves_the_same_routes() {
    let (gate, engine, _launch) = serving(&["KernelStream"]).await;
    let warm_ups = engine.0.requests.lock().unwrap().clone();
    assert_eq!(warm_ups.len(), 1, "{warm_ups:?}");
    assert_eq!(warm_ups[0].0, "POST /v1/completions");
    assert!(warm_ups[0].2.contains(r#""model":"assistant""#));

    let named = r#"{"model":"assistant","prompt":"x"}"#;
    for path in ["/v1/chat/completions", "/v1/completions"] {
        assert_eq!(post(gate.api, path, named, "").await.status, 200, "{path}");
    }
    assert_eq!(engine.requests()[0].2, named, "as it came");
    let models = get(gate.api, "/v1/models").await;
    assert!(models.body.contains(r#""id":"assistant""#), "{models:?}");
    assert_eq!(engine.requests().len(), 2, "the gate answers for itself");
    // It has no counters, and nobody makes any up.
    let text = get(gate.metrics, "/metrics").await.body;
    assert!(!text.contains("sealroom_runtime_tokens_total{"), "{text}");
}

#[tokio::test]
async fn a_request_that_names_no_model_means_the_one_there_is() {
    let (gate, engine, _launch) = serving(&["KernelStream"]).await;
    for body in [r#"{"prompt":"x"}"#, r#" {"model":null,"prompt":"x"}"#, "{}"] {
        let answer = post(gate.api, "/v1/completions", body, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let bodies: Vec<String> = engine
        .requests()
        .into_iter()
        .map(|(.., body)| body)
        .collect();
    assert_eq!(
        bodies,
        [
            r#"{"model":"assistant","prompt":"x"}"#,
            r#"{"model":"assistant","model":null,"prompt":"x"}"#,
            r#"{"model":"assistant"}"#,
        ]
    );
    // Go matches names of members without regard to case.
    let tricks = [
        (r#"{"model":"other"}"#, 404),
        (r#"{"model":"assistant","Model":"other"}"#, 400),
        (r#"{"MODEL":"other"}"#, 400),
        (r#"{"model":"assistant","model":"other"}"#, 400),
    ];
    for (body, status) in tricks {
        let answer = post(gate.api, "/v1/completions", body, "").await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    assert_eq!(engine.requests().len(), 3, "no trick reached the engine");
}

#[rstest::rstest]
#[case::chat("/v1/chat/completions", "")]
#[case::completions("/v1/completions", ZEROS)]
#[tokio::test]
async fn a_streams_tokens_count_and_who_did_not_ask_for_them_reads_none(
    #[case] path: &str,
    #[case] of_each: &str,
) {
    let budget = ["--tokens-per-minute", "10"];
    let (mut gate, engine, _launch) = serving_with(&budget, &["KernelStream"]).await;
    let body = r#"{"model":"assistant","stream":true,"stream_options":{"x":1},"y":1.50}"#;
    let whole = stream(of_each, Some(TOLD));
    let read = streamed(&gate, &engine, path, body, &whole).await;
    assert_eq!(read, stream("", None), "as if nobody had asked");
    let asked = r#"{"model":"assistant","stream":true,"stream_options":{"x":1},"y":1.50,"stream_options":{"include_usage":true}}"#;
    assert_eq!(engine.requests()[0].2, asked);

    let line = gate.audit_line().await;
    let tokens = (&line["promptTokens"], &line["completionTokens"]);
    assert_eq!(tokens, (&7.into(), &2.into()), "{line}");
    let bytes = (&line["bytesIn"], &line["bytesOut"]);
    assert_eq!(bytes, (&body.len().into(), &read.len().into()), "{line}");
    let text = get(gate.metrics, "/metrics").await.body;
    let counted = r#"gen_ai_token_type="output"} 2.0"#;
    assert!(text.contains(counted), "{counted} is not in\n{text}");
    let next = post(gate.api, path, r#"{"model":"assistant"}"#, "").await;
    let left = "x-ratelimit-remaining-tokens: 1";
    assert!(next.head.lines().any(|line| line == left), "{next:?}");
}

#[tokio::test]
async fn who_hangs_up_before_the_end_pays_what_was_told() {
    let (mut gate, engine, _launch) = serving(&["KernelStream"]).await;
    let chunks = engine.stream();
    let body = r#"{"model":"assistant","stream":true}"#;
    let mut client = posted(gate.api, "/v1/chat/completions", body).await;
    let told = stream("", Some(TOLD)).replace("data: [DONE]", ": on");
    chunks.send(chunk(&told)).await.unwrap();
    let mut all = Vec::new();
    // What comes behind the tokens tells that the gate has read them.
    while !String::from_utf8_lossy(&all).contains(": on") {
        let read = timeout(PATIENCE, client.read_buf(&mut all)).await;
        assert!(read.unwrap().unwrap() > 0, "it ended");
    }
    drop(client);
    timeout(PATIENCE, chunks.closed()).await.unwrap();
    let line = gate.audit_line().await;
    assert_eq!(line["outcome"], "clientClosed", "{line}");
    let tokens = (&line["promptTokens"], &line["completionTokens"]);
    assert_eq!(tokens, (&7.into(), &2.into()), "{line}");
}

#[tokio::test]
async fn who_asks_for_a_streams_tokens_reads_them() {
    let (mut gate, engine, _launch) = serving(&["KernelStream"]).await;
    let path = "/v1/completions";
    let body = r#"{"model":"assistant","stream":true,"stream_options":{"include_usage":true}}"#;
    let whole = stream(ZEROS, Some(TOLD));
    assert_eq!(streamed(&gate, &engine, path, body, &whole).await, whole);
    assert_eq!(engine.requests()[0].2, body, "as it came");
    assert_eq!(gate.audit_line().await["promptTokens"], 7);
}

#[tokio::test]
async fn a_stream_that_ends_within_an_event_is_no_whole_one() {
    let (mut gate, engine, _launch) = serving(&["KernelStream"]).await;
    let body = r#"{"model":"assistant","stream":true}"#;
    let begun = stream("", None).replace("data: [DONE]\n\n", "data: {\"choices\":[");
    let path = "/v1/chat/completions";
    let chunks = engine.stream();
    let mut client = posted(gate.api, path, body).await;
    chunks.send(chunk(&begun)).await.unwrap();
    drop(chunks);
    let mut all = Vec::new();
    // The connection is cut.
    let read = client.read_to_end(&mut all);
    let _ = timeout(PATIENCE, read).await.unwrap();
    let all = String::from_utf8(all).unwrap();
    assert!(all.contains("engine_error"), "an event tells why: {all}");
    assert!(!all.contains(r#"{"choices":["#), "half an event: {all}");
    let line = gate.audit_line().await;
    assert_eq!(line["outcome"], "upstreamError", "{line}");
}

#[tokio::test]
async fn the_engines_own_api_is_not_there() {
    let (gate, engine, _launch) = serving(&["KernelStream"]).await;
    let body = r#"{"model":"assistant"}"#;
    for path in [
        "/api/pull",
        "/api/push",
        "/api/create",
        "/api/copy",
        "/api/delete",
        "/api/blobs/sha256:0",
        "/api/show",
        "/api/generate",
        "/api/chat",
        "/api/embed",
        "/api/embeddings",
        "/api/me",
        "/api/signout",
        "/api/experimental/aliases",
        "/v1/responses",
        "/v1/messages",
        "/v1/images/generations",
    ] {
        assert_eq!(post(gate.api, path, body, "").await.status, 404, "{path}");
    }
    for path in ["/", "/api/tags", "/api/ps", "/api/version", "/debug/pprof/"] {
        assert_eq!(get(gate.api, path).await.status, 404, "{path}");
    }
    assert!(engine.requests().is_empty());
}

#[tokio::test]
async fn nothing_is_written_by_the_engines_own_methods() {
    let (gate, engine, _launch) = serving(&["KernelStream"]).await;
    let blob = format!("/api/blobs/sha256:{}", "0".repeat(64));
    let blob = blob.as_str();
    let body = r#"{"model":"assistant","source":"assistant","destination":"other"}"#;
    for (method, path) in [
        ("DELETE", "/api/delete"),
        ("HEAD", blob),
        ("POST", blob),
        ("POST", "/api/copy"),
        ("POST", "/api/create"),
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
    ] {
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let answer = raw(gate.api, &text).await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    assert!(engine.requests().is_empty());
}

#[tokio::test]
async fn the_report_claims_no_more_than_launch_showed() {
    let (gate, _engine, _launch) = serving(&["KernelStream", "LandlockPorts", "Invented"]).await;
    let locks = gate.sealz().await.locks;
    assert_eq!(locks, ["KernelStream", "LandlockPorts", "NetworkPolicy"]);
}
