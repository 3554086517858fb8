//! A namespace with a client that is let in, a stranger, and models that ask for a key: one of each engine, and one
//! that makes vectors.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::authority::Authority;
use crate::suite::fixtures::{Model, random, secret};
use crate::suite::languages::{self, Language};
use crate::suite::stage::{Served, Stage};

/// The namespace.
pub(super) const NS: &str = "clients";
/// The pod that may ask.
pub(super) const CLIENT: &str = "client";
/// The pod that may not.
const STRANGER: &str = "stranger";
/// The Secret with the applications' key.
pub(super) const KEYS: &str = "app-keys";
/// Where pods find the authority that signs for models.
const AUTHORITY: &str = "/etc/authority/ca.pem";

/// What is there.
#[derive(Debug)]
pub struct Place {
    /// The key of [`KEYS`].
    pub(super) key: String,
    /// Whom both pods trust.
    pub(super) authority: Authority,
    /// Served by llama.cpp.
    pub(super) chat: Served,
    /// Served by Ollama.
    pub(super) second: Served,
    /// Served by llama.cpp, as vectors.
    pub(super) vectors: Served,
}

impl Place {
    /// Makes it all, and waits until the models serve.
    pub(in crate::suite) async fn make(stage: &Stage) -> Result<Self> {
        let world = &stage.world;
        let image = stage.languages().await?;
        world.namespace(NS).await?;
        let key = random();
        let authority = Authority::new("Lab")?;
        let nodes = stage.cluster().nodes().await?;
        let node = nodes.last().context("failed to find a node")?;
        let mut objects = vec![
            secret(NS, KEYS, &json!({"app": key})),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authority", "namespace": NS},
                "data": {"ca.pem": authority.certificate()},
            }),
        ];
        objects.extend([CLIENT, STRANGER].map(|app| pod(app, image, node)));
        stage.apply(&objects).await?;
        for model in [
            Model::new(NS, "chat", stage.artifact()).calls_tools(),
            Model::new(NS, "second", stage.artifact()).ollama(),
            Model::new(NS, "vectors", stage.artifact())
                .set("/runtime/llamaCpp/mode", "Embedding")
                .set("/runtime/llamaCpp/pooling", "Mean"),
        ] {
            let keys = json!({"secretRef": {"name": KEYS}});
            world
                .apply(&model.set("/access/apiKeys", keys).yaml())
                .await?;
        }
        for model in ["chat", "second", "vectors"] {
            ready(stage, model).await?;
        }
        stage.world.pods_ready(NS, &[CLIENT, STRANGER]).await?;
        Ok(Self {
            key,
            authority,
            chat: Served::of(NS, "chat"),
            second: Served::of(NS, "second"),
            vectors: Served::of(NS, "vectors"),
        })
    }
}

/// Waits until a model of this namespace serves.
pub(super) async fn ready(stage: &Stage, model: &str) -> Result<()> {
    let long = Duration::from_secs(240);
    let world = &stage.world;
    world
        .wait_condition(NS, model, "Ready", "True", "", long)
        .await?;
    Ok(())
}

/// Runs a script of `e2e/clients` in the client with these settings, and expects one line a check, in this order.
pub(super) async fn run(
    stage: &Stage,
    language: Language,
    script: &str,
    config: &Value,
    checks: &[&str],
) -> Result<()> {
    languages::run(stage, (NS, CLIENT), (language, script), config, checks).await
}

/// What the stranger's client says: the models that it got no connection to.
pub(super) async fn stranger(stage: &Stage, config: &Value) -> Result<Vec<String>> {
    let script = (Language::Python, "stranger.py");
    languages::lines(stage, (NS, STRANGER), script, config).await
}

/// A pod of the image that trusts the authority as its programs are told to.
fn pod(app: &str, image: &str, node: &str) -> Value {
    let mut pod = languages::pod(NS, app, image, node);
    let trust = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"];
    let trust = trust.map(|name| json!({"name": name, "value": AUTHORITY}));
    let spec = &mut pod["spec"];
    spec["containers"][0]["env"] = json!(trust);
    spec["containers"][0]["volumeMounts"] = json!([
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "authority", "mountPath": "/etc/authority"},
    ]);
    spec["volumes"] = json!([
        {"name": "tmp", "emptyDir": {}},
        {"name": "authority", "configMap": {"name": "authority"}},
    ]);
    pod
}
