//! Two ways to do the same, measured in turn and compared pair by pair: what slows the machine down for a
//! while slows both halves of a pair.

/// One of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The yardstick.
    First,
    /// What is measured against it.
    Second,
}

impl Side {
    /// Who goes first and second in a pair: A B, B A, A B, and so on, so that neither profits from its place.
    #[must_use]
    pub fn order(pair: usize) -> [Self; 2] {
        if pair.is_multiple_of(2) {
            [Self::First, Self::Second]
        } else {
            [Self::Second, Self::First]
        }
    }
}

/// Measured pairs, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    first: Vec<f64>,
    second: Vec<f64>,
}

/// What a number of pairs say, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Pairs.
    pub count: usize,
    /// Median and 99th percentile of the yardstick.
    pub first: [f64; 2],
    /// The same of the other.
    pub second: [f64; 2],
    /// Quartiles of the differences within a pair, the second less the first; the middle one is their median.
    pub adds: [f64; 3],
    /// Median of the ratios within a pair, the second by the first.
    pub ratio: f64,
}

impl Pairs {
    /// Adds one pair.
    pub fn push(&mut self, first: f64, second: f64) {
        self.first.push(first);
        self.second.push(second);
    }

    /// What they say; `None` without a pair.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        let both = || self.first.iter().zip(&self.second);
        let differences: Vec<f64> = both().map(|(first, second)| second - first).collect();
        let ratios: Vec<f64> = both().map(|(first, second)| second / first).collect();
        Some(Summary {
            count: self.first.len(),
            first: quantiles(&self.first, [50, 99])?,
            second: quantiles(&self.second, [50, 99])?,
            adds: quantiles(&differences, [25, 50, 75])?,
            ratio: quantiles(&ratios, [50])?[0],
        })
    }
}

impl Summary {
    /// One line, with what the sides are called.
    #[must_use]
    pub fn line(&self, [first, second]: [&str; 2]) -> String {
        let ([first50, first99], [second50, second99]) = (self.first, self.second);
        let [low, median, high] = self.adds;
        format!(
            "n={} {first} p50 {first50:.1} p99 {first99:.1}, {second} p50 {second50:.1} p99 {second99:.1}, \
             paired difference median {median:.1} (middle half {low:.1} to {high:.1}) us, ratio {:.2}",
            self.count, self.ratio
        )
    }
}

/// Percentiles by nearest rank: the least value that at least so many percent of all do not exceed.
pub fn quantiles<const N: usize>(values: &[f64], percents: [usize; N]) -> Option<[f64; N]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(percents.map(|percent| {
        let rank = (percent * sorted.len()).div_ceil(100);
        sorted[rank.saturating_sub(1).min(last)]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank_in_any_order() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            quantiles(&hundred, [0, 50, 99, 100]),
            Some([1.0, 50.0, 99.0, 100.0])
        );
        assert_eq!(quantiles(&[3.0, 1.0, 2.0], [50, 99]), Some([2.0, 3.0]));
        assert_eq!(quantiles(&[7.0], [1, 99]), Some([7.0, 7.0]));
        assert_eq!(quantiles(&[], [50]), None);
    }

    #[test]
    fn pairs_go_a_b_b_a() {
        use Side::{First, Second};
        let order: Vec<Side> = (0..4).flat_map(Side::order).collect();
        assert_eq!(
            order,
            [First, Second, Second, First, First, Second, Second, First].to_vec()
        );
    }

    #[test]
    fn differences_and_ratios_are_taken_within_a_pair() {
        // A slow phase of the machine: the medians of the sides are 20 apart, no pair is.
        let mut pairs = Pairs::default();
        for (first, second) in [(10.0, 15.0), (10.0, 30.0), (100.0, 105.0)] {
            pairs.push(first, second);
        }
        let summary = pairs.summary().unwrap();
        assert_eq!((summary.first[0], summary.second[0]), (10.0, 30.0));
        assert_eq!((summary.adds, summary.ratio), ([5.0, 5.0, 20.0], 1.5));
        assert_eq!(summary.count, 3);
        assert_eq!(Pairs::default().summary(), None);
    }
}
