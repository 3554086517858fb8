//! One client: a connection, kept or made anew, and what becomes of the streams that it asks for.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::future::join_all;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::answer::{PATIENCE, outcome};
use super::order::Order;
use super::tally::{Outcome, Step};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Streams at once over one connection of HTTP/2.
const PARALLEL: usize = 2;
/// HTTP/1.1 as the counts name it.
pub const HTTP_1: &str = "HTTP/1";
/// HTTP/2 as the counts name it.
pub const HTTP_2: &str = "HTTP/2";
/// How often a request is sent once more that a server has not begun.
const AGAIN: usize = 2;

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// HTTP/1.1, one connection for all streams, one after the other.
    Kept,
    /// HTTP/1.1, a connection for each stream.
    New,
    /// HTTP/2, in the clear by prior knowledge, one connection, two streams at once.
    Http2,
}

impl Way {
    const fn protocol(self) -> &'static str {
        match self {
            Self::Kept | Self::New => HTTP_1,
            Self::Http2 => HTTP_2,
        }
    }
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
    Many {
        sender: http2::SendRequest<Full<Bytes>>,
        /// Once the connection has ended: whether its server had said that it leaves.
        left: watch::Receiver<Option<bool>>,
    },
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
    /// made anew, as every client does. So is a kept one of HTTP/1.1 that was ended in good order before a byte of an
    /// answer, since its server may close it between two requests, and any of HTTP/2 whose server said that it leaves and
    /// has not begun one (RFC 9113, section 6.8): such requests are counted as crossed. Whatever else breaks off is a
    /// failure.
    pub async fn turn(&mut self) -> Vec<Outcome> {
        let streams = if self.way == Way::Http2 { PARALLEL } else { 1 };
        let mut outcomes = self.ask(streams).await;
        for _ in 0..AGAIN {
            let mut crossed = 0;
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.unbegun()) {
                *outcome = Outcome::Crossed(self.way.protocol());
                crossed += 1;
            }
            if crossed == 0 {
                break;
            }
            outcomes.extend(self.ask(crossed).await);
        }
        outcomes
    }

    async fn ask(&mut self, streams: usize) -> Vec<Outcome> {
        let (link, kept) = match self.link().await {
            Ok(link) => link,
            Err(error) => return vec![Outcome::failed(Step::Connect, &error); streams],
        };
        let asked = join_all((0..streams).map(|_| link.ask(&self.order, kept)));
        let outcomes = asked.await;
        let whole = |outcome: &Outcome| !matches!(outcome, Outcome::Failed { .. });
        if self.way != Way::New && outcomes.iter().all(whole) {
            self.kept = Some(link);
        }
        outcomes
    }

    /// A connection, and whether it was kept from before.
    async fn link(&mut self) -> Result<(Link, bool)> {
        if let Some(link) = self.kept.take()
            && link.takes_more().await
        {
            return Ok((link, true));
        }
        let link = timeout(CONNECT, Link::new(&self.order, self.way))
            .await
            .context("failed to connect in time")??;
        Ok((link, false))
    }
}

impl Link {
    async fn new(order: &Order, way: Way) -> Result<Self> {
        let stream = TcpStream::connect((order.host(), order.port())).await?;
        stream.set_nodelay(true)?;
        match &order.trust {
            None => Self::over(stream, way).await,
            Some(trust) => {
                let protocol = if way == Way::Http2 { "h2" } else { "http/1.1" };
                let stream = trust.shake(order.host(), stream, protocol).await?;
                Self::over(stream, way).await
            }
        }
    }

    /// Begins to speak HTTP.
    async fn over<S>(stream: S, way: Way) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        // The connection's task ends with its senders; what broke it is seen by them.
        if way == Way::Http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let (end, left) = watch::channel(None);
            tokio::spawn(async move {
                // It ends well after a GOAWAY with NO_ERROR, and with an error where it broke off.
                let well = connection.await.is_ok();
                let _ = end.send(Some(well));
            });
            return Ok(Self::Many { sender, left });
        }
        let (sender, connection) = http1::handshake(io).await?;
        tokio::spawn(connection);
        Ok(Self::One(Mutex::new(sender)))
    }

    /// Whether the server has left the connection open.
    async fn takes_more(&self) -> bool {
        match self {
            Self::One(sender) => sender.lock().await.ready().await.is_ok(),
            Self::Many { sender, .. } => sender.clone().ready().await.is_ok(),
        }
    }

    /// Whether a connection that handed a request back unsent ended as its server may end it.
    async fn ended_well(&self, kept: bool) -> bool {
        match self {
            // Between two requests it may be closed at any time; a new one is there for its request.
            Self::One(_) => kept,
            Self::Many { left, .. } => {
                // Its task hands the request back first, and says this next.
                let mut left = left.clone();
                let well = left.wait_for(Option::is_some).await;
                well.is_ok_and(|well| *well == Some(true))
            }
        }
    }

    async fn ask(&self, order: &Order, kept: bool) -> Outcome {
        let request = match order.request(matches!(self, Self::Many { .. })) {
            Ok(request) => request,
            Err(error) => return Outcome::failed(Step::Request, &error),
        };
        let answer = async {
            let answer = match self {
                Self::One(sender) => {
                    let mut sender = sender.lock().await;
                    sender.try_send_request(request).await
                }
                Self::Many { sender, .. } => sender.clone().try_send_request(request).await,
            };
            // The request comes back when nothing of it was sent.
            answer.map_err(|error| (error.message().is_some(), error.into_error()))
        };
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => outcome(answer).await,
            Ok(Err((unsent, error))) => {
                let closed = kept && matches!(self, Self::One(_)) && error.is_incomplete_message();
                let error = anyhow::Error::new(error);
                let leaving = closed || leaves(&error) || (unsent && self.ended_well(kept).await);
                let at = if leaving {
                    Step::Leaving
                } else {
                    Step::Request
                };
                Outcome::failed(at, &error)
            }
            Err(elapsed) => {
                let error = anyhow::Error::new(elapsed).context("nothing came");
                Outcome::failed(Step::Request, &error)
            }
        }
    }
}

/// Whether the server had said GOAWAY without an error before it began with the request.
fn leaves(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|e| e.downcast_ref::<h2::Error>());
    causes.any(|e| e.is_go_away() && e.is_remote() && e.reason() == Some(h2::Reason::NO_ERROR))
}
