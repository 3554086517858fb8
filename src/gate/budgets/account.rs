//! One caller's account: what is spent of each budget; pure.

use std::time::Instant;

use super::rate::{Left, Rate};
use super::{Spent, Standing, Unit};

/// The budgets that every caller has.
pub(super) type Rates = [(Unit, Rate)];

/// What a caller has spent.
#[derive(Debug)]
pub(super) struct Account {
    /// For each budget, when it is whole again.
    whole_at: Vec<Instant>,
    /// Requests that have come and are not let in yet: their places in the budgets are kept for them.
    waiting: u64,
}

impl Account {
    /// With whole budgets, of which there are so many.
    pub(super) fn new(budgets: usize, now: Instant) -> Self {
        Self {
            whole_at: vec![now; budgets],
            waiting: 0,
        }
    }

    /// When all budgets are whole again, and before that whether a request waits.
    pub(super) fn whole_at(&self, now: Instant) -> (bool, Instant) {
        let last = self.whole_at.iter().max().copied();
        (self.waiting > 0, last.unwrap_or(now))
    }

    /// A request has come, and its place is kept.
    pub(super) fn comes(&mut self) {
        self.waiting += 1;
    }

    /// A request that has come goes without being let in.
    pub(super) fn goes(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// A request that has come is let in, and counts from now on.
    pub(super) fn let_in(&mut self, rates: &Rates, now: Instant) {
        self.goes();
        self.take(rates, Unit::Request, 1, now);
    }

    /// So many units are spent.
    pub(super) fn take(&mut self, rates: &Rates, what: Unit, units: u64, now: Instant) {
        for ((unit, rate), whole_at) in rates.iter().zip(&mut self.whole_at) {
            if *unit == what {
                *whole_at = rate.take(*whole_at, now, units);
            }
        }
    }

    /// The spent budget that takes longest.
    pub(super) fn spent(&self, rates: &Rates, now: Instant) -> Option<Spent> {
        self.seen(rates, now)
            .filter(|(_, rate, whole_at)| rate.left(*whole_at, now).remaining == 0)
            .map(|(unit, rate, whole_at)| Spent {
                unit,
                rate,
                wait: rate.wait(whole_at, now),
            })
            .max_by_key(|spent| spent.wait)
    }

    /// What is left.
    pub(super) fn standing(&self, rates: &Rates, now: Instant) -> Standing {
        let least = |what| -> Option<Left> {
            self.seen(rates, now)
                .filter(|(unit, ..)| *unit == what)
                .map(|(_, rate, whole_at)| rate.left(whole_at, now))
                .min_by_key(|left| left.remaining)
        };
        Standing {
            requests: least(Unit::Request),
            tokens: least(Unit::Token),
        }
    }

    /// The budgets as they would be if all who wait were let in now.
    fn seen(&self, rates: &Rates, now: Instant) -> impl Iterator<Item = (Unit, Rate, Instant)> {
        let kept = |unit| match unit {
            Unit::Request => self.waiting,
            Unit::Token => 0,
        };
        let budgets = rates.iter().zip(&self.whole_at);
        budgets.map(move |((unit, rate), whole_at)| {
            (*unit, *rate, rate.take(*whole_at, now, kept(*unit)))
        })
    }
}
