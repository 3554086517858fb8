//! TLS on the API port, with a private CA.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::bed::{Gate, PATIENCE, get, raw, request};
use super::engine::{ANSWER, chunk};
use super::http2::{Client, text};
use super::seal::serving;

const NAME: &str = "assistant.team-a.svc";
const BODY: &str = r#"{"prompt":"x"}"#;

/// The CA of the closed network.
pub struct Ca {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { root, issuer }
    }

    /// Lays a new certificate with its key down as the kubelet does; gives the certificate.
    pub fn lay(&self, dir: &Path) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        lay(dir, &leaf.pem(), &key.serialize_pem());
        leaf.der().clone()
    }

    pub async fn connect(
        &self,
        gate: &Gate,
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(gate.api).await?;
        let name = ServerName::try_from(NAME).unwrap();
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
        timeout(PATIENCE, shaken).await.unwrap()
    }

    /// The certificate that a new connection is shown.
    async fn shown(&self, gate: &Gate) -> CertificateDer<'static> {
        let stream = self.connect(gate, &[]).await.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].clone().into_owned()
    }
}

/// A new version of the Secret.
fn lay(dir: &Path, chain: &str, key: &str) {
    std::fs::create_dir_all(dir).unwrap();
    let version = tempfile::Builder::new()
        .prefix("..v")
        .tempdir_in(dir)
        .unwrap()
        .keep();
    std::fs::write(version.join("tls.crt"), chain).unwrap();
    std::fs::write(version.join("tls.key"), key).unwrap();
    let link = dir.join("..data_tmp");
    std::os::unix::fs::symlink(version.file_name().unwrap(), &link).unwrap();
    std::fs::rename(link, dir.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let _ = std::os::unix::fs::symlink(Path::new("..data").join(name), dir.join(name));
    }
}

fn flags(dir: &TempDir) -> [&str; 2] {
    ["--tls-dir", dir.path().to_str().unwrap()]
}

async fn refused(gate: &Gate) -> bool {
    let text = get(gate.metrics, "/metrics").await.body;
    text.lines()
        .any(|line| line == "sealroom_gate_tls_secret_refused 1")
}

#[tokio::test]
async fn a_client_that_trusts_the_ca_is_served() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    ca.lay(dir.path());
    let (gate, _engine, _launch) = serving(&flags(&dir)).await;
    let stream = ca.connect(&gate, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let answer = Client::over(stream).await.post(BODY).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(text(answer).await, ANSWER);

    let mut stream = ca.connect(&gate, &[b"http/1.1"]).await.unwrap();
    let text = request("/v1/completions", BODY, "");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let error = Ca::new().connect(&gate, &[]).await.unwrap_err();
    assert!(
        error.to_string().contains("invalid peer certificate"),
        "{error}"
    );
    let error = ca.connect(&gate, &[b"spdy/3"]).await.unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
    // The other ports stay as they are: the kubelet and the operator know no CA.
    assert_eq!(gate.admin_status("/livez").await.0, 200);
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let first = ca.lay(dir.path());
    let (gate, engine, _launch) = serving(&flags(&dir)).await;
    assert_eq!(ca.shown(&gate).await, first);
    // A stream over the old certificate goes on.
    let chunks = engine.stream();
    let stream = ca.connect(&gate, &[b"h2"]).await.unwrap();
    let mut client = Client::over(stream).await;
    let answer = client.post(BODY).await.unwrap();

    let second = ca.lay(dir.path());
    let begun = std::time::Instant::now();
    while ca.shown(&gate).await != second {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!refused(&gate).await);
    let key = KeyPair::generate().unwrap().serialize_pem();
    let chain = std::fs::read_to_string(dir.path().join("tls.crt")).unwrap();
    lay(dir.path(), &chain, &key);
    while !refused(&gate).await {
        assert!(begun.elapsed() < 2 * PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ca.shown(&gate).await, second);
    assert_eq!(gate.admin_status("/readyz").await.0, 200);
    assert!(!gate.sealz().await.certificate_missing);

    chunks.send(chunk("data: last\n\n")).await.unwrap();
    drop(chunks);
    assert_eq!(text(answer).await, "data: last\n\n");
}

#[tokio::test]
async fn without_a_certificate_nobody_is_served() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let (gate, engine, _launch) = serving(&flags(&dir)).await;
    let (status, why) = gate.admin_status("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        why.starts_with("SecretMissing: no TLS certificate"),
        "{why}"
    );
    assert!(
        gate.sealz().await.certificate_missing,
        "the operator is told"
    );
    assert!(ca.connect(&gate, &[]).await.is_err());
    assert_eq!(
        raw(gate.api, &request("/v1/completions", BODY, ""))
            .await
            .status,
        0
    );
    assert!(engine.requests().is_empty());
    ca.lay(dir.path());
    gate.until("/readyz", 200).await;
    assert!(!gate.sealz().await.certificate_missing);
    assert!(ca.connect(&gate, &[]).await.is_ok());
}

#[tokio::test]
async fn what_is_no_handshake_gets_no_answer() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    ca.lay(dir.path());
    let (gate, engine, _launch) = serving(&flags(&dir)).await;
    let answer = raw(gate.api, &request("/v1/completions", BODY, "")).await;
    assert!(
        answer.status == 0 && !answer.head.contains("http"),
        "{answer:?}"
    );
    let answer = raw(gate.api, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.head.len() < 16, "{answer:?}");
    assert!(engine.requests().is_empty());
    // A handshake that stops in its middle, and one that never begins.
    let mut slow = TcpStream::connect(gate.api).await.unwrap();
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut silent = TcpStream::connect(gate.api).await.unwrap();
    for client in [&mut slow, &mut silent] {
        let ended = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "held");
    }
}

#[tokio::test]
async fn an_opening_cuts_tls_connections() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    ca.lay(dir.path());
    let (mut gate, engine, _launch) = serving(&flags(&dir)).await;
    let chunks = engine.stream();
    let stream = ca.connect(&gate, &[b"h2"]).await.unwrap();
    let mut client = Client::over(stream).await;
    let answer = client.post(BODY).await.unwrap();
    let mut idle = ca.connect(&gate, &[b"http/1.1"]).await.unwrap();
    let mut shaking = TcpStream::connect(gate.api).await.unwrap();
    shaking.write_all(&[22, 3, 1]).await.unwrap();
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    sleep(Duration::from_millis(200)).await;

    gate.order_open("EgressOpen").await;
    let read = http_body_util::BodyExt::collect(answer.into_body());
    assert!(timeout(PATIENCE, read).await.unwrap().is_err(), "reset");
    timeout(PATIENCE, chunks.closed()).await.unwrap();
    for client in [
        &mut idle as &mut (dyn tokio::io::AsyncRead + Unpin + Send),
        &mut shaking,
    ] {
        let end = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await;
        assert!(end.unwrap().is_err(), "reset");
    }
    // What comes now is refused: the handshake is done, the model is shut.
    let stream = ca.connect(&gate, &[b"h2"]).await.unwrap();
    let answer = Client::over(stream).await.post(BODY).await.unwrap();
    assert_eq!(answer.status(), 503);
}
