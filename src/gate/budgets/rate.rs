//! A budget that fills up again with time: so many units in a period, at once or spread; pure.
//!
//! The generic cell rate algorithm (ITU-T I.371, annex A): all that is kept is when the budget is whole again.

use std::time::{Duration, Instant};

/// No debt keeps a caller away for longer: ninety budgets of a day. A thousand requests at once that take a twelfth of one
/// each are paid back in full, and the numbers of an engine that counts wrongly are bounded.
const LONGEST_DEBT: Duration = Duration::from_secs(90 * 24 * 3600);

/// So many units in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The units.
    pub limit: u32,
    /// The period.
    pub period: Duration,
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Of how many.
    pub limit: u32,
    /// So many.
    pub remaining: u32,
    /// Until it is whole again.
    pub reset: Duration,
}

impl Rate {
    /// What is left at `now` of a budget that is whole at `whole_at`.
    #[must_use]
    pub fn left(&self, whole_at: Instant, now: Instant) -> Left {
        let reset = whole_at.saturating_duration_since(now);
        let period = self.period.as_nanos().max(1);
        let spent = (reset.as_nanos() * u128::from(self.limit)).div_ceil(period);
        let spent = u32::try_from(spent).unwrap_or(u32::MAX);
        Left {
            limit: self.limit,
            remaining: self.limit.saturating_sub(spent),
            reset,
        }
    }

    /// When it is whole again once `units` are taken, of which there may be fewer.
    #[must_use]
    pub fn take(&self, whole_at: Instant, now: Instant, units: u64) -> Instant {
        let debt = whole_at.saturating_duration_since(now);
        let debt = debt.saturating_add(self.time_of(units));
        now + debt.min(LONGEST_DEBT)
    }

    /// Until at least one unit is there.
    #[must_use]
    pub fn wait(&self, whole_at: Instant, now: Instant) -> Duration {
        let debt = whole_at.saturating_duration_since(now);
        debt.saturating_sub(self.time_of(u64::from(self.limit).saturating_sub(1)))
    }

    /// In which so many units come.
    fn time_of(&self, units: u64) -> Duration {
        let limit = u128::from(self.limit).max(1);
        let nanos = self.period.as_nanos().saturating_mul(u128::from(units)) / limit;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A time as the OpenAI API writes it in header fields: `350ms`, `7s`, `6m0s`, `1h0m5s`; rounded up.
#[must_use]
pub fn written(time: Duration) -> String {
    let millis = time.as_nanos().div_ceil(1_000_000);
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let seconds = millis.div_ceil(1_000);
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[rstest::rstest]
    #[case::whole(60, &[], 0, 60, 0)]
    #[case::one(60, &[1], 0, 59, 0)]
    #[case::half_back(60, &[60], 30_000, 30, 0)]
    #[case::not_quite_one(60, &[60], 999, 0, 1)]
    #[case::one_again(60, &[60], 1_000, 1, 0)]
    #[case::in_debt(60, &[90], 0, 0, 31_000)]
    #[case::whole_again(60, &[90], 90_000, 60, 0)]
    #[case::no_more_than_whole(60, &[1], 600_000, 60, 0)]
    #[case::a_limit_that_divides_badly(7, &[1, 1, 1, 1, 1, 1], 0, 1, 0)]
    #[case::all_of_it(7, &[1, 1, 1, 1, 1, 1, 1], 0, 0, 8_572)]
    #[case::of_one(1, &[1], 0, 0, 60_000)]
    #[case::far_beyond(60, &[600], 0, 0, 541_000)]
    #[case::an_engine_that_lies(60, &[u64::MAX, u64::MAX], 0, 0, 7_775_941_000)]
    fn what_is_left(
        #[case] limit: u32,
        #[case] taken: &[u64],
        #[case] after: u64,
        #[case] remaining: u32,
        #[case] wait: u64,
    ) {
        let rate = Rate {
            limit,
            period: MINUTE,
        };
        let now = Instant::now();
        let whole_at = taken
            .iter()
            .fold(now, |whole_at, units| rate.take(whole_at, now, *units));
        let later = now + millis(after);
        assert_eq!(rate.left(whole_at, later).remaining, remaining);
        let waits = rate.wait(whole_at, later).as_nanos().div_ceil(1_000_000);
        assert_eq!(waits, u128::from(wait));
        let then = later + rate.wait(whole_at, later);
        assert!(rate.left(whole_at, then).remaining > 0, "after the wait");
    }

    #[rstest::rstest]
    #[case(0, "0ms")]
    #[case(350, "350ms")]
    #[case(1_000, "1s")]
    #[case(1_001, "2s")]
    #[case(59_000, "59s")]
    #[case(360_000, "6m0s")]
    #[case(3_605_000, "1h0m5s")]
    fn times_are_written_as_openai_does(#[case] time: u64, #[case] expected: &str) {
        assert_eq!(written(millis(time)), expected);
    }

    proptest::proptest! {
        #[test]
        fn a_period_gives_at_most_twice_the_limit(
            limit in 1_u32..50, steps in proptest::collection::vec(0_u64..5_000, 1..300),
        ) {
            let rate = Rate { limit, period: MINUTE };
            let begun = Instant::now();
            let (mut now, mut whole_at, mut taken) = (begun, begun, Vec::new());
            for step in steps {
                now += millis(step);
                if rate.left(whole_at, now).remaining > 0 {
                    whole_at = rate.take(whole_at, now, 1);
                    taken.push(now);
                }
            }
            for (index, from) in taken.iter().enumerate() {
                let within = taken[index..].iter().filter(|at| **at - *from < MINUTE);
                proptest::prop_assert!(within.count() <= 2 * limit as usize);
            }
        }
    }
}
