//! How many requests each caller may send to this pod, and how many tokens they may take.
//!
//! A request counts when it comes. Its tokens are known when it has ended: a budget that has any left lets the next
//! one in, and what that takes beyond it is made up for by waiting.

pub mod rate;
pub mod till;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::callers::Caller;
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

/// What a caller has spent: for each budget, when it is whole again.
#[derive(Debug)]
struct Account(Vec<Instant>);

/// The callers' accounts.
#[derive(Debug)]
pub struct Budgets {
    rates: Vec<(Unit, Rate)>,
    room: usize,
    accounts: Mutex<HashMap<String, Account>>,
}

/// The account that a request's tokens are taken from.
#[derive(Debug)]
pub struct Purse {
    budgets: Arc<Budgets>,
    caller: String,
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

    /// Counts a request of `caller`, unless a budget is spent; and what is left either way.
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
        let whole = || Account(vec![now; self.rates.len()]);
        let account = accounts.entry(caller.clone()).or_insert_with(whole);
        let spent = self.spent(account, now);
        if spent.is_none() {
            self.take(account, Unit::Request, 1, now);
        }
        let standing = self.standing(account, now);
        let budgets = Arc::clone(self);
        (spent.map_or(Ok(Purse { budgets, caller }), Err), standing)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spent budget that takes longest.
    fn spent(&self, account: &Account, now: Instant) -> Option<Spent> {
        let budgets = self.rates.iter().zip(&account.0);
        budgets
            .filter(|((_, rate), whole_at)| rate.left(**whole_at, now).remaining == 0)
            .map(|((unit, rate), whole_at)| Spent {
                unit: *unit,
                rate: *rate,
                wait: rate.wait(*whole_at, now),
            })
            .max_by_key(|spent| spent.wait)
    }

    fn take(&self, account: &mut Account, what: Unit, units: u64, now: Instant) {
        for ((unit, rate), whole_at) in self.rates.iter().zip(&mut account.0) {
            if *unit == what {
                *whole_at = rate.take(*whole_at, now, units);
            }
        }
    }

    fn standing(&self, account: &Account, now: Instant) -> Standing {
        let least = |what| {
            let budgets = self.rates.iter().zip(&account.0);
            budgets
                .filter(|((unit, _), _)| *unit == what)
                .map(|((_, rate), whole_at)| rate.left(*whole_at, now))
                .min_by_key(|left| left.remaining)
        };
        Standing {
            requests: least(Unit::Request),
            tokens: least(Unit::Token),
        }
    }
}

/// Makes room: those whose budgets are whole are as good as new, and if there is none, who will be so first.
fn forget(accounts: &mut HashMap<String, Account>, room: usize, now: Instant) {
    let whole_at = |account: &Account| account.0.iter().max().copied().unwrap_or(now);
    accounts.retain(|_, account| whole_at(account) > now);
    if accounts.len() < room {
        return;
    }
    let first = accounts.iter().min_by_key(|(_, account)| whole_at(account));
    if let Some(first) = first.map(|(caller, _)| caller.clone()) {
        accounts.remove(&first);
    }
}

impl Purse {
    /// Takes the tokens of a request that has ended.
    pub fn pay(self, tokens: u64, now: Instant) {
        let mut accounts = self.budgets.lock();
        // A caller who was forgotten meanwhile had nearly whole budgets.
        if let Some(account) = accounts.get_mut(&self.caller) {
            self.budgets.take(account, Unit::Token, tokens, now);
        }
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
#[path = "tests.rs"]
mod tests;
