//! What ends before it is a request: counted, since no line of the audit can tell of it.
//!
//! HTTP's rules are hyper's to hold, and it answers itself what breaks them. Nobody else sees a request then; what is known
//! of it is the error that its connection ends with.

use std::error::Error;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::telemetry::registered;

/// Why there was no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The port has as many connections as it may.
    Connections,
    /// It has as many streams of HTTP/2 as it may.
    Streams,
    /// A head with too many bytes or fields.
    HeadTooLarge,
    /// The first head of a connection did not come in time.
    HeadSlow,
    /// What came is no HTTP/1, or has no one end: two lengths, a coding that is none.
    Malformed,
    /// No TLS came about.
    Handshake,
    /// The rules of HTTP/2 were broken, or too many of its streams broken off.
    Http2,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::Connections,
        Self::Streams,
        Self::HeadTooLarge,
        Self::HeadSlow,
        Self::Malformed,
        Self::Handshake,
        Self::Http2,
    ];

    /// As metrics read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Streams => "streams",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadSlow => "head_slow",
            Self::Malformed => "malformed",
            Self::Handshake => "handshake",
            Self::Http2 => "http2",
        }
    }

    fn label(self) -> Label {
        Label {
            reason: self.as_str(),
        }
    }

    /// Why a connection ended with this error, on which a request was `seen` before or not. `None` where its client
    /// went, or kept it without use.
    #[must_use]
    pub fn of(error: &(dyn Error + Send + Sync + 'static), seen: bool) -> Option<Self> {
        let error = error.downcast_ref::<hyper::Error>()?;
        if error.is_parse_too_large() {
            return Some(Self::HeadTooLarge);
        }
        if error.is_parse() {
            return Some(Self::Malformed);
        }
        let Some(cause) = error.source() else {
            // The time for a head also ends a connection that waits for its next request.
            return (error.is_timeout() && !seen).then_some(Self::HeadSlow);
        };
        // The library's error of HTTP/2 tells who found the fault in its words alone.
        let ours = cause.to_string().starts_with("connection error detected");
        ours.then_some(Self::Http2)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    reason: &'static str,
}

/// How many there were for each reason. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Rejected(Family<Label, Counter>);

impl Rejected {
    /// In the registry, with each reason.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let help = "What ended before it was a request, and has no audit line";
        let rejected = Self(registered(registry, "sealroom_gate_rejected", help));
        // A rate over a counter sees its first step only where it was there before.
        for reason in Reason::ALL {
            drop(rejected.0.get_or_create(&reason.label()));
        }
        rejected
    }

    /// One more.
    pub fn count(&self, reason: Reason) {
        self.0.get_or_create(&reason.label()).inc();
    }

    /// A connection has ended with this error, see [`Reason::of`].
    pub fn ended(&self, error: &(dyn Error + Send + Sync + 'static), seen: bool) {
        if let Some(reason) = Reason::of(error, seen) {
            self.count(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
    use hyper_util::server::conn::auto;
    use tokio::io::AsyncWriteExt;

    use super::*;

    const GOOD: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// What a connection ends with on which this was sent, and which its client then keeps open or not.
    async fn ends(sent: &str, keeps: bool) -> Option<Reason> {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(50))
            .max_buf_size(8 * 1024);
        let seen = std::sync::atomic::AtomicBool::new(false);
        let service = service_fn(|_: Request<Incoming>| {
            seen.store(true, std::sync::atomic::Ordering::Relaxed);
            async { Ok::<_, Infallible>(Response::new(String::new())) }
        });
        client.write_all(sent.as_bytes()).await.unwrap();
        if !keeps {
            client.shutdown().await.unwrap();
        }
        let connection = builder.serve_connection(TokioIo::new(server), service);
        let ended = tokio::time::timeout(Duration::from_secs(30), connection);
        let error = ended.await.unwrap().err()?;
        Reason::of(&*error, seen.load(std::sync::atomic::Ordering::Relaxed))
    }

    #[rstest::rstest]
    #[case::well(GOOD, false, None)]
    #[case::gone(&GOOD[..20], false, None)]
    #[case::without_use(GOOD, true, None)]
    #[case::slow(&GOOD[..20], true, Some(Reason::HeadSlow))]
    #[case::two_lengths(
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        true,
        Some(Reason::Malformed)
    )]
    #[case::a_coding_that_is_none(
        "POST / HTTP/1.1\r\ntransfer-encoding: x\r\n\r\n",
        true,
        Some(Reason::Malformed)
    )]
    #[case::no_http("\u{1}\u{2}\r\n\r\n", true, Some(Reason::Malformed))]
    #[case::many_bytes(&format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000)), true, Some(Reason::HeadTooLarge))]
    #[case::many_fields(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200)), true, Some(Reason::HeadTooLarge))]
    #[case::gone_of_http_2(&format!("{PREFACE}\0\0\0\u{4}\0\0\0\0\0"), false, None)]
    #[case::no_http_2(&format!("{PREFACE}{}", "x".repeat(100)), true, Some(Reason::Http2))]
    #[tokio::test]
    async fn connections_end(
        #[case] sent: &str,
        #[case] keeps: bool,
        #[case] expected: Option<Reason>,
    ) {
        assert_eq!(ends(sent, keeps).await, expected);
    }
}
