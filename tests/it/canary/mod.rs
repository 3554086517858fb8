//! A canary with real sockets on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use sealroom::canary::{Canary, Config, KeySource};
use sealroom::seal::check::new_nonce;
use sealroom::seal::probe::Observation::{Answered, Connected};
use sealroom::seal::sign::{CONTROL, SigningKey, TrustedKeys};
use sealroom::seal::wire::{
    Control, ControlOrder, ControlReport, Envelope, Proto, SeenReport, Target, TargetKind,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

mod orders;
mod process;

const UID: &str = "1a7b1e6e-0d6c-4d1c-bb58-2d6a2f1f8c11";

/// A running canary that ends with the test.
struct Running {
    v4: SocketAddr,
    v6: SocketAddr,
    control: String,
    key: SigningKey,
    http: reqwest::Client,
    _stop: DropGuard,
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Running {
    async fn start() -> Self {
        let key = SigningKey::generate();
        let pem = key.verifying_key().to_pem().unwrap();
        let keys = KeySource::Fixed(TrustedKeys::from_pems(&[pem]).unwrap());
        Self::with(key, keys).await
    }

    async fn with(key: SigningKey, keys: KeySource) -> Self {
        let config = Config {
            listen: "[::]:0".parse().unwrap(),
            control: "[::]:0".parse().unwrap(),
            keys,
            pod_uid: UID.to_owned(),
        };
        // The port that TCP got by chance may be somebody's over UDP.
        let canary = (0..5)
            .find_map(|_| Canary::bind(config.clone()).ok())
            .unwrap();
        let port = canary.listen_addr().unwrap().port();
        let control = canary.control_addr().unwrap().port();
        let stop = CancellationToken::new();
        tokio::spawn(canary.run(stop.clone()));
        Self {
            v4: SocketAddr::from(([127, 0, 0, 1], port)),
            v6: SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)),
            control: format!("http://127.0.0.1:{control}"),
            key,
            http: http(),
            _stop: stop.drop_guard(),
        }
    }

    async fn seen(&self, since: u64) -> SeenReport {
        let url = format!("{}/seen?since={since}", self.control);
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn post(&self, envelope: &Envelope) -> reqwest::Response {
        let url = format!("{}/control", self.control);
        self.http.post(url).json(envelope).send().await.unwrap()
    }
}

fn target(kind: TargetKind, addr: SocketAddr, proto: Proto) -> Target {
    Target {
        name: "target".to_owned(),
        required: true,
        kind,
        addr,
        proto,
        control: Control::None,
    }
}

#[tokio::test]
async fn whoever_gets_through_is_answered_and_remembered() {
    let canary = Running::start().await;
    let nonce = new_nonce();
    let targets: Vec<Target> = [canary.v4, canary.v6]
        .into_iter()
        .flat_map(|addr| {
            [Proto::Tcp, Proto::Udp].map(|proto| target(TargetKind::Canary, addr, proto))
        })
        .collect();
    let observed = sealroom::seal::probe::probe(&targets, &nonce).await;
    assert_eq!(observed, vec![Answered; 4]);
    let report = canary.seen(0).await;
    assert_eq!(report.canary_uid, UID);
    let mut seen: Vec<(String, Proto)> = report
        .seen
        .iter()
        .inspect(|seen| assert_eq!(seen.nonce, nonce))
        .map(|seen| (seen.from.to_string(), seen.proto))
        .collect();
    seen.sort();
    let expected = [
        ("127.0.0.1", Proto::Tcp),
        ("127.0.0.1", Proto::Udp),
        ("::1", Proto::Tcp),
        ("::1", Proto::Udp),
    ]
    .map(|(from, proto)| (from.to_owned(), proto));
    assert_eq!(seen, expected);
    let later = canary.seen(report.next).await;
    assert_eq!((later.seen.len(), later.next), (0, report.next));
}

#[tokio::test]
async fn nonsense_is_neither_answered_nor_remembered() {
    let canary = Running::start().await;
    let mut stream = TcpStream::connect(canary.v4).await.unwrap();
    stream.write_all(&[b'a'; 128]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"\0\0", canary.v4).await.unwrap();
    let mut words = [0; 64];
    let heard = tokio::time::timeout(Duration::from_millis(300), socket.recv_from(&mut words));
    assert!(heard.await.is_err());
    assert_eq!(canary.seen(0).await.seen, []);
}

#[tokio::test]
async fn a_nonce_in_pieces_is_understood() {
    let canary = Running::start().await;
    let nonce = new_nonce();
    let mut stream = TcpStream::connect(canary.v6).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in ["sealroom-", "nonce ", &nonce, "\n"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, format!("seen {nonce}\n"));
}

/// More idle connections than there are places: the rest are closed at once, the places are free again after
/// two seconds, and neither UDP nor the operator notices.
#[tokio::test]
async fn idle_connections_do_not_deafen_it() {
    let canary = Running::start().await;
    // At the same time: where it takes two seconds, the first places are free again.
    let idle = (0..600).map(|_| TcpStream::connect(canary.v4));
    let mut idle = futures::future::try_join_all(idle).await.unwrap();
    let nonce = new_nonce();
    let ask = async |proto| {
        let target = target(TargetKind::Canary, canary.v4, proto);
        sealroom::seal::probe::probe(&[target], &nonce).await[0].clone()
    };
    assert_eq!(ask(Proto::Udp).await, Answered);
    assert_eq!(ask(Proto::Tcp).await, Connected);
    assert_eq!(canary.seen(0).await.seen.len(), 1);
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert_eq!(ask(Proto::Tcp).await, Answered);
    // Every idle connection was ended by the canary.
    for stream in &mut idle {
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn probes_of_kubernetes_are_answered() {
    let canary = Running::start().await;
    for path in ["livez", "readyz"] {
        let url = format!("{}/{path}", canary.control);
        assert_eq!(canary.http.get(url).send().await.unwrap().status(), 200);
    }
}
