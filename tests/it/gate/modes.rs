//! What a model is served for: its routes, its first question, and what it says to whoever asks for something else.

use super::bed::{get, post};
use super::seal::serving;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const EMBEDDINGS: &str = "/v1/embeddings";
const RERANK: &str = "/v1/rerank";
const ALL: [&str; 4] = [CHAT, COMPLETIONS, EMBEDDINGS, RERANK];

#[rstest::rstest]
#[case::completion("Completion", &[CHAT, COMPLETIONS], COMPLETIONS, "writes text")]
#[case::embedding("Embedding", &[EMBEDDINGS], EMBEDDINGS, "makes embeddings")]
#[case::rerank("Rerank", &[RERANK], RERANK, "ranks documents")]
#[tokio::test]
async fn a_mode_has_its_own_routes(
    #[case] mode: &str,
    #[case] served: &[&str],
    #[case] first: &str,
    #[case] does: &str,
) {
    let (mut gate, engine, _launch) = serving(&["--mode", mode]).await;
    let warm_ups = engine.0.requests.lock().unwrap().clone();
    assert_eq!(warm_ups.len(), 1, "{warm_ups:?}");
    assert_eq!(warm_ups[0].0, format!("POST {first}"));
    for path in ALL {
        let answer = post(gate.api, path, r#"{"model":"assistant"}"#, "").await;
        let line = gate.audit_line().await;
        assert_eq!(line["route"], path);
        assert_eq!(line["status"], answer.status);
        if served.contains(&path) {
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            continue;
        }
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let error = &error["error"];
        assert_eq!(error["code"], "wrong_mode");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(does) && message.contains(first),
            "{message}"
        );
    }
    let asked = engine.requests().into_iter().map(|(line, ..)| line);
    let expected = served.iter().map(|path| format!("POST {path}"));
    assert!(asked.eq(expected), "nothing else reached the engine");
    assert_eq!(get(gate.api, "/v1/models").await.status, 200);
}
