//! What several samples of one figure tell.

use serde::{Deserialize, Serialize};

/// The middle of samples, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle one.
    pub median: f64,
    /// The true median is between these in 95 of 100 cases, where there are six samples or more; of fewer, they are the least and the
    /// greatest.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// How many samples there are.
    pub samples: usize,
}

impl Summary {
    /// Of samples in any order; none if there are none.
    ///
    /// The interval is made of order statistics, which asks nothing of how the samples are spread: that the true median is not
    /// between the k-th from below and the k-th from above is as likely as that of n tossed coins fewer than k, or as many more,
    /// come down heads.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.iter().copied().filter(|sample| sample.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let middle = count / 2;
        let median = if count.is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        let out = outside(count);
        let (low, high) = match (sorted.get(out), count.checked_sub(out + 1).and_then(|at| sorted.get(at))) {
            (Some(&low), Some(&high)) if low <= high => (low, high),
            _ => (first, last),
        };
        Some(Self { median, low, high, samples: count })
    }

    /// Whether a value is one that the true median may well have.
    pub fn may_be(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// How many samples on either side can be left out so that the rest has the median in 95 of 100 cases.
fn outside(count: usize) -> usize {
    /// 2.5 per cent on each side.
    const RISK: f64 = 0.025;
    let mut out = 0;
    // That of `count` coins exactly `out` come down heads, and that so many or fewer do.
    let mut exactly = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut sum = exactly;
    while sum <= RISK && out < count / 2 {
        out += 1;
        exactly *= crate::as_f64((count - out + 1) as u64) / crate::as_f64(out as u64);
        sum += exactly;
    }
    // The k-th from outside is the last that may be left standing.
    out.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Ranks of the 95 % interval of a median, as tables of the sign test have them (two-sided, k of n).
        for (count, rank) in [(5, 1), (6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8)] {
            assert_eq!(outside(count) + 1, rank, "{count}");
        }
    }

    #[test]
    fn few_samples_are_told_whole() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[3.0]), Some(Summary { median: 3.0, low: 3.0, high: 3.0, samples: 1 }));
        let three = Summary::of(&[3.0, 1.0, 2.0, f64::NAN]);
        assert_eq!(three, Some(Summary { median: 2.0, low: 1.0, high: 3.0, samples: 3 }));
    }

    proptest! {
        #[test]
        fn the_median_is_in_its_interval(samples in proptest::collection::vec(-1e9_f64..1e9, 1..60)) {
            let summary = Summary::of(&samples).ok_or(TestCaseError::fail("none"))?;
            prop_assert!(summary.low <= summary.median && summary.median <= summary.high);
            prop_assert!(samples.contains(&summary.low) && samples.contains(&summary.high));
        }
    }
}
