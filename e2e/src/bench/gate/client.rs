//! A client with one kept-alive connection that looks at the clock.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::events::{Ask, END, EVENTS, complete};
use crate::bench::process::KEY;

/// For the next bytes of an answer: only a dead engine or gate takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    origin: Instant,
}

/// The times of one stream, in microseconds.
#[derive(Debug, Default)]
pub struct Streamed {
    /// From the request to the first event.
    pub first: f64,
    /// From the making of each later event to its arrival.
    pub later: Vec<f64>,
}

/// An answer of a model, whole or streamed; the times in microseconds since the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spoken {
    /// When its first bytes came.
    pub first: f64,
    /// When its last came.
    pub last: f64,
    /// Events of a stream.
    pub events: u32,
}

/// A stream whose first event has come.
#[derive(Debug)]
pub struct Streaming {
    body: Incoming,
    buffer: Vec<u8>,
    /// From the making of each event to its arrival, in microseconds.
    delays: Vec<f64>,
    first: f64,
    origin: Instant,
}

impl Client {
    /// Straight to the engine; `origin` is where its events count time from.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn unix(socket: &Path, origin: Instant) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .context("failed to reach the engine")?;
        Self::over(stream, origin).await
    }

    /// Through a proxy.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn tcp(at: SocketAddr, origin: Instant) -> Result<Self> {
        let stream = TcpStream::connect(at)
            .await
            .context("failed to reach the proxy")?;
        stream.set_nodelay(true)?;
        Self::over(stream, origin).await
    }

    async fn over<S>(stream: S, origin: Instant) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the sender is dropped; what broke it is seen there.
        tokio::spawn(connection);
        Ok(Self { sender, origin })
    }

    async fn send(&mut self, ask: &impl Serialize) -> Result<(Instant, Response<Incoming>)> {
        self.sender.ready().await?;
        let request = Request::post("/v1/chat/completions")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
            .body(Full::from(serde_json::to_vec(ask)?))?;
        let began = Instant::now();
        let response = timeout(PATIENCE, self.sender.send_request(request)).await??;
        let status = response.status();
        ensure!(
            status == StatusCode::OK,
            "failed to get an answer: {status}"
        );
        Ok((began, response))
    }

    /// From a request to the end of its answer, in microseconds.
    ///
    /// # Errors
    /// When it is not answered with 200.
    pub async fn json(&mut self) -> Result<f64> {
        let (began, response) = self.send(&Ask::new(None)).await?;
        timeout(PATIENCE, response.into_body().collect()).await??;
        Ok(micros(began.elapsed()))
    }

    /// Any question, and all of its answer.
    ///
    /// # Errors
    /// When it is not answered with 200, or with nothing.
    pub async fn spoken(&mut self, ask: &impl Serialize) -> Result<Spoken> {
        let (began, response) = self.send(ask).await?;
        let (mut body, mut text) = (response.into_body(), Vec::<u8>::new());
        let (mut first, mut last) = (None, 0.0);
        while let Some(frame) = timeout(PATIENCE, body.frame()).await? {
            let now = micros(began.elapsed());
            if let Ok(data) = frame?.into_data() {
                text.extend_from_slice(&data);
                first.get_or_insert(now);
                last = now;
            }
        }
        let events = text.windows(END.len()).filter(|two| *two == END).count();
        Ok(Spoken {
            first: first.context("failed to get an answer: it is empty")?,
            last,
            events: u32::try_from(events)?,
        })
    }

    /// Asks for a stream and waits for its first event.
    ///
    /// # Errors
    /// When it is not answered with 200, or ends before.
    pub async fn open(&mut self, pause: Duration) -> Result<Streaming> {
        let (began, response) = self.send(&Ask::new(Some(pause))).await?;
        let mut streaming = Streaming {
            body: response.into_body(),
            buffer: vec![],
            delays: vec![],
            first: 0.0,
            origin: self.origin,
        };
        while streaming.delays.is_empty() {
            ensure!(
                streaming.next().await?,
                "failed to see the first event: the stream ended"
            );
        }
        streaming.first = micros(began.elapsed());
        Ok(streaming)
    }

    /// A whole stream.
    ///
    /// # Errors
    /// As [`Client::open`], or an event is missing.
    pub async fn stream(&mut self, pause: Duration) -> Result<Streamed> {
        let mut streaming = self.open(pause).await?;
        streaming.rest().await?;
        Ok(Streamed {
            first: streaming.first,
            later: streaming.delays.split_off(1),
        })
    }
}

impl Streaming {
    /// Reads to the end.
    ///
    /// # Errors
    /// When the stream breaks or an event is missing.
    pub async fn rest(&mut self) -> Result<()> {
        while self.next().await? {}
        let (got, wanted) = (self.delays.len(), EVENTS as usize);
        ensure!(
            got == wanted,
            "failed to see all events: {got} of {wanted} came"
        );
        Ok(())
    }

    /// Takes what comes next; `false` at the end.
    async fn next(&mut self) -> Result<bool> {
        let Some(frame) = timeout(PATIENCE, self.body.frame()).await? else {
            return Ok(false);
        };
        // The clock first: what is done with the bytes is not on their way.
        let now = self.origin.elapsed();
        if let Ok(data) = frame?.into_data() {
            self.buffer.extend_from_slice(&data);
        }
        for made in complete(&mut self.buffer)? {
            let delay = now.saturating_sub(Duration::from_nanos(made));
            self.delays.push(micros(delay));
        }
        Ok(true)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
