//! Object in, children out: plain files under `tests/golden`. `SEALROOM_BLESS=1` writes what comes out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::ResourceExt;
use serde::Serialize;

use super::model_artifact::build as artifact_children;
use super::model_artifact::build::job::{self, Step};
use super::model_artifact::users::{Beside, Users};
use super::model_deployment::artifacts::{memory_of, template_missing, wrong_mode};
use super::model_deployment::build::deployment::{Inputs, Weights, build as deployment};
use super::model_deployment::build::{artifact, edge_policy, service};
use super::model_deployment::validate::{tests::config, validate};
use super::sealed_policy;
use crate::api::model_artifact::{ArtifactFacts, ModelArtifactStatus};
use crate::api::{ModelArtifact, ModelDeployment};
use crate::gguf::Kind;
use crate::types::{AtLeastOne, ImageRef};

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
    let users = Users {
        owners: vec![Arc::new(object.clone())],
        mounted: false,
    };
    let models = model
        .models
        .iter()
        .map(|served| artifact::of_model(served, object));
    let parts = model
        .parts
        .iter()
        .map(|part| artifact::of_part(part, object));
    let made: Vec<ModelArtifact> = (models.chain(parts).enumerate())
        .map(|(number, mut made)| {
            let uid = format!("0d2a7a3c-0000-4000-8000-00000000000{:x}", 10 + number);
            made.metadata.uid = Some(uid);
            made
        })
        .collect();
    let known = made.iter().map(|made| ModelArtifact {
        status: Some(ModelArtifactStatus {
            artifact: Some(facts()),
            ..ModelArtifactStatus::default()
        }),
        ..made.clone()
    });
    let mut known: Vec<ModelArtifact> = known.collect();
    let beside = known.split_off(model.models.count());
    let known = AtLeastOne::collect(known).unwrap();
    let inputs = Inputs {
        model: &model,
        weights: known.map(Weights::of),
        parts: beside.iter().map(Weights::of).collect(),
        memory: memory_of(&model, known.iter(), &beside).map(|need| need.ram.total),
        verify_keys: "PUBLIC KEYS",
        config: &config,
    };
    let mut documents = vec![
        yaml(&sealed_policy::build(&model.namespace, "sealroom-system")),
        yaml(&edge_policy::build(object, &config, &[])),
    ];
    // Two models may be made of one artifact.
    let names = inputs.artifacts();
    let apart = names
        .iter()
        .filter_map(|name| made.iter().find(|made| made.name_any() == *name));
    documents.extend(apart.clone().map(yaml));
    documents.push(yaml(&deployment(object, &inputs)));
    documents.push(yaml(&service::build(object)));
    for made in apart {
        let image: ImageRef = made.spec.image.parse().unwrap();
        let registry = config.registry(image.registry()).unwrap();
        let beside: Option<Beside> = users.beside(&made.name_any());
        let job = |step| {
            let name = job::name(step, made, registry, beside.as_ref(), "");
            job::build(step, name, made, registry, beside.as_ref(), &config)
        };
        documents.extend([
            yaml(&artifact_children::edge_policy::build(made, registry)),
            yaml(&artifact_children::registry::build(made, registry)),
            yaml(&job(Step::Plan)),
            yaml(&artifact_children::claim::build(made, BYTES, &config)),
            yaml(&job(Step::Pull)),
        ]);
    }
    documents.join("---\n")
}

pub(super) fn yaml(object: &impl Serialize) -> String {
    serde_saphyr::to_string(object).unwrap()
}

fn dir(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(case)
}

