//! What a line of the audit says, and how a request can end.

use std::net::IpAddr;

use serde::Serialize;

use crate::gate::metrics::Metrics;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The whole answer was handed over.
    Ok,
    /// The gate refused it.
    Refused,
    /// The engine failed or answered with an error.
    UpstreamError,
    /// The client went before the end.
    ClientClosed,
    /// The pod was seen open and the connection cut.
    Reset,
    /// The engine or the client took too long, or longer than a pod that ends lasts.
    Timeout,
}

impl Outcome {
    /// As the audit and metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::UpstreamError => "upstreamError",
            Self::ClientClosed => "clientClosed",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
        }
    }
}

/// What a request was about.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum About {
    /// A model.
    Model {
        /// The served model's name once it is known which one is asked: of one model with the route, of several with
        /// the body. Never what the client wrote.
        model: Option<String>,
        /// The artifact's digest, with the name.
        digest: Option<String>,
        /// As the engine says them, at the end of a whole answer.
        prompt_tokens: Option<u64>,
        completion_tokens: Option<u64>,
        /// To the first byte of the engine's answer: of a stream, the first token.
        ttft_millis: Option<u64>,
    },
    /// An MCP server.
    Mcp {
        /// The method, if MCP has it.
        rpc: Option<&'static str>,
        /// The tool, if the server has it.
        tool: Option<String>,
        /// The revision of the protocol that the client speaks.
        protocol: Option<&'static str>,
        /// The code of the error that the answer was.
        rpc_error: Option<i64>,
    },
}

/// A line of the audit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    kind: &'static str,
    time: String,
    /// Also the answer's header field `x-request-id`.
    pub(super) id: String,
    /// The address that the request came from.
    source: Option<IpAddr>,
    method: &'static str,
    pub(super) route: &'static str,
    pub(super) status: u16,
    #[serde(flatten)]
    pub(super) about: About,
    /// The name of the key's entry in its Secret.
    pub(super) key: Option<String>,
    /// The person that the token names.
    pub(super) person: Option<String>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) millis: u64,
    pub(super) outcome: Outcome,
}

impl Line {
    /// Of a request that has just come, as it stays should the client go at once.
    pub(super) fn new(method: &http::Method, source: Option<IpAddr>, metrics: &Metrics) -> Self {
        let method = [
            "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT",
        ]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other");
        Self {
            kind: "audit",
            time: jiff::Timestamp::now().to_string(),
            id: format!("{:032x}", rand::random::<u128>()),
            source,
            method,
            route: "other",
            status: 499,
            about: About::of(metrics),
            key: None,
            person: None,
            bytes_in: 0,
            bytes_out: 0,
            millis: 0,
            outcome: Outcome::ClientClosed,
        }
    }
}

impl About {
    /// Nothing is known yet but what the gate is in front of.
    fn of(metrics: &Metrics) -> Self {
        if metrics.mcp.is_some() {
            return Self::Mcp {
                rpc: None,
                tool: None,
                protocol: None,
                rpc_error: None,
            };
        }
        Self::Model {
            model: None,
            digest: None,
            prompt_tokens: None,
            completion_tokens: None,
            ttft_millis: None,
        }
    }
}
