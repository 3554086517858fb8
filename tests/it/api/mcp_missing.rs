//! Secrets and ConfigMaps that an McpServer names and that are not there: said by the gates, and by the kubelet.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::McpServer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::mcp::{condition, object};
use super::operator::until;

const NS: &str = "team-a";
/// Where the pod that the test plays has its gate; no other test listens there.
const POD_IP: &str = "127.0.0.81";

/// A server of `team-a` and its Deployment, taken away when the test of it is done.
struct Case {
    servers: Api<McpServer>,
    deployments: Api<Deployment>,
    pods: Api<Pod>,
    name: &'static str,
}

impl Case {
    async fn start(client: &Client, server: McpServer, name: &'static str) -> Self {
        let case = Self {
            servers: Api::namespaced(client.clone(), NS),
            deployments: Api::namespaced(client.clone(), NS),
            pods: Api::namespaced(client.clone(), NS),
            name,
        };
        let post = PostParams::default();
        case.servers.create(&post, &server).await.unwrap();
        case
    }

    /// A pod as the Deployment's ReplicaSet makes it.
    async fn pod(&self, suffix: &str) -> Pod {
        let made = until("the server's Deployment", || async {
            self.deployments.get_opt(self.name).await.unwrap()
        })
        .await;
        let template = made.spec.unwrap().template;
        let mut pod = Pod {
            metadata: template.metadata.unwrap(),
            spec: template.spec,
            status: None,
        };
        pod.metadata.name = Some(format!("{}-{suffix}", self.name));
        self.pods
            .create(&PostParams::default(), &pod)
            .await
            .unwrap()
    }

    async fn says(&self, pod: &Pod, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams::default();
        let name = pod.name_any();
        self.pods
            .patch_status(&name, &params, &patch)
            .await
            .unwrap();
    }

    async fn told(&self, kind: &str, reason: &str) -> String {
        condition(&self.servers, self.name, kind, reason).await
    }

    async fn end(self, pods: &[&Pod]) {
        let params = DeleteParams::default();
        self.servers.delete(self.name, &params).await.unwrap();
        self.deployments.delete(self.name, &params).await.unwrap();
        let at_once = DeleteParams::default().grace_period(0);
        for pod in pods {
            self.pods.delete(&pod.name_any(), &at_once).await.unwrap();
        }
    }
}

/// A gate that obeys every challenge and lacks what it is told to lack.
struct Gate {
    lack: Arc<Mutex<Value>>,
    task: AbortHandle,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    async fn start(pod_uid: String, lack: Value) -> Self {
        let lack = Arc::new(Mutex::new(lack));
        let said = Arc::clone(&lack);
        let report = move || {
            let report = json!({
                "v": 1, "sealed": false, "podUID": pod_uid, "session": "7".repeat(32), "checkedAt": "",
                "state": "unproven", "closure": "equal", "locks": [], "nonce": "", "targets": [],
                "modelsLack": *said.lock().unwrap(),
            });
            async move { Json(report) }
        };
        let at: SocketAddr = format!("{POD_IP}:8081").parse().unwrap();
        let listener = TcpListener::bind(at).await.unwrap();
        let router = Router::new().route("/challenge", post(report));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        let task = task.abort_handle();
        Self { lack, task }
    }
}

/// Beside `assistant` of `team-a`, which serves: the Secret with its key is not there, and comes.
pub async fn key_of_a_model(client: &Client) {
    let model = json!([{ "modelDeploymentRef": { "name": "assistant" },
        "apiKeySecretRef": { "name": "assistant-keys", "key": "tools" } }]);
    let case = Case::start(client, object("keyless", model), "keyless").await;
    let pod = case.pod("1").await;
    case.told("ModelsBound", "Bound").await;
    let gate = Gate::start(
        pod.uid().unwrap(),
        json!([{ "port": 11_500, "what": "key" }]),
    )
    .await;
    let running = json!([{ "name": "gate", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
        "state": { "running": { "startedAt": Timestamp::now().to_string() } } }]);
    let status = json!({ "phase": "Running", "podIP": POD_IP, "podIPs": [{ "ip": POD_IP }],
        "initContainerStatuses": running });
    case.says(&pod, status).await;

    let says = case.told("ModelsBound", "SecretMissing").await;
    for part in [
        "ModelDeployment team-a/assistant",
        "entry tools of Secret assistant-keys",
    ] {
        assert!(says.contains(part), "{says}");
    }
    let server = case.servers.get("keyless").await.unwrap();
    assert_eq!(server.status.unwrap().models[0].state, "SecretMissing");

    *gate.lack.lock().unwrap() = json!([]);
    case.told("ModelsBound", "Bound").await;
    case.end(&[&pod]).await;
}

/// Of variables the kubelet says what it misses; of files nothing, but that the pod does not begin.
pub async fn what_pods_wait_for(client: &Client) {
    let mut waits = object("waits", json!([]));
    let env = json!([{ "name": "PASSWORD", "secretKeyRef": { "name": "db", "key": "password" } }]);
    waits.spec.env = serde_json::from_value(env).unwrap();
    let files = json!([{ "mountPath": "/etc/rules", "configMapRef": { "name": "rules" } }]);
    waits.spec.files = serde_json::from_value(files).unwrap();
    let case = Case::start(client, waits, "waits").await;
    let pod = case.pod("1").await;

    // Said when it is true: nothing else happens until then.
    let placed = Timestamp::now() - Duration::from_secs(14);
    let condition = json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": placed.to_string() });
    let status = json!({ "phase": "Pending", "conditions": [condition] });
    case.says(&pod, status).await;
    let says = case.told("Stalled", "ConfigMapMissing").await;
    assert!(says.contains("ConfigMap rules"), "{says}");
    let waited = Timestamp::now().duration_since(placed);
    assert!(waited.as_secs() >= 19, "{waited:?}");

    let server = |state: Value| {
        json!({ "podIP": "192.0.2.9", "podIPs": [{ "ip": "192.0.2.9" }], "containerStatuses": [{
            "name": "server", "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": state }] })
    };
    let said = r#"secret "db" not found"#;
    let missing = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": said } });
    case.says(&pod, server(missing)).await;
    let says = case.told("Stalled", "SecretMissing").await;
    assert!(says.contains("entry password of Secret db"), "{says}");
    case.told("Ready", "SecretMissing").await;

    let starts = json!({ "waiting": { "reason": "ContainerCreating" } });
    case.says(&pod, server(starts)).await;
    case.told("Ready", "NotSealed").await;
    case.end(&[&pod]).await;
}
