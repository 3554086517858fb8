//! A registry over TLS whose every byte a test decides.

use std::io::{BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::sample;

/// The name in the certificate; no resolver knows it.
pub const NAME: &str = "registry.test";
const REPOSITORY: &str = "models/m";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub authorization: Option<String>,
    /// First and last byte of a closed range.
    pub range: Option<(u64, u64)>,
    /// 0 for the first request of this server that is for a blob.
    pub nth_blob: usize,
}

impl Request {
    pub fn is_blob(&self) -> bool {
        self.path.contains("/blobs/")
    }
}

/// What follows the head.
pub enum Body {
    Whole(Vec<u8>),
    /// These bytes, then the connection ends without the TLS goodbye.
    Cut(Vec<u8>),
    /// These bytes, then silence.
    Stall(Vec<u8>),
    /// These bytes again and again.
    Endless(Vec<u8>),
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: vec![("content-length", "0".to_owned())],
            body: Body::Whole(vec![]),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub fn body(mut self, change: impl FnOnce(Vec<u8>) -> Body) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = change(bytes);
        }
        self
    }
}

/// What the registry holds.
#[derive(Clone)]
pub struct Content {
    pub manifest: Vec<u8>,
    pub blob: Vec<u8>,
}

impl Content {
    pub fn model() -> Self {
        Self::of(sample::gguf())
    }

    pub fn of(blob: Vec<u8>) -> Self {
        let manifest = sample::manifest(&sample::digest(&blob), blob.len() as u64, "m.gguf");
        Self { manifest, blob }
    }

    /// What a registry that follows the distribution spec answers.
    pub fn honest(&self, request: &Request) -> Reply {
        let bytes = if request.path.contains("/manifests/") {
            if !request.path.ends_with(&sample::digest(&self.manifest)) {
                return Reply::status(404);
            }
            &self.manifest
        } else if request.is_blob() && request.path.starts_with("/v2/models/m/blobs/sha256:") {
            &self.blob
        } else {
            return Reply::status(404);
        };
        let whole = Reply {
            status: 200,
            headers: vec![],
            body: Body::Whole(bytes.clone()),
        };
        let Some((first, last)) = request.range else {
            return whole.with("content-length", bytes.len().to_string());
        };
        let size = bytes.len() as u64;
        if first >= size {
            return Reply::status(416);
        }
        let last = last.min(size - 1);
        let part = bytes[usize::try_from(first).unwrap()..=usize::try_from(last).unwrap()].to_vec();
        Reply {
            status: 206,
            ..whole
        }
        .with("content-length", part.len().to_string())
        .with("content-range", format!("bytes {first}-{last}/{size}"))
        .body(|_| Body::Whole(part))
    }
}

pub struct Server {
    pub address: SocketAddr,
    /// PEM of the CA that signed its certificate.
    pub ca: String,
    manifest: String,
    log: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

fn identity() -> (String, ServerConfig) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let names = vec![NAME.to_owned(), "other.test".to_owned()];
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&leaf_key, &issuer)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (ca, config)
}

impl Server {
    /// Serves `content` as `answer` decides; gone with the process.
    pub fn start(
        content: Content,
        answer: impl Fn(&Content, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (ca, tls) = identity();
        let server = Self {
            address: listener.local_addr().unwrap(),
            ca,
            manifest: sample::digest(&content.manifest),
            log: Arc::default(),
            sent: Arc::default(),
            connections: Arc::default(),
        };
        let (log, sent, connections) = (
            server.log.clone(),
            server.sent.clone(),
            server.connections.clone(),
        );
        let (tls, answer) = (
            Arc::new(tls),
            Arc::new(move |request: &Request| answer(&content, request)),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, sent, tls, answer) =
                    (log.clone(), sent.clone(), tls.clone(), answer.clone());
                connections.fetch_add(1, Ordering::SeqCst);
                // A peer that hangs up ends its thread, nothing else.
                std::thread::spawn(move || stream.map(|s| serve(s, tls, &log, &sent, &*answer)));
            }
        });
        server
    }

    pub fn honest(content: Content) -> Self {
        Self::start(content, Content::honest)
    }

    pub fn authority(&self) -> String {
        format!("{NAME}:{}", self.address.port())
    }

    pub fn reference(&self) -> String {
        format!("{}/{REPOSITORY}@{}", self.authority(), self.manifest)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    pub fn blob_requests(&self) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(Request::is_blob)
            .collect()
    }

    /// Bytes of blobs that were written to connections.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

fn read_request(reader: &mut BufReader<Tls>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut request = Request {
        path,
        authorization: None,
        range: None,
        nth_blob: 0,
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return Some(request);
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "range" => {
                let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                // An open range fails here: the client must close its ranges.
                request.range = Some((first.parse().ok()?, last.parse().ok()?));
            }
            _ => {}
        }
    }
}

fn serve(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    log: &Mutex<Vec<Request>>,
    sent: &AtomicU64,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) -> Option<()> {
    let tls = StreamOwned::new(ServerConnection::new(tls).ok()?, stream);
    let mut reader = BufReader::new(tls);
    loop {
        let mut request = read_request(&mut reader)?;
        {
            let mut log = log.lock().unwrap();
            request.nth_blob = log.iter().filter(|known| known.is_blob()).count();
            log.push(request.clone());
        }
        let reply = answer(&request);
        let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let out = reader.get_mut();
        out.write_all(head.as_bytes()).ok()?;
        let mut send = |bytes: &[u8]| -> Option<()> {
            for part in bytes.chunks(16 << 10) {
                out.write_all(part).ok()?;
                if request.is_blob() {
                    sent.fetch_add(part.len() as u64, Ordering::SeqCst);
                }
            }
            out.flush().ok()
        };
        match reply.body {
            Body::Whole(bytes) => send(&bytes)?,
            Body::Cut(bytes) => return send(&bytes),
            Body::Stall(bytes) => {
                send(&bytes)?;
                std::thread::sleep(Duration::from_secs(60));
            }
            Body::Endless(bytes) => loop {
                send(&bytes)?;
            },
        }
    }
}
