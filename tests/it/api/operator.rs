//! The operator's binary against a real API server.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::{Api, Client, ResourceExt};
use sealroom::api::{ModelArtifact, ModelDeployment};
use serde_json::json;

use super::server::{self, Server};
use super::{adapters, chart, kubelet, mcp, nodes, several};

const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
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

async fn job(api: &Api<Job>, step: &str) -> Job {
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
    lost(&client).await;
    changed(&client).await;
    drift(&client, &server).await;
    stalls(&client, &server).await;
    guarded(&client).await;
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

async fn claims(client: &Client) -> Vec<PersistentVolumeClaim> {
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

/// A volume that was lost is filled again: what filled the one before says nothing of it.
async fn lost(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let jobs: Api<Job> = Api::namespaced(client.clone(), "team-a");
    let volumes: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), "team-a");
    let before = job(&jobs, "pull").await.name_any();
    let name = claims(client).await.remove(0).name_any();
    // Whoever protects claims in use is not here.
    let unprotected = json!({ "metadata": { "finalizers": null } });
    let params = PatchParams::default();
    volumes
        .patch(&name, &params, &Patch::Merge(unprotected))
        .await
        .unwrap();
    volumes
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    condition(&models, "assistant", "ArtifactReady", "Pulling").await;
    let pull = until("another pull", || async {
        let job = job(&jobs, "pull").await;
        (job.name_any() != before).then_some(job)
    })
    .await;
    kubelet::finish(client, &pull, 0, &kubelet::message("Verified", DIGEST)).await;
    condition(&models, "assistant", "ArtifactReady", "Verified").await;
}

/// A change is not done before its pods are: no status of the new generation says what the old numbers say.
async fn changed(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let before = models.get("assistant").await.unwrap();
    let drain = json!({ "spec": { "drainSeconds": 31 } });
    let params = PatchParams::default();
    let drain = Patch::Merge(drain);
    let after = models.patch("assistant", &params, &drain).await.unwrap();
    let generation = after.metadata.generation;
    let one = WatchParams::default().fields("metadata.name=assistant");
    let version = before.resource_version().unwrap();
    let mut events = models.watch(&one, &version).await.unwrap().boxed();
    let first = loop {
        let event = tokio::time::timeout(Duration::from_secs(60), events.next());
        let WatchEvent::Modified(object) = event.await.unwrap().unwrap().unwrap() else {
            continue;
        };
        let status = object.status.unwrap();
        if status.observed_generation == generation {
            break status;
        }
    };
    let ready = first.conditions.iter().find(|one| one.type_ == "Ready");
    assert_eq!(ready.unwrap().reason, "RollingOut");
}

/// What somebody changes is put right; what somebody adds to a policy goes.
async fn drift(client: &Client, server: &Server) {
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), "team-a");
    let opened = json!({ "spec": { "egress": [{}] } });
    let params = PatchParams::default();
    policies
        .patch("sealroom-sealed", &params, &Patch::Merge(opened))
        .await
        .unwrap();
    until("the policy closed again", || async {
        let spec = policies.get("sealroom-sealed").await.unwrap().spec.unwrap();
        spec.egress.unwrap_or_default().is_empty().then_some(())
    })
    .await;
    let services: Api<Service> = Api::namespaced(client.clone(), "team-a");
    services
        .delete("assistant", &DeleteParams::default())
        .await
        .unwrap();
    until("the Service again", || async {
        services.get_opt("assistant").await.unwrap()
    })
    .await;
    assert!(
        server
            .requests(AGENT)
            .iter()
            .any(|r| r.starts_with("patch networkpolicies"))
    );
}

/// The status says what the tenant guard refuses, as it is observed: off, on, with the namespace's label, weakened.
async fn guarded(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let says = |word: &'static str| {
        let models = models.clone();
        async move {
            until(&format!("tenantGuard: {word}"), || async {
                let status = serde_json::to_value(models.get("assistant").await.unwrap().status);
                (status.unwrap()["seal"]["tenantGuard"] == word).then_some(())
            })
            .await;
        }
    };
    says("none").await;
    chart::apply(client, &chart::guard()).await;
    says("objects").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let sealed = json!({ "metadata": { "labels": { "sealroom.dev/guard": "sealed" } } });
    let params = PatchParams::default();
    namespaces
        .patch("team-a", &params, &Patch::Merge(sealed))
        .await
        .unwrap();
    says("objectsAndConnections").await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let audit = json!({ "spec": { "validationActions": ["Audit"] } });
    bindings
        .patch("sealroom-children", &params, &Patch::Merge(audit))
        .await
        .unwrap();
    says("none").await;
    chart::remove(client, &chart::guard()).await;
}

/// What somebody must mend is said, costs next to nothing, and ends when it is mended.
async fn stalls(client: &Client, server: &Server) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let services: Api<Service> = Api::namespaced(client.clone(), "team-a");
    let post = PostParams::default();
    models
        .create(&post, &object("undeclared", "elsewhere.example"))
        .await
        .unwrap();
    let says = condition(&models, "undeclared", "Stalled", "RegistryNotDeclared").await;
    assert!(says.contains("elsewhere.example"), "{says}");

    let mut theirs = Service::default();
    theirs.metadata.name = Some("taken".to_owned());
    theirs.spec = Some(serde_json::from_value(json!({ "ports": [{ "port": 80 }] })).unwrap());
    services.create(&post, &theirs).await.unwrap();
    models
        .create(&post, &object("taken", "registry.internal:5000"))
        .await
        .unwrap();
    let says = condition(&models, "taken", "Stalled", "NameConflict").await;
    assert!(says.contains("Service taken"), "{says}");
    let untouched = services.get("taken").await.unwrap();
    assert!(untouched.owner_references().is_empty());

    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = ours(server).len();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut since = ours(server).split_off(before);
    since.retain(|request| !request.contains("leases") && !request.starts_with("watch "));
    assert!(since.len() <= 4, "two stalled objects for 20 s: {since:#?}");
    // Pods of an object that cannot be carried out any more run on, and who is taken out of it is out.
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), "team-a");
    let edges = async || {
        let edges = policies.get("sealroom-edge-taken").await.unwrap();
        serde_json::to_string(&edges.spec).unwrap()
    };
    assert!(edges().await.contains("chat"));
    let image = object("taken", "elsewhere.example").spec.artifact;
    let change = json!({ "spec": { "artifact": image, "access": { "from": [] } } });
    let params = PatchParams::default();
    models
        .patch("taken", &params, &Patch::Merge(change))
        .await
        .unwrap();
    condition(&models, "taken", "Stalled", "RegistryNotDeclared").await;
    assert!(!edges().await.contains("chat"));
    // Nor has anybody to mend it to be rid of them.
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let replicas = async || deployments.get("taken").await.unwrap().spec?.replicas;
    assert_eq!(replicas().await, Some(1));
    let none = json!({ "spec": { "replicas": 0 } });
    models
        .patch("taken", &params, &Patch::Merge(none))
        .await
        .unwrap();
    until("no replicas", async || {
        replicas().await.filter(|count| *count == 0)
    })
    .await;
    for name in ["undeclared", "taken"] {
        models.delete(name, &DeleteParams::default()).await.unwrap();
    }
    deployments
        .delete("taken", &DeleteParams::default())
        .await
        .unwrap();
}
