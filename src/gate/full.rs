//! Connections beyond what a port may hold: what they are told, and how they end.

use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use http::StatusCode;
use nix::sys::socket::{MsgFlags, send};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::answer::Refusal;
use super::doors;

/// Connections that take their time to end, at most: with any number of these there would be no limit.
const PARTING: usize = 64;

/// Turns away who comes to a port that is full.
#[derive(Debug)]
pub struct Full {
    /// Sent without looking at the request.
    answer: Vec<u8>,
    parting: Arc<Semaphore>,
}

impl Default for Full {
    fn default() -> Self {
        Self {
            answer: answer(),
            parting: Arc::new(Semaphore::new(PARTING)),
        }
    }
}

impl Full {
    /// Answers 503 in the clear to a connection that has just come, and ends it so that the client can read that while
    /// it still sends ([`doors::linger`]). Where too many end so already it is closed at once.
    pub fn turn_away(&self, stream: TcpStream) {
        // Not by the stream itself, which writes nothing before the runtime has seen that there is room: in the buffer of
        // a new connection there is.
        if send(stream.as_raw_fd(), &self.answer, MsgFlags::MSG_NOSIGNAL).is_err() {
            return;
        }
        let Ok(place) = Arc::clone(&self.parting).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            doors::linger(&stream).await;
            // Its place is free when it is gone, not before.
            drop(stream);
            drop(place);
        });
    }
}

/// As other refusals are, in the bytes of HTTP/1.
fn answer() -> Vec<u8> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let body = Refusal::new(status, "busy", "too many connections").to_json();
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nretry-after: 1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}
