//! Why a peer's answer cannot be used, without anything that the peer wrote.

use std::net::SocketAddr;

use reqwest::StatusCode;

use crate::driver::sequence::SequenceError;
use crate::seal::sign::SignError;

/// Why a peer's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The peer's pod has no address yet.
    #[error("failed to speak with a pod that has no address yet")]
    NoAddress,
    /// The client could not be made, or the peer could not be reached or read.
    #[error("failed to speak with {peer}: {what}")]
    Http {
        /// Address, or `client`.
        peer: String,
        /// The kind of failure, without anything that the peer wrote.
        what: &'static str,
    },
    /// The peer refused.
    #[error("failed to speak with {peer}: it answered {status}")]
    Status {
        /// Address.
        peer: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer is too long or not what it should be.
    #[error("failed to read the answer of {peer}")]
    Answer {
        /// Address.
        peer: String,
    },
    /// The order could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The peer refused the order's number, and it gets no other.
    #[error("failed to speak with {peer}: {why}")]
    Sequence {
        /// Address.
        peer: String,
        /// Why not.
        why: SequenceError,
    },
}

pub(super) fn failed(peer: SocketAddr, error: &reqwest::Error) -> EdgeError {
    EdgeError::Http {
        peer: peer.to_string(),
        what: kind(error),
    }
}

pub(super) fn refused(peer: SocketAddr) -> EdgeError {
    EdgeError::Status {
        peer: peer.to_string(),
        status: StatusCode::CONFLICT.as_u16(),
    }
}

pub(super) fn unnumbered(peer: SocketAddr, why: SequenceError) -> EdgeError {
    EdgeError::Sequence {
        peer: peer.to_string(),
        why,
    }
}

pub(super) fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection failed"
    }
}
