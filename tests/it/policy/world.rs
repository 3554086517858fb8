//! One sealed pod and two canaries on loopback, a cluster that remembers, and stores that are fed by hand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use k8s_openapi::api::core::v1::{Namespace, ObjectReference, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use sealroom::driver::cluster::ClusterError;
use sealroom::driver::edge::Edge;
use sealroom::driver::planner::PodCondition;
use sealroom::driver::{
    Board, Cluster, Config, Owner, Owners, PodSeal, Reason, Services, Stores, WirePorts, drive,
};
use sealroom::policy::{Declared, Policy};
use sealroom::seal::probe::Observation;
use sealroom::seal::session::Session;
use sealroom::seal::sign::{CHALLENGE, CONTROL, SigningKey, TrustedKeys};
use sealroom::seal::state::{Config as GateConfig, Machine, OwnNode, WhenStale};
use sealroom::seal::wire::{
    Challenge, ControlOrder, ControlReport, Dialled, Envelope, Proto, Report, Seen, SeenReport,
    State, VERSION,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

const GATE: &str = "127.0.1.1";
const CANARIES: [&str; 2] = ["127.0.2.1", "127.0.2.2"];

/// What the fakes share.
pub struct Inner {
    keys: TrustedKeys,
    pub machine: Mutex<Machine>,
    /// Every target's name of the last challenge.
    pub asked: Mutex<Vec<String>>,
    /// Challenges that the gate refused with 409.
    pub conflicts: AtomicUsize,
    /// The gate's probes connect.
    pub hole: AtomicBool,
    /// The gate's packets arrive at the second canary, and nothing comes back.
    pub one_way: AtomicBool,
    /// Canaries obey no order.
    pub canaries_down: AtomicBool,
    seen: Mutex<Vec<Seen>>,
}

/// Remembers what was written.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<String>>>);

impl Written {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, text: String) -> Result<(), ClusterError> {
        self.0.lock().unwrap().push(text);
        Ok(())
    }
}

impl Cluster for Written {
    async fn condition(&self, one: PodCondition) -> Result<(), ClusterError> {
        self.push(format!(
            "condition {} {} {}",
            one.name,
            one.ready,
            one.reason.as_str()
        ))
    }

