//! Control orders: who may give them, and what they bring.

use sealroom::seal::verdict::{MAX_WAIT, required_wait};

use super::*;
use crate::ports::free_port;

fn order(seq: u64, gates: Vec<SocketAddr>, targets: Vec<Target>) -> ControlOrder {
    ControlOrder {
        v: 1,
        seq,
        canary_uid: UID.to_owned(),
        gates,
        targets,
    }
}

#[tokio::test]
async fn an_order_is_dialled_and_answered_in_its_order() {
    let canary = Running::start().await;
    let gate = TcpListener::bind("[::1]:0").await.unwrap();
    let gate_addr = gate.local_addr().unwrap();
    // A listener that accepts and never speaks: good enough for an API server, not for a canary.
    let dumb = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dumb_addr = dumb.local_addr().unwrap();
    let dns = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dns_addr = dns.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        let (length, from) = dns.recv_from(&mut question).await.unwrap();
        dns.send_to(&question[..length], from).await.unwrap();
    });
    let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mute_addr = mute.local_addr().unwrap();
    let gates = vec![free_port(), gate_addr];
    let targets = vec![
        target(TargetKind::Dial, dumb_addr, Proto::Tcp),
        target(TargetKind::Canary, dumb_addr, Proto::Tcp),
        target(TargetKind::Canary, canary.v4, Proto::Tcp),
        target(TargetKind::Canary, canary.v6, Proto::Udp),
        target(TargetKind::Dns, dns_addr, Proto::Udp),
        target(TargetKind::Dns, mute_addr, Proto::Udp),
    ];
    let order = order(1, gates.clone(), targets);
    let answer = canary
        .post(&canary.key.sign(CONTROL, &order).unwrap())
        .await;
    assert_eq!(answer.status(), 200);
    let report: ControlReport = answer.json().await.unwrap();
    assert_eq!(report.canary_uid, UID);
    let asked: Vec<SocketAddr> = report.gates.iter().map(|dialled| dialled.addr).collect();
    assert_eq!(asked, gates);
    let reached = |dialled: &[sealroom::seal::wire::Dialled]| -> Vec<bool> {
        dialled
            .iter()
            .map(|dialled| dialled.rtt_micros.is_some_and(|rtt| rtt >= 1))
            .collect()
    };
    assert_eq!(reached(&report.gates), [false, true]);
    assert_eq!(
        reached(&report.targets),
        [true, false, true, true, true, false]
    );
}

/// Hears three datagrams, as many as one dial sends, and answers those that come after.
async fn busy() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut heard = [0; 512];
        for count in 0.. {
            let (length, from) = socket.recv_from(&mut heard).await.unwrap();
            if count >= 3 {
                socket.send_to(&heard[..length], from).await.unwrap();
            }
        }
    });
    addr
}

#[tokio::test]
async fn who_must_say_something_is_asked_twice_and_all_of_that_time_counts() {
    let canary = Running::start().await;
    let kinds = [TargetKind::Canary, TargetKind::Dns, TargetKind::Dial];
    let mut targets = Vec::new();
    for kind in kinds {
        targets.push(target(kind, busy().await, Proto::Udp));
    }
    let order = order(1, vec![], targets);
    let answer = canary
        .post(&canary.key.sign(CONTROL, &order).unwrap())
        .await;
    let report: ControlReport = answer.json().await.unwrap();
    let took: Vec<Option<u32>> = (report.targets.iter())
        .map(|dialled| dialled.rtt_micros)
        .collect();
    assert_eq!(took[2], None, "it is dialled once");
    for rtt_micros in &took[..2] {
        let rtt_micros = rtt_micros.expect("an answer to the second dial");
        // It was mute for a second, so gates wait for its silence as long as for any.
        let wait = required_wait(Control::Ok { rtt_micros });
        assert!(rtt_micros >= 1_000_000, "{rtt_micros}");
        assert_eq!(wait, MAX_WAIT);
    }
}

#[tokio::test]
async fn many_gates_are_dialled_at_once() {
    let canary = Running::start().await;
    // Hears and never answers: each of its dials takes the whole second.
    let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mute_addr = mute.local_addr().unwrap();
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gates = vec![gate.local_addr().unwrap(); 512];
    tokio::spawn(async move { while gate.accept().await.is_ok() {} });
    let targets = vec![target(TargetKind::Dial, mute_addr, Proto::Udp); 32];
    let order = order(1, gates, targets);
    let begun = std::time::Instant::now();
    let answer = canary
        .post(&canary.key.sign(CONTROL, &order).unwrap())
        .await;
    let report: ControlReport = answer.json().await.unwrap();
    assert!(report.gates.iter().all(|gate| gate.rtt_micros.is_some()));
    assert!(report.targets.iter().all(|gate| gate.rtt_micros.is_none()));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "one after the other"
    );
}

#[tokio::test]
async fn only_the_operator_is_obeyed_and_only_once() {
    let canary = Running::start().await;
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = order(7, vec![gate.local_addr().unwrap()], vec![]);
    let sign = |order: &ControlOrder| canary.key.sign(CONTROL, order).unwrap();

    let forged = SigningKey::generate().sign(CONTROL, &first).unwrap();
    assert_eq!(canary.post(&forged).await.status(), 401);
    let elsewhere = ControlOrder {
        canary_uid: "another".to_owned(),
        ..first.clone()
    };
    assert_eq!(canary.post(&sign(&elsewhere)).await.status(), 403);
    let version = ControlOrder {
        v: 2,
        ..first.clone()
    };
    assert_eq!(canary.post(&sign(&version)).await.status(), 400);
    let no_accept = tokio::time::timeout(Duration::from_millis(200), gate.accept());
    assert!(no_accept.await.is_err(), "a refused order dials nobody");

    assert_eq!(canary.post(&sign(&first)).await.status(), 200);
    let replayed = canary.post(&sign(&first)).await;
    assert_eq!(replayed.status(), 409);
    let body: serde_json::Value = replayed.json().await.unwrap();
    assert_eq!(body["last"], 7);
    let next = ControlOrder { seq: 8, ..first };
    assert_eq!(canary.post(&sign(&next)).await.status(), 200);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let canary = Running::start().await;
    let url = format!("{}/control", canary.control);
    let body = format!("{{\"payload\":\"{}\"}}", "a".repeat(200 * 1024));
    let answer = canary
        .http
        .post(&url)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
}

/// The keys' volume is optional: until they come nothing is obeyed, and nothing is restarted when they do.
#[tokio::test]
async fn keys_may_come_later_and_change() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key.pub.pem");
    let key = SigningKey::generate();
    let canary = Running::with(key, KeySource::Files(vec![file.clone()])).await;
    let sign = |key: &SigningKey, seq| key.sign(CONTROL, &order(seq, vec![], vec![])).unwrap();
    assert_eq!(canary.post(&sign(&canary.key, 1)).await.status(), 503);
    std::fs::write(&file, canary.key.verifying_key().to_pem().unwrap()).unwrap();
    assert_eq!(canary.post(&sign(&canary.key, 2)).await.status(), 200);
    let next = SigningKey::generate();
    std::fs::write(&file, next.verifying_key().to_pem().unwrap()).unwrap();
    assert_eq!(canary.post(&sign(&canary.key, 3)).await.status(), 401);
    assert_eq!(canary.post(&sign(&next, 3)).await.status(), 200);
}
