use serde_json::{Value, json};

use super::super::validate::tests::{config, object};
use super::super::validate::validate;
use super::*;
use crate::gguf::GgufError;

fn entry(name: &str, digit: &str) -> Value {
    let digest = digit.repeat(64);
    json!({ "name": name, "artifact": { "image": format!("registry.internal:5000/tone@sha256:{digest}") } })
}

fn with(settings: Value) -> ModelDeployment {
    let mut object = object();
    let runtime = json!({ "engine": "LlamaCpp", "llamaCpp": settings });
    object.spec.runtime = serde_json::from_value(runtime).unwrap();
    object
}

fn parts(settings: Value) -> Vec<Part> {
    validate(&with(settings), &config()).unwrap().parts
}

#[test]
fn adapters_come_in_their_order_and_the_projector_behind_them() {
    let mut half = entry("b", "4");
    half["scale"] = "-0.5".into();
    let settings = json!({ "adapters": [entry("a", "3"), half], "projector": { "artifact": entry("", "5")["artifact"] } });
    let roles: Vec<Role> = parts(settings).into_iter().map(|part| part.role).collect();
    let adapter = |name: &str, scale: &str| Role::Adapter {
        name: name.to_owned(),
        scale: scale.to_owned(),
    };
    assert_eq!(
        roles,
        [adapter("a", "1"), adapter("b", "-0.5"), Role::Projector]
    );
    assert_eq!(parts(json!({})), []);
}

fn scaled(scale: &str) -> Value {
    let mut adapter = entry("a", "3");
    adapter["scale"] = scale.into();
    json!({ "adapters": [adapter] })
}

#[rstest::rstest]
#[case::five(json!({ "adapters": (["a", "b", "c", "d", "e"].map(|name| entry(name, "3"))) }), "at most 4")]
#[case::twice(json!({ "adapters": [entry("a", "3"), entry("a", "4")] }), "another name")]
#[case::flag(json!({ "adapters": [entry("--host=0.0.0.0", "3")] }), "a-z")]
#[case::tag(json!({ "adapters": [{ "name": "a", "artifact": { "image": "registry.internal:5000/t:v1" } }] }), "adapters[].artifact.image")]
#[case::registry(json!({ "projector": { "artifact": { "image": format!("elsewhere.example/p@sha256:{}", "5".repeat(64)) } } }), "elsewhere.example")]
#[case::vectors(json!({ "mode": "Embedding", "projector": { "artifact": entry("", "5")["artifact"] } }), "mode: Completion")]
#[case::word(scaled("much"), "scale")]
#[case::nothing(scaled(""), "scale")]
#[case::another_file(scaled("1,/etc/passwd:1"), "scale")]
#[case::another_scale(scaled("1:2"), "scale")]
#[case::hundred(scaled("100"), "scale")]
#[case::point(scaled("."), "scale")]
#[case::not_a_number(scaled("nan"), "scale")]
#[case::exponent(scaled("1e9"), "scale")]
fn refuses(#[case] settings: Value, #[case] says: &str) {
    let stall = Stall::from(validate(&with(settings), &config()).unwrap_err());
    assert!(stall.message.contains(says), "{}", stall.message);
}

#[test]
fn they_are_llama_cpps_and_no_pod_alone_has_their_claims() {
    let settings = json!({ "adapters": [entry("a", "3")] });
    let mut other = with(settings.clone());
    other.spec.runtime.engine = Engine::Ollama;
    let mut alone = with(settings);
    alone.spec.delivery = serde_json::from_value(
        json!({ "persistentVolumeClaim": { "accessMode": "ReadWriteOncePod" } }),
    )
    .unwrap();
    for (object, says) in [(other, "engine LlamaCpp"), (alone, "ReadWriteMany")] {
        let stall = Stall::from(validate(&object, &config()).unwrap_err());
        assert!(stall.message.contains(says), "{}", stall.message);
    }
}

/// A file of another kind is told with the field and what to write there.
#[rstest::rstest]
#[case::model_as_adapter(Some(Kind::Adapter), "a whole model", &["adapters[a].artifact: ", "it is a whole model", "name the artifact of a LoRA adapter"])]
#[case::adapter_as_projector(Some(Kind::Projector), "a LoRA adapter", &["projector.artifact: ", "it is a LoRA adapter", "name the artifact of a multimodal projector"])]
#[case::adapter_as_model(None, "a LoRA adapter", &["as a model: it is a LoRA adapter", "an adapter in runtime.llamaCpp.adapters"])]
fn a_file_of_the_wrong_kind_names_field_and_cure(
    #[case] wanted: Option<Kind>,
    #[case] found: &'static str,
    #[case] says: &[&str],
) {
    let error = GgufError::WrongKind {
        wanted: wanted.unwrap_or_default(),
        found,
    };
    let stall = Stall::new(Reason::WrongKind, error.to_string());
    let settings = json!({ "adapters": [entry("a", "3")], "projector": { "artifact": entry("", "5")["artifact"] } });
    let parts = parts(settings);
    let told = match wanted {
        None => about_model(stall),
        Some(kind) => {
            let part = parts.iter().find(|part| part.kind() == kind).unwrap();
            part.about(stall)
        }
    };
    for part in says {
        assert!(told.message.contains(part), "{part}: {}", told.message);
    }
    let other = Stall::new(Reason::NotFound, "no such manifest");
    assert_eq!(about_model(other.clone()), other);
}

#[rstest::rstest]
#[case::same(Some("llama"), Some("llama"), false)]
#[case::other(Some("llama"), Some("qwen3"), true)]
#[case::not_planned_yet(Some("llama"), None, false)]
#[case::model_not_planned_yet(None, Some("llama"), false)]
fn an_adapter_is_of_the_models_architecture(
    #[case] model: Option<&str>,
    #[case] adapter: Option<&str>,
    #[case] stalls: bool,
) {
    let facts = |architecture: &str| ArtifactFacts {
        architecture: Some(architecture.to_owned()),
        ..ArtifactFacts::default()
    };
    let [model, adapter] = [model, adapter].map(|name| name.map(facts));
    let settings = json!({ "adapters": [entry("a", "3")], "projector": { "artifact": entry("", "5")["artifact"] } });
    let parts = parts(settings);
    let stall = parts[0].foreign(model.as_ref(), adapter.as_ref());
    assert_eq!(stall.is_some(), stalls, "{stall:?}");
    if let Some(stall) = stall {
        for part in ["adapters[a]", "qwen3", "llama"] {
            assert!(stall.message.contains(part), "{}", stall.message);
        }
    }
    assert_eq!(parts[1].foreign(model.as_ref(), Some(&facts("clip"))), None);
}
