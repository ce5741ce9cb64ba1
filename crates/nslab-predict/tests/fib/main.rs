//! Routing decisions against the kernel's own: random namespaces, random packets, and the kernel asked about each by
//! `RTM_GETROUTE`.
//!
//! `NSLAB_FIB_SEED` and `NSLAB_FIB_CASES` (how many namespaces) in the environment choose other cases than the usual ones.
//! A disagreement is shrunk to a few commands and printed as a script.

#![allow(clippy::unwrap_used, reason = "this is all test code")]
#![expect(clippy::format_push_string, reason = "few and short lines")]

mod compare;
mod flows;
mod network;
mod random;

use std::collections::BTreeMap;

use compare::Verdict;
use flows::Case;
use nslab_testing::{privileged, times};
use random::Random;

/// So many packets are asked about in each namespace.
const PACKETS: usize = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One namespace; counts what became of its packets.
fn run(seed: u64, figures: &mut BTreeMap<String, usize>, failures: &mut Vec<String>) {
    let mut random = Random::new(seed);
    let lines = network::lines(&mut random);
    let mut built = network::build(&lines);
    let cases: Vec<Case> = (0..PACKETS).map(|_| flows::case(&mut random, &built.state)).collect();
    for case in cases {
        let verdict = compare::compare(&mut built, &case);
        *figures.entry(verdict.figure()).or_default() += 1;
        if let Verdict::Wrong(why) = &verdict {
            let lines = network::shrink(&lines, |lines| {
                let mut built = network::build(lines);
                matches!(compare::compare(&mut built, &case), Verdict::Wrong(_))
            });
            let again = compare::compare(&mut network::build(&lines), &case);
            failures.push(format!(
                "seed {seed}: {case:?}\n{why}\nshrunk:\n{}\n{again:?}\n",
                network::script(&lines)
            ));
            return;
        }
    }
}

#[test]
fn decisions_are_those_of_the_kernel() {
    privileged(|| {
        let first = number("NSLAB_FIB_SEED").unwrap_or(1);
        let usually = u64::try_from(times(120)).unwrap();
        let count = number("NSLAB_FIB_CASES").unwrap_or(usually);
        let mut figures = BTreeMap::new();
        let mut failures = Vec::new();
        for seed in first..first + count {
            run(seed, &mut figures, &mut failures);
            if failures.len() > 5 {
                break;
            }
        }
        let total: usize = figures.values().sum();
        let text = format!("{total} packets: {figures:#?}");
        assert!(failures.is_empty(), "{}\n{text}", failures.join("\n"));
        let doubtful: usize =
            figures.iter().filter(|(figure, _)| figure.starts_with("doubt")).map(|(_, count)| count).sum();
        assert!(count < 20 || doubtful * 20 < total, "too much is not known: {text}");
        eprintln!("{text}");
    });
}
