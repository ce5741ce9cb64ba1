//! What is known of a value of 32 bits.

/// A range, bits and single values that it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    least: u32,
    most: u32,
    zeros: u32,
    ones: u32,
    /// Masks of which it has some bit.
    some: Vec<u32>,
    /// Values that it is not, in order.
    not: Vec<u32>,
}

/// So many excluded values are remembered.
const REMEMBERED: usize = 32;

/// Comparisons with a constant that the machine has. "Greater than k" is "at least k + 1".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Against {
    Equal(u32),
    AtLeast(u32),
    AnyBit(u32),
}

impl Known {
    /// At most so much.
    pub(crate) fn at_most(most: u32) -> Self {
        let used = u32::MAX.checked_shr(most.leading_zeros()).unwrap_or(0);
        Self { least: 0, most, zeros: !used, ones: 0, some: Vec::new(), not: Vec::new() }
    }

    /// Just so much.
    pub(crate) fn exactly(k: u32) -> Self {
        Self { least: k, most: k, zeros: !k, ones: k, some: Vec::new(), not: Vec::new() }
    }

    /// Only bits of the mask.
    pub(crate) fn masked(mask: u32) -> Self {
        Self { zeros: !mask, ..Self::at_most(mask) }
    }

    /// The same of only some bits of the value.
    pub(crate) fn masked_by(&self, mask: u32) -> Self {
        let mut masked = Self::masked(mask);
        masked.zeros |= self.zeros;
        masked.ones = self.ones & mask;
        masked.some = self.some.iter().filter(|bits| *bits & !mask == 0).copied().collect();
        masked.most = masked.most.min(self.most);
        if self.least == self.most {
            masked.learn(Against::Equal(self.least & mask), true);
        }
        masked
    }

    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Whether the comparison holds, if that is known.
    pub(crate) fn decide(&self, against: Against) -> Option<bool> {
        let single = self.least == self.most;
        match against {
            Against::Equal(k) => {
                let cannot = k < self.least
                    || k > self.most
                    || k & self.zeros != 0
                    || !k & self.ones != 0
                    || self.some.iter().any(|mask| k & mask == 0)
                    || self.not.binary_search(&k).is_ok();
                if cannot { Some(false) } else { single.then_some(true) }
            }
            Against::AtLeast(k) if self.least >= k => Some(true),
            Against::AtLeast(k) if self.most < k => Some(false),
            Against::AtLeast(_) => None,
            Against::AnyBit(k) if k & self.ones != 0 || self.some.iter().any(|mask| mask & !k == 0) => {
                Some(true)
            }
            Against::AnyBit(k) if k & !self.zeros == 0 => Some(false),
            Against::AnyBit(k) => single.then_some(self.least & k != 0),
        }
    }

    /// Takes in how a comparison came out.
    pub(crate) fn learn(&mut self, against: Against, holds: bool) {
        match (against, holds) {
            (Against::Equal(k), true) => {
                *self = Self::exactly(k);
            }
            (Against::Equal(k), false) => {
                if k == self.least {
                    self.least = self.least.saturating_add(1).min(self.most);
                } else if k == self.most {
                    self.most = self.most.saturating_sub(1);
                } else if self.not.len() < REMEMBERED
                    && let Err(place) = self.not.binary_search(&k)
                {
                    self.not.insert(place, k);
                }
            }
            (Against::AtLeast(k), true) => self.least = self.least.max(k),
            (Against::AtLeast(k), false) => self.most = self.most.min(k.saturating_sub(1)),
            (Against::AnyBit(k), true) if k.is_power_of_two() => self.ones |= k,
            (Against::AnyBit(k), true) => {
                self.learn(Against::Equal(0), false);
                if self.some.len() < REMEMBERED {
                    self.some.push(k);
                }
            }
            (Against::AnyBit(k), false) => self.zeros |= k,
        }
    }

    /// What is known if it is the one or the other.
    pub(crate) fn join(&mut self, other: &Self) {
        let excluded = |mine: &Self, k: &u32| mine.decide(Against::Equal(*k)) == Some(false);
        let mut not: Vec<u32> = self.not.iter().filter(|k| excluded(other, k)).copied().collect();
        not.extend(other.not.iter().filter(|k| excluded(self, k)));
        // A gap between two single values.
        not.sort_unstable();
        not.dedup();
        not.truncate(REMEMBERED);
        self.not = not;
        self.some.retain(|mask| other.decide(Against::AnyBit(*mask)) == Some(true));
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self.zeros &= other.zeros;
        self.ones &= other.ones;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(value: u32, against: Against) -> bool {
        match against {
            Against::Equal(k) => value == k,
            Against::AtLeast(k) => value >= k,
            Against::AnyBit(k) => value & k != 0,
        }
    }

    fn against() -> impl Strategy<Value = Against> {
        let k = prop_oneof![0..9_u32, Just(u32::MAX), Just(1 << 31)];
        (0..3, k).prop_map(|(kind, k)| match kind {
            0 => Against::Equal(k),
            1 => Against::AtLeast(k),
            _ => Against::AnyBit(k),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is learnt of a value, in whatever order and joined with whatever else, what is decided is so.
        #[test]
        fn what_is_known_is_true(
            value in 0..9_u32, other in 0..9_u32,
            tests in proptest::collection::vec(against(), 0..8),
            more in proptest::collection::vec(against(), 0..8),
            asked in against(),
        ) {
            let mut known = Known::at_most(u32::MAX);
            for test in tests {
                known.learn(test, holds(value, test));
            }
            prop_assert!(known.decide(asked).is_none_or(|decided| decided == holds(value, asked)));
            let mut joined = Known::at_most(15);
            for test in more {
                joined.learn(test, holds(other, test));
            }
            joined.join(&known);
            for value in [value, other] {
                prop_assert!(joined.decide(asked).is_none_or(|decided| decided == holds(value, asked)));
            }
        }
    }
}
