//! A namespace with a model, an MCP server that is bound to it and calls home, an agent and a stranger.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::dialled::home;
use crate::asking::LED;
use crate::kube::wait;
use crate::objects::{Condition, Subject, condition_of};
use crate::suite::fixtures::{Model, random, secret};
use crate::suite::languages::{self, Language};
use crate::suite::stage::Stage;
use crate::world::name_of;

/// The namespace.
pub(super) const NS: &str = "mcp";
/// The model.
pub(super) const BRAIN: &str = "brain";
/// The server of `e2e/mcp/helper.py`, bound to the model.
pub(super) const HELPER: &str = "helper";
/// The pod that may call the server and ask the model.
pub(super) const AGENT: &str = "agent";
/// The pod that may not.
pub(super) const STRANGER: &str = "stranger";
/// The Secret with all keys that the model lets in, by the names of who has them.
pub(super) const MODEL_KEYS: &str = "brain-keys";
/// Whose key it is that the server has not been given yet.
pub(super) const NEXT: &str = "helper-next";
/// The Secret with the server's key for the model, as its entry `key`.
pub(super) const BOUND_KEY: &str = "helper-brain";
/// The server's tools.
pub(super) const TOOLS: [&str; 9] = [
    "ask",
    "attack",
    "dial",
    "die",
    "echo",
    "exhaust",
    "exhausted",
    "turn",
    "variables",
];
/// Both ways in which the official client begins: with a handshake, and as the revision without sessions asks.
pub(super) const ERAS: [&str; 2] = ["legacy", "auto"];

/// For what gates report to reach a status.
const ROUND: Duration = Duration::from_secs(60);

/// What is there.
#[derive(Debug)]
pub struct Place {
    /// The image with the server.
    pub(super) image: String,
    /// The node where it is.
    pub(super) node: String,
    /// The agent's key for the model.
    pub(super) model_key: String,
    /// The server's key for the model, which only its gate may see.
    pub(super) bound_key: String,
    /// The one that comes after it, which the model lets in from the beginning.
    pub(super) next_key: String,
    /// The agent's key for the server.
    pub(super) server_key: String,
}

impl Place {
    /// Makes it all, and waits until model and server serve.
    pub(in crate::suite) async fn make(stage: &Stage) -> Result<Self> {
        let nodes = stage.cluster().nodes().await?;
        let [model_key, bound_key, next_key, server_key] = [(); 4].map(|()| random());
        let place = Self {
            image: stage.languages().await?.to_owned(),
            node: nodes.last().context("failed to find a node")?.clone(),
            model_key,
            bound_key,
            next_key,
            server_key,
        };
        stage.world.namespace(NS).await?;
        let keys = json!({AGENT: place.model_key, HELPER: place.bound_key, NEXT: place.next_key});
        let agent = json!([{"podSelector": {"matchLabels": {"app": AGENT}}}]);
        let model = Model::new(NS, BRAIN, stage.artifact())
            .calls_tools()
            .set("/access/from", agent.clone())
            .set(
                "/access/apiKeys",
                json!({"secretRef": {"name": MODEL_KEYS}}),
            );
        let mut helper = place.server(HELPER);
        helper["spec"]["models"] = json!([{
            "modelDeploymentRef": {"name": BRAIN},
            "apiKeySecretRef": {"name": BOUND_KEY, "key": "key"},
        }]);
        helper["spec"]["env"] = json!([{"name": "CALL_HOME", "value": home()}]);
        let mut objects = [AGENT, STRANGER]
            .map(|app| languages::pod(NS, app, &place.image, &place.node))
            .to_vec();
        objects.extend([
            secret(NS, MODEL_KEYS, &keys),
            secret(NS, BOUND_KEY, &json!({"key": place.bound_key})),
            secret(NS, "helper-keys", &json!({AGENT: place.server_key})),
            serde_json::from_str(&model.yaml())?,
            helper,
        ]);
        stage.apply(&objects).await?;
        place.ready(stage, HELPER).await?;
        stage.world.pods_ready(NS, &[AGENT, STRANGER]).await?;
        Ok(place)
    }

    /// The server of the image under a name, without a model, open to the agent with its key.
    pub(super) fn server(&self, name: &str) -> Value {
        json!({
            "apiVersion": "sealroom.dev/v1alpha1",
            "kind": "McpServer",
            "metadata": {"name": name, "namespace": NS},
            "spec": {
                "image": self.image,
                "transport": {"type": "Stdio", "stdio": {"command": ["/usr/bin/python3", "/srv/helper.py"]}},
                "access": {
                    "from": [{"podSelector": {"matchLabels": {"app": AGENT}}}],
                    "apiKeys": {"secretRef": {"name": "helper-keys"}},
                },
                "scheduling": {"nodeSelector": {"kubernetes.io/hostname": self.node}},
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                "drainSeconds": 20,
            },
        })
    }