/// The documents of a case's `in.yaml`.
pub(super) fn read(case: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(dir(case).join("in.yaml")).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// Holds what came out to the case's `out.yaml`.
pub(super) fn compare(case: &str, out: &str) {
    let file = dir(case).join("out.yaml");
    if std::env::var_os("SEALROOM_BLESS").is_some() {
        std::fs::write(&file, out).unwrap();
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

#[rstest::rstest]
fn children_are_as_written(
    #[values(
        "assistant",
        "tuned",
        "ollama",
        "several",
        "tls",
        "embedding",
        "adapters",
        "gpu-nvidia",
        "gpu-mig",
        "gpu-amd"
    )]
    case: &str,
) {
    let object = read(case).remove(0);
    compare(case, &children(&serde_json::from_value(object).unwrap()));
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
    let served = &model.models.first;
    let registry = config.registry(served.image.registry()).unwrap();
    let made = artifact::of_model(served, &object);
    // Deployments append 11 characters for the ReplicaSet and 6 for the pod, Jobs 6 for the pod.
    assert!(object.name_any().len() + 17 <= 63);
    for name in [
        job::name(Step::Plan, &made, registry, None, "") + "-12345",
        job::name(Step::Pull, &made, registry, None, "") + "-12345",
        artifact_children::registry::build(&made, registry).name_any(),
        artifact_children::edge_policy::build(&made, registry).name_any(),
        edge_policy::build(&object, &config, &[]).name_any(),
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
    let stall = template_missing(&model, &model.models.first, Some(&facts));
    assert_eq!(stall.is_some(), stalls);
    if let Some(stall) = stall {
        assert!(stall.message.contains("runtime.ollama.template"));
    }
}

/// A model that would start and answer nonsense is told before a pod is made.
#[rstest::rstest]
#[case::writer("Completion", None, Some("None"), "")]
#[case::no_pooling("Embedding", None, Some("None"), "runtime.llamaCpp.pooling")]
#[case::given("Embedding", Some("Mean"), Some("None"), "")]
#[case::said("Embedding", None, Some("Last"), "")]
#[case::planned_by_an_older_version("Embedding", None, None, "")]
#[case::of_a_later_version("Rerank", None, Some("Other"), "")]
#[case::no_reranker("Rerank", None, Some("Cls"), "no output that ranks")]
#[case::reranker("Rerank", None, Some("Rank"), "")]
#[case::a_reranker_writes_nothing("Completion", None, Some("Rank"), "writes no text")]
#[case::a_reranker_makes_no_vectors("Embedding", Some("Mean"), Some("Rank"), "no embeddings")]
fn a_mode_must_be_the_models(
    #[case] mode: &str,
    #[case] given: Option<&str>,
    #[case] said: Option<&str>,
    #[case] says: &str,
) {
    let mut object = super::model_deployment::validate::tests::object();
    let mut settings = serde_json::json!({ "mode": mode });
    if let Some(given) = given {
        settings["pooling"] = given.into();
    }
    let runtime = serde_json::json!({ "engine": "LlamaCpp", "llamaCpp": settings });
    object.spec.runtime = serde_json::from_value(runtime).unwrap();
    let model = validate(&object, &config()).unwrap();
    let facts = ArtifactFacts {
        pooling: said.map(str::to_owned),
        ..facts()
    };
    let stall = wrong_mode(&model, &model.models.first, Some(&facts));
    assert_eq!(stall.is_some(), !says.is_empty(), "{stall:?}");
    if let Some(stall) = stall {
        assert!(stall.message.contains(says), "{}", stall.message);
    }
}

/// Another tenant's object of the same digest, storage and place shares the artifact; another storage does not.
#[test]
fn artifacts_are_shared_by_what_they_are() {
    let config = config();
    let one = super::model_deployment::validate::tests::object();
    let mut other = one.clone();
    other.metadata.name = Some("other".to_owned());
    let image = validate(&one, &config).unwrap().models.first.image;
    let name = |object: &ModelDeployment| artifact::name(&image, Kind::Model, object);
    assert_eq!(name(&one), name(&other));
    assert_ne!(name(&one), artifact::name(&image, Kind::Adapter, &one));
    // Whoever has an adapter shares nothing: its volumes lie together.
    let mut tuned = one.clone();
    let adapters = serde_json::json!([{ "name": "a", "artifact": one.spec.artifact }]);
    let runtime = serde_json::json!({ "engine": "LlamaCpp", "llamaCpp": { "adapters": adapters } });
    tuned.spec.runtime = serde_json::from_value(runtime).unwrap();
    assert_ne!(name(&one), name(&tuned));
    other.spec.delivery.persistent_volume_claim =
        Some(serde_json::from_value(serde_json::json!({ "storageClassName": "fast" })).unwrap());
    assert_ne!(name(&one), name(&other));
}
