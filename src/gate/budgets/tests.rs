use super::*;
use crate::gate::keys::KeyId;

fn key(name: &str) -> Caller {
    Caller::Key(KeyId(name.to_owned()))
}

fn config(requests: u32, tokens: u32, day: u32) -> Config {
    let some = |limit| (limit > 0).then_some(limit);
    Config {
        requests_per_minute: some(requests),
        tokens_per_minute: some(tokens),
        tokens_per_day: some(day),
    }
}

/// What happens to one caller.
enum Do {
    /// So many seconds pass.
    Pass(u64),
    /// A request that takes so many tokens.
    Ask(u64),
    /// A request that is refused until so many seconds have passed, because of this.
    Refused(Unit, u32),
}

use Do::{Ask, Pass, Refused};

#[rstest::rstest]
#[case::requests(config(2, 0, 0), &[Ask(9), Ask(9), Refused(Unit::Request, 30), Pass(30), Ask(9), Refused(Unit::Request, 30)])]
#[case::refusals_cost_nothing(config(1, 0, 0), &[Ask(0), Pass(59), Refused(Unit::Request, 1), Refused(Unit::Request, 1), Pass(1), Ask(0)])]
#[case::tokens(config(0, 60, 0), &[Ask(59), Ask(0), Ask(1), Refused(Unit::Token, 1), Pass(1), Ask(1)])]
#[case::beyond_the_budget(config(0, 60, 0), &[Ask(120), Refused(Unit::Token, 61), Pass(61), Ask(1)])]
#[case::a_day(config(0, 60, 86_400), &[Ask(86_400), Refused(Unit::Token, 86_341), Pass(86_341), Ask(1)])]
#[case::a_day_overspent_tenfold(config(0, 0, 86_400), &[
    Ask(864_000), Refused(Unit::Token, 777_601), Pass(86_400), Refused(Unit::Token, 691_201), Pass(691_201), Ask(1),
])]
#[case::a_day_of_little(config(0, 1_000, 100), &[Ask(100), Refused(Unit::Token, 864), Pass(864), Ask(1)])]
#[case::the_longest_wait_speaks(config(1, 60, 0), &[Ask(60), Refused(Unit::Request, 60)])]
fn what_one_caller_may_ask(#[case] config: Config, #[case] steps: &[Do]) {
    let budgets = Budgets::new(config).unwrap();
    let mut now = Instant::now();
    for (index, step) in steps.iter().enumerate() {
        match step {
            Pass(seconds) => now += Duration::from_secs(*seconds),
            Ask(tokens) => {
                let (purse, _) = budgets.enter(&key("a"), now);
                purse
                    .unwrap_or_else(|spent| panic!("step {index}: {spent:?}"))
                    .pay(*tokens, now);
            }
            Refused(unit, seconds) => {
                let spent = budgets.enter(&key("a"), now).0.unwrap_err();
                assert_eq!(
                    (spent.unit, spent.seconds()),
                    (*unit, *seconds),
                    "step {index}"
                );
            }
        }
    }
}

#[test]
fn without_a_budget_nothing_is_counted() {
    assert!(Budgets::new(Config::default()).is_none());
}

/// Whether a request is let in, where it counts.
fn lets_in(budgets: &Arc<Budgets>, caller: &Caller, now: Instant) -> bool {
    let purse = budgets.enter(caller, now).0;
    purse.map(|purse| drop(purse.let_in(now))).is_ok()
}

/// As many requests as are let in, again and again for a month: what they take is the budget of these days, the one at
/// the beginning, and what the last one took beyond it.
#[rstest::rstest]
#[case::one_after_the_other(1)]
#[case::hundreds_at_once(256)]
fn days_give_no_more_than_their_budgets(#[case] at_once: usize) {
    const LIMIT: u64 = 100_000;
    const EACH: u64 = 8_000;
    let budgets = Budgets::new(config(0, 0, 100_000)).unwrap();
    let begun = Instant::now();
    let (mut now, mut taken) = (begun, 0);
    while now - begun < 30 * DAY && taken < 100 * LIMIT {
        let entered: Vec<_> = (0..at_once)
            .map_while(|_| budgets.enter(&key("a"), now).0.ok())
            .collect();
        taken += EACH * entered.len() as u64;
        entered.into_iter().for_each(|purse| purse.pay(EACH, now));
        if let Err(spent) = budgets.enter(&key("a"), now).0 {
            now += spent.wait;
        }
    }
    assert!(taken <= 31 * LIMIT + EACH * at_once as u64, "{taken}");
    assert!(taken >= 20 * LIMIT, "{taken}");
}

