//! What happens to a running lab's links at set times: `nslab play`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Lab, Target};
use crate::diagnostic::Spanned;
use crate::impairment::Impairments;
use crate::model::Topology;

/// The most occurrences that a timeline can have.
pub const MAX_OCCURRENCES: usize = 100_000;

/// Something that happens, once or again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, from the beginning.
    pub at: Duration,
    /// At a time drawn from so long after that.
    pub within: Duration,
    /// Again after so long …
    pub every: Option<Duration>,
    /// … so many times in all, at least once.
    pub times: u32,
    /// Where.
    pub targets: Vec<Spanned<Target>>,
    /// At so many of them, drawn each time; at all of them unless given.
    pub pick: Option<usize>,
    /// What.
    pub action: Action,
}

/// What happens.
#[expect(clippy::large_enum_variant, reason = "there are few, and none is moved about")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// These impairments are set, others stay.
    Set(Impairments),
    /// All impairments go.
    Clear,
    /// It goes down.
    Down,
    /// It comes up.
    Up,
}

impl Action {
    /// The key that says it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Clear => "clear",
            Self::Down => "down",
            Self::Up => "up",
        }
    }
}

/// One thing that happens at one time, with nothing left to chance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occurrence {
    /// When, from the beginning.
    pub at: Duration,
    /// The interfaces, each as `NODE:INTERFACE`, and paths, as `NODE:INTERFACE -> NODE:INTERFACE`.
    pub interfaces: Vec<String>,
    /// What happens to them.
    #[serde(skip)]
    pub action: Action,
    /// The event's place in the timeline, from 0.
    pub event: usize,
}

/// What happens in which order; what is left to chance follows from `seed` alone.
pub fn schedule(lab: &Lab, topology: &Topology, seed: u64) -> Vec<Occurrence> {
    let mut occurrences = Vec::new();
    for (number, event) in lab.timeline.iter().enumerate() {
        // Each event has numbers of its own, so that a change of one leaves the others as they are.
        let mut random = Random(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for time in 0..event.times.max(1) {
            if occurrences.len() >= MAX_OCCURRENCES {
                break;
            }
            let later = event.every.unwrap_or_default() * time;
            let within = u64::try_from(event.within.as_nanos()).unwrap_or(u64::MAX);
            let drawn = Duration::from_nanos(if within == 0 { 0 } else { random.below(within) });
            let mut targets: Vec<&Target> = event.targets.iter().map(|target| &target.value).collect();
            if let Some(pick) = event.pick {
                // The first so many of a shuffle, in the order of the file.
                let mut places: Vec<usize> = (0..targets.len()).collect();
                for place in 0..pick.min(places.len()) {
                    let other =
                        place + usize::try_from(random.below((places.len() - place) as u64)).unwrap_or(0);
                    places.swap(place, other);
                }
                places.truncate(pick);
                places.sort_unstable();
                targets = places.into_iter().map(|place| targets[place]).collect();
            }
            occurrences.push(Occurrence {
                at: event.at + later + drawn,
                interfaces: targets.iter().flat_map(|target| target.means(topology).into_places()).collect(),
                action: event.action,
                event: number,
            });
        }
    }
    occurrences.sort_by_key(|one| (one.at, one.event));
    occurrences
}

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): the same numbers from the
/// same seed, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
name: t
nodes: {h: {count: 4}}
switches: {lan: {}}
links: [[h, lan]]
timeline:
  - {at: 2s, down: 'h1:eth0', every: 1s, times: 3, within: 500ms}
  - {at: 1s, set: [h1 -- lan, h2 -- lan, h3 -- lan, h4 -- lan], pick: 2, loss: 5%}
";

    fn played(seed: u64) -> Vec<Occurrence> {
        let loaded = crate::load(SOURCE, "t.yaml", &[]).unwrap();
        schedule(&loaded.lab, &loaded.topology, seed)
    }

    #[test]
    fn a_seed_gives_the_same_and_another_seed_another() {
        assert_eq!(played(7), played(7));
        assert!((0..20).any(|seed| played(seed) != played(7)));
    }

    #[test]
    fn what_is_drawn_is_within_its_bounds() {
        for seed in 0..200 {
            let all = played(seed);
            assert_eq!(all.len(), 4);
            assert_eq!((all[0].at, all[0].interfaces.len()), (Duration::from_secs(1), 4));
            for (number, one) in all[1..].iter().enumerate() {
                let earliest = Duration::from_secs(2 + number as u64);
                assert!((earliest..earliest + Duration::from_millis(500)).contains(&one.at), "{one:?}");
                assert_eq!(one.interfaces, ["h1:eth0"]);
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        seen.extend((0..200).map(|seed| played(seed)[0].interfaces.clone()));
        assert_eq!(seen.len(), 6, "each pair of four comes");
    }
}