    /// Waits until a server serves.
    pub(super) async fn ready(&self, stage: &Stage, name: &str) -> Result<()> {
        let server = Subject::server(NS, name);
        let long = Duration::from_secs(240);
        stage
            .world
            .wait_for(server, "Ready", "True", "", long)
            .await?;
        Ok(())
    }

    /// What the client is told to ask a server.
    pub(super) fn config(&self, name: &str, era: &str) -> Value {
        json!({
            "url": url(name), "key": self.server_key, "era": era, "tools": TOOLS, "model": BRAIN,
            "model_key": self.bound_key, "server": [HELPER, "1.2.3"], "protocol": protocol(era),
        })
    }

    /// Runs checks of the official client in the agent, each of which is a line.
    pub(super) async fn checks(
        &self,
        stage: &Stage,
        config: &Value,
        checks: &[&str],
    ) -> Result<()> {
        languages::run(stage, (NS, AGENT), CLIENT, config, checks).await
    }

    /// The same once the Service leads to the server, which it does a moment after that is ready.
    pub(super) async fn serves(
        &self,
        stage: &Stage,
        config: &Value,
        checks: &[&str],
    ) -> Result<()> {
        wait(LED, "it answer", async || {
            self.checks(stage, config, checks).await.map(Some)
        })
        .await
    }

    /// The one line of a check of the official client that shows something.
    pub(super) async fn shows(
        &self,
        stage: &Stage,
        mut config: Value,
        check: &str,
    ) -> Result<String> {
        config["checks"] = json!([check]);
        let lines = languages::lines(stage, (NS, AGENT), CLIENT, &config).await?;
        ensure!(
            lines.len() == 1,
            "expected one line of {check}, got {lines:?}"
        );
        Ok(lines.concat())
    }

    /// What the server's pods answer, asked past the Service, over plain HTTP: those that listen. A pod that ends or
    /// has not begun says nothing.
    pub(super) async fn statuses(&self, stage: &Stage, name: &str) -> Result<Vec<String>> {
        let mut told = vec![];
        let server = Subject::server(NS, name);
        for address in stage.world.addresses(server).await? {
            let mut config = self.config(name, "auto");
            config["url"] = json!(format!("http://{address}:8080/mcp"));
            told.extend(self.shows(stage, config, "status").await);
        }
        Ok(told)
    }
}

/// The scripts of the official clients: of Python, which has every check, and of TypeScript.
pub(super) const CLIENT: (Language, &str) = (Language::Python, "mcp_client.py");
pub(super) const TYPESCRIPT: (Language, &str) = (Language::Node, "mcp_client.mjs");
/// The script that starts the MCP Inspector's command line.
pub(super) const INSPECTOR: (Language, &str) = (Language::Python, "inspector.py");

/// Where a server answers, as its status says.
pub(super) fn url(name: &str) -> String {
    format!("http://{name}.{NS}.svc:8080/mcp")
}

/// The newest revision of an era.
pub(super) fn protocol(era: &str) -> &'static str {
    if era == "legacy" {
        sealroom::mcp::LATEST_LEGACY
    } else {
        sealroom::mcp::MODERN
    }
}

/// The server's object as it is.
pub(super) async fn object(stage: &Stage, name: &str) -> Result<Value> {
    let object = stage.world.object(Subject::server(NS, name)).await?;
    object.with_context(|| format!("failed to find the McpServer {name}"))
}

/// The same, once it says which tools there are: what the gate knows comes with the next round.
pub(super) async fn told(stage: &Stage, name: &str) -> Result<Value> {
    wait(ROUND, "the tools in the status", async || {
        let object = object(stage, name).await?;
        Ok(object["status"]["tools"].is_object().then_some(object))
    })
    .await
}

/// Takes servers away. Nobody waits for their pods.
pub(super) async fn delete(stage: &Stage, names: &[&str]) -> Result<()> {
    let servers: Vec<_> = names.iter().map(|name| format!("mcps/{name}")).collect();
    let mut delete = vec!["delete", "-n", NS, "--wait=false", "--ignore-not-found"];
    delete.extend(servers.iter().map(String::as_str));
    stage.world.kubectl(&delete).await?;
    Ok(())
}

/// Its condition must be this one.
pub(super) fn expect(object: &Value, kind: &str, status: &str, reason: &str) -> Result<Condition> {
    let is = condition_of(object, kind);
    ensure!(
        is.status == status && is.reason == reason,
        "expected {kind}={status} {reason} on {}, got {is:?}",
        name_of(object)
    );
    Ok(is)
}
