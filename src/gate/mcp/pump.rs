//! Takes a call's messages to its client, whether that reads them or has gone for a while.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::answers::failed;
use super::call::{Call, Heard, Said};
use super::outbox::Outbox;
use crate::gate::audit::Outcome;
use crate::mcp::Id;

/// A call on its way to its client.
pub struct Pump {
    /// Where its messages go.
    pub outbox: Arc<Outbox>,
    /// Its client gives it up.
    pub cancel: CancellationToken,
    /// The client's id.
    pub id: Id,
    /// For the whole call; `None` for a stream that has no end of its own.
    pub limit: Option<Duration>,
    /// What becomes of the answer.
    pub shape: Shape,
    /// Held until the end: the child, the call's place among all.
    pub held: Box<dyn Any + Send + Sync>,
}

/// What becomes of an answer on its way.
pub type Shape = Box<dyn Fn(Said) -> Said + Send + Sync>;

/// Longer than any gate lives.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Pump {
    /// To its end.
    pub async fn run(self, call: Call) {
        match self.relay(call).await {
            Some(said) => self.outbox.finish((self.shape)(said)),
            None => self.outbox.close(),
        }
    }

    /// Passes what comes before the answer; `None` where the client gives the call up.
    pub async fn relay(&self, mut call: Call) -> Option<Said> {
        let end = Instant::now() + self.limit.unwrap_or(FOR_EVER);
        loop {
            tokio::select! {
                biased;
                heard = call.next() => match heard {
                    Ok(Heard::Note(said)) => {
                        self.outbox.push(said);
                    }
                    Ok(Heard::Answer(said)) => return Some(said),
                    Err(_) => return Some(failed(&self.id, Outcome::UpstreamError).into()),
                },
                () = self.cancel.cancelled() => {
                    call.give_up("the client has cancelled it");
                    return None;
                }
                () = sleep_until(end) => {
                    call.give_up("it took too long");
                    return Some(failed(&self.id, Outcome::Timeout).into());
                }
            }
        }
    }
}
