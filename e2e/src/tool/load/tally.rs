//! What became of each stream, counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// How many errors are kept as they came.
const KEPT: usize = 20;

/// What became of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200, and events up to `[DONE]`.
    Complete,
    /// Another status than 200, in a whole answer.
    Refused {
        /// The status.
        status: u16,
        /// `error.code` of the body.
        code: String,
        /// Seconds of `Retry-After`, where it is there.
        retry_after: Option<u64>,
    },
    /// A request that met its server's leaving on the way and was not begun, over a connection of this protocol: it is
    /// sent once more.
    Crossed(&'static str),
    /// No answer, or none that was whole.
    Failed {
        /// How far it came.
        at: Step,
        /// What the client saw.
        error: String,
    },
}

impl Outcome {
    /// What came no further than this.
    #[must_use]
    pub fn failed(at: Step, error: &anyhow::Error) -> Self {
        let error = format!("{error:#}");
        Self::Failed { at, error }
    }

    /// Whether no server has begun with the request, so that it can be sent once more.
    #[must_use]
    pub const fn unbegun(&self) -> bool {
        matches!(
            self,
            Self::Failed {
                at: Step::Leaving,
                ..
            }
        )
    }
}

/// The steps of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No connection.
    Connect,
    /// A connection whose server leaves and has not begun with the request, again and again.
    Leaving,
    /// A connection, and no head of an answer.
    Request,
    /// A head, and no whole body.
    Answer,
}

/// The counts of a whole load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Streams that came to their `[DONE]`.
    pub complete: u64,
    /// Requests by protocol that were sent once more because no server had begun them; what became of them then is
    /// counted too.
    pub crossed: BTreeMap<String, u64>,
    /// Refusals by `<status> <code>`, with `, Retry-After` where the answer had it.
    pub refused: BTreeMap<String, u64>,
    /// Failures by step.
    pub failed: BTreeMap<String, u64>,
    /// The first that were not complete, each with the milliseconds since the beginning.
    pub first: Vec<String>,
}

/// Counts from many clients.
#[derive(Debug)]
pub struct Tally {
    began: Instant,
    summary: Mutex<Summary>,
}

impl Tally {
    /// Nothing yet; the clock starts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            summary: Mutex::default(),
        }
    }

    /// Adds one; `who` is the client, for the reader.
    pub fn add(&self, who: &str, outcome: &Outcome) {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        let said = match outcome {
            Outcome::Complete => {
                summary.complete += 1;
                return;
            }
            Outcome::Crossed(protocol) => {
                *summary.crossed.entry((*protocol).to_owned()).or_default() += 1;
                format!("crossed over {protocol}")
            }
            Outcome::Refused {
                status,
                code,
                retry_after,
            } => {
                let told = retry_after.map_or("", |_| ", Retry-After");
                let kind = format!("{status} {code}{told}");
                *summary.refused.entry(kind.clone()).or_default() += 1;
                kind
            }
            Outcome::Failed { at, error } => {
                let kind = at.as_str();
                *summary.failed.entry(kind.to_owned()).or_default() += 1;
                format!("{kind}: {error}")
            }
        };
        if summary.first.len() < KEPT {
            let at = self.began.elapsed().as_millis();
            summary.first.push(format!("{at} ms, {who}: {said}"));
        }
    }

    /// What was counted.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.clone()
    }
}

impl Summary {
    /// How many requests crossed over this protocol.
    #[must_use]
    pub fn crossed(&self, protocol: &str) -> u64 {
        self.crossed.get(protocol).copied().unwrap_or_default()
    }
}

impl Step {
    /// As it stands in the summary.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Leaving => "leaving",
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_by_outcome_and_the_first_are_kept() {
        let tally = Tally::new();
        let refused = |retry_after| Outcome::Refused {
            status: 503,
            code: "Draining".to_owned(),
            retry_after,
        };
        let failed = Outcome::Failed {
            at: Step::Connect,
            error: "refused".to_owned(),
        };
        for outcome in [
            &Outcome::Complete,
            &Outcome::Crossed("HTTP/2"),
            &refused(Some(2)),
            &refused(None),
            &failed,
        ] {
            tally.add("kept 0", outcome);
        }
        for _ in 0..KEPT {
            tally.add("new 1", &failed);
        }
        let summary = tally.summary();
        assert_eq!((summary.complete, summary.crossed("HTTP/2")), (1, 1));
        let kinds: Vec<_> = summary.refused.keys().collect();
        assert_eq!(kinds, ["503 Draining", "503 Draining, Retry-After"]);
        assert_eq!(summary.failed["connect"], KEPT as u64 + 1);
        assert_eq!(summary.first.len(), KEPT);
        assert!(summary.first[3].ends_with(" ms, kept 0: connect: refused"));
    }
}
