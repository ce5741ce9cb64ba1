//! What makes a link a bad one: delay, loss, a rate and the like, of one direction.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::decode::{show_duration, units};
use crate::diagnostic::Spanned;

/// The keys that say it, as in a lab file.
pub const KEYS: [&str; 7] = ["delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate"];

/// The longest delay. netem holds packets in memory, so there is no use in more.
const MAX_DELAY: Duration = Duration::from_secs(3600);

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

/// What happens to the packets that go one way. By default nothing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Impairment {
    /// How long each is held.
    pub delay: Duration,
    /// By how much that varies to either side, at most `delay`.
    pub jitter: Duration,
    /// Those that are lost.
    pub loss: Share,
    /// Those that come twice.
    pub duplicate: Share,
    /// Those that are not held, and so overtake those that are.
    pub reorder: Share,
    /// Those that have one bit turned over.
    pub corrupt: Share,
    /// How many bits go in a second, with the link layer's header; as many as can if none is given.
    pub rate: Option<Rate>,
}

impl Impairment {
    /// Nothing happens.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with it, in words; none if it can be done.
    pub fn contradiction(&self) -> Option<&'static str> {
        if self.jitter > self.delay {
            return Some("the jitter is larger than the delay that it varies");
        }
        (self.reorder != Share::NONE && self.delay.is_zero())
            .then_some("without a delay nothing can be overtaken, so nothing is reordered")
    }

    /// What it does, each by its key and value, as a lab file writes it.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = Vec::new();
        for (key, time) in [("delay", self.delay), ("jitter", self.jitter)] {
            if !time.is_zero() {
                entries.push((key, show_duration(time)));
            }
        }
        let shares = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
        ];
        for (key, share) in shares {
            if share != Share::NONE {
                entries.push((key, share.to_string()));
            }
        }
        entries.extend(self.rate.map(|rate| ("rate", rate.to_string())));
        entries
    }
}

impl fmt::Display for Impairment {
    /// `delay 5ms, loss 1%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> =
            self.entries().into_iter().map(|(key, value)| format!("{key} {value}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// An [`Impairment`] as it was described: what was not said is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Impairments {
    /// How long packets are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Spanned<Duration>>,
    /// By how much that varies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Spanned<Duration>>,
    /// Those that are lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Spanned<Share>>,
    /// Those that come twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Spanned<Share>>,
    /// Those that overtake others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Spanned<Share>>,
    /// Those that are damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Spanned<Share>>,
    /// How many bits go in a second; `Some(None)` for as many as can.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said_rate")]
    pub rate: Option<Spanned<Option<Rate>>>,
}

/// What is there was said, also where it says that there is none.
fn said_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Spanned<Option<Rate>>>, D::Error> {
    Option::<Rate>::deserialize(deserializer).map(|rate| Some(rate.into()))
}

impl Impairments {
    /// Nothing is said.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// What this says, and for the rest what `other` does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            delay: self.delay.or(other.delay),
            jitter: self.jitter.or(other.jitter),
            loss: self.loss.or(other.loss),
            duplicate: self.duplicate.or(other.duplicate),
            reorder: self.reorder.or(other.reorder),
            corrupt: self.corrupt.or(other.corrupt),
            rate: self.rate.or(other.rate),
        }
    }

    /// What is said, each by its key and value, also where it says that nothing happens.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = Vec::new();
        for (key, time) in [("delay", self.delay), ("jitter", self.jitter)] {
            entries.extend(time.map(|time| (key, show_duration(time.value))));
        }
        let shares = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
        ];
        for (key, share) in shares {
            entries.extend(share.map(|share| (key, share.value.to_string())));
        }
        let rate = |rate: Option<Rate>| rate.map_or_else(|| "none".to_owned(), |rate| rate.to_string());
        entries.extend(self.rate.map(|said| ("rate", rate(said.value))));
        entries
    }

    /// With nothing left open.
    pub fn settled(&self) -> Impairment {
        Impairment {
            delay: self.delay.map_or(Duration::ZERO, |time| time.value),
            jitter: self.jitter.map_or(Duration::ZERO, |time| time.value),
            loss: self.loss.map_or(Share::NONE, |share| share.value),
            duplicate: self.duplicate.map_or(Share::NONE, |share| share.value),
            reorder: self.reorder.map_or(Share::NONE, |share| share.value),
            corrupt: self.corrupt.map_or(Share::NONE, |share| share.value),
            rate: self.rate.and_then(|rate| rate.value),
        }
    }

    /// Takes `value` for `key`, one of [`KEYS`].
    ///
    /// # Errors
    /// What is wanted, if `value` is nothing of the kind.
    pub fn set(&mut self, key: &str, value: Spanned<&str>) -> Result<(), String> {
        match key {
            "delay" => self.delay = Some(time(key, value)?),
            "jitter" => self.jitter = Some(time(key, value)?),
            "loss" => self.loss = Some(self::share(key, value)?),
            "duplicate" => self.duplicate = Some(self::share(key, value)?),
            "reorder" => self.reorder = Some(self::share(key, value)?),
            "corrupt" => self.corrupt = Some(self::share(key, value)?),
            "rate" => self.rate = Some(rate(value)?),
            _ => return Err(format!("one of {}", KEYS.join(", "))),
        }
        Ok(())
    }
}

