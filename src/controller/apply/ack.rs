//! What became of a child, and when to look at it again.

use std::time::Duration;

use super::UNSEEN;

/// What became of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is as wanted.
    Unchanged,
    /// It was written, or was a moment ago and the store does not show it yet.
    Written,
    /// It is as wanted but for labels or annotations that somebody else puts into its pod template again and again, or for
    /// what no write of ours has mended: they are taken out, or that is tried, after that time at the earliest.
    Later(Duration),
    /// Somebody else changes it again and again, so that it is not as wanted or its pods would be none of ours.
    Contested {
        /// Who, what, and what to do: printable, at most 1,024 characters.
        message: String,
        /// When it may be taken back again.
        after: Duration,
    },
}

impl Ack {
    /// When to look again although nothing that is watched changes. What was written and is gone before the store has
    /// shown it looks like what the store does not show yet.
    #[must_use]
    pub fn again(&self) -> Option<Duration> {
        match self {
            Self::Unchanged => None,
            Self::Written => Some(UNSEEN),
            Self::Later(after) | Self::Contested { after, .. } => Some(*after),
        }
    }
}
