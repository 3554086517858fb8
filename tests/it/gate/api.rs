//! The API: routes, keys, streams, the audit.

use std::time::Duration;

use sealroom::seal::lease::Runtime;
use sealroom::seal::wire::RuntimeFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::bed::{PATIENCE, get, post, posted, raw, request};
use super::engine::{ANSWER, chunk};
use super::seal::serving;

const BODY: &str = r#"{"model":"assistant","prompt":"my secret diagnosis"}"#;

#[tokio::test]
async fn routes_pass_and_tricks_do_not() {
    let (gate, engine, _launch) = serving(&[]).await;
    for path in ["/v1/chat/completions", "/v1/completions"] {
        assert_eq!(post(gate.api, path, BODY, "").await.status, 200, "{path}");
    }
    let models = get(gate.api, "/v1/models").await;
    assert_eq!(models.status, 200);
    assert!(models.body.contains(r#""id":"assistant""#), "{models:?}");
    let paths: Vec<String> = engine
        .requests()
        .into_iter()
        .map(|(line, _, _)| line)
        .collect();
    assert_eq!(paths, ["POST /v1/chat/completions", "POST /v1/completions"]);

    let tricks = [
        ("POST /slots/0?action=save HTTP/1.1", 404),
        ("POST /v1/completions/../../slots HTTP/1.1", 404),
        ("POST /v1/%63ompletions HTTP/1.1", 404),
        ("POST //v1/completions HTTP/1.1", 404),
        ("POST /v1/completions/ HTTP/1.1", 404),
        ("GET /health HTTP/1.1", 404),
        ("GET /metrics HTTP/1.1", 404),
        ("GET /props HTTP/1.1", 404),
        ("GET /v1/models/../../props HTTP/1.1", 404),
        ("GET /v1/models/assistant?x=1 HTTP/1.1", 400),
        ("OPTIONS /v1/completions HTTP/1.1", 404),
        ("POST /v1/completions?x=1 HTTP/1.1", 400),
        ("POST http://assistant/v1/completions HTTP/1.1", 400),
        ("CONNECT example.org:443 HTTP/1.1", 400),
        ("POST /v1/completions\u{0} HTTP/1.1", 400),
    ];
    for (line, status) in tricks {
        let text =
            format!("{line}\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}");
        assert_eq!(raw(gate.api, &text).await.status, status, "{line}");
    }
    let upgrade = request("/v1/completions", BODY, "upgrade: websocket\r\n");
    assert_eq!(raw(gate.api, &upgrade).await.status, 400);
    assert_eq!(engine.requests().len(), 2, "no trick reached the engine");
}

#[tokio::test]
async fn header_fields_stay_on_their_side() {
    let (gate, engine, _launch) = serving(&[]).await;
    let fields =
        "authorization: Bearer k\r\ncookie: a=b\r\nte: trailers\r\nx-forwarded-for: 1.2.3.4\r\n";
    let answer = post(gate.api, "/v1/completions", BODY, fields).await;
    assert_eq!(
        engine.requests()[0].1,
        ["content-length", "content-type", "host"]
    );
    for field in ["access-control", "keep-alive", "server:"] {
        assert!(!answer.head.contains(field), "{answer:?}");
    }
    assert!(answer.head.contains("content-type: application/json"));
}

#[tokio::test]
async fn bodies_are_looked_at() {
    let (gate, engine, _launch) = serving(&["--max-body-bytes", "1000"]).await;
    let path = "/v1/completions";
    let cases = [
        (r#"{"model":"gpt-4"}"#, 404, "model_not_found"),
        (r#"{"mod\u0065l":"gpt-4"}"#, 404, "model_not_found"),
        (
            r#"{"model":"assistant","model":"gpt-4"}"#,
            400,
            "invalid_json",
        ),
        (r#"{"model":7}"#, 400, "invalid_json"),
        (r#"["assistant"]"#, 400, "invalid_json"),
        ("prompt=x", 400, "invalid_json"),
        (
            r#"{"messages":[{"content":[{"image_url":{"url":"http://10.0.0.1/a.png"}}]}]}"#,
            400,
            "remote_url",
        ),
        (
            r#"{"prompt":"x","lora":[{"id":0,"scale":0}]}"#,
            400,
            "adapters_fixed",
        ),
        (
            r#"{"prompt":"x","repeat_last_n":2147483647}"#,
            400,
            "too_costly",
        ),
        ("", 400, "invalid_json"),
    ];
    for (body, status, code) in cases {
        let answer = post(gate.api, path, body, "").await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.body.contains(code), "{answer:?}");
    }
    let deep = format!("{{\"tools\":{}{}}}", "[".repeat(400), "]".repeat(400));
    assert_eq!(post(gate.api, path, &deep, "").await.status, 400);

    let large = format!(r#"{{"prompt":"{}"}}"#, "x".repeat(1000));
    let answer = post(gate.api, path, &large, "").await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let size = large.len();
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{large}\r\n0\r\n\r\n"
    );
    assert_eq!(
        raw(gate.api, &chunked).await.status,
        413,
        "a length that is not declared"
    );
    assert!(engine.requests().is_empty());

    assert_eq!(
        post(gate.api, path, r#"{"prompt":"no model named"}"#, "")
            .await
            .status,
        200
    );
    let small = r#"{"prompt":"in chunks"}"#;
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{small}\r\n0\r\n\r\n",
        small.len()
    );
    assert_eq!(raw(gate.api, &chunked).await.status, 200);
    assert_eq!(engine.requests()[1].2, small, "as it came");
}

#[tokio::test]
async fn chunks_arrive_one_by_one() {
    let (gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream();
    let mut client = posted(gate.api, "/v1/completions", BODY).await;
    let mut some = [0u8; 1024];
    for number in 0..5 {
        // The next is sent only when the one before has arrived, so a buffer anywhere would hang this.
        let text = format!("data: {number}\n\n");
        chunks.send(chunk(&text)).await.unwrap();
        let mut seen = String::new();
        while !seen.contains(&text) {
            let count = timeout(PATIENCE, client.read(&mut some))
                .await
                .unwrap()
                .unwrap();
            assert_ne!(count, 0);
            seen.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    }
    drop(chunks);
    let mut rest = String::new();
    timeout(PATIENCE, client.read_to_string(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn a_client_that_goes_cancels_the_engines_work() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream();
    let mut client = posted(gate.api, "/v1/completions", BODY).await;
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    let mut some = [0u8; 64];
    assert_ne!(
        timeout(PATIENCE, client.read(&mut some))
            .await
            .unwrap()
            .unwrap(),
        0
    );
    drop(client);
    timeout(PATIENCE, chunks.closed()).await.unwrap();
    assert_eq!(gate.audit_line().await["outcome"], "clientClosed");
}

#[tokio::test]
async fn nor_does_a_byte_too_many_hide_that_it_went() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream();
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    let text = request("/v1/completions", BODY, "") + "G";
    client.write_all(text.as_bytes()).await.unwrap();
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("data: 0\n\n") {
        let mut some = [0u8; 1024];
        let count = client.read(&mut some).await.unwrap();
        assert_ne!(count, 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    drop(client);
    timeout(PATIENCE, chunks.closed()).await.unwrap();
    assert_eq!(gate.audit_line().await["outcome"], "clientClosed");
}

#[tokio::test]
async fn an_engine_that_dies_in_a_stream_does_not_look_like_its_end() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let chunks = engine.stream();
    let mut client = posted(gate.api, "/v1/completions", BODY).await;
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    chunks
        .send(Err(std::io::Error::other("dies")))
        .await
        .unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, client.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"));
    assert_eq!(gate.audit_line().await["outcome"], "upstreamError");
}

#[tokio::test]
async fn an_engine_that_is_gone_is_no_hole() {
    let (mut gate, _engine, mut launch) = serving(&[]).await;
    assert_eq!(gate.sealz().await.runtime_fault, None);
    std::fs::remove_file(gate.path("runtime.sock")).unwrap();
    assert_eq!(
        post(gate.api, "/v1/completions", BODY, "").await.status,
        502
    );
    assert_eq!(gate.audit_line().await["outcome"], "upstreamError");
    launch.say(&Runtime::Ended { code: 137 }).await;
    gate.until("/readyz", 503).await;
    assert_eq!(
        gate.admin_status("/runtimez").await.0,
        200,
        "launch starts it again"
    );
    let report = gate.sealz().await;
    assert!(report.sealed);
    assert_eq!(report.runtime_fault, Some(RuntimeFault::OutOfMemory));
}

#[tokio::test]
async fn keys_are_asked_for_and_come_late() {
    let secret = tempfile::tempdir().unwrap();
    let dir = secret.path().join("keys");
    let (gate, engine, _launch) = serving(&["--api-keys-dir", dir.to_str().unwrap()]).await;
    let (status, why) = gate.admin_status("/readyz").await;
    assert_eq!(
        (status, why.starts_with("SecretMissing")),
        (503, true),
        "{why}"
    );
    assert!(gate.sealz().await.keys_missing, "the operator is told");
    let with = |key: &str| format!("authorization: Bearer {key}\r\n");
    let answer = post(gate.api, "/v1/completions", BODY, &with("")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("SecretMissing"));

    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("tools"), "s3cr3t\n").unwrap();
    gate.until("/readyz", 200).await;
    assert!(!gate.sealz().await.keys_missing);
    for key in ["", "wrong", "s3cr3t2", "S3CR3T"] {
        let answer = post(gate.api, "/v1/completions", BODY, &with(key)).await;
        assert_eq!(answer.status, 401, "{key}");
        assert!(answer.head.contains("www-authenticate: bearer"));
    }
    assert_eq!(get(gate.api, "/v1/models").await.status, 401);
    assert_eq!(
        get(gate.api, "/nowhere").await.status,
        401,
        "a stranger learns no route"
    );
    assert!(engine.requests().is_empty());
    assert_eq!(
        post(gate.api, "/v1/completions", BODY, &with("s3cr3t"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_audit_says_who_and_what_and_no_content() {
    let secret = tempfile::tempdir().unwrap();
    std::fs::write(secret.path().join("tools"), "s3cr3t").unwrap();
    let secret = secret.path().to_str().unwrap();
    let keys = ["--api-keys-dir", secret, "--digest", "sha256:77"];
    let (mut gate, _engine, _launch) = serving(&keys).await;
    let field = "authorization: Bearer s3cr3t\r\nuser-agent: my-agent\r\n";
    let answer = post(gate.api, "/v1/completions", BODY, field).await;
    post(
        gate.api,
        "/v1/completions?my-query",
        r#"{"model":"my-model"}"#,
        field,
    )
    .await;
    let line = gate.audit_line().await;
    assert_eq!(line["kind"], "audit");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["route"], "/v1/completions");
    assert_eq!(line["status"], 200);
    assert_eq!(line["model"], "assistant");
    assert_eq!(line["key"], "tools", "the entry's name");
    assert_eq!(line["digest"], "sha256:77");
    assert_eq!(line["source"], "127.0.0.1");
    assert_eq!(line["promptTokens"], 7);
    assert_eq!(line["completionTokens"], 2);
    assert!(line["ttftMillis"].as_u64() <= line["millis"].as_u64());
    let id = format!("x-request-id: {}", line["id"].as_str().unwrap());
    assert!(answer.head.contains(&id), "{answer:?}");
    assert_eq!(line["bytesIn"], BODY.len());
    assert_eq!(line["bytesOut"], ANSWER.len());
    assert_eq!(line["outcome"], "ok");
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(line.as_object().unwrap().len(), 18);
    let second = gate.audit_line().await;
    let text = format!("{line}{second}");
    for content in ["diagnosis", "Paris", "s3cr3t", "my-"] {
        assert!(!text.contains(content), "{text}");
    }
}

#[tokio::test]
async fn metrics_count_and_pass_the_engines_tokens() {
    let (gate, _engine, _launch) = serving(&[]).await;
    post(gate.api, "/v1/completions", BODY, "").await;
    get(gate.api, "/nowhere").await;
    sleep(Duration::from_millis(50)).await;
    let text = get(gate.metrics, "/metrics").await.body;
    for line in [
        r#"sealroom_gate_requests_total{route="/v1/completions",code="200"} 1"#,
        r#"sealroom_gate_requests_total{route="other",code="404"} 1"#,
        "sealroom_gate_in_flight 0",
        r#"sealroom_seal_state{state="proven"} 1"#,
        r#"sealroom_seal_state{state="open"} 0"#,
        r#"sealroom_runtime_tokens_total{kind="prompt"} 31"#,
        r#"sealroom_runtime_tokens_total{kind="generated"} 17"#,
        r#"gen_ai_server_request_duration_seconds_count{gen_ai_provider_name="LlamaCpp",gen_ai_request_model="assistant",gen_ai_operation_name="text_completion",error_type=""} 1"#,
        r#"gen_ai_client_token_usage_sum{gen_ai_provider_name="LlamaCpp",gen_ai_request_model="assistant",gen_ai_operation_name="text_completion",gen_ai_token_type="output"} 2.0"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let proven = text
        .lines()
        .find_map(|line| line.strip_prefix("sealroom_seal_last_proven_timestamp_seconds "));
    let age = jiff::Timestamp::now().as_millisecond() as f64 / 1e3
        - proven.unwrap().parse::<f64>().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    assert_eq!(get(gate.api, "/metrics").await.status, 404);
}
