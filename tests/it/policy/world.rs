//! One sealed pod and two canaries on loopback, a cluster that remembers, and stores that are fed by hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ObjectReference, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use sealroom::driver::cluster::ClusterError;
use sealroom::driver::edge::Edge;
use sealroom::driver::planner::PodCondition;
use sealroom::driver::{
    Board, Cluster, Config, Owner, Owners, PodSeal, Reason, Services, Stores, drive,
};
use sealroom::policy::{Declared, Policy};
use sealroom::seal::sign::{SigningKey, TrustedKeys};
use sealroom::seal::wire::State;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::peers::{CANARIES, GATE, Peers};

/// Remembers what was written, and shows the pod's condition to who watches.
#[derive(Clone)]
pub struct Written {
    said: Arc<Mutex<Vec<String>>>,
    /// Deletions are never answered.
    pub mute: Arc<AtomicBool>,
    pod: Pod,
    pods: Arc<Mutex<Writer<Pod>>>,
}

impl Written {
    pub fn all(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    fn push(&self, text: String) -> Result<(), ClusterError> {
        self.said.lock().unwrap().push(text);
        Ok(())
    }

    fn show(&self, one: &PodCondition) {
        let mut pod = self.pod.clone();
        // Never that of the pod at its beginning.
        pod.metadata.resource_version = Some((self.all().len() + 1).to_string());
        let now = k8s_openapi::jiff::Timestamp::now().to_string();
        let condition = json!({
            "type": "sealroom.dev/sealed", "status": if one.ready { "True" } else { "False" },
            "reason": one.reason.as_str(), "lastTransitionTime": one.since.clone().unwrap_or(now),
        });
        let status = pod.status.get_or_insert_default();
        let conditions = status.conditions.get_or_insert_default();
        conditions.push(serde_json::from_value(condition).unwrap());
        let mut pods = self.pods.lock().unwrap();
        pods.apply_watcher_event(&Event::Apply(pod));
    }
}

impl Cluster for Written {
    async fn condition(&self, one: PodCondition) -> Result<(), ClusterError> {
        let done = self.push(format!(
            "condition {} {} {}",
            one.name,
            one.ready,
            one.reason.as_str()
        ));
        self.show(&one);
        done
    }

    async fn delete(
        &self,
        namespace: String,
        name: String,
        uid: String,
        grace: Option<i64>,
    ) -> Result<(), ClusterError> {
        let grace = grace.unwrap_or_default();
        let done = self.push(format!("delete {namespace}/{name} {uid} {grace}"));
        if self.mute.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        done
    }

    async fn event(
        &self,
        owner: ObjectReference,
        reason: Reason,
        _: String,
    ) -> Result<(), ClusterError> {
        self.push(format!(
            "event {} {}",
            owner.name.unwrap_or_default(),
            reason.as_str()
        ))
    }
}

struct Assistant(Vec<Policy>);

impl Owners for Assistant {
    fn owner(&self, uid: &str) -> Option<Owner> {
        (uid == "owner").then(|| Owner {
            reference: ObjectReference {
                name: Some("assistant".to_owned()),
                ..Default::default()
            },
            declared: Declared {
                policies: self.0.clone(),
            },
            own_node: None,
        })
    }
}

pub struct World {
    pub fakes: Arc<Peers>,
    pub written: Written,
    pub board: Board,
    pub policies: Writer<NetworkPolicy>,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn policy(name: &str, spec: serde_json::Value) -> NetworkPolicy {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": "team-a", "uid": name, "resourceVersion": name },
        "spec": spec,
    }))
    .expect("a policy")
}

fn sealed_policy() -> NetworkPolicy {
    policy(
        "sealroom-sealed",
        json!({
            "podSelector": { "matchExpressions": [{ "key": "sealroom.dev/sealed", "operator": "Exists" }] },
            "policyTypes": ["Ingress", "Egress"],
        }),
    )
}

fn pod(name: &str, ip: &str, labels: serde_json::Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": "team-a", "uid": name, "resourceVersion": "1", "labels": labels },
        "spec": {
            "nodeName": format!("node of {ip}"), "containers": [],
            "terminationGracePeriodSeconds": 120,
        },
        "status": {
            "phase": "Running", "podIPs": [{ "ip": ip }],
            "conditions": [{ "type": "Ready", "status": "True" }],
            "initContainerStatuses": [{
                "name": "gate", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "state": { "running": {} },
            }],
        },
    }))
    .expect("a pod")
}

/// A store that has had its first list.
fn filled<K>(objects: Vec<K>) -> (reflector::Store<K>, Writer<K>)
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    for object in objects {
        writer.apply_watcher_event(&Event::InitApply(object));
    }
    writer.apply_watcher_event(&Event::InitDone);
    (store, writer)
}

impl World {
    pub async fn start() -> Self {
        let key = SigningKey::generate();
        let pem = key.verifying_key().to_pem().unwrap();
        let fakes = Arc::new(Peers::trusting(TrustedKeys::from_pems(&[pem]).unwrap()));
        let ports = fakes.listen().await;
        let config = Config {
            round: Duration::from_secs(1),
            validity_rounds: 3,
            tick: Duration::from_millis(300),
            max_back_off: Duration::from_secs(1),
            ports,
            ..Config::default()
        };
        let (policies, policy_writer) = filled(vec![sealed_policy()]);
        let labels = json!({ "sealroom.dev/sealed": "serve", "sealroom.dev/owner-uid": "owner" });
        let dns: Service = serde_json::from_value(json!({
            "metadata": { "name": "kube-dns", "uid": "dns" }, "spec": { "clusterIPs": ["10.96.0.10"] },
        }))
        .unwrap();
        let canary = |ip: &&str| pod(&format!("canary-{ip}"), ip, json!({}));
        let sealed = pod("sealed-pod", GATE, labels);
        let (pods, pod_writer) = filled(vec![sealed.clone()]);
        let stores = Stores {
            pods,
            policies,
            namespaces: filled(Vec::<PartialObjectMeta<Namespace>>::new()).0,
            definitions: filled(Vec::<PartialObjectMeta<CustomResourceDefinition>>::new()).0,
            canaries: filled(CANARIES.iter().map(canary).collect()).0,
            services: Services {
                dns: Some(filled(vec![dns]).0),
                ..Services::default()
            },
            changed: Arc::default(),
        };
        let world = Self {
            fakes,
            written: Written {
                said: Arc::default(),
                mute: Arc::default(),
                pod: sealed,
                pods: Arc::new(Mutex::new(pod_writer)),
            },
            board: Board::new(),
            policies: policy_writer,
            stop: CancellationToken::new(),
        };
        let owners = Arc::new(Assistant(vec![Policy::parse(&sealed_policy())]));
        let edge = Edge::new(key).unwrap();
        let (written, board, stop) = (
            world.written.clone(),
            world.board.clone(),
            world.stop.clone(),
        );
        tokio::spawn(drive(written, stores, owners, edge, config, board, stop));
        world
    }

    /// Waits until the board says so.
    pub async fn until(&self, status: &str, reason: &str) -> Arc<PodSeal> {
        let begun = Instant::now();
        loop {
            let seal = self.board.get("sealed-pod");
            if let Some(seal) = &seal
                && (seal.sealed.status.as_str(), seal.sealed.reason.as_str()) == (status, reason)
            {
                return Arc::clone(seal);
            }
            let waited = begun.elapsed();
            assert!(
                waited < Duration::from_secs(60),
                "never {status} {reason}: {seal:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn gate_state(&self) -> State {
        self.fakes.machine.lock().unwrap().state(Instant::now())
    }
}
