//! A real launch process under a gate played by the test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sealroom::seal::lease::{Runtime, Word};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixListener;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

pub use crate::gate::bed::{PATIENCE, binary};

pub fn engine(args: &[&str]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/launch/engine.pl");
    ["/usr/bin/perl", script]
        .iter()
        .chain(args)
        .map(|part| (*part).to_owned())
        .collect()
}

pub struct Launch {
    pub child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Launch {
    pub fn start(dir: &Path, drain: u32, engine: &[String]) -> Self {
        Self::start_as(dir, drain, &["--engine", "LlamaCpp"], engine)
    }

    pub fn start_as(dir: &Path, drain: u32, flags: &[&str], engine: &[String]) -> Self {
        let mut command = Command::new(binary());
        command
            .args(["launch", "--drain-seconds", &drain.to_string()])
            .args(flags)
            .arg("--lease-socket")
            .arg(dir.join("lease.sock"))
            .arg("--runtime-socket")
            .arg(dir.join("runtime.sock"))
            .arg("--")
            .args(engine)
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .env("CUDA_VISIBLE_DEVICES", "0")
            .env("LLAMA_ARG_HOST", "0.0.0.0")
            .env("GGML_BACKEND_PATH", "/nowhere/backend.so");
        Self::spawn(&mut command)
    }

    pub fn spawn(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap())
    }

    pub fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
    }

    pub async fn exit_code(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait())
            .await
            .unwrap()
            .unwrap()
            .code()
    }

    /// Everything that it printed until it ended.
    pub async fn printed(&mut self) -> String {
        let mut all = String::new();
        while let Some(line) = timeout(PATIENCE, self.log.next_line())
            .await
            .unwrap()
            .unwrap()
        {
            all.push_str(&line);
            all.push('\n');
        }
        all
    }
}

/// Outside a container nothing ends an engine whose launch is killed, so launch is asked to end it.
impl Drop for Launch {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.terminate();
        }
        let begun = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if begun.elapsed() > Duration::from_secs(8) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The gate's end of the lease. It repeats its word every half second until it is told to be silent.
pub struct FakeGate {
    pub dir: TempDir,
    listener: UnixListener,
}

pub struct Lease {
    from: Lines<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
    pub hello: Runtime,
}

impl FakeGate {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("lease.sock")).unwrap();
        Self { dir, listener }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub async fn accept(&self) -> Lease {
        let (stream, _) = timeout(PATIENCE, self.listener.accept())
            .await
            .unwrap()
            .unwrap();
        let (from, to) = stream.into_split();
        let mut from = BufReader::new(from).lines();
        let line = timeout(PATIENCE, from.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        Lease {
            from,
            to,
            hello: serde_json::from_str(&line).unwrap(),
        }
    }
}

impl Lease {
    pub async fn say(&mut self, word: &Word) {
        self.try_say(word).await.unwrap();
    }

    /// An error when launch has ended.
    pub async fn try_say(&mut self, word: &Word) -> std::io::Result<()> {
        let line = serde_json::to_string(word).unwrap() + "\n";
        self.to.write_all(line.as_bytes()).await
    }

    /// Repeats `word` until launch says what `until` asks for.
    pub async fn hold(&mut self, word: &Word, until: impl Fn(&Runtime) -> bool) -> Runtime {
        let begun = Instant::now();
        loop {
            self.say(word).await;
            let line = timeout(Duration::from_millis(500), self.from.next_line()).await;
            if let Ok(line) = line {
                let said: Runtime = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
                if until(&said) {
                    return said;
                }
            }
            assert!(begun.elapsed() < PATIENCE);
        }
    }

    /// Repeats `word` for a while.
    pub async fn hold_for(&mut self, word: &Word, long: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < long {
            self.say(word).await;
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// What launch says next, without a word to it.
    pub async fn hear(&mut self) -> Option<Runtime> {
        let line = timeout(PATIENCE, self.from.next_line()).await.unwrap();
        line.ok()
            .flatten()
            .map(|line| serde_json::from_str(&line).unwrap())
    }
}

/// Waits for a file and reads it.
pub async fn file(path: &Path) -> String {
    let begun = Instant::now();
    while !path.exists() {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} does not appear",
            path.display()
        );
        sleep(Duration::from_millis(50)).await;
    }
    std::fs::read_to_string(path).unwrap()
}

/// The processes that the engine noted: itself, its child, its grandchild.
pub async fn family(path: &Path) -> Vec<Pid> {
    let begun = Instant::now();
    loop {
        let pids: Vec<Pid> = file(path)
            .await
            .lines()
            .filter_map(|line| line.parse().ok())
            .map(Pid::from_raw)
            .collect();
        if pids.len() >= 3 {
            return pids;
        }
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
}

pub fn alive(pid: Pid) -> bool {
    kill(pid, None).is_ok()
}

/// Waits until all of them are gone and says how long it took.
pub async fn gone(pids: &[Pid]) -> Duration {
    let begun = Instant::now();
    while pids.iter().any(|pid| alive(*pid)) {
        assert!(begun.elapsed() < PATIENCE, "still there");
        sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}

/// Waits for a file while the lease is granted.
pub async fn under_lease(lease: &mut Lease, path: &Path) -> String {
    let granted = async {
        loop {
            lease.hold_for(&Word::Granted, Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        text = file(path) => text,
        () = granted => unreachable!(),
    }
}
