//! Where a request meets its caller's budgets, before a model as before an MCP server.

use std::sync::Arc;
use std::time::Instant;

use super::{Budgets, Purse, Standing, Unit};
use crate::gate::answer::Refusal;
use crate::gate::callers::Caller;
use crate::gate::metrics::{Limit, Metrics};

/// Counts a request in its caller's budgets as it comes, where there are any, and writes down what is left of them.
///
/// # Errors
/// As [`admit`].
pub fn charge(
    budgets: Option<&Arc<Budgets>>,
    caller: &Caller,
    metrics: &Metrics,
    standing: &mut Standing,
) -> Result<Option<Purse>, Refusal> {
    let purse = admit(budgets, caller, metrics, standing)?;
    Ok(purse.map(|purse| purse.let_in(Instant::now())))
}

/// Keeps a place for a request in its caller's budgets, where there are any, and writes down what is left of them. It
/// counts once the purse is let in, and not at all where that is dropped before.
///
/// # Errors
/// 429 where one of them is spent; the metrics know of it.
pub fn admit(
    budgets: Option<&Arc<Budgets>>,
    caller: &Caller,
    metrics: &Metrics,
    standing: &mut Standing,
) -> Result<Option<Purse>, Refusal> {
    let Some(budgets) = budgets else {
        return Ok(None);
    };
    let (purse, left) = budgets.enter(caller, Instant::now());
    *standing = left;
    purse.map(Some).map_err(|spent| {
        let limit = match spent.unit {
            Unit::Request => Limit::RequestBudget,
            Unit::Token => Limit::TokenBudget,
        };
        metrics.limited(limit, &spent.message(), spent.seconds())
    })
}

/// The request is refused after all: it counts for nothing, and what is left is written down again.
pub fn give_back(purse: Option<Purse>, standing: &mut Standing) {
    if let Some(purse) = purse {
        *standing = purse.give_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::Config;
    use super::*;

    #[test]
    fn a_spent_budget_is_told() {
        let metrics = Metrics::of_mcp();
        let budgets = Budgets::new(Config {
            requests_per_minute: Some(1),
            ..Config::default()
        });
        let mut standing = Standing::default();
        let paid = charge(budgets.as_ref(), &Caller::Anyone, &metrics, &mut standing);
        assert!(paid.unwrap().is_some());
        assert_eq!(standing.requests.unwrap().remaining, 0);
        let mut standing = Standing::default();
        let spent = charge(budgets.as_ref(), &Caller::Anyone, &metrics, &mut standing);
        let spent = spent.unwrap_err();
        assert_eq!(spent.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(spent.code, "rate_limit_exceeded");
        assert!(spent.retry_after.is_some(), "{spent:?}");
        assert_eq!(standing.requests.unwrap().limit, 1, "also with a refusal");
    }

    #[test]
    fn a_request_that_is_refused_after_all_is_told_what_it_was_before() {
        let metrics = Metrics::of_mcp();
        let budgets = Budgets::new(Config {
            requests_per_minute: Some(2),
            ..Config::default()
        });
        for _ in 0..3 {
            let mut standing = Standing::default();
            let kept = admit(budgets.as_ref(), &Caller::Anyone, &metrics, &mut standing);
            assert_eq!(standing.requests.unwrap().remaining, 1);
            give_back(kept.unwrap(), &mut standing);
            assert_eq!(standing.requests.unwrap().remaining, 2);
        }
    }

    #[test]
    fn without_budgets_nothing_is_told() {
        let mut standing = Standing::default();
        let paid = charge(None, &Caller::Anyone, &Metrics::of_mcp(), &mut standing);
        assert!(paid.unwrap().is_none());
        assert_eq!(standing, Standing::default());
    }
}
