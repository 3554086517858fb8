//! How many requests each caller may send to this pod, and how many tokens they may take.
//!
//! A request counts when it is let in; from when it comes until then a place is kept for it. Its tokens are known when it
//! has ended: a budget that has any left lets the next one in, and what that takes beyond it is made up for by waiting.

mod account;
pub mod cost;
mod purse;
pub mod rate;
pub mod till;

pub use purse::Purse;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::callers::Caller;
use account::Account;
use rate::{Left, Rate, written};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Callers that are remembered. Beyond it the one is forgotten whose budgets are whole the soonest.
const CALLERS: usize = 4096;

/// The budgets of each caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Requests in a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens in a minute, read and written.
    pub tokens_per_minute: Option<u32>,
    /// Tokens in a day, read and written.
    pub tokens_per_day: Option<u32>,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Request,
    /// Tokens.
    Token,
}

/// The callers' accounts.
#[derive(Debug)]
pub struct Budgets {
    rates: Vec<(Unit, Rate)>,
    room: usize,
    accounts: Mutex<HashMap<String, Account>>,
}

/// What is left of a caller's budgets, of two of a kind the one with less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Requests.
    pub requests: Option<Left>,
    /// Tokens.
    pub tokens: Option<Left>,
}

/// A budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What it counts.
    pub unit: Unit,
    /// How much it is.
    pub rate: Rate,
    /// Until all budgets have something left.
    pub wait: Duration,
}

impl Budgets {
    /// Nothing where there is no budget.
    #[must_use]
    pub fn new(config: Config) -> Option<Arc<Self>> {
        Self::with_room(config, CALLERS)
    }

    fn with_room(config: Config, room: usize) -> Option<Arc<Self>> {
        let all = [
            (Unit::Request, config.requests_per_minute, MINUTE),
            (Unit::Token, config.tokens_per_minute, MINUTE),
            (Unit::Token, config.tokens_per_day, DAY),
        ];
        let rates: Vec<_> = all
            .into_iter()
            .filter_map(|(unit, limit, period)| {
                Some((
                    unit,
                    Rate {
                        limit: limit?,
                        period,
                    },
                ))
            })
            .collect();
        (!rates.is_empty()).then(|| {
            Arc::new(Self {
                rates,
                room,
                accounts: Mutex::default(),
            })
        })
    }

    /// Keeps a place for a request of `caller`, unless a budget is spent; and what is left either way.
    ///
    /// # Errors
    /// [`Spent`].
    pub fn enter(
        self: &Arc<Self>,
        caller: &Caller,
        now: Instant,
    ) -> (Result<Purse, Spent>, Standing) {
        let caller = caller.identity();
        let mut accounts = self.lock();
        if accounts.len() >= self.room && !accounts.contains_key(&caller) {
            forget(&mut accounts, self.room, now);
        }
        let whole = || Account::new(self.rates.len(), now);
        let account = accounts.entry(caller.clone()).or_insert_with(whole);
        let spent = account.spent(&self.rates, now);
        if spent.is_none() {
            account.comes();
        }
        let standing = account.standing(&self.rates, now);
        let purse = || Ok(Purse::new(Arc::clone(self), caller));
        (spent.map_or_else(purse, Err), standing)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: those whose budgets are whole are as good as new, and if there is none, who will be so first.
fn forget(accounts: &mut HashMap<String, Account>, room: usize, now: Instant) {
    accounts.retain(|_, account| account.whole_at(now) > (false, now));
    if accounts.len() < room {
        return;
    }
    let first = accounts
        .iter()
        .min_by_key(|(_, account)| account.whole_at(now));
    if let Some(first) = first.map(|(caller, _)| caller.clone()) {
        accounts.remove(&first);
    }
}

impl Standing {
    /// The header fields that the OpenAI API has for it.
    pub fn write(&self, headers: &mut HeaderMap) {
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        if let Some(left) = self.requests {
            set("x-ratelimit-limit-requests", left.limit.to_string());
            set("x-ratelimit-remaining-requests", left.remaining.to_string());
            set("x-ratelimit-reset-requests", written(left.reset));
        }
        if let Some(left) = self.tokens {
            set("x-ratelimit-limit-tokens", left.limit.to_string());
            set("x-ratelimit-remaining-tokens", left.remaining.to_string());
            set("x-ratelimit-reset-tokens", written(left.reset));
        }
    }
}

impl Spent {
    /// For the caller.
    #[must_use]
    pub fn message(&self) -> String {
        let units = match self.unit {
            Unit::Request => "requests",
            Unit::Token => "tokens",
        };
        let period = if self.rate.period == DAY {
            "day"
        } else {
            "minute"
        };
        let limit = self.rate.limit;
        format!("your {limit} {units} a {period} for each pod are spent for now")
    }

    /// Whole seconds.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        let seconds = self.wait.as_nanos().div_ceil(1_000_000_000).max(1);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
