//! A real gate process, an engine and a launch played by the test, and the operator's signed challenges.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sealroom::seal::lease::{Runtime, Word};
use sealroom::seal::session::Session;
use sealroom::seal::sign::{CHALLENGE, SigningKey};
use sealroom::seal::wire::{
    Challenge, Closure, Control, Opening, Proto, Report, State, Target, TargetKind,
};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// Longest wait for anything; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Files that a gate may have open when it starts: fewer than it may allow itself.
pub const FILES: u32 = 512;
pub const POD: &str = "0b9f3c1e-0000-4000-8000-000000000001";

/// An answer over a raw connection.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub struct Gate {
    pub dir: TempDir,
    pub child: Child,
    pub api: SocketAddr,
    pub admin: SocketAddr,
    pub metrics: SocketAddr,
    pub audit: Lines<BufReader<ChildStdout>>,
    key: SigningKey,
    /// Of the gate that runs.
    session: Session,
    seq: u64,
    extra: Vec<String>,
    /// A port where nobody listens: a required target there is refused, so blocked beside a good control.
    pub shut: SocketAddr,
    /// Bound to it and not listening: nobody else takes the port meanwhile.
    shut_socket: TcpSocket,
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_sealroom")
}

pub fn target(name: &str, addr: SocketAddr, required: bool) -> Target {
    Target {
        name: name.to_owned(),
        required,
        kind: TargetKind::Canary,
        addr,
        proto: Proto::Tcp,
        control: if required {
            Control::Ok { rtt_micros: 100 }
        } else {
            Control::None
        },
    }
}

impl Gate {
    pub async fn start(extra: &[&str]) -> Self {
        Self::start_with(&[&["--model", "assistant"], extra].concat()).await
    }

    /// In front of whatever the flags name.
    pub async fn start_with(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::start_in(dir, key, flags).await
    }

