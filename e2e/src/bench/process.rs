//! A real gate process, proven as in a cluster: the bench plays its operator, and the launch of an engine.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sealroom::launch::lines::say;
use sealroom::seal::lease::{Runtime, Word};
use sealroom::seal::session::Session;
use sealroom::seal::sign::{CHALLENGE, SigningKey};
use sealroom::seal::state::MAX_VALIDITY;
use sealroom::seal::wire::{
    Challenge, Closure, Control, Proto, Report, State, Target, TargetKind, VERSION,
};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines};
use tokio::net::{TcpSocket, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// What every request carries as its bearer token.
pub const KEY: &str = "a-key-of-the-bench";
/// More than the requests that are sent at once, so that none waits.
const CONCURRENT: &str = "1024";
const POD: &str = "0b9f3c1e-0000-4000-8000-000000000001";
/// For the gate to listen, to be proven and to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two rounds of the first proof, which needs five over three seconds.
const ROUND: Duration = Duration::from_millis(800);

/// The socket in the gate's directory on which its lease is taken.
pub const LEASE: &str = "lease.sock";

/// Where the lines of its audit go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Into a pipe that is read, as a node's log reader does.
    Read,
    /// Into `/dev/null`.
    Dropped,
}

/// It is killed when this is dropped.
#[derive(Debug)]
pub struct Gate {
    /// Where it serves.
    pub api: SocketAddr,
    /// Its process.
    pub pid: u32,
    admin: SocketAddr,
    http: reqwest::Client,
    _child: Child,
    /// A bound port where nobody listens: what the gate probes is refused, so blocked.
    _shut: TcpSocket,
}

impl Gate {
    /// Starts `program gate` in front of the engine at `socket`, with its own sockets in `directory` and with `flags`
    /// about the engine; returns when it is proven and ready.
    ///
    /// # Errors
    /// When it does not become so.
    pub async fn start(
        program: &Path,
        directory: &Path,
        socket: &Path,
        flags: &[&str],
    ) -> Result<Self> {
        let gate = Self::proven(program, directory, socket, flags, Audit::Read).await?;
        timeout(PATIENCE, launch(&directory.join(LEASE)))
            .await
            .context("failed to be granted the lease")??;
        gate.ready().await?;
        Ok(gate)
    }

    /// The same, before anybody has taken its lease in `directory`.
    ///
    /// # Errors
    /// When it does not start or is not proven.
    pub async fn proven(
        program: &Path,
        directory: &Path,
        socket: &Path,
        flags: &[&str],
        audit: Audit,
    ) -> Result<Self> {
        let key = SigningKey::generate();
        let keys = directory.join("keys");
        std::fs::create_dir(&keys)?;
        std::fs::write(keys.join("bench"), KEY)?;
        let any = "127.0.0.1:0";
        let mut child = Command::new(program)
            .args(["gate", "--listen", any, "--admin", any, "--metrics", any])
            .args(["--pod-uid", POD, "--max-concurrent", CONCURRENT])
            .args(["--when-stale", "Refuse", "--grace-seconds", "0"])
            .args(flags)
            .arg("--api-keys-dir")
            .arg(&keys)
            .args(["--verify-keys", &key.verifying_key().to_pem()?])
            .arg("--lease-socket")
            .arg(directory.join(LEASE))
            .arg("--runtime-socket")
            .arg(socket)
            .stdout(match audit {
                Audit::Read => Stdio::piped(),
                Audit::Dropped => Stdio::null(),
            })
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let pid = child.id().context("failed to start the gate: it ended")?;
        let mut log =
            BufReader::new(child.stderr.take().context("failed to read its log")?).lines();
        let [api, admin] = timeout(PATIENCE, ports(&mut log))
            .await
            .context("failed to wait for the gate")??;
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        // The audit's lines are read as a node's log reader does, or the gate would refuse requests.
        if let Some(mut audit) = child.stdout.take() {
            tokio::spawn(async move { tokio::io::copy(&mut audit, &mut tokio::io::sink()).await });
        }
        let shut = TcpSocket::new_v4()?;
        shut.bind(([127, 0, 0, 1], 0).into())?;
        let target = shut.local_addr()?;
        let gate = Self {
            api,
            pid,
            admin,
            http: reqwest::Client::new(),
            _child: child,
            _shut: shut,
        };
        gate.prove(&key, target).await?;
        Ok(gate)
    }

