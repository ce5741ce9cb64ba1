//! Which size is the largest that gets through.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fate, Outcome};
use crate::Result;

/// So many sizes are under way at once, beside those that somebody names.
const FEW: u32 = 8;
/// A path has no more narrow places one after another that each say what would get through.
const MOST_TOLD: usize = 32;

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The largest size that was asked for, in bytes.
    pub full: u32,
    /// What became of each size, smallest first.
    pub outcomes: Vec<Outcome>,
    /// The largest size that got through; none if none did.
    pub largest: Option<u32>,
}

impl Measured {
    fn of(full: u32, outcomes: BTreeMap<u32, Outcome>) -> Self {
        let largest = outcomes.values().rev().find(|one| one.passes).map(|one| one.size);
        Self { full, outcomes: outcomes.into_values().collect(), largest }
    }

    /// What became of a size, if it was sent.
    pub fn at(&self, size: u32) -> Option<&Outcome> {
        self.outcomes.iter().find(|one| one.size == size)
    }

    /// What a sender goes through that begins with a size and obeys what it is told: the last one gets through, or nothing is
    /// heard of it.
    pub fn discovery(&self, start: u32) -> Vec<&Outcome> {
        let mut steps = Vec::new();
        let mut size = start;
        while let Some(outcome) = self.at(size) {
            steps.push(outcome);
            match told(outcome) {
                Some(mtu) if steps.len() < MOST_TOLD => size = mtu,
                _ => break,
            }
        }
        steps
    }
}

/// The size that the sender was told instead, if that makes sense.
fn told(outcome: &Outcome) -> Option<u32> {
    match outcome.fate {
        Fate::TooBig { mtu, .. } if mtu > 0 && mtu < outcome.size => Some(mtu),
        _ => None,
    }
}

/// Looks for the largest size from `least` to `full` that gets through, and for what the sender is told of larger ones. `ask` sends
/// the sizes that it is given, side by side, and says what became of them; `guesses` are sizes that are likely to be the answer,
/// with which it takes one round.
pub fn search(
    full: u32,
    least: u32,
    guesses: &[u32],
    mut ask: impl FnMut(&[u32]) -> Result<Vec<Outcome>>,
) -> Result<Measured> {
    let full = full.max(least);
    let within = |size: u32| (least..=full).contains(&size);
    let mut known: BTreeMap<u32, Outcome> = BTreeMap::new();
    let mut wanted: BTreeSet<u32> = [least, full].into();
    for &guess in guesses {
        wanted.extend([guess, guess.saturating_add(1)].into_iter().filter(|&size| within(size)));
    }
    loop {
        wanted.retain(|size| !known.contains_key(size));
        if wanted.is_empty() {
            return Ok(Measured::of(full, known));
        }
        let sizes: Vec<u32> = wanted.iter().copied().collect();
        let before = known.len();
        known.extend(ask(&sizes)?.into_iter().map(|one| (one.size, one)));
        if known.len() == before {
            return Ok(Measured::of(full, known));
        }
        wanted = next(full, &known);
        wanted.retain(|&size| within(size));
    }
}

/// What is to be asked then.
fn next(full: u32, known: &BTreeMap<u32, Outcome>) -> BTreeSet<u32> {
    let mut wanted = BTreeSet::new();
    let Some(pass) = known.values().rev().find(|one| one.passes).map(|one| one.size) else { return wanted };
    // What the sender would send next.
    let measured = Measured { full, outcomes: known.values().cloned().collect(), largest: Some(pass) };
    let last = measured.discovery(full).last().and_then(|one| told(one));
    wanted.extend(last.filter(|size| !known.contains_key(size)));
    let Some((&fail, _)) = known.range(pass + 1..).next() else { return wanted };
    if fail == pass + 1 {
        return wanted;
    }
    // Routers tell mostly the truth.
    let said = known.values().filter_map(told).flat_map(|mtu| [mtu, mtu + 1]);
    let between = |size: &u32| (pass + 1..fail).contains(size);
    let said: Vec<u32> = said.filter(between).collect();
    if said.is_empty() {
        let (gap, parts) = (fail - pass, FEW + 1);
        wanted.extend((1..parts).map(|part| pass + (gap * part).div_ceil(parts)).filter(between));
    }
    wanted.extend(said);
    wanted
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    /// A narrow place: what it takes, and whether it says so.
    type Narrow = (u32, bool);

    fn fate(size: u32, path: &[Narrow]) -> Fate {
        let from = IpAddr::from([10, 0, 0, 1]);
        match path.iter().find(|(mtu, _)| size > *mtu) {
            None => Fate::Answered(std::time::Duration::ZERO),
            Some(&(mtu, true)) => Fate::TooBig { from, mtu },
            Some((_, false)) => Fate::Silent,
        }
    }

    fn measure(full: u32, guesses: &[u32], path: &[Narrow]) -> (Measured, usize) {
        let mut rounds = 0;
        let measured = search(full, 68, guesses, |sizes| {
            rounds += 1;
            assert!(sizes.len() <= 3 * (FEW as usize + guesses.len()), "{sizes:?}");
            let outcome = |&size: &u32| {
                let fate = fate(size, path);
                let passes = matches!(fate, Fate::Answered(_));
                Outcome { size, fate, passes, sent: 1, seen: Vec::new() }
            };
            Ok(sizes.iter().map(outcome).collect())
        });
        (measured.unwrap_or_else(|error| panic!("{error}")), rounds)
    }

    #[test]
    fn a_right_guess_takes_one_round() {
        let (measured, rounds) = measure(1500, &[1400], &[(1400, false)]);
        assert_eq!((measured.largest, rounds), (Some(1400), 1));
        let (measured, rounds) = measure(1500, &[1500], &[]);
        assert_eq!((measured.largest, rounds), (Some(1500), 1));
        assert_eq!(measured.discovery(1500).len(), 1);
    }

    #[test]
    fn what_routers_say_is_followed() {
        let (measured, rounds) = measure(9000, &[], &[(1500, true), (1400, true), (1300, false)]);
        let steps: Vec<u32> = measured.discovery(9000).iter().map(|one| one.size).collect();
        assert_eq!((measured.largest, steps), (Some(1300), vec![9000, 1500, 1400]));
        assert!(rounds <= 7, "{rounds}");
    }

    #[test]
    fn where_nothing_gets_through_nothing_is_searched() {
        let (measured, rounds) = measure(1500, &[1400], &[(0, false)]);
        assert_eq!((measured.largest, rounds), (None, 1));
    }

    proptest! {
        /// Whatever is in the way and whatever was guessed, the largest size is found, and what a sender would learn.
        #[test]
        fn finds_the_largest(
            full in 68_u32..65_000,
            path in proptest::collection::vec((68_u32..65_000, any::<bool>()), 0..5),
            guesses in proptest::collection::vec(0_u32..66_000, 0..3),
        ) {
            let (measured, rounds) = measure(full, &guesses, &path);
            let truth = path.iter().map(|(mtu, _)| *mtu).min().unwrap_or(full).min(full);
            prop_assert_eq!(measured.largest, Some(truth));
            prop_assert!(rounds < 20, "{} rounds", rounds);
            // The discovery ends where it gets through or nothing is told.
            let mut size = full;
            while let Fate::TooBig { mtu, .. } = fate(size, &path) {
                size = mtu;
            }
            prop_assert_eq!(measured.discovery(full).last().map(|one| one.size), Some(size));
        }
    }
}
