//! The seal as clients, kubelet, operator and launch see it.

use std::time::{Duration, Instant};

use sealroom::seal::lease::{Runtime, Word};
use sealroom::seal::sign::{CHALLENGE, SigningKey};
use sealroom::seal::wire::{ChallengeConflict, Closure, Control, Opening, State, Verdict};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::bed::{FakeLaunch, Gate, PATIENCE, get, post, posted, raw, request, target};
use super::engine::{Chunk, Engine, chunk};

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"assistant","messages":[],"stream":true}"#;

/// A proven gate with an engine that has answered its first completion.
pub async fn serving(extra: &[&str]) -> (Gate, Engine, FakeLaunch) {
    serving_for(extra, 90_000).await
}

async fn serving_for(extra: &[&str], validity_ms: u64) -> (Gate, Engine, FakeLaunch) {
    let mut gate = Gate::start(extra).await;
    let engine = Engine::start(&gate.path("runtime.sock"));
    let mut launch = FakeLaunch::connect(&gate.path("lease.sock")).await;
    gate.prove_for(validity_ms).await;
    launch.run_engine().await;
    let begun = Instant::now();
    loop {
        let (_, why) = gate.admin_status("/readyz").await;
        if !why.contains("NotReady") {
            return (gate, engine, launch);
        }
        assert!(begun.elapsed() < PATIENCE, "{why}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A client in the middle of a stream: one chunk has come, more will.
async fn streaming(gate: &Gate, engine: &Engine) -> (TcpStream, tokio::sync::mpsc::Sender<Chunk>) {
    let chunks = engine.stream();
    let mut client = posted(gate.api, CHAT, BODY).await;
    chunks.send(chunk("data: one\n\n")).await.unwrap();
    until(&mut client, "data: one").await;
    (client, chunks)
}

async fn until(client: &mut TcpStream, what: &str) {
    let mut text = String::new();
    let mut some = [0u8; 1024];
    while !text.contains(what) {
        let count = timeout(PATIENCE, client.read(&mut some))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(count, 0, "ended before {what}: {text}");
        text.push_str(&String::from_utf8_lossy(&some[..count]));
    }
}

/// The connection is reset, not ended as if the answer were complete.
async fn assert_reset(mut client: TcpStream) {
    let mut rest = Vec::new();
    let end = timeout(PATIENCE, client.read_to_end(&mut rest))
        .await
        .unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"));
}

#[tokio::test]
async fn an_unproven_gate_refuses_every_request() {
    let mut gate = Gate::start(&[]).await;
    let engine = Engine::start(&gate.path("runtime.sock"));
    let mut launch = FakeLaunch::connect(&gate.path("lease.sock")).await;
    // Four good rounds prove nothing yet.
    for _ in 0..4 {
        assert_eq!(gate.round().await.state, State::Unproven);
    }
    let requests = [
        request(CHAT, BODY, ""),
        request("/v1/completions", BODY, ""),
        request("/v1/embeddings", BODY, ""),
        request("/nowhere", BODY, ""),
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /health HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET http://elsewhere/ HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
    ];
    for text in requests {
        let answer = raw(gate.api, &text).await;
        assert_eq!(answer.status, 503, "{text}");
        assert!(answer.body.contains(r#""code":"NotProven""#), "{answer:?}");
        assert!(answer.head.contains("retry-after: "), "{answer:?}");
    }
    assert_eq!(gate.admin_status("/startupz").await.0, 503);
    assert_eq!(
        gate.admin_status("/readyz").await,
        (503, "NotProven".to_owned())
    );
    assert_eq!(gate.admin_status("/livez").await.0, 200);
    assert_eq!(gate.admin_status("/runtimez").await.0, 200);
    for _ in 0..3 {
        assert_eq!(launch.word().await, Some(Word::Held));
    }
    assert!(engine.requests().is_empty());
    assert!(!gate.sealz().await.sealed);
}

#[tokio::test]
async fn five_good_rounds_over_three_seconds_prove() {
    let mut gate = Gate::start(&[]).await;
    let engine = Engine::start(&gate.path("runtime.sock"));
    *engine.0.loaded.lock().unwrap() = false;
    let mut launch = FakeLaunch::connect(&gate.path("lease.sock")).await;
    let begun = Instant::now();
    gate.prove().await;
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(gate.admin_status("/startupz").await.0, 200);
    assert!(!gate.sealz().await.runtime_ran);
    launch.run_engine().await;

    // Loading: alive, and not ready.
    sleep(Duration::from_millis(600)).await;
    assert_eq!(gate.admin_status("/readyz").await.0, 503);
    let loading = post(gate.api, CHAT, BODY, "").await;
    assert_eq!(loading.status, 503);
    assert!(loading.body.contains("NotReady"), "{loading:?}");
    *engine.0.loaded.lock().unwrap() = true;
    gate.until("/readyz", 200).await;
    let answer = post(gate.api, CHAT, BODY, "").await;
    assert_eq!(
        (answer.status, answer.body.contains("Paris")),
        (200, true),
        "{answer:?}"
    );

    let report = gate.sealz().await;
    assert_eq!(
        (report.state, report.sealed, report.closure.as_str()),
        (State::Proven, true, "equal")
    );
    assert_eq!(report.locks, ["Kernel", "NetworkPolicy"]);
    assert!(report.runtime_ran);
    assert_eq!(report.targets[0].verdict, Verdict::Blocked);
    assert!(!report.checked_at.is_empty());
    drop(launch);
    let begun = Instant::now();
    while gate.sealz().await.locks.contains(&"Kernel".to_owned()) {
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn a_restarted_gate_is_unproven() {
    let (gate, _engine, mut launch) = serving(&[]).await;
    let gate = gate.restart().await;
    assert_eq!(gate.sealz().await.state, State::Unproven);
    assert_eq!(post(gate.api, CHAT, BODY, "").await.status, 503);
    while launch.word().await.is_some() {}
    // The stale socket file does not stop the new gate.
    let mut launch = FakeLaunch::connect(&gate.path("lease.sock")).await;
    assert_eq!(launch.word().await, Some(Word::Held));
}

/// Everything that an earlier run was sent is recorded, and comes again as it was.
#[tokio::test]
async fn a_restarted_gate_obeys_no_recorded_challenge() {
    let mut gate = Gate::start(&[]).await;
    let mut recorded = Vec::new();
    while gate.sealz().await.state != State::Proven {
        let sound = gate.challenge();
        let sound = gate.signed(&sound);
        assert_eq!(gate.post(&sound).await.status, 200);
        recorded.push(sound);
        sleep(Duration::from_millis(650)).await;
    }
    let mut order = gate.challenge();
    order.open = Some(Opening {
        reason: "EgressOpen".to_owned(),
        detail: "a canary saw the nonce".to_owned(),
    });
    recorded.push(gate.signed(&order));
    let earlier = gate.sealz().await.session;

    let mut gate = gate.restart().await;
    let fresh = gate.sealz().await;
    assert_ne!(fresh.session, earlier);
    for signed in &recorded {
        let answer = gate.post(signed).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        let conflict: ChallengeConflict = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((conflict.session, conflict.last), (fresh.session, 0));
        sleep(Duration::from_millis(650)).await;
    }
    assert_eq!(gate.sealz().await, fresh, "nothing has changed");

    let mut unknown = gate.challenge();
    unknown.session = None;
    assert_eq!(gate.send(&unknown).await.status, 409);
    assert_eq!(gate.round().await.state, State::Unproven);
    gate.prove().await;
}

#[tokio::test]
async fn only_a_fresh_order_of_the_operator_counts() {
    let mut gate = Gate::start(&[]).await;
    let challenge = gate.challenge();
    let forged = SigningKey::generate().sign(CHALLENGE, &challenge).unwrap();
    let forged = serde_json::to_string(&forged).unwrap();
    assert_eq!(
        post(gate.admin, "/challenge", &forged, "").await.status,
        403
    );
    assert_eq!(post(gate.admin, "/challenge", "{}", "").await.status, 400);
    let large = "x".repeat(65_537);
    assert_eq!(post(gate.admin, "/challenge", &large, "").await.status, 413);
    assert_eq!(get(gate.admin, "/challenge").await.status, 404);

    let mut other = challenge.clone();
    other.pod_uid = "another".to_owned();
    assert_eq!(gate.send(&other).await.status, 403);
    assert_eq!(gate.send(&challenge).await.status, 200);
    let replay = gate.send(&challenge).await;
    assert_eq!(replay.status, 409, "{replay:?}");
    let conflict: ChallengeConflict = serde_json::from_str(&replay.body).unwrap();
    assert_eq!(Some(conflict.session), challenge.session);
    assert_eq!(conflict.last, challenge.seq);
    let mut again = gate.challenge();
    again.nonce.clone_from(&challenge.nonce);
    assert_eq!(gate.send(&again).await.status, 409, "a nonce twice");
    let mut two_versions = gate.challenge();
    two_versions.v = 2;
    assert_eq!(gate.send(&two_versions).await.status, 400);
}

#[tokio::test]
async fn a_required_target_without_its_control_proves_nothing() {
    let mut gate = Gate::start(&[]).await;
    for _ in 0..6 {
        let mut challenge = gate.challenge();
        challenge.targets[0].control = Control::Failed;
        let report = gate.report_of(&challenge).await;
        assert_eq!(
            (report.state, report.targets[0].verdict),
            (State::Unproven, Verdict::Unknown)
        );
        sleep(Duration::from_millis(650)).await;
    }
}

#[tokio::test]
async fn a_reached_target_opens_and_cuts_every_stream() {
    let (mut gate, engine, mut launch) = serving(&[]).await;
    let (first, _chunks) = streaming(&gate, &engine).await;
    let (second, _more) = streaming(&gate, &engine).await;
    let idle = TcpStream::connect(gate.api).await.unwrap();
    let reachable = TcpListener::bind("127.0.0.1:0").await.unwrap();

    let mut challenge = gate.challenge();
    let hole = target("tripwire/metadata", reachable.local_addr().unwrap(), false);
    challenge.targets.push(hole);
    let report = gate.report_of(&challenge).await;
    assert_eq!((report.state, report.sealed), (State::Open, false));
    assert_eq!(
        report
            .opening
            .as_ref()
            .map(|opening| opening.reason.as_str()),
        Some("NotEnforced")
    );
    assert!(!report.locks.contains(&"NetworkPolicy".to_owned()));
    for client in [first, second, idle] {
        assert_reset(client).await;
    }
    launch.wait_for(Word::Revoked).await;
    let answer = post(gate.api, CHAT, BODY, "").await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains(r#""code":"NotEnforced""#),
        "{answer:?}"
    );
    assert_eq!(
        gate.admin_status("/readyz").await,
        (503, "NotEnforced".to_owned())
    );
    let lines = [
        gate.audit_line().await,
        gate.audit_line().await,
        gate.audit_line().await,
    ];
    let mut outcomes = lines.map(|line| line["outcome"].as_str().unwrap().to_owned());
    // Streams end side by side with what comes after them.
    outcomes.sort();
    assert_eq!(outcomes, ["refused", "reset", "reset"]);

    // The hole is gone: it takes a whole new proof, and then it serves again by itself.
    assert_eq!(gate.round().await.state, State::Open);
    drop(reachable);
    gate.prove().await;
    launch.wait_for(Word::Granted).await;
}

#[tokio::test]
async fn an_ordered_opening_is_obeyed_at_once() {
    let (mut gate, engine, mut launch) = serving(&[]).await;
    let (client, chunks) = streaming(&gate, &engine).await;
    let report = gate.order_open("EgressOpen").await;
    assert_eq!(report.opening.unwrap().reason, "EgressOpen");
    assert_reset(client).await;
    timeout(PATIENCE, chunks.closed()).await.unwrap();
    launch.wait_for(Word::Revoked).await;
}

#[tokio::test]
async fn a_widened_policy_opens_though_nothing_is_reached() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let (client, _chunks) = streaming(&gate, &engine).await;
    let mut challenge = gate.challenge();
    challenge.closure = Closure::Widened {
        detail: "allow-dns: UDP 53".to_owned(),
    };
    let opening = gate.report_of(&challenge).await.opening.unwrap();
    assert_eq!(
        (opening.reason.as_str(), opening.detail.as_str()),
        ("PolicyWidens", "allow-dns: UDP 53")
    );
    assert_reset(client).await;
}

#[tokio::test]
async fn the_gate_finds_a_hole_by_itself() {
    let (mut gate, engine, mut launch) = serving(&[]).await;
    let (client, _chunks) = streaming(&gate, &engine).await;
    // No challenge from here on.
    let _reachable = gate.open_shut();
    assert_reset(client).await;
    launch.wait_for(Word::Revoked).await;
    assert_eq!(gate.sealz().await.state, State::Open);
}

#[tokio::test]
async fn a_stale_proof_goes_on_serving_under_serve() {
    let (gate, engine, mut launch) = serving_for(&["--when-stale", "Serve"], 6_000).await;
    let (mut client, chunks) = streaming(&gate, &engine).await;
    let begun = Instant::now();
    while gate.sealz().await.state != State::Stale {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(gate.admin_status("/readyz").await.0, 200);
    assert_eq!(
        gate.admin_status("/startupz").await.0,
        503,
        "no new pod starts on old evidence"
    );
    assert!(gate.sealz().await.sealed);
    chunks.send(chunk("data: two\n\n")).await.unwrap();
    until(&mut client, "data: two").await;
    assert_eq!(post(gate.api, CHAT, BODY, "").await.status, 200);
    // A restart of the runtime is allowed.
    launch.say(&Runtime::Ended { code: 1 }).await;
    launch.wait_for(Word::Granted).await;
}

#[tokio::test]
async fn a_stale_proof_shuts_under_refuse_after_the_grace() {
    let flags = ["--when-stale", "Refuse", "--grace-seconds", "1"];
    let (mut gate, engine, mut launch) = serving_for(&flags, 6_000).await;
    let (client, _chunks) = streaming(&gate, &engine).await;
    assert_reset(client).await;
    let report = gate.sealz().await;
    assert_eq!((report.state, report.sealed), (State::Stale, false));
    launch.wait_for(Word::Revoked).await;
    let answer = post(gate.api, CHAT, BODY, "").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("EvidenceStale"), "{answer:?}");
    // One good round is enough for a pod that was proven.
    assert_eq!(gate.round().await.state, State::Proven);
    launch.wait_for(Word::Granted).await;
    assert_eq!(post(gate.api, CHAT, BODY, "").await.status, 200);
}

#[tokio::test]
async fn an_engine_cannot_take_the_lease_from_launch() {
    let (gate, _engine, mut launch) = serving(&[]).await;
    let mut second = FakeLaunch::connect(&gate.path("lease.sock")).await;
    assert_eq!(second.word().await, None);
    launch.wait_for(Word::Granted).await;
    assert_eq!(gate.admin_status("/readyz").await.0, 200);
}
