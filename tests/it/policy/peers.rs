//! A gate and two canaries on loopback: the gate's machine is the real one, its probes are not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sealroom::driver::WirePorts;
use sealroom::seal::probe::Observation;
use sealroom::seal::session::Session;
use sealroom::seal::sign::{CHALLENGE, CONTROL, TrustedKeys};
use sealroom::seal::state::{Config as GateConfig, Machine, OwnNode, WhenStale};
use sealroom::seal::wire::{
    Challenge, ControlOrder, ControlReport, Dialled, Envelope, Proto, Report, Seen, SeenReport,
    VERSION,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

pub const GATE: &str = "127.0.1.1";
pub const CANARIES: [&str; 2] = ["127.0.2.1", "127.0.2.2"];

/// What they share.
pub struct Peers {
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
    /// Canaries do not say what they saw.
    pub canaries_mute: AtomicBool,
    seen: Mutex<Vec<Seen>>,
}

impl Peers {
    /// Peers that obey whoever has one of these keys.
    pub fn trusting(keys: TrustedKeys) -> Self {
        Self {
            keys,
            machine: Mutex::new(machine()),
            asked: Mutex::default(),
            conflicts: AtomicUsize::new(0),
            hole: AtomicBool::new(false),
            one_way: AtomicBool::new(false),
            canaries_down: AtomicBool::new(false),
            canaries_mute: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// Listens on loopback, until the test ends.
    pub async fn listen(self: &Arc<Self>) -> WirePorts {
        let gate = TcpListener::bind((GATE, 0)).await.unwrap();
        let gate_admin = gate.local_addr().unwrap().port();
        serve(
            gate,
            Router::new().route("/challenge", post(challenge)),
            self,
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
            serve(listener, routes, self);
        }
        let canary = nonce_port().await;
        WirePorts {
            gate_admin,
            canary,
            canary_control,
        }
    }
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

fn serve(listener: TcpListener, routes: Router<Arc<Peers>>, fakes: &Arc<Peers>) {
    let routes = routes.with_state(Arc::clone(fakes));
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

async fn challenge(
    Shared(fakes): Shared<Arc<Peers>>,
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
        locks: vec!["Kernel".to_owned()],
        runtime_ran: true,
        ..machine.report(now)
    }))
}

async fn control(
    Shared(fakes): Shared<Arc<Peers>>,
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

async fn seen(Shared(fakes): Shared<Arc<Peers>>) -> Result<Json<SeenReport>, StatusCode> {
    if fakes.canaries_mute.load(Ordering::SeqCst) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let mut all = fakes.seen.lock().unwrap();
    let seen = std::mem::take(&mut *all);
    let (v, canary_uid) = (VERSION, String::new());
    Ok(Json(SeenReport {
        v,
        canary_uid,
        next: 0,
        lost: false,
        seen,
    }))
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