    async fn prove(&self, key: &SigningKey, target: SocketAddr) -> Result<()> {
        let began = Instant::now();
        let session = self.report().await?.session;
        for seq in 1.. {
            let envelope = key.sign(CHALLENGE, &challenge(session, seq, target))?;
            let url = format!("http://{}/challenge", self.admin);
            let answer = self.http.post(url).json(&envelope).send().await?;
            let report: Report = answer.error_for_status()?.json().await?;
            if report.state == State::Proven {
                break;
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "failed to prove the gate: {report:?}"
            );
            sleep(ROUND).await;
        }
        Ok(())
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ready(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let url = format!("http://{}/readyz", self.admin);
            let answer = self.http.get(url).send().await?;
            if answer.status().is_success() {
                return Ok(());
            }
            let why = answer.text().await?;
            ensure!(
                began.elapsed() < PATIENCE,
                "failed to make the gate ready: {why}"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether what was measured was a proven gate to its end.
    ///
    /// # Errors
    /// When it is not proven any more.
    pub async fn still_proven(&self) -> Result<()> {
        let report = self.report().await?;
        ensure!(
            report.state == State::Proven,
            "failed to measure a proven gate: {report:?}"
        );
        Ok(())
    }

    async fn report(&self) -> Result<Report> {
        let url = format!("http://{}/sealz", self.admin);
        Ok(self.http.get(url).send().await?.json().await?)
    }
}

/// What the operator says when all is well, good for as long as a gate takes it.
fn challenge(session: Session, seq: u64, addr: SocketAddr) -> Challenge {
    Challenge {
        v: VERSION,
        pod_uid: POD.to_owned(),
        nonce: sealroom::seal::check::new_nonce(),
        session: Some(session),
        seq,
        validity_ms: MAX_VALIDITY.as_millis() as u64,
        closure: Closure::Equal,
        open: None,
        targets: vec![Target {
            name: "canary/own-node/tcp4".to_owned(),
            required: true,
            kind: TargetKind::Canary,
            addr,
            proto: Proto::Tcp,
            control: Control::Ok { rtt_micros: 100 },
        }],
    }
}

/// The ports of the API and of the admin, from the line that the gate logs when it listens.
async fn ports(log: &mut Lines<impl AsyncBufRead + Unpin>) -> Result<[SocketAddr; 2]> {
    let mut last = String::new();
    while let Some(line) = log.next_line().await? {
        let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let port = |name: &str| said[name].as_str().and_then(|at| at.parse().ok());
        if let (Some(api), Some(admin)) = (port("api"), port("admin")) {
            return Ok([api, admin]);
        }
        last = line;
    }
    bail!("failed to start the gate: it ended, its last words were: {last}")
}

/// Plays launch: takes the lease, says that the engine runs, and listens on.
async fn launch(lease: &Path) -> Result<()> {
    let mut stream = BufReader::new(UnixStream::connect(lease).await?);
    let locks = vec!["Kernel".to_owned()];
    say(stream.get_mut(), &Runtime::Hello { locks }).await?;
    let mut line = String::new();
    loop {
        line.clear();
        let read = stream.read_line(&mut line).await?;
        ensure!(read > 0, "failed to hear the gate: it hung up");
        if serde_json::from_str::<Word>(&line)? == Word::Granted {
            break;
        }
    }
    say(stream.get_mut(), &Runtime::Starting).await?;
    say(stream.get_mut(), &Runtime::Running).await?;
    // The lease lasts as long as this connection.
    tokio::spawn(async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await });
    Ok(())
}