    async fn delete(
        &self,
        namespace: String,
        name: String,
        uid: String,
    ) -> Result<(), ClusterError> {
        self.push(format!("delete {namespace}/{name} {uid}"))
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
    pub fakes: Arc<Inner>,
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
        "spec": { "nodeName": format!("node of {ip}"), "containers": [] },
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

/// What a gate knows that has just started.
pub fn machine() -> Machine {
    let config = GateConfig {
        when_stale: WhenStale::Serve,
        grace: Duration::from_secs(1),
        own_node: OwnNode::Report,
    };
    Machine::new(config, "sealed-pod", Session::random())
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
        let fakes = Arc::new(Inner {
            keys: TrustedKeys::from_pems(&[pem]).unwrap(),
            machine: Mutex::new(machine()),
            asked: Mutex::default(),
            conflicts: AtomicUsize::new(0),
            hole: AtomicBool::new(false),
            one_way: AtomicBool::new(false),
            canaries_down: AtomicBool::new(false),
            seen: Mutex::default(),
        });
        let gate = TcpListener::bind((GATE, 0)).await.unwrap();
        let gate_admin = gate.local_addr().unwrap().port();
        serve(
            gate,
            Router::new().route("/challenge", post(challenge)),
            &fakes,
        );
        let first = TcpListener::bind((CANARIES[0], 0)).await.unwrap();
        let canary_control = first.local_addr().unwrap().port();
        let second = TcpListener::bind((CANARIES[1], canary_control))
            .await
            .unwrap();
        for listener in [first, second] {
            let routes = Router::new()
                .route("/control", post(control))
                .route("/seen", get(seen));
            serve(listener, routes, &fakes);
        }
        let canary = nonce_port().await;
        let config = Config {
            round: Duration::from_secs(1),
            validity_rounds: 3,
            tick: Duration::from_millis(300),
            max_back_off: Duration::from_secs(1),
            ports: WirePorts {
                gate_admin,
                canary,
                canary_control,
            },
            ..Config::default()
        };
        let (policies, policy_writer) = filled(vec![sealed_policy()]);
        let labels = json!({ "sealroom.dev/sealed": "serve", "sealroom.dev/owner-uid": "owner" });
        let dns: Service = serde_json::from_value(json!({
            "metadata": { "name": "kube-dns", "uid": "dns" }, "spec": { "clusterIPs": ["10.96.0.10"] },
        }))
        .unwrap();
        let canary = |ip: &&str| pod(&format!("canary-{ip}"), ip, json!({}));
        let stores = Stores {
            pods: filled(vec![pod("sealed-pod", GATE, labels)]).0,
            policies,
            namespaces: filled(Vec::<PartialObjectMeta<Namespace>>::new()).0,
            canaries: filled(CANARIES.iter().map(canary).collect()).0,
            services: Services {
                dns: Some(filled(vec![dns]).0),
                ..Services::default()
            },
            changed: Arc::default(),
        };
        let world = Self {
            fakes,
            written: Written::default(),
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

fn serve(listener: TcpListener, routes: Router<Arc<Inner>>, fakes: &Arc<Inner>) {
    let routes = routes.with_state(Arc::clone(fakes));
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

async fn challenge(
    Shared(fakes): Shared<Arc<Inner>>,
    Json(envelope): Json<Envelope>,
) -> Result<Json<Report>, Response> {
    let order: Challenge = fakes
        .keys
        .open(CHALLENGE, &envelope)
        .map_err(|_| StatusCode::UNAUTHORIZED.into_response())?;
    let (nonce, targets) = (order.nonce.clone(), order.targets.clone());
    *fakes.asked.lock().unwrap() = targets.iter().map(|target| target.name.clone()).collect();
    let (round, session) = {
        let mut machine = fakes.machine.lock().unwrap();
        let begun = machine.begin(order, Instant::now()).map_err(|_| {
            fakes.conflicts.fetch_add(1, Ordering::SeqCst);
            (StatusCode::CONFLICT, Json(machine.conflict())).into_response()
        });
        (begun?, machine.session())
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let hole = fakes.hole.load(Ordering::SeqCst);
    if fakes.one_way.load(Ordering::SeqCst) {
        let mut seen = fakes.seen.lock().unwrap();
        let id = u64::try_from(seen.len()).unwrap() + 1;
        seen.push(Seen {
            id,
            nonce,
            from: [192, 0, 2, 1].into(),
            proto: Proto::Udp,
        });
    }
    let observed: Vec<Observation> = targets
        .iter()
        .map(|target| match hole && target.name.starts_with("canary/") {
            true => Observation::Connected,
            false => Observation::Silence { waited_ms: 1000 },
        })
        .collect();
    let now = Instant::now();
    let mut machine = fakes.machine.lock().unwrap();
    if machine.session() != session {
        // The gate was restarted, and the round ended with the old one.
        return Err(StatusCode::BAD_GATEWAY.into_response());
    }
    machine.finish(round, &observed, now);
    Ok(Json(Report {
        v: VERSION,
        sealed: machine.serves(now),
        pod_uid: "sealed-pod".to_owned(),
        session,
        checked_at: String::new(),
        state: machine.state(now),
        opening: machine.opening().cloned(),
        closure: machine.closure().to_owned(),
        locks: vec!["Kernel".to_owned()],
        nonce: machine.findings().nonce.clone(),
        runtime_ran: true,
        targets: machine.findings().targets.clone(),
    }))
}

async fn control(
    Shared(fakes): Shared<Arc<Inner>>,
    Json(envelope): Json<Envelope>,
) -> Result<Json<ControlReport>, StatusCode> {
    let order: ControlOrder = fakes
        .keys
        .open(CONTROL, &envelope)
        .map_err(|_| StatusCode::UNAUTHORIZED)?;
    if fakes.canaries_down.load(Ordering::SeqCst) || order.check().is_err() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let dialled = |addr: SocketAddr, proto| Dialled {
        addr,
        proto,
        rtt_micros: Some(200),
    };
    Ok(Json(ControlReport {
        v: VERSION,
        canary_uid: order.canary_uid,
        gates: order
            .gates
            .iter()
            .map(|addr| dialled(*addr, Proto::Tcp))
            .collect(),
        targets: order
            .targets
            .iter()
            .map(|target| dialled(target.addr, target.proto))
            .collect(),
    }))
}

async fn seen(Shared(fakes): Shared<Arc<Inner>>) -> Json<SeenReport> {
    let mut all = fakes.seen.lock().unwrap();
    let seen = std::mem::take(&mut *all);
    let (v, canary_uid) = (VERSION, String::new());
    Json(SeenReport {
        v,
        canary_uid,
        next: 0,
        lost: false,
        seen,
    })
}

/// The port on which both canaries answer whoever says something, over TCP and UDP, as the operator's own
/// dials expect it.
async fn nonce_port() -> u16 {
    let mut port = 0;
    for ip in CANARIES {
        let tcp = TcpListener::bind((ip, port)).await.unwrap();
        port = tcp.local_addr().unwrap().port();
        let udp = UdpSocket::bind((ip, port)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let mut text = [0; 128];
                let read = stream.read(&mut text).await.unwrap_or(0);
                let _ = stream.write_all(&seen_text(&text[..read])).await;
            }
        });
        tokio::spawn(async move {
            let mut text = [0; 128];
            while let Ok((read, from)) = udp.recv_from(&mut text).await {
                let _ = udp.send_to(&seen_text(&text[..read]), from).await;
            }
        });
    }
    port
}

/// `seen <nonce>` for `sealroom-nonce <nonce>`.
fn seen_text(said: &[u8]) -> Vec<u8> {
    let said = String::from_utf8_lossy(said);
    said.replace("sealroom-nonce", "seen").into_bytes()
}
