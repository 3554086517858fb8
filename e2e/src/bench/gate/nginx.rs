//! nginx as a plain reverse proxy before the same engine, as somebody would set it up who wants a bearer check, a
//! line in a log for each request and streams that arrive as they are made.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::bench::process::KEY;

/// For it to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// It is told to stop, workers included, when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    /// Where it serves.
    pub at: SocketAddr,
    /// Its master process.
    pub pid: u32,
    _child: Child,
}

impl Nginx {
    /// Starts `program` in front of the engine at `socket`, with its own files in `directory`; returns when it
    /// listens.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(program: &Path, directory: &Path, socket: &Path) -> Result<Self> {
        let directory = directory.join("nginx");
        std::fs::create_dir(&directory)?;
        let at = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let file = directory.join("nginx.conf");
        std::fs::write(&file, configuration(at, &directory, socket))?;
        let mut child = Command::new(program)
            .arg("-p")
            .arg(&directory)
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        let pid = child.id().context("failed to start nginx: it ended")?;
        let began = Instant::now();
        while TcpStream::connect(at).await.is_err() {
            let ended = child.try_wait()?;
            ensure!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "failed to start nginx: {ended:?}"
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self {
            at,
            pid,
            _child: child,
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Told and not killed: a killed master would leave its workers.
        if let Ok(pid) = i32::try_from(self.pid) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

fn configuration(at: SocketAddr, directory: &Path, socket: &Path) -> String {
    let (directory, socket) = (directory.display(), socket.display());
    format!(
        r#"daemon off;
user root;
worker_processes auto;
pid {directory}/pid;
events {{ worker_connections 4096; }}
http {{
  access_log {directory}/access.log;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000;
  map $http_authorization $known {{
    default 0;
    "Bearer {KEY}" 1;
  }}
  upstream engine {{ server unix:{socket}; }}
  server {{
    listen {at};
    client_max_body_size 4m;
    location = /v1/chat/completions {{
      if ($known = 0) {{ return 401; }}
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"#
    )
}
