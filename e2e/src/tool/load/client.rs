//! One client: a connection, kept or made anew, and what becomes of the streams that it asks for.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::tally::{Outcome, Step};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For the head of an answer, and between two pieces of its body: only who is gone takes that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a body's end is kept.
const KEPT: usize = 4096;
/// Streams at once over one connection of HTTP/2.
const PARALLEL: usize = 2;
/// How often a request is sent once more that a server has not begun.
const AGAIN: usize = 2;
/// The last event of a stream.
const DONE: &[u8] = b"data: [DONE]";

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// HTTP/1.1, one connection for all streams, one after the other.
    Kept,
    /// HTTP/1.1, a connection for each stream.
    New,
    /// HTTP/2 in the clear by prior knowledge, one connection, two streams at once.
    Http2,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Order {
    url: Uri,
    data: Bytes,
    key: Option<String>,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    order: Order,
    way: Way,
    kept: Option<Link>,
}

#[derive(Debug)]
enum Link {
    /// One request at a time.
    One(Mutex<http1::SendRequest<Full<Bytes>>>),
    Many(http2::SendRequest<Full<Bytes>>),
}

impl Order {
    /// A POST of JSON to an address of plain HTTP.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(url: &str, data: String, key: Option<String>) -> Result<Self> {
        let url: Uri = url.parse().context("failed to parse the address")?;
        if url.scheme_str() != Some("http") || url.host().is_none() {
            bail!("failed to parse the address: write http://host:port/path");
        }
        Ok(Self {
            url,
            data: data.into(),
            key,
        })
    }

    fn request(&self, http2: bool) -> Result<Request<Full<Bytes>>> {
        let (path, host) = (self.url.path_and_query(), self.url.authority());
        let host = host.context("failed to find the host")?.as_str();
        let path = path.context("failed to find the path")?.as_str();
        // HTTP/2 has the host in the address, HTTP/1.1 in a header of its own.
        let mut request = if http2 {
            Request::post(self.url.clone())
        } else {
            Request::post(path).header(header::HOST, host)
        };
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.header(header::CONTENT_TYPE, "application/json");
        Ok(request.body(Full::from(self.data.clone()))?)
    }
}

impl Client {
    /// Without a connection yet.
    #[must_use]
    pub const fn new(order: Order, way: Way) -> Self {
        Self {
            order,
            way,
            kept: None,
        }
    }

    /// Asks for a stream, or two at once, and reads to the end. A kept connection that was closed before a request is
    /// made anew, and so is one whose server said that it leaves and has not begun a request (RFC 9113, section 6.8), as
    /// every client does; one that breaks off after that is a failure.
    pub async fn turn(&mut self) -> Vec<Outcome> {
        let streams = if self.way == Way::Http2 { PARALLEL } else { 1 };
        let mut outcomes = self.ask(streams).await;
        for _ in 0..AGAIN {
            let begun = outcomes.iter().filter(|outcome| outcome.begun()).count();
            outcomes.retain(Outcome::begun);
            if begun < streams {
                outcomes.extend(self.ask(streams - begun).await);
            }
        }
        outcomes
    }

    async fn ask(&mut self, streams: usize) -> Vec<Outcome> {
        let link = match self.link().await {
            Ok(link) => link,
            Err(error) => return vec![failed(Step::Connect, &error)],
        };
        let asked = join_all((0..streams).map(|_| link.ask(&self.order)));
        let outcomes = asked.await;
        let whole = |outcome: &Outcome| !matches!(outcome, Outcome::Failed { .. });
        if self.way != Way::New && outcomes.iter().all(whole) {
            self.kept = Some(link);
        }
        outcomes
    }

    async fn link(&mut self) -> Result<Link> {
        if let Some(link) = self.kept.take()
            && link.takes_more().await
        {
            return Ok(link);
        }
        timeout(CONNECT, Link::new(&self.order, self.way))
            .await
            .context("failed to connect in time")?
    }
}

impl Link {
    async fn new(order: &Order, way: Way) -> Result<Self> {
        let host = order.url.host().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let port = order.url.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        // The connection's task ends with its senders; what broke it is seen by them.
        if way == Way::Http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            return Ok(Self::Many(sender));
        }
        let (sender, connection) = http1::handshake(io).await?;
        tokio::spawn(connection);
        Ok(Self::One(Mutex::new(sender)))
    }

    /// Whether the server has left the connection open.
    async fn takes_more(&self) -> bool {
        match self {
            Self::One(sender) => sender.lock().await.ready().await.is_ok(),
            Self::Many(sender) => sender.clone().ready().await.is_ok(),
        }
    }

    async fn ask(&self, order: &Order) -> Outcome {
        let answer = async {
            Ok(match self {
                Self::One(sender) => {
                    let mut sender = sender.lock().await;
                    sender.send_request(order.request(false)?).await?
                }
                Self::Many(sender) => sender.clone().send_request(order.request(true)?).await?,
            })
        };
        let answer = timeout(PATIENCE, answer).await.context("nothing came");
        match answer.and_then(|answer| answer) {
            Ok(answer) => outcome(answer).await,
            Err(error) if leaves(&error) => failed(Step::Leaving, &error),
            Err(error) => failed(Step::Request, &error),
        }
    }
}

/// Whether the server had said GOAWAY without an error before it began with the request.
fn leaves(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|e| e.downcast_ref::<h2::Error>());
    causes.any(|e| e.is_go_away() && e.is_remote() && e.reason() == Some(h2::Reason::NO_ERROR))
}

/// Reads an answer to its end.
async fn outcome(answer: Response<Incoming>) -> Outcome {
    let (head, body) = answer.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return failed(Step::Answer, &error),
    };
    if head.status != StatusCode::OK {
        let error: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = error["error"]["code"].as_str().unwrap_or("without a code");
        return Outcome::Refused {
            status: head.status.as_u16(),
            code: code.to_owned(),
            retry_after: retry_after(&head.headers),
        };
    }
    if body.trim_ascii_end().ends_with(DONE) {
        return Outcome::Complete;
    }
    let end = String::from_utf8_lossy(&body[body.len().saturating_sub(200)..]).into_owned();
    failed(
        Step::Answer,
        &anyhow!("the stream ended without [DONE], with {end:?}"),
    )
}

/// The end of a body, when all of it came.
async fn read(mut body: Incoming) -> Result<Vec<u8>> {
    let mut kept = vec![];
    while let Some(frame) = timeout(PATIENCE, body.frame())
        .await
        .context("nothing more came")?
    {
        if let Ok(data) = frame?.into_data() {
            kept.extend_from_slice(&data);
            let surplus = kept.len().saturating_sub(KEPT);
            kept.drain(..surplus);
        }
    }
    Ok(kept)
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok()
}

fn failed(at: Step, error: &anyhow::Error) -> Outcome {
    let error = format!("{error:#}");
    Outcome::Failed { at, error }
}
