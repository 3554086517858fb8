//! The gate before an engine with two models: requests choose by name.

use super::bed::{FakeLaunch, Gate, get, post, raw};
use super::engine::Engine;
use super::ollama::serving_with;

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

async fn serving() -> (Gate, Engine, FakeLaunch) {
    let also = "name=lab/vectors:1,digest=sha256:22,mode=Embedding";
    let flags = ["--digest", "sha256:11", "--also", also];
    serving_with(&flags, &["KernelStream"]).await
}

#[tokio::test]
async fn every_model_answers_before_the_pod_is_ready_and_the_first_one_last() {
    let (_gate, engine, _launch) = serving().await;
    let asked = engine.0.requests.lock().unwrap().clone();
    let asked: Vec<(&str, bool)> = asked
        .iter()
        .map(|(line, _, body)| (line.as_str(), body.contains(r#""model":"assistant""#)))
        .collect();
    let expected = [
        ("POST /v1/embeddings", false),
        ("POST /v1/completions", true),
    ];
    assert_eq!(asked, expected);
}

/// As OpenAI's clients ask for it: with slashes encoded, or in older ones as they are.
#[tokio::test]
async fn one_model_is_found_by_its_name_in_the_path() {
    let (mut gate, engine, _launch) = serving().await;
    let list: serde_json::Value =
        serde_json::from_str(&get(gate.api, "/v1/models").await.body).unwrap();
    gate.audit_line().await;
    let vectors = ("lab/vectors:1", Some(1_usize), "sha256:22");
    for (path, (name, at, digest)) in [
        ("assistant", ("assistant", Some(0), "sha256:11")),
        ("lab%2Fvectors:1", vectors),
        ("lab/vectors:1", vectors),
        ("vectors:1", ("", None, "")),
        ("Assistant", ("", None, "")),
        ("assistant/", ("", None, "")),
    ] {
        let answer = get(gate.api, &format!("/v1/models/{path}")).await;
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let line = gate.audit_line().await;
        assert_eq!(line["route"], "/v1/models", "{line}");
        if let Some(at) = at {
            assert_eq!((answer.status, &told), (200, &list["data"][at]), "{path}");
            assert_eq!(line["model"], name, "{line}");
            assert_eq!(line["digest"], digest, "{line}");
        } else {
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
            assert_eq!(told["error"]["code"], "model_not_found", "{path}");
            assert!(line["model"].is_null(), "{line}");
        }
    }
    for (method, path) in [
        ("GET", "/v1/models/"),
        ("GET", "/v1/models//assistant"),
        ("GET", "/v1/models/../models"),
        ("GET", "/v1/models/%61ssistant"),
        ("GET", "/v1/models/lab%252Fvectors:1"),
        ("HEAD", "/v1/models/assistant"),
        ("POST", "/v1/models/assistant"),
        ("DELETE", "/v1/models/assistant"),
    ] {
        let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(gate.api, &text).await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        let line = gate.audit_line().await;
        assert_eq!(line["route"], "other", "{line}");
    }
    assert!(engine.requests().is_empty(), "the gate answers for itself");
}

#[tokio::test]
async fn requests_choose_by_name_and_the_audit_has_the_models_digest() {
    let (mut gate, engine, _launch) = serving().await;
    let cases = [
        (CHAT, r#"{"model":"assistant","n":1}"#, 200, "", Some("11")),
        (
            EMBEDDINGS,
            r#"{"model":"lab/vectors:1","n":2}"#,
            200,
            "",
            Some("22"),
        ),
        (
            CHAT,
            r#"{"model":"lab/vectors:1"}"#,
            404,
            "makes embeddings",
            Some("22"),
        ),
        (
            EMBEDDINGS,
            r#"{"model":"assistant"}"#,
            404,
            "writes text",
            Some("11"),
        ),
        (
            CHAT,
            r#"{"model":"vectors"}"#,
            404,
            "the models assistant, lab/vectors:1",
            None,
        ),
        (
            CHAT,
            r#"{"model":"Assistant"}"#,
            404,
            "model_not_found",
            None,
        ),
        (CHAT, r#"{"n":1}"#, 400, "model_required", None),
        (CHAT, r#"{"model":null}"#, 400, "model_required", None),
    ];
    for (path, body, status, says, digest) in cases {
        let answer = post(gate.api, path, body, "").await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.body.contains(says), "{body}: {answer:?}");
        let line = gate.audit_line().await;
        let known = digest.map(|digits| format!("sha256:{digits}"));
        assert_eq!(line["digest"].as_str(), known.as_deref(), "{line}");
        let name = match digest {
            Some("11") => Some("assistant"),
            Some(_) => Some("lab/vectors:1"),
            None => None,
        };
        assert_eq!(line["model"].as_str(), name, "{line}");
    }
    let bodies: Vec<String> = engine
        .requests()
        .into_iter()
        .map(|(.., body)| body)
        .collect();
    let expected = [
        r#"{"model":"assistant","n":1}"#,
        r#"{"model":"lab/vectors:1","n":2}"#,
    ];
    assert_eq!(bodies, expected, "as they came, and nothing else");

    let models = get(gate.api, "/v1/models").await;
    let listed: serde_json::Value = serde_json::from_str(&models.body).unwrap();
    let ids = listed["data"].as_array().unwrap().iter();
    let ids: Vec<&str> = ids.map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["assistant", "lab/vectors:1"]);
    assert!(gate.audit_line().await["model"].is_null());

    let text = get(gate.metrics, "/metrics").await.body;
    for (model, operation) in [("assistant", "chat"), ("lab/vectors:1", "embeddings")] {
        let counted = format!(
            r#"gen_ai_server_request_duration_seconds_count{{gen_ai_provider_name="Ollama",gen_ai_request_model="{model}",gen_ai_operation_name="{operation}",error_type=""}} 1"#
        );
        assert!(text.contains(&counted), "{counted}: {text}");
    }
}
