//! What a request costs its caller in tokens; pure.

use std::time::Duration;

use crate::gate::audit::Outcome;
use crate::gate::usage::Usage;

/// Most tokens that a prompt is taken for where the engine did not say how many it had: bytes of images are none.
const PROMPT_GUESS: u64 = 8192;
/// Tokens in a second that an engine is taken to read or write for a request of which nothing was seen to come.
const PACE: u64 = 50;

/// What is known of a request that the engine had.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// What the engine says, last of an answer.
    pub usage: Option<Usage>,
    /// Of the answer; 499 where the client went before it.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Of the request's body.
    pub bytes_in: u64,
    /// Events of a stream that have come.
    pub events: u64,
    /// How long the engine had it.
    pub took: Duration,
}

impl Work {
    /// What the engine says. Where an answer ended before it said it, an estimate: four bytes to a token that was read, an
    /// event to one that was written, and where no event came, the time: whoever hangs up early pays too, whether an answer
    /// was to come in events or in one piece. What the client wrote of the length of the answer decides nothing, since
    /// engines differ in which word for it they heed.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        if let Some(usage) = self.usage {
            return usage.prompt.saturating_add(usage.completion);
        }
        // 504: the engine found no end for it.
        let worked = matches!(self.status, 200 | 499 | 504);
        let ours = matches!(self.outcome, Outcome::UpstreamError | Outcome::Reset);
        if !worked || (ours && self.events == 0) {
            return 0;
        }
        let written = match self.events {
            0 => PACE.saturating_mul(self.took.as_secs()),
            events => events,
        };
        (self.bytes_in / 4)
            .min(PROMPT_GUESS)
            .saturating_add(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Usage = Usage {
        prompt: 7,
        completion: 2,
    };

    /// A request of 40 bytes that the engine had for two minutes.
    fn work(status: u16, outcome: Outcome, events: u64) -> Work {
        Work {
            usage: None,
            status,
            outcome,
            bytes_in: 40,
            events,
            took: Duration::from_millis(120_900),
        }
    }

    #[rstest::rstest]
    #[case::before_the_answer(499, Outcome::ClientClosed, 0, 6_010)]
    #[case::before_the_first_event(200, Outcome::ClientClosed, 0, 6_010)]
    #[case::within_the_events(200, Outcome::ClientClosed, 8, 18)]
    #[case::no_end_in_time(504, Outcome::Timeout, 0, 6_010)]
    #[case::no_end_of_the_events(200, Outcome::Timeout, 8, 18)]
    #[case::whole_without_a_word(200, Outcome::Ok, 8, 18)]
    #[case::the_engine_broke_off(502, Outcome::UpstreamError, 0, 0)]
    #[case::the_engine_died_before_the_first_event(200, Outcome::UpstreamError, 0, 0)]
    #[case::the_engine_died_within_the_events(200, Outcome::UpstreamError, 8, 18)]
    #[case::the_pod_was_open(499, Outcome::Reset, 0, 0)]
    #[case::the_engine_refused_it(400, Outcome::Ok, 0, 0)]
    fn without_a_word(
        #[case] status: u16,
        #[case] outcome: Outcome,
        #[case] events: u64,
        #[case] expected: u64,
    ) {
        assert_eq!(work(status, outcome, events).tokens(), expected);
    }

    #[test]
    fn what_the_engine_says_counts_alone() {
        let mut work = work(200, Outcome::Ok, 8);
        work.usage = Some(SAID);
        assert_eq!(work.tokens(), 9);
    }

    #[test]
    fn a_long_body_and_a_long_time_are_bounded() {
        let mut work = work(499, Outcome::ClientClosed, 0);
        (work.bytes_in, work.took) = (u64::MAX, Duration::MAX);
        assert_eq!(work.tokens(), u64::MAX);
        work.took = Duration::ZERO;
        assert_eq!(work.tokens(), PROMPT_GUESS);
    }
}
