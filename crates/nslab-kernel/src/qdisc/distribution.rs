//! How netem spreads a delay by its jitter.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// Entries of a table. The kernel draws one of them by chance, each as often as any other, and takes at most 16384
/// (`NETEM_DIST_MAX`, `include/uapi/linux/pkt_sched.h`). tc(8)'s tables have as many.
const ENTRIES: u16 = 4096;
/// What stands for one time the jitter in a table (`NETEM_DIST_SCALE`).
const SCALE: f64 = 8192.0;
/// The shape of the Pareto distribution, whose scale is 1: its mean is 3/2 and its variance 3/4.
const SHAPE: f64 = 3.0;

/// A distribution of delays, as a table of quantiles.
///
/// They are those of iproute2's files `normal.dist`, `pareto.dist` and `paretonormal.dist`, worked out by the same
/// formulas (iproute2's `netem/normal.c`, `pareto.c` and `paretonormal.c`), so that tc(8) does the same by the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// The normal distribution; the jitter is its standard deviation.
    Normal,
    /// A Pareto distribution of shape 3, less its mean, over its variance: never earlier than two thirds of the jitter,
    /// and cut off at four times.
    Pareto,
    /// A quarter of the one and three quarters of the other.
    ParetoNormal,
}

static TABLES: LazyLock<[Vec<i16>; 3]> = LazyLock::new(|| {
    [Distribution::Normal, Distribution::Pareto, Distribution::ParetoNormal]
        .map(|one| (0..ENTRIES).map(|entry| rounded(one.entry(entry))).collect())
});

impl Distribution {
    /// tc(8)'s name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Pareto => "pareto",
            Self::ParetoNormal => "paretonormal",
        }
    }

    /// What the kernel is given: deviations from the mean, in parts of 8192 of the jitter.
    pub fn table(self) -> &'static [i16] {
        &TABLES[self as usize]
    }

    fn entry(self, entry: u16) -> f64 {
        let (entry, entries) = (f64::from(entry), f64::from(ENTRIES));
        let normal = || (SCALE * normal_quantile((entry + 0.125) / entries)).round();
        let pareto = || {
            let quantile = (1.0 - entry / entries).powf(-1.0 / SHAPE);
            ((quantile - 1.5) * 4.0 / 3.0 * SCALE).round().min(f64::from(i16::MAX))
        };
        match self {
            Self::Normal => normal(),
            Self::Pareto => pareto(),
            Self::ParetoNormal => ((normal() + 3.0 * pareto()) / 4.0).trunc(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from a float keeps within the range of the integer"
)]
fn rounded(value: f64) -> i16 {
    value as i16
}

/// The quantile of the standard normal distribution, for `part` from 10⁻¹⁰ to 1 − 10⁻¹⁰, to seven digits (`PPND7` of
/// Wichura, Algorithm AS 241: The percentage points of the normal distribution, Applied Statistics 37, 1988).
fn normal_quantile(part: f64) -> f64 {
    let polynomial = |coefficients: [f64; 4], at: f64| {
        coefficients.into_iter().rev().fold(0.0, |sum, coefficient| sum * at + coefficient)
    };
    let from_middle = part - 0.5;
    if from_middle.abs() <= 0.425 {
        let at = 0.180_625 - from_middle * from_middle;
        return from_middle
            * polynomial([3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_720], at)
            / polynomial([1.0, 17.895_169_469, 78.757_757_664, 67.187_563_600], at);
    }
    let at = (-part.min(1.0 - part).ln()).sqrt() - 1.6;
    let quantile = polynomial([1.423_437_277_7, 2.756_815_390_0, 1.306_728_481_6, 0.170_238_211_03], at)
        / polynomial([1.0, 0.737_001_642_50, 0.120_211_329_75, 0.0], at);
    quantile.copysign(from_middle)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]

    use super::*;

    const ALL: [Distribution; 3] = [Distribution::Normal, Distribution::Pareto, Distribution::ParetoNormal];

    #[test]
    fn quantiles_of_the_normal_distribution() {
        // From tables of it.
        for (part, quantile) in [
            (0.5, 0.0),
            (0.841_344_746, 1.0),
            (0.975, 1.959_963_985),
            (0.998_650_102, 3.0),
            (0.000_1, -3.719_016_485),
        ] {
            assert!((normal_quantile(part) - quantile).abs() < 1e-6, "{part}: {}", normal_quantile(part));
        }
    }

    #[test]
    fn tables_rise_and_have_the_mean_and_spread_that_they_should() {
        let n = f64::from(ENTRIES);
        for (one, mean, spread) in
            ALL.into_iter().zip([(0.0, 1.0), (-0.033, 0.820), (-0.025, 0.834)]).map(|(o, (m, s))| (o, m, s))
        {
            let table = one.table();
            assert!(table.is_sorted() && table.len() == usize::from(ENTRIES), "{one:?}");
            let of = |f: &dyn Fn(f64) -> f64| table.iter().map(|&x| f(f64::from(x) / SCALE)).sum::<f64>() / n;
            let is = of(&|x| x);
            let deviation = of(&|x| (x - is) * (x - is)).sqrt();
            assert!(
                (is - mean).abs() < 2e-3 && (deviation - spread).abs() < 2e-3,
                "{one:?} {is} {deviation}"
            );
        }
    }

    #[test]
    fn tables_are_those_of_tc() {
        let roots =
            ["/usr/lib/tc", "/usr/lib/x86_64-linux-gnu/tc", "/usr/lib/aarch64-linux-gnu/tc", "/usr/share/tc"];
        let Some(root) = roots.iter().find(|root| std::path::Path::new(root).is_dir()) else {
            println!("skipped: tc(8) has no tables here");
            return;
        };
        for one in ALL {
            let text = std::fs::read_to_string(format!("{root}/{}.dist", one.name())).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let theirs: Vec<i16> =
                lines.flat_map(str::split_whitespace).map(|word| word.parse().unwrap()).collect();
            assert_eq!(theirs.len(), one.table().len());
            // Theirs are made of a step function, so that some differ in the last digit.
            assert!(theirs.iter().zip(one.table()).all(|(one, other)| one.abs_diff(*other) <= 1), "{one:?}");
        }
    }
}
