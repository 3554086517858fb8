//! What one request has of its caller's account.

use std::sync::Arc;
use std::time::Instant;

use super::account::Account;
use super::{Budgets, Standing, Unit};

/// A request's place in its caller's budgets. It counts once it is let in; one that is dropped before counts for nothing:
/// its client went, or another limit refused it.
#[derive(Debug)]
pub struct Purse {
    budgets: Arc<Budgets>,
    caller: String,
    /// It is not let in yet.
    waits: bool,
}

impl Purse {
    /// Of a request that has come, for which the account keeps a place.
    pub(super) fn new(budgets: Arc<Budgets>, caller: String) -> Self {
        Self {
            budgets,
            caller,
            waits: true,
        }
    }

    /// The request is let in, and counts from now on.
    #[must_use]
    pub fn let_in(mut self, now: Instant) -> Self {
        self.enter(now);
        self
    }

    /// The request is refused and counts for nothing; gives what is left then.
    #[must_use]
    pub fn give_back(mut self, now: Instant) -> Standing {
        let waited = std::mem::take(&mut self.waits);
        let budgets = &self.budgets;
        let mut accounts = budgets.lock();
        let Some(account) = accounts.get_mut(&self.caller) else {
            let whole = Account::new(budgets.rates.len(), now);
            return whole.standing(&budgets.rates, now);
        };
        if waited {
            account.goes();
        }
        account.standing(&budgets.rates, now)
    }

    /// Takes the tokens of a request that has ended.
    pub fn pay(mut self, tokens: u64, now: Instant) {
        self.enter(now);
        self.account(|account, budgets| account.take(&budgets.rates, Unit::Token, tokens, now));
    }

    fn enter(&mut self, now: Instant) {
        if std::mem::take(&mut self.waits) {
            self.account(|account, budgets| account.let_in(&budgets.rates, now));
        }
    }

    /// A caller who was forgotten meanwhile had nearly whole budgets.
    fn account(&self, act: impl FnOnce(&mut Account, &Budgets)) {
        if let Some(account) = self.budgets.lock().get_mut(&self.caller) {
            act(account, &self.budgets);
        }
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        if self.waits {
            self.account(|account, _| account.goes());
        }
    }
}
