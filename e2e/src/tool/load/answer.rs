//! What a client makes of an answer.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::tally::{Outcome, Step};

/// For the head of an answer, and between two pieces of its body: only who is gone takes that long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a body's end is kept.
const KEPT: usize = 4096;
/// The last event of a stream.
const DONE: &[u8] = b"data: [DONE]";

/// Reads an answer to its end.
pub async fn outcome(answer: Response<Incoming>) -> Outcome {
    let (head, body) = answer.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return Outcome::failed(Step::Answer, &error),
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
    Outcome::failed(
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
