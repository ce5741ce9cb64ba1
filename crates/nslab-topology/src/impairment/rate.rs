//! Rates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::decode::units;

/// A rate in bits in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(u64);

impl Rate {
    /// From bits in a second, at least 8.
    pub fn new(bits: u64) -> Self {
        Self(bits.max(8))
    }

    /// Bits in a second.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Bytes in a second, rounded down.
    pub fn bytes(self) -> u64 {
        self.0 / 8
    }
}

impl fmt::Display for Rate {
    /// As a lab file writes it: `10mbit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units =
            [("tbit", 1_000_000_000_000), ("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000)];
        match units.iter().find(|(_, size)| self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}bit", self.0),
        }
    }
}

/// A text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate such as 10mbit is wanted")]
pub struct NotARate;

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let bits = units::rate(text).filter(|bits| *bits <= 1e15).ok_or(NotARate)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "8 to 10¹⁵")]
        Ok(Self::new(bits.round() as u64))
    }
}
