//! The gate before an engine on a port of loopback.

use super::bed::{FakeLaunch, Gate, get, post, raw};
use super::engine::Engine;

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
