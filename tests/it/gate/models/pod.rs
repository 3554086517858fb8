//! A gate with one model, and what the pod's program sends to it.

use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

use crate::gate::bed::{Answer, Gate, PATIENCE, post};
use crate::ports::free_port;

pub const CHAT: &str = "/v1/chat/completions";
pub const BODY: &str = r#"{"model":"assistant","messages":[]}"#;

/// A gate with one model, and the port at which it offers it.
pub struct Pod {
    pub gate: Gate,
    pub offered: SocketAddr,
    secret: TempDir,
}

impl Pod {
    pub async fn start(model: SocketAddr, scheme: &str, more: &str) -> Self {
        let secret = tempfile::tempdir().unwrap();
        let offered = free_port();
        let key = secret.path().join("value");
        let flag = format!(
            "name=assistant,port={},url={scheme}://{model}/base/v1,key={}{more}",
            offered.port(),
            key.display()
        );
        let gate = Gate::start(&["--mcp-model", &flag]).await;
        Self {
            gate,
            offered,
            secret,
        }
    }

    /// Proven, and with this key.
    pub async fn with_key(model: SocketAddr, key: &str) -> Self {
        let mut pod = Self::start(model, "http", "").await;
        pod.key(key).await;
        pod.gate.prove().await;
        pod
    }

    /// Another key, until the gate has it.
    pub async fn key(&self, key: &str) {
        std::fs::write(self.secret.path().join("value"), key).unwrap();
        sleep(Duration::from_millis(2_500)).await;
    }

    pub async fn ask(&self) -> Answer {
        post(
            self.offered,
            CHAT,
            BODY,
            "authorization: Bearer of-the-program\r\ncookie: a=b\r\ncontent-type: application/json\r\nx-more: 1\r\n",
        )
        .await
    }
}

/// Reads until the text has come.
pub async fn until(program: &mut TcpStream, text: &str) {
    let mut all = String::new();
    let mut chunk = [0; 4096];
    while !all.contains(text) {
        let count = timeout(PATIENCE, program.read(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        assert!(count > 0, "no {text} in {all}");
        all.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
}
