//! A client with one kept-alive connection, or with the pipes of a server of its own, that looks at the clock.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::bench::process::KEY;

/// For the next bytes of an answer: only a dead proxy takes that long.
const PATIENCE: Duration = Duration::from_secs(30);
/// All that are measured know this revision.
const REVISION: &str = "2025-06-18";

/// The tool that does nothing else.
pub const ECHO: &str = "echo";

/// One connection.
#[derive(Debug)]
pub struct Client {
    over: Over,
    calls: u64,
}

#[derive(Debug)]
enum Over {
    Pipes(Box<Pipes>),
    Http {
        sender: SendRequest<Full<Bytes>>,
        session: Option<String>,
    },
}

#[derive(Debug)]
struct Pipes {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Pipes {
    async fn say(&mut self, request: &str) -> Result<()> {
        self.input
            .write_all(format!("{request}\n").as_bytes())
            .await?;
        Ok(())
    }

    async fn hear(&mut self) -> Result<String> {
        let line = timeout(PATIENCE, self.output.next_line()).await??;
        line.context("failed to hear the server: it ended")
    }
}

impl Client {
    /// Straight to a server on stdio, which ends with this.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub async fn pipes(server: &Path) -> Result<Self> {
        let mut child = Command::new("/usr/bin/perl")
            .arg(server)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("failed to start the server")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut client = Self {
            over: Over::Pipes(Box::new(Pipes {
                input: input.context("failed to write to the server")?,
                output: BufReader::new(output.context("failed to read the server")?).lines(),
                _child: child,
            })),
            calls: 0,
        };
        client.ask(&hello(), "\"serverInfo\"").await?;
        Ok(client)
    }

    /// Through a proxy; `sessions` says whether it has any.
    ///
    /// # Errors
    /// When nobody listens there, or no session begins.
    pub async fn http(at: SocketAddr, sessions: bool) -> Result<Self> {
        let stream = TcpStream::connect(at)
            .await
            .context("failed to reach the proxy")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped; what broke it is seen there.
        tokio::spawn(connection);
        let over = Over::Http {
            sender,
            session: None,
        };
        let mut client = Self { over, calls: 0 };
        if sessions {
            client.begin().await?;
        }
        Ok(client)
    }

    async fn begin(&mut self) -> Result<()> {
        let answer = self.send(Method::POST, &hello()).await?;
        let status = answer.status();
        let id = answer.headers().get("mcp-session-id").cloned();
        let text = whole(answer).await?;
        let given = id.filter(|_| status == StatusCode::OK);
        let given = given.with_context(|| format!("failed to begin: {status} {text}"))?;
        if let Over::Http { session, .. } = &mut self.over {
            *session = Some(given.to_str()?.to_owned());
        }
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let answer = self.send(Method::POST, ready).await?;
        let status = answer.status();
        whole(answer).await?;
        ensure!(
            status == StatusCode::ACCEPTED,
            "failed to begin: {status} to a notification"
        );
        Ok(())
    }

    /// A small call of a tool that says hello, from its first byte to the end of its answer, in microseconds.
    ///
    /// # Errors
    /// When it is not answered as it should be.
    pub async fn call(&mut self, tool: &str) -> Result<f64> {
        let request = self.request(tool);
        let began = Instant::now();
        self.ask(&request, "\"text\":\"hello\"").await?;
        Ok(micros(began.elapsed()))
    }

    /// A call that says after a while that it is done, and at once that it has begun: until that is here, in
    /// microseconds; `None` where it is lost on its way.
    ///
    /// # Errors
    /// When it is not done.
    pub async fn stream(&mut self) -> Result<Option<f64>> {
        let request = self.request("stream");
        let began = Instant::now();
        let mut first = None;
        let mut seen = |text: &str| {
            if first.is_none() && text.contains("notifications/progress") {
                first = Some(micros(began.elapsed()));
            }
            text.contains("\"text\":\"done\"")
        };
        match &mut self.over {
            Over::Pipes(pipes) => {
                pipes.say(&request).await?;
                while !seen(&pipes.hear().await?) {}
            }
            Over::Http { .. } => {
                let mut body = self.send(Method::POST, &request).await?.into_body();
                let mut text = String::new();
                let mut done = false;
                while let Some(frame) = timeout(PATIENCE, body.frame()).await? {
                    if let Ok(data) = frame?.into_data() {
                        text.push_str(std::str::from_utf8(&data)?);
                        done = seen(&text);
                    }
                }
                ensure!(done, "failed to see the end of a stream: {text}");
            }
        }
        Ok(first)
    }

    /// Ends the session, as a client does that is polite.
    ///
    /// # Errors
    /// When the proxy is gone.
    pub async fn end(mut self) -> Result<()> {
        let answer = self.send(Method::DELETE, "").await?;
        whole(answer).await?;
        Ok(())
    }

    /// A request and its whole answer, which has `expected` in it.
    async fn ask(&mut self, request: &str, expected: &str) -> Result<()> {
        let text = match &mut self.over {
            Over::Pipes(pipes) => {
                pipes.say(request).await?;
                pipes.hear().await?
            }
            Over::Http { .. } => whole(self.send(Method::POST, request).await?).await?,
        };
        ensure!(
            text.contains(expected),
            "failed to get an answer with {expected}: {text}"
        );
        Ok(())
    }

    fn request(&mut self, tool: &str) -> String {
        self.calls += 1;
        let id = self.calls;
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{{"progressToken":{id}}}}}}}"#
        )
    }

    async fn send(&mut self, method: Method, body: &str) -> Result<Response<Incoming>> {
        let Over::Http { sender, session } = &mut self.over else {
            bail!("failed to send: there are pipes only")
        };
        sender.ready().await?;
        let mut request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"));
        if let Some(session) = session {
            request = request
                .header("mcp-session-id", session.as_str())
                .header("mcp-protocol-version", REVISION);
        }
        let request = request.body(Full::from(body.to_owned()))?;
        Ok(timeout(PATIENCE, sender.send_request(request)).await??)
    }
}

fn hello() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{REVISION}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}}}}}"#
    )
}

async fn whole(answer: Response<Incoming>) -> Result<String> {
    let body = timeout(PATIENCE, answer.into_body().collect()).await??;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