#[test]
fn who_is_not_let_in_has_spent_nothing() {
    let budgets = Budgets::new(config(2, 0, 0)).unwrap();
    let now = Instant::now();
    let gone = budgets.enter(&key("a"), now).0.unwrap();
    let refused = budgets.enter(&key("a"), now).0.unwrap();
    let spent = budgets.enter(&key("a"), now).0.unwrap_err();
    assert_eq!(spent.seconds(), 30, "both may still be let in");
    drop(gone);
    assert_eq!(refused.give_back(now).requests.unwrap().remaining, 2);
    assert!(lets_in(&budgets, &key("a"), now));
    assert!(lets_in(&budgets, &key("a"), now));
    assert!(!lets_in(&budgets, &key("a"), now));
}

/// Requests that are held back until the budget would be whole again, to be given up beside as many others.
#[test]
fn places_that_are_kept_for_long_bring_nothing() {
    let budgets = Budgets::new(config(2, 0, 0)).unwrap();
    let now = Instant::now();
    let kept = [0, 1].map(|_| budgets.enter(&key("a"), now).0.unwrap());
    let later = now + MINUTE;
    assert!(!lets_in(&budgets, &key("a"), later));
    drop(kept);
    assert!(lets_in(&budgets, &key("a"), later));
    assert!(lets_in(&budgets, &key("a"), later));
    assert!(!lets_in(&budgets, &key("a"), later));
}

#[test]
fn each_caller_has_an_account() {
    let budgets = Budgets::new(config(1, 0, 0)).unwrap();
    let now = Instant::now();
    assert!(lets_in(&budgets, &key("a"), now));
    assert!(!lets_in(&budgets, &key("a"), now));
    assert!(lets_in(&budgets, &key("b"), now));
    // Nobody is asked who they are: they are one.
    assert!(lets_in(&budgets, &Caller::Anyone, now));
    assert!(!lets_in(&budgets, &Caller::Anyone, now));
}

#[test]
fn who_has_spent_least_is_forgotten_when_there_is_no_room() {
    let budgets = Budgets::with_room(config(10, 0, 0), 3).unwrap();
    let now = Instant::now();
    for (name, requests) in [("much", 10), ("little", 1), ("some", 5)] {
        for _ in 0..requests {
            assert!(lets_in(&budgets, &key(name), now));
        }
    }
    assert!(lets_in(&budgets, &key("new"), now));
    let names = |budgets: &Budgets| {
        let mut names: Vec<_> = budgets.lock().keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(&budgets), ["key/much", "key/new", "key/some"]);
    assert!(!lets_in(&budgets, &key("much"), now));
    // All of them are whole again.
    assert!(lets_in(&budgets, &key("later"), now + MINUTE));
    assert_eq!(names(&budgets), ["key/later"]);
}

#[test]
fn a_purse_of_a_forgotten_caller_opens_no_account() {
    let budgets = Budgets::with_room(config(0, 10, 0), 1).unwrap();
    let now = Instant::now();
    let purse = budgets.enter(&key("a"), now).0.unwrap();
    drop(budgets.enter(&key("b"), now));
    purse.pay(10, now);
    assert_eq!(budgets.lock().len(), 1);
}

#[test]
fn the_header_fields_are_those_of_openai() {
    let budgets = Budgets::new(config(60, 1_000, 500)).unwrap();
    let now = Instant::now();
    budgets.enter(&key("a"), now).0.unwrap().pay(100, now);
    let (_, standing) = budgets.enter(&key("a"), now);
    let mut headers = HeaderMap::new();
    standing.write(&mut headers);
    let fields: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let expected = [
        "x-ratelimit-limit-requests: 60",
        "x-ratelimit-remaining-requests: 58",
        "x-ratelimit-reset-requests: 2s",
        // Of the day's, which has less left than the minute's.
        "x-ratelimit-limit-tokens: 500",
        "x-ratelimit-remaining-tokens: 400",
        "x-ratelimit-reset-tokens: 4h48m0s",
    ];
    assert_eq!(fields, expected);
    let mut none = HeaderMap::new();
    Standing::default().write(&mut none);
    assert!(none.is_empty());
}
