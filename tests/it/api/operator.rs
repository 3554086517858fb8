//! The operator's binary against a real API server.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::{ModelArtifact, ModelDeployment};
use serde_json::json;

use super::server::{self, Server};
use super::{adapters, drift, kubelet, mcp, nodes, several};

pub const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const SYSTEM: &str = "sealroom-system";
const AGENT: &str = "sealroom-operator/";

struct Operator {
    child: Child,
    dir: tempfile::TempDir,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("the operator's log:\n{log}");
        }
    }
}

fn sealroom(server: &Server) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealroom"));
    command
        .env("KUBECONFIG", server.kubeconfig())
        .env("POD_NAMESPACE", SYSTEM)
        .env("SEALROOM_LOG", "warn,sealroom=debug");
    command
}

impl Operator {
    async fn start(server: &Server, client: &Client) -> Self {
        let generated = sealroom(server)
            .args(["operator", "--generate-key", "--secret", "sealroom-key"])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(generated.success());
        let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
        let key = secrets.get("sealroom-key").await.unwrap().data.unwrap()["key.pem"].clone();
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("key.pem"), key.0).unwrap();
        let config = json!({
            "image": format!("registry.internal:5000/sealroom@{DIGEST}"),
            "engines": { "llamaCpp": { "image": format!("registry.internal:5000/llama@{DIGEST}") } },
            "registries": [{ "host": "registry.internal:5000", "addresses": ["192.0.2.10"],
                "peers": [{ "ipBlock": { "cidr": "192.0.2.10/32" } }], "ports": [{ "port": 5000 }], "ca": "PEM" }],
            "seal": { "keyFile": path("key.pem") },
        });
        std::fs::write(path("config.yaml"), config.to_string()).unwrap();
        let child = sealroom(server)
            .args(["operator", "--listen", "127.0.0.1:0", "--config"])
            .arg(path("config.yaml"))
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, dir }
    }
}

pub fn object(name: &str, host: &str) -> ModelDeployment {
    serde_json::from_value(json!({
        "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": name },
        "spec": {
            "artifact": { "image": format!("{host}/models/smollm2@{DIGEST}"), "pullSecrets": [{ "name": "registry" }] },
            "runtime": { "engine": "LlamaCpp" },
            "access": { "from": [{ "podSelector": { "matchLabels": { "app": "chat" } } }] },
        },
    }))
    .unwrap()
}

/// Asks until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "never saw {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub async fn condition(api: &Api<ModelDeployment>, name: &str, kind: &str, reason: &str) -> String {
    until(&format!("{name}: {kind} {reason}"), || async {
        let status = api.get(name).await.unwrap().status?;
        let found = status.conditions.into_iter().find(|c| c.type_ == kind)?;
        (found.reason == reason).then_some(found.message)
    })
    .await
}

pub async fn job(api: &Api<Job>, step: &str) -> Job {
    until(&format!("the {step} Job"), || async {
        let jobs = api.list(&ListParams::default()).await.unwrap();
        jobs.items
            .into_iter()
            .find(|job| job.name_any().contains(&format!("-{step}-")))
    })
    .await
}

