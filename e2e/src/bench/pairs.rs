//! Two ways to do the same, measured in turn and compared pair by pair: what slows the machine down for a
//! while slows both halves of a pair.

/// One of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The yardstick.
    Bare,
    /// What is measured against it.
    Gate,
}

impl Side {
    /// Who goes first and second in a pair: A B, B A, A B, and so on, so that neither profits from its place.
    #[must_use]
    pub fn order(pair: usize) -> [Self; 2] {
        if pair.is_multiple_of(2) {
            [Self::Bare, Self::Gate]
        } else {
            [Self::Gate, Self::Bare]
        }
    }
}

/// Measured pairs, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    bare: Vec<f64>,
    gate: Vec<f64>,
}

/// What a number of pairs say, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Pairs.
    pub count: usize,
    /// Median and 99th percentile of the bare side.
    pub bare: [f64; 2],
    /// The same of the other.
    pub gate: [f64; 2],
    /// Quartiles of the differences within a pair, gate less bare; the second is their median.
    pub adds: [f64; 3],
    /// Median of the ratios within a pair, gate by bare.
    pub ratio: f64,
}

impl Pairs {
    /// Adds one pair.
    pub fn push(&mut self, bare: f64, gate: f64) {
        self.bare.push(bare);
        self.gate.push(gate);
    }

    /// What they say; `None` without a pair.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        let both = || self.bare.iter().zip(&self.gate);
        let differences: Vec<f64> = both().map(|(bare, gate)| gate - bare).collect();
        let ratios: Vec<f64> = both().map(|(bare, gate)| gate / bare).collect();
        Some(Summary {
            count: self.bare.len(),
            bare: quantiles(&self.bare, [50, 99])?,
            gate: quantiles(&self.gate, [50, 99])?,
            adds: quantiles(&differences, [25, 50, 75])?,
            ratio: quantiles(&ratios, [50])?[0],
        })
    }
}

impl Summary {
    /// One line; `other` is what the side is called that was measured against the bare one.
    #[must_use]
    pub fn line(&self, other: &str) -> String {
        let ([bare50, bare99], [other50, other99]) = (self.bare, self.gate);
        let [low, median, high] = self.adds;
        format!(
            "n={} bare p50 {bare50:.1} p99 {bare99:.1}, {other} p50 {other50:.1} p99 {other99:.1}, \
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
        use Side::{Bare, Gate};
        let order: Vec<Side> = (0..4).flat_map(Side::order).collect();
        assert_eq!(
            order,
            [Bare, Gate, Gate, Bare, Bare, Gate, Gate, Bare].to_vec()
        );
    }

    #[test]
    fn differences_and_ratios_are_taken_within_a_pair() {
        // A slow phase of the machine: the medians of the sides are 20 apart, no pair is.
        let mut pairs = Pairs::default();
        for (bare, gate) in [(10.0, 15.0), (10.0, 30.0), (100.0, 105.0)] {
            pairs.push(bare, gate);
        }
        let summary = pairs.summary().unwrap();
        assert_eq!((summary.bare[0], summary.gate[0]), (10.0, 30.0));
        assert_eq!((summary.adds, summary.ratio), ([5.0, 5.0, 20.0], 1.5));
        assert_eq!(summary.count, 3);
        assert_eq!(Pairs::default().summary(), None);
    }
}
