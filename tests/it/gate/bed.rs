//! A real gate process, an engine and a launch played by the test, and the operator's signed challenges.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sealroom::seal::session::Session;
use sealroom::seal::sign::SigningKey;
use sealroom::seal::wire::Report;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpSocket};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

mod client;
mod launch;
mod operator;

pub use client::{Answer, answer, get, post, posted, raw, request, streaming};
pub use launch::FakeLaunch;
pub use operator::target;

/// Longest wait for anything; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Files that a gate may have open when it starts: fewer than it may allow itself.
pub const FILES: u32 = 512;
pub const POD: &str = "0b9f3c1e-0000-4000-8000-000000000001";

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
