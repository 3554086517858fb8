//! The end of a request: its outcome, what the caller pays, what metrics count, and the line.

use std::time::{Duration, Instant};

use super::line::{About, Line};
use super::{Outcome, Record};
use crate::gate::budgets::cost::Work;
use crate::gate::core::Drain;
use crate::gate::gen_ai;
use crate::gate::metrics::Requests;

impl Record {
    /// What the engine did, which it has had since then.
    fn work(&self, line: &Line, since: Instant) -> Work {
        Work {
            usage: self.usage,
            status: line.status,
            outcome: line.outcome,
            bytes_in: line.bytes_in,
            events: self.events,
            took: since.elapsed(),
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
        if let Some((purse, since)) = self.purse.take() {
            purse.pay(self.work(&line, since).tokens(), Instant::now());
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