/// Everything in one life: what is made and when, what is written, what it costs at rest, and what goes.
#[tokio::test]
async fn one_life() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    for name in [SYSTEM, "team-a"] {
        server::namespace(&client, name).await;
    }
    let operator = Operator::start(&server, &client).await;
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let artifacts: Api<ModelArtifact> = Api::namespaced(client.clone(), "team-a");
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), "team-a");
    let jobs: Api<Job> = Api::namespaced(client.clone(), "team-a");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let services: Api<Service> = Api::namespaced(client.clone(), "team-a");
    let post = PostParams::default();

    models
        .create(&post, &object("assistant", "registry.internal:5000"))
        .await
        .unwrap();
    let plan = job(&jobs, "plan").await;
    let shared = policies.get("sealroom-sealed").await.unwrap();
    assert!(shared.owner_references().is_empty());
    policies.get("sealroom-edge-assistant").await.unwrap();
    condition(&models, "assistant", "ArtifactReady", "Planning").await;
    assert!(
        claims(&client).await.is_empty(),
        "a claim before its size is known"
    );

    kubelet::finish(&client, &plan, 0, &kubelet::message("Planned", DIGEST)).await;
    let pull = job(&jobs, "pull").await;
    let claim = claims(&client).await.remove(0);
    let size = claim.spec.unwrap().resources.unwrap().requests.unwrap()["storage"]
        .0
        .clone();
    assert_eq!(size, "163Mi");
    assert!(
        deployments.get_opt("assistant").await.unwrap().is_none(),
        "pods before the bytes"
    );
    kubelet::finish(&client, &pull, 0, &kubelet::message("Verified", DIGEST)).await;

    condition(&models, "assistant", "ArtifactReady", "Verified").await;
    let made = until("the Deployment", || async {
        deployments.get_opt("assistant").await.unwrap()
    })
    .await;
    until("the Service", || async {
        services.get_opt("assistant").await.unwrap()
    })
    .await;
    kubelet::serve(&client, &made).await;
    condition(&models, "assistant", "Available", "Serving").await;
    condition(&models, "assistant", "Ready", "NotSealed").await;
    let status = models.get("assistant").await.unwrap().status.unwrap();
    assert_eq!(
        status.url.as_deref(),
        Some("http://assistant.team-a.svc:8080/v1")
    );
    assert!(status.memory.unwrap().total.ends_with("Mi"));

    let written = writes(&ours(&server));
    let children = |words: &str| written.iter().filter(|w| w.contains(words)).count();
    for child in [
        "networkpolicies team-a/sealroom-sealed",
        "networkpolicies team-a/sealroom-edge-assistant",
        "deployments team-a/assistant",
        "services team-a/assistant",
    ] {
        assert_eq!(children(child), 1, "{child}: {written:#?}");
    }
    for kind in [
        "create modelartifacts ",
        "create jobs ",
        "create persistentvolumeclaims ",
    ] {
        let expected = if kind.contains("jobs") { 2 } else { 1 };
        assert_eq!(children(kind), expected, "{kind}: {written:#?}");
    }

    at_rest(&server).await;
    drift::lost(&client).await;
    drift::changed(&client).await;
    drift::put_right(&client, &server).await;
    drift::stalls(&client, &server).await;
    drift::guarded(&client).await;
    nodes::too_large(&client, &server).await;
    several::in_one_object(&client).await;
    adapters::beside_a_model(&client).await;
    mcp::beside_a_model(&client, &server).await;

    // The last user goes; what a garbage collector would take along is taken along here.
    models
        .delete("assistant", &DeleteParams::default())
        .await
        .unwrap();
    mcp::without_the_model(&client).await;
    deployments
        .delete("assistant", &DeleteParams::default())
        .await
        .unwrap();
    until("the end of the artifact", || async {
        let left = artifacts.list(&ListParams::default()).await.unwrap().items;
        left.is_empty().then_some(())
    })
    .await;
    // The shared policy stays for pods that are not gone: these are, once they are deleted.
    let pods: Api<Pod> = Api::namespaced(client.clone(), "team-a");
    policies.get("sealroom-sealed").await.unwrap();
    let all = ListParams::default();
    pods.delete_collection(&DeleteParams::default().grace_period(0), &all)
        .await
        .unwrap();
    jobs.delete_collection(&DeleteParams::background(), &all)
        .await
        .unwrap();
    until("the end of the shared policy", || async {
        policies
            .get_opt("sealroom-sealed")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    drop(operator);
}

pub async fn claims(client: &Client) -> Vec<PersistentVolumeClaim> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), "team-a");
    api.list(&ListParams::default()).await.unwrap().items
}

/// The operator's requests but for the objects of tests that run beside this one.
pub fn ours(server: &Server) -> Vec<String> {
    let mut requests = server.requests(AGENT);
    requests.retain(|request| {
        ![" schema/", " defaults/", " mcp-schema/", " mcp-defaults/"]
            .iter()
            .any(|other| request.contains(other))
    });
    requests
}

fn writes(requests: &[String]) -> Vec<String> {
    let reading = ["get ", "list ", "watch "];
    let mut writes = requests.to_vec();
    writes.retain(|request| !reading.iter().any(|verb| request.starts_with(verb)));
    writes
}

/// A steady state costs nothing but watches and the lease.
async fn at_rest(server: &Server) {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = ours(server).len();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut since = ours(server).split_off(before);
    // The leader need not read the lease that it holds.
    since
        .retain(|request| !request.starts_with("update leases ") && !request.starts_with("watch "));
    assert!(since.is_empty(), "{since:#?}");
}
