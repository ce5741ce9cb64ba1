//! How well it arrives: how fast, how surely, how large.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Options, Probe, Prober, Verdict};
use crate::Result;

/// So many answers make a median.
const ROUNDS: u32 = 11;
/// The time between two packets of one probe whose loss is counted.
const PACE: Duration = Duration::from_millis(1);
/// A packet of some size is tried so often before it is said that none passes.
const TRIES: u32 = 3;
/// The largest packet of IPv4.
const LARGEST: u32 = 65_535;
/// The smallest that is tried: IPv4's least MTU (RFC 791).
const SMALLEST: u32 = 68;

/// How long answers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// In the median of those that came; none if none did.
    pub median: Option<Duration>,
    /// How many came.
    pub answered: u32,
    /// Of how many.
    pub sent: u32,
}

/// How many packets got lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// That were not answered, or did not arrive at a program.
    pub lost: u32,
    /// Of how many.
    pub sent: u32,
}

/// How large packets pass unfragmented, in bytes from the IP header on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// The largest that was seen to pass.
    pub passes: Option<u32>,
    /// The smallest that was seen not to.
    pub fails: Option<u32>,
}

impl Prober {
    /// How long answers take, of all side by side.
    pub fn latency(&self, probes: &[Probe], options: &Options<'_>) -> Result<Vec<Latency>> {
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); probes.len()];
        let options = Options { arrivals: false, ..*options };
        let mut sent = 0;
        for _ in 0..ROUNDS {
            if (options.stop)() {
                break;
            }
            sent += 1;
            let outcomes = self.send(probes, &options, &mut |_, _| ControlFlow::Continue(()))?;
            for (times, outcome) in times.iter_mut().zip(outcomes) {
                times.extend(
                    outcome.filter(|outcome| outcome.verdict() == Verdict::Ok).map(|outcome| outcome.time),
                );
            }
        }
        Ok(times
            .into_iter()
            .map(|mut times| {
                times.sort_unstable();
                let answered = u32::try_from(times.len()).unwrap_or(u32::MAX);
                Latency { median: times.get(times.len() / 2).copied(), answered, sent }
            })
            .collect())
    }

    /// How many get lost of so many packets of each probe, a millisecond after each other.
    pub fn loss(&self, probes: &[(Probe, u32)], options: &Options<'_>) -> Result<Vec<Loss>> {
        let most = probes.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let (mut owners, mut all) = (Vec::new(), Vec::new());
        for round in 0..most {
            for (place, (probe, _)) in probes.iter().enumerate().filter(|(_, (_, count))| round < *count) {
                owners.push(place);
                all.push(*probe);
            }
        }
        let sides = u32::try_from(probes.len()).unwrap_or(u32::MAX).max(1);
        let options = Options { pace: PACE / sides, ..*options };
        let outcomes = self.send(&all, &options, &mut |_, _| ControlFlow::Continue(()))?;
        let mut losses = vec![Loss::default(); probes.len()];
        for (place, outcome) in owners.into_iter().zip(outcomes) {
            let Some(outcome) = outcome else { continue };
            losses[place].sent += 1;
            losses[place].lost += u32::from(outcome.verdict() != Verdict::Ok);
        }
        Ok(losses)
    }

    /// The largest packet of each probe that passes unfragmented. `guess` is what it is thought to be, and asked first; with
    /// `enough` it is no matter whether a larger one passes too.
    pub fn size(&self, probes: &[(Probe, u32, bool)], options: &Options<'_>) -> Result<Vec<Size>> {
        let mut sizes = vec![Size::default(); probes.len()];
        let mut open: Vec<usize> = (0..probes.len()).collect();
        while !open.is_empty() && !(options.stop)() {
            let asked: Vec<(usize, u32)> =
                open.iter().map(|&place| (place, next(sizes[place], probes[place].1))).collect();
            let passed = self.pass(probes, &asked, options)?;
            for (&(place, size), passed) in asked.iter().zip(passed) {
                let known = &mut sizes[place];
                *(if passed { &mut known.passes } else { &mut known.fails }) = Some(size);
            }
            open.retain(|&place| {
                let (_, guess, enough) = probes[place];
                !is_settled(sizes[place], guess, enough)
            });
        }
        Ok(sizes)
    }

    /// Whether packets of these sizes pass, tried several times.
    fn pass(
        &self,
        probes: &[(Probe, u32, bool)],
        asked: &[(usize, u32)],
        options: &Options<'_>,
    ) -> Result<Vec<bool>> {
        let mut passed = vec![false; asked.len()];
        for _ in 0..TRIES {
            let left: Vec<usize> = (0..asked.len()).filter(|&one| !passed[one]).collect();
            let sent: Vec<Probe> = left
                .iter()
                .map(|&one| Probe { size: Some(asked[one].1), ..probes[asked[one].0].0 })
                .collect();
            let outcomes = self.send(&sent, options, &mut |_, _| ControlFlow::Continue(()))?;
            for (one, outcome) in left.into_iter().zip(outcomes) {
                passed[one] |= outcome.is_some_and(|outcome| outcome.verdict() == Verdict::Ok);
            }
        }
        Ok(passed)
    }
}

/// Which size to try next.
fn next(known: Size, guess: u32) -> u32 {
    match (known.passes, known.fails) {
        (None, None) => guess,
        (Some(passes), None) if passes == guess => guess + 1,
        (passes, fails) => {
            let (passes, fails) = (passes.unwrap_or(SMALLEST - 1), fails.unwrap_or(LARGEST + 1));
            passes + (fails - passes) / 2
        }
    }
}

/// Whether nothing is left to try.
fn is_settled(known: Size, guess: u32, enough: bool) -> bool {
    let passes = known.passes.unwrap_or(SMALLEST - 1);
    let fails = known.fails.unwrap_or(LARGEST + 1);
    fails.saturating_sub(passes) <= 1 || (enough && passes >= guess)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_is_found(largest in 67_u32..=LARGEST, guess in SMALLEST..=LARGEST, enough: bool) {
            let (mut known, mut steps) = (Size::default(), 0);
            while !is_settled(known, guess, enough) {
                let size = next(known, guess);
                prop_assert!((SMALLEST..=LARGEST).contains(&size), "{size}");
                *(if size <= largest { &mut known.passes } else { &mut known.fails }) = Some(size);
                steps += 1;
            }
            prop_assert!(steps <= 19, "{steps}");
            if largest == guess {
                prop_assert!(steps <= 2, "{steps}");
            }
            if !enough || largest < guess {
                prop_assert_eq!(known.passes, (largest >= SMALLEST).then_some(largest));
            }
        }
    }
}
