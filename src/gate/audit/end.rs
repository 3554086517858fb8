//! The end of a request: its outcome, what the caller pays, what metrics count, and the line.

use std::time::{Duration, Instant};

use super::line::{About, Line};
use super::{Outcome, Record};
use crate::gate::core::Drain;
use crate::gate::gen_ai;
use crate::gate::metrics::Requests;

/// Most tokens that a prompt is taken for where the engine did not say how many it had: bytes of images are none.
const PROMPT_GUESS: u64 = 8192;

impl Record {
    /// What a caller pays for: what the engine says, and where an answer ended before it said it, an estimate of four
    /// bytes to a token that was read and an event to one that was written: whoever hangs up early pays too.
    fn tokens(&self, line: &Line) -> u64 {
        let begun = matches!(line.status, 200 | 499);
        match self.usage {
            Some(usage) => usage.prompt.saturating_add(usage.completion),
            None if begun => (line.bytes_in / 4).min(PROMPT_GUESS) + self.events,
            None => 0,
        }
    }

    /// How a request ended whose end nobody saw: whoever was not cut by us went by themselves.
    fn unsettled(&self) -> Outcome {
        if self.core.admits().is_err() {
            return Outcome::Reset;
        }
        match self.core.watch().borrow().drain {
            Drain::Done => Outcome::Timeout,
            _ => Outcome::ClientClosed,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(code) = self.told.take().and_then(|told| told.get().copied()) {
            self.rpc_error(Some(code));
        }
        let (Some(mut line), Some(permit)) = (self.line.take(), self.permit.take()) else {
            return;
        };
        if !self.settled {
            line.outcome = self.unsettled();
        }
        let took = self.begun.elapsed();
        line.millis = millis(took);
        if let About::Model {
            prompt_tokens,
            completion_tokens,
            ttft_millis,
            ..
        } = &mut line.about
        {
            *ttft_millis = self.first_byte.map(millis);
            *prompt_tokens = self.usage.map(|usage| usage.prompt);
            *completion_tokens = self.usage.map(|usage| usage.completion);
        }
        if let Some(purse) = self.purse.take() {
            purse.pay(self.tokens(&line), Instant::now());
        }
        let labels = Requests {
            route: line.route,
            code: line.status,
        };
        self.metrics.requests.get_or_create(&labels).inc();
        if let (About::Mcp { rpc, rpc_error, .. }, Some(mcp)) = (&line.about, &self.metrics.mcp) {
            let method = rpc.unwrap_or("other");
            mcp.observe(method, line.outcome, rpc_error.is_some(), took);
        }
        if let (
            Some(route),
            Some(gen_ai),
            About::Model {
                model: Some(model), ..
            },
        ) = (self.route, &self.metrics.gen_ai, &line.about)
        {
            gen_ai.observe(&gen_ai::Request {
                model,
                route,
                status: line.status,
                outcome: line.outcome,
                took,
                first_event: self.first_byte.filter(|_| self.streams),
                usage: self.usage,
            });
        }
        permit.send(line);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