    async fn start_in(dir: TempDir, key: SigningKey, extra: Vec<String>) -> Self {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -S -n {FILES}; exec \"$0\" \"$@\""))
            .arg(binary())
            .args(["gate", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--metrics", "127.0.0.1:0", "--pod-uid", POD])
            .args(["--probe-seconds", "1", "--verify-keys"])
            .arg(key.verifying_key().to_pem().unwrap())
            .arg("--lease-socket")
            .arg(dir.path().join("lease.sock"))
            .arg("--runtime-socket")
            .arg(dir.path().join("runtime.sock"))
            .args(&extra)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = |line: &serde_json::Value, name: &str| {
            line[name].as_str().and_then(|at| at.parse().ok()).unwrap()
        };
        let line = loop {
            let line = timeout(PATIENCE, log.next_line())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "listening, not proven" {
                break line;
            }
        };
        // The log is read on, or the gate would block on a full pipe.
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                eprintln!("gate: {line}");
            }
        });
        let audit = BufReader::new(child.stdout.take().unwrap()).lines();
        let admin = port(&line, "admin");
        let shut_socket = TcpSocket::new_v4().unwrap();
        shut_socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let report: Report = serde_json::from_str(&get(admin, "/sealz").await.body).unwrap();
        Self {
            api: port(&line, "api"),
            admin,
            session: report.session,
            metrics: port(&line, "metrics"),
            shut: shut_socket.local_addr().unwrap(),
            shut_socket,
            dir,
            child,
            audit,
            key,
            seq: 0,
            extra,
        }
    }

    /// SIGKILL, and a new gate in the same directories.
    pub async fn restart(mut self) -> Self {
        self.child.kill().await.unwrap();
        let (seq, shut, socket) = (self.seq, self.shut, self.shut_socket);
        let mut gate = Self::start_in(self.dir, self.key, self.extra).await;
        (gate.seq, gate.shut, gate.shut_socket) = (seq, shut, socket);
        gate
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Listens where nobody did.
    pub fn open_shut(&mut self) -> TcpListener {
        let socket = std::mem::replace(&mut self.shut_socket, TcpSocket::new_v4().unwrap());
        socket.listen(8).unwrap()
    }

    /// A challenge as the operator makes it when all is well.
    pub fn challenge(&mut self) -> Challenge {
        self.seq += 1;
        Challenge {
            v: 1,
            pod_uid: POD.to_owned(),
            nonce: sealroom::seal::check::new_nonce(),
            session: Some(self.session),
            seq: self.seq,
            validity_ms: 90_000,
            closure: Closure::Equal,
            open: None,
            targets: vec![target("canary/own-node/tcp4", self.shut, true)],
        }
    }

    pub async fn send(&self, challenge: &Challenge) -> Answer {
        self.post(&self.signed(challenge)).await
    }

    /// What the operator puts on the wire, to be recorded.
    pub fn signed(&self, challenge: &Challenge) -> String {
        let envelope = self.key.sign(CHALLENGE, challenge).unwrap();
        serde_json::to_string(&envelope).unwrap()
    }

    pub async fn post(&self, signed: &str) -> Answer {
        post(self.admin, "/challenge", signed, "").await
    }

    pub async fn round(&mut self) -> Report {
        let challenge = self.challenge();
        self.report_of(&challenge).await
    }

    pub async fn report_of(&self, challenge: &Challenge) -> Report {
        let answer = self.send(challenge).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Good rounds until the state is Proven.
    pub async fn prove(&mut self) {
        self.prove_for(90_000).await;
    }

    pub async fn prove_for(&mut self, validity_ms: u64) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let mut challenge = self.challenge();
            challenge.validity_ms = validity_ms;
            if self.report_of(&challenge).await.state == State::Proven {
                return;
            }
            sleep(Duration::from_millis(650)).await;
        }
        panic!("not proven: {:?}", self.sealz().await);
    }

    /// The operator knows that it is open.
    pub async fn order_open(&mut self, reason: &str) -> Report {
        let mut challenge = self.challenge();
        let detail = "a canary saw the nonce".to_owned();
        challenge.open = Some(Opening {
            reason: reason.to_owned(),
            detail,
        });
        self.report_of(&challenge).await
    }

    pub async fn sealz(&self) -> Report {
        serde_json::from_str(&get(self.admin, "/sealz").await.body).unwrap()
    }

    pub async fn admin_status(&self, path: &str) -> (u16, String) {
        let answer = get(self.admin, path).await;
        (answer.status, answer.body.trim().to_owned())
    }

    /// Waits until an admin route gives `status`.
    pub async fn until(&self, path: &str, status: u16) {
        let begun = Instant::now();
        loop {
            let (got, body) = self.admin_status(path).await;
            if got == status {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{path}: {got} {body}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it is not ready, which is to be within seconds.
    pub async fn not_ready_within_seconds(&self) {
        let begun = Instant::now();
        self.until("/readyz", 503).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(12), "{took:?}");
    }

    /// Waits until `/metrics` has this line.
    pub async fn until_metric(&self, line: &str) {
        let begun = Instant::now();
        loop {
            let text = get(self.metrics, "/metrics").await.body;
            if text.lines().any(|there| there == line) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{line} is not in\n{text}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn audit_line(&mut self) -> serde_json::Value {
        let line = timeout(PATIENCE, self.audit.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// A launch played by the test.
pub struct FakeLaunch {
    stream: BufReader<UnixStream>,
}

impl FakeLaunch {
    pub async fn connect(lease: &Path) -> Self {
        Self::connect_with(lease, &["Kernel"]).await
    }

    pub async fn connect_with(lease: &Path, locks: &[&str]) -> Self {
        let stream = UnixStream::connect(lease).await.unwrap();
        let mut launch = Self {
            stream: BufReader::new(stream),
        };
        launch
            .say(&Runtime::Hello {
                locks: locks.iter().map(|lock| (*lock).to_owned()).collect(),
            })
            .await;
        launch
    }

    /// A gate that has hung up already is noticed by [`FakeLaunch::word`].
    pub async fn say(&mut self, what: &Runtime) {
        let line = serde_json::to_string(what).unwrap() + "\n";
        let _ = self.stream.get_mut().write_all(line.as_bytes()).await;
    }

    /// The gate's next word; `None` when it hung up.
    pub async fn word(&mut self) -> Option<Word> {
        let mut line = String::new();
        match timeout(PATIENCE, self.stream.read_line(&mut line))
            .await
            .unwrap()
        {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    pub async fn wait_for(&mut self, word: Word) {
        let begun = Instant::now();
        loop {
            let got = self.word().await;
            if got.as_ref() == Some(&word) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{got:?}, not {word:?}");
        }
    }

    pub async fn run_engine(&mut self) {
        self.wait_for(Word::Granted).await;
        self.say(&Runtime::Starting).await;
        self.say(&Runtime::Running).await;
    }
}

pub async fn get(addr: SocketAddr, path: &str) -> Answer {
    raw(
        addr,
        &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
    )
    .await
}

pub async fn post(addr: SocketAddr, path: &str, body: &str, fields: &str) -> Answer {
    raw(addr, &request(path, body, fields)).await
}

/// A POST as text; `fields` are further header lines.
pub fn request(path: &str, body: &str, fields: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
    )
}

/// A connection on which a POST was sent.
pub async fn posted(addr: SocketAddr, path: &str, body: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    let text = request(path, body, "");
    client.write_all(text.as_bytes()).await.unwrap();
    client
}

/// Sends text and reads the answer to the end of the connection.
pub async fn raw(addr: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // The gate may answer and close before it has taken everything.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut all = Vec::new();
    let mut chunk = [0u8; 4096];
    while let Ok(Ok(count @ 1..)) = timeout(PATIENCE, stream.read(&mut chunk)).await {
        all.extend_from_slice(&chunk[..count]);
    }
    answer(&String::from_utf8_lossy(&all))
}

/// The answer that this text is.
pub fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
