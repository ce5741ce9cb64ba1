//! Shares of packets, and what chance does to them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decode::{show_duration, units};

/// A share of packets, in parts of 10⁹.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(u32);

impl Share {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(1_000_000_000);

    /// From parts of one, 0 to 1; what is beyond is cut off.
    pub fn new(part: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and 10⁹")]
        Self((part.clamp(0.0, 1.0) * 1e9).round() as u32)
    }

    /// As parts of one.
    pub fn part(self) -> f64 {
        f64::from(self.0) / 1e9
    }

    /// Reads `1%`, and `0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "0" { Some(Self::NONE) } else { units::share(text).map(Self::new) }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl fmt::Display for Share {
    /// As a lab file writes it: `0.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000_000, self.0 % 10_000_000);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let rest = format!("{rest:07}");
        write!(f, "{whole}.{}%", rest.trim_end_matches('0'))
    }
}

/// What happens to a share of packets, by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chance {
    share: Share,
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
}

impl Chance {
    /// To no packet.
    pub const NONE: Self = Self { share: Share::NONE, correlation: Share::NONE };

    /// To `share` of the packets; each random number is made of the one before by `correlation`. What happens to none
    /// or to all depends on nothing.
    pub fn new(share: Share, correlation: Share) -> Self {
        let depends = share != Share::NONE && share != Share::ALL;
        Self { share, correlation: if depends { correlation } else { Share::NONE } }
    }

    /// To how many.
    pub fn share(self) -> Share {
        self.share
    }

    /// How much a packet's random number is that of the packet before.
    pub fn correlation(self) -> Share {
        self.correlation
    }

    /// It happens to none.
    pub fn is_none(self) -> bool {
        self.share == Share::NONE
    }

    /// Reads `1%` or `1% 25%`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (share, correlation) = words(text)?;
        Some(Self::new(Share::parse(share)?, correlation))
    }
}

impl From<Share> for Chance {
    fn from(share: Share) -> Self {
        Self { share, correlation: Share::NONE }
    }
}

impl fmt::Display for Chance {
    /// As a lab file and tc(8) write it: `1%`, with a correlation `1% 25%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.share)?;
        if self.correlation == Share::NONE { Ok(()) } else { write!(f, " {}", self.correlation) }
    }
}

/// By how much a delay varies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Jitter {
    time: Duration,
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
}

impl Jitter {
    /// By `time`; each random number is made of the one before by `correlation`.
    pub fn new(time: Duration, correlation: Share) -> Self {
        Self { time, correlation: if time.is_zero() { Share::NONE } else { correlation } }
    }

    /// By how much, to either side.
    pub fn time(self) -> Duration {
        self.time
    }

    /// How much a packet's random number is that of the packet before.
    pub fn correlation(self) -> Share {
        self.correlation
    }

    /// It does not vary.
    pub fn is_none(self) -> bool {
        self.time.is_zero()
    }

    /// Reads `5ms` or `5ms 25%`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (time, correlation) = words(text)?;
        Some(Self::new(units::duration(time)?, correlation))
    }
}

impl From<Duration> for Jitter {
    fn from(time: Duration) -> Self {
        Self { time, correlation: Share::NONE }
    }
}

impl fmt::Display for Jitter {
    /// As a lab file and tc(8) write it: `5ms`, with a correlation `5ms 25%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_duration(self.time))?;
        if self.correlation == Share::NONE { Ok(()) } else { write!(f, " {}", self.correlation) }
    }
}

/// A value, and the correlation behind it if there is one.
fn words(text: &str) -> Option<(&str, Share)> {
    let mut words = text.split_whitespace();
    let value = words.next()?;
    let correlation = words.next().map_or(Some(Share::NONE), Share::parse)?;
    words.next().is_none().then_some((value, correlation))
}

/// How a delay that varies is spread about its mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Evenly, from the jitter below to the jitter above.
    #[default]
    Uniform,
    /// By a bell curve; the jitter is its standard deviation.
    Normal,
    /// Most come a little early and few very late: a Pareto distribution of shape 3, less its mean, scaled by the
    /// jitter.
    Pareto,
    /// A quarter normal and three quarters Pareto.
    ParetoNormal,
}

impl Distribution {
    /// All, by their names in a lab file and for tc(8).
    pub const NAMES: [(&'static str, Self); 4] = [
        ("uniform", Self::Uniform),
        ("normal", Self::Normal),
        ("pareto", Self::Pareto),
        ("paretonormal", Self::ParetoNormal),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("uniform", |(name, _)| name)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, one)| *one)
    }

    /// The delay is at most its mean and so many times the jitter: tables hold numbers up to 4 (`s16` over 8192,
    /// `NETEM_DIST_SCALE`).
    pub fn reach(self) -> u32 {
        if self == Self::Uniform { 1 } else { 4 }
    }
}