impl From<Impairment> for Impairments {
    /// Says only what is not nothing.
    fn from(settled: Impairment) -> Self {
        let share = |share: Share| (share != Share::NONE).then(|| share.into());
        let time = |time: Duration| (!time.is_zero()).then(|| time.into());
        Self {
            delay: time(settled.delay),
            jitter: time(settled.jitter),
            loss: share(settled.loss),
            duplicate: share(settled.duplicate),
            reorder: share(settled.reorder),
            corrupt: share(settled.corrupt),
            rate: settled.rate.map(|rate| Some(rate).into()),
        }
    }
}

fn time(key: &str, value: Spanned<&str>) -> Result<Spanned<Duration>, String> {
    let read = units::duration(value.value).filter(|time| *time <= MAX_DELAY);
    read.map(|time| value.map(|_| time)).ok_or_else(|| format!("a {key} of at most an hour, such as 5ms"))
}

fn share(key: &str, value: Spanned<&str>) -> Result<Spanned<Share>, String> {
    let read = match value.value {
        "0" => Some(0.0),
        text => units::share(text),
    };
    read.map(|part| value.map(|_| Share::new(part))).ok_or_else(|| format!("{key}, a share such as 1%"))
}

fn rate(value: Spanned<&str>) -> Result<Spanned<Option<Rate>>, String> {
    if matches!(value.value, "none" | "0") {
        return Ok(value.map(|_| None));
    }
    value
        .value
        .parse()
        .map(|rate: Rate| value.map(|_| Some(rate)))
        .map_err(|NotARate| "a rate such as 10mbit, or `none`".to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(entries: &[(&str, &str)]) -> Impairments {
        let mut all = Impairments::default();
        for (key, value) in entries {
            all.set(key, Spanned::from(*value)).unwrap();
        }
        all
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["1%", "0.5%", "0.0000001%", "100%", "33.3333333%"] {
            let share = said(&[("loss", text)]).settled().loss;
            assert_eq!(share.to_string(), text);
        }
        for text in ["8bit", "64kbit", "10mbit", "1gbit", "1500kbit", "1tbit"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("1mbps".parse::<Rate>(), Ok(Rate(8_000_000)));
        let all = said(&[("delay", "5ms"), ("loss", "1%"), ("rate", "2mbit")]).settled();
        assert_eq!(all.to_string(), "delay 5ms, loss 1%, rate 2mbit");
        assert_eq!(Impairments::from(all).settled(), all);
    }

    #[test]
    fn an_end_says_more_than_its_link() {
        let link = said(&[("delay", "5ms"), ("loss", "1%"), ("rate", "2mbit")]);
        let end = said(&[("delay", "0"), ("loss", "2%"), ("rate", "none")]);
        assert_eq!(end.or(link).settled().to_string(), "loss 2%");
    }

    #[test]
    fn nonsense_is_refused() {
        for (key, value) in [
            ("delay", "2h"),
            ("delay", "-1ms"),
            ("loss", "1"),
            ("loss", "101%"),
            ("rate", "10"),
            ("rate", "1bit"),
            ("rate", "99999tbit"),
            ("lost", "1%"),
        ] {
            let refused = Impairments::default().set(key, Spanned::from(value));
            assert!(refused.is_err(), "{key}: {value}");
        }
    }
}
