//! What the measuring client and the engine that it measures with say to each other.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Events of one stream.
pub const EVENTS: u32 = 64;
/// The end of an event of a stream.
pub const END: &[u8] = b"\n\n";
/// The served model's name.
pub const MODEL: &str = "assistant";
/// The text of one token.
const TOKEN: &str = " Paris";

/// A chat completion's request. The gate passes fields that it does not know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    model: String,
    messages: Vec<serde_json::Value>,
    /// Whether the answer is a stream.
    #[serde(default)]
    pub stream: bool,
    /// Between two events, in milliseconds.
    #[serde(default)]
    pub pause_ms: u64,
}

#[derive(Deserialize)]
struct Event {
    at: u64,
}

impl Ask {
    /// For a stream with that pause between its events, or for one answer.
    #[must_use]
    pub fn new(stream: Option<Duration>) -> Self {
        let question = "What is the capital of France?";
        Self {
            model: MODEL.to_owned(),
            messages: vec![serde_json::json!({"role": "user", "content": question})],
            stream: stream.is_some(),
            pause_ms: stream.map_or(0, |pause| pause.as_millis() as u64),
        }
    }
}

/// An answer in one piece.
#[must_use]
pub fn answer() -> String {
    serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TOKEN}}],
        "usage": {"prompt_tokens": 14, "completion_tokens": 1, "total_tokens": 15},
    })
    .to_string()
}

/// An event that was made `at` nanoseconds after the beginning.
#[must_use]
pub fn event(at: u64) -> String {
    let data = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": MODEL,
        "choices": [{"index": 0, "finish_reason": null, "delta": {"content": TOKEN}}],
        "at": at,
    });
    format!("data: {data}\n\n")
}

/// Takes the events that are complete out of `buffer`: when each was made.
///
/// # Errors
/// When one of them is none of [`event`]'s.
pub fn complete(buffer: &mut Vec<u8>) -> Result<Vec<u64>> {
    let mut made = vec![];
    while let Some(end) = buffer.windows(END.len()).position(|two| two == END) {
        let event: Vec<u8> = buffer.drain(..end + END.len()).collect();
        let data = event
            .strip_prefix(b"data: ")
            .context("failed to read an event")?;
        let event: Event = serde_json::from_slice(data).context("failed to read an event")?;
        made.push(event.at);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_they_are_cut() {
        let text = [event(1), event(2), event(3)].concat();
        for size in [1, 7, text.len() - 1, text.len()] {
            let (mut buffer, mut made) = (vec![], vec![]);
            for piece in text.as_bytes().chunks(size) {
                buffer.extend_from_slice(piece);
                made.extend(complete(&mut buffer).unwrap());
            }
            assert_eq!((made, buffer), (vec![1, 2, 3], vec![]), "{size}");
        }
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        let mut buffer = b"data: {\"error\":\"busy\"}\n\n".to_vec();
        assert!(complete(&mut buffer).is_err());
    }
}
