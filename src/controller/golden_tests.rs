//! Object in, children out: plain files under `tests/golden`. `SEALROOM_BLESS=1` writes what comes out.

use std::path::Path;

use kube::ResourceExt;
use serde::Serialize;

use super::model_artifact::build as artifact_children;
use super::model_artifact::build::job::{self, Step};
use super::model_deployment::build::deployment::{Inputs, build as deployment};
use super::model_deployment::build::{artifact, edge_policy, service};
use super::model_deployment::validate::{tests::config, validate};
use super::model_deployment::{memory_of, template_missing};
use super::sealed_policy;
use crate::api::model_artifact::{ArtifactFacts, ModelArtifactStatus};
use crate::api::{ModelArtifact, ModelDeployment};

const BYTES: u64 = 98_362_432;

/// SmolLM2-135M, as its header says.
fn facts() -> ArtifactFacts {
    let geometry = serde_json::json!({
        "weightBytes": 96_576_768, "embeddingBytes": 30_081_024, "tied": true,
        "contextLength": 8192, "vocabulary": 49152, "width": 576, "activation": 7488,
        "keyLength": 64, "valueLength": 64,
        "layers": [{ "count": 30, "kvHeads": 3, "bytes": 66_493_440 }],
    });
    ArtifactFacts {
        format: "GGUF".to_owned(),
        bytes: BYTES,
        entry: Some("model.gguf".to_owned()),
        chat_template: Some("ChatML".to_owned()),
        geometry: Some(geometry),
        ..ArtifactFacts::default()
    }
}

fn children(object: &ModelDeployment) -> String {
    let config = config();
    let model = validate(object, &config).unwrap();
    let registry = model.registry(&config).unwrap();
    let mut made: ModelArtifact = artifact::build(&model, object);
    made.metadata.uid = Some("0d2a7a3c-0000-4000-8000-00000000000a".to_owned());
    let status = ModelArtifactStatus {
        artifact: Some(facts()),
        ..ModelArtifactStatus::default()
    };
    let known = ModelArtifact {
        status: Some(status),
        ..made.clone()
    };
    let inputs = Inputs {
        model: &model,
        artifact: &made.name_any(),
        entry: "model.gguf",
        memory: memory_of(&model, &known).map(|memory| memory.total),
        verify_keys: "PUBLIC KEYS",
        config: &config,
    };
    let documents = [
        yaml(&sealed_policy::build(&model.namespace, "sealroom-system")),
        yaml(&edge_policy::build(object, &config)),
        yaml(&made),
        yaml(&deployment(object, &inputs)),
        yaml(&service::build(object)),
        yaml(&artifact_children::edge_policy::build(&made, registry)),
        yaml(&artifact_children::registry::build(&made, registry)),
        yaml(&job::build(Step::Plan, &made, registry, &config)),
        yaml(&artifact_children::claim::build(&made, BYTES, &config)),
        yaml(&job::build(Step::Pull, &made, registry, &config)),
    ];
    documents.join("---\n")
}

fn yaml(object: &impl Serialize) -> String {
    serde_saphyr::to_string(object).unwrap()
}

#[rstest::rstest]
fn children_are_as_written(#[values("assistant", "tuned", "ollama", "tls")] case: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(case);
    let text = std::fs::read_to_string(dir.join("in.yaml")).unwrap();
    let out = children(&serde_saphyr::from_str(&text).unwrap());
    let file = dir.join("out.yaml");
    if std::env::var_os("SEALROOM_BLESS").is_some() {
        std::fs::write(&file, &out).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    if let Some((number, (is, was))) = out
        .lines()
        .zip(there.lines())
        .enumerate()
        .find(|(_, (a, b))| a != b)
    {
        panic!("{}:{}: is `{is}`, was `{was}`", file.display(), number + 1);
    }
    assert_eq!(
        out.lines().count(),
        there.lines().count(),
        "{}",
        file.display()
    );
}

/// The longest names that the schema lets through leave room for every child's name.
#[test]
fn longest_names_fit() {
    let mut object = super::model_deployment::validate::tests::object();
    object.metadata.name = Some("a".repeat(40));
    let long = format!(
        "registry.internal:5000/{}@sha256:{}",
        "r".repeat(200),
        "0".repeat(64)
    );
    object.spec.artifact.as_mut().unwrap().image = long;
    let config = config();
    let model = validate(&object, &config).unwrap();
    let registry = model.registry(&config).unwrap();
    let made = artifact::build(&model, &object);
    // Deployments append 11 characters for the ReplicaSet and 6 for the pod, Jobs 6 for the pod.
    assert!(object.name_any().len() + 17 <= 63);
    for name in [
        job::build(Step::Plan, &made, registry, &config).name_any() + "-12345",
        job::build(Step::Pull, &made, registry, &config).name_any() + "-12345",
        artifact_children::registry::build(&made, registry).name_any(),
        artifact_children::edge_policy::build(&made, registry).name_any(),
        edge_policy::build(&object, &config).name_any(),
    ] {
        assert!(name.len() <= 63, "{name}");
    }
}

/// A model whose chat template nobody knows is for an engine that reads it itself, or needs one in the object.
#[rstest::rstest]
#[case::known("Ollama", Some("ChatML"), None, false)]
#[case::unknown("Ollama", None, None, true)]
#[case::of_a_later_version("Ollama", Some("Harmony"), None, true)]
#[case::given("Ollama", None, Some("{{ .Prompt }}"), false)]
#[case::reads_it_itself("LlamaCpp", None, None, false)]
fn a_template_is_asked_for(
    #[case] engine: &str,
    #[case] family: Option<&str>,
    #[case] template: Option<&str>,
    #[case] stalls: bool,
) {
    let mut object = super::model_deployment::validate::tests::object();
    let mut runtime = serde_json::json!({ "engine": engine });
    if let Some(template) = template {
        runtime["ollama"] = serde_json::json!({ "template": template });
    }
    object.spec.runtime = serde_json::from_value(runtime).unwrap();
    let model = validate(&object, &config()).unwrap();
    let facts = ArtifactFacts {
        chat_template: family.map(str::to_owned),
        ..facts()
    };
    let stall = template_missing(&model, Some(&facts));
    assert_eq!(stall.is_some(), stalls);
    if let Some(stall) = stall {
        assert!(stall.message.contains("runtime.ollama.template"));
    }
}

/// Another tenant's object of the same digest, storage and place shares the artifact; another storage does not.
#[test]
fn artifacts_are_shared_by_what_they_are() {
    let config = config();
    let one = super::model_deployment::validate::tests::object();
    let mut other = one.clone();
    other.metadata.name = Some("other".to_owned());
    let image = validate(&one, &config).unwrap().image;
    assert_eq!(artifact::name(&image, &one), artifact::name(&image, &other));
    other.spec.delivery.persistent_volume_claim =
        Some(serde_json::from_value(serde_json::json!({ "storageClassName": "fast" })).unwrap());
    assert_ne!(artifact::name(&image, &one), artifact::name(&image, &other));
}
