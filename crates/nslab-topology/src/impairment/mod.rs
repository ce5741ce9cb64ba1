//! What makes a link a bad one: delay, loss, a rate and the like, of one direction.

mod chance;
mod correlated;
mod rate;

use std::fmt;
use std::time::Duration;

pub use chance::{Chance, Distribution, Jitter, Share};
pub use rate::{NotARate, Rate};
use serde::{Deserialize, Deserializer, Serialize};

use crate::decode::{show_duration, units};
use crate::diagnostic::Spanned;

/// The keys that say it, as in a lab file.
pub const KEYS: [&str; 8] =
    ["delay", "jitter", "distribution", "loss", "duplicate", "reorder", "corrupt", "rate"];

/// The longest delay. netem holds packets in memory, so there is no use in more.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// What happens to the packets that go one way. By default nothing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Impairment {
    /// How long each is held.
    pub delay: Duration,
    /// By how much that varies, at most `delay`.
    pub jitter: Jitter,
    /// How it is spread.
    pub distribution: Distribution,
    /// Those that are lost.
    pub loss: Chance,
    /// Those that come twice.
    pub duplicate: Chance,
    /// Those that are not held, and so overtake those that are.
    pub reorder: Chance,
    /// Those that have one bit turned over.
    pub corrupt: Chance,
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
        if self.jitter.time() > self.delay {
            return Some("the jitter is larger than the delay that it varies");
        }
        (!self.reorder.is_none() && self.delay.is_zero())
            .then_some("without a delay nothing can be overtaken, so nothing is reordered")
    }

    /// What it does, each by its key and value, as a lab file writes it.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        Impairments::from(*self).entries()
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
    pub jitter: Option<Spanned<Jitter>>,
    /// How it is spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Spanned<Distribution>>,
    /// Those that are lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Spanned<Chance>>,
    /// Those that come twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Spanned<Chance>>,
    /// Those that overtake others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Spanned<Chance>>,
    /// Those that are damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Spanned<Chance>>,
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
            distribution: self.distribution.or(other.distribution),
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
        entries.extend(self.delay.map(|time| ("delay", show_duration(time.value))));
        entries.extend(self.jitter.map(|jitter| ("jitter", jitter.value.to_string())));
        entries.extend(self.distribution.map(|one| ("distribution", one.value.name().to_owned())));
        let chances = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
        ];
        for (key, chance) in chances {
            entries.extend(chance.map(|chance| (key, chance.value.to_string())));
        }
        let rate = |rate: Option<Rate>| rate.map_or_else(|| "none".to_owned(), |rate| rate.to_string());
        entries.extend(self.rate.map(|said| ("rate", rate(said.value))));
        entries
    }

    /// With nothing left open.
    pub fn settled(&self) -> Impairment {
        let jitter = self.jitter.map_or_else(Jitter::default, |jitter| jitter.value);
        let distribution = self.distribution.map_or(Distribution::Uniform, |one| one.value);
        Impairment {
            delay: self.delay.map_or(Duration::ZERO, |time| time.value),
            jitter,
            // What does not vary is spread in no way.
            distribution: if jitter.is_none() { Distribution::Uniform } else { distribution },
            loss: self.loss.map_or(Chance::NONE, |chance| chance.value),
            duplicate: self.duplicate.map_or(Chance::NONE, |chance| chance.value),
            reorder: self.reorder.map_or(Chance::NONE, |chance| chance.value),
            corrupt: self.corrupt.map_or(Chance::NONE, |chance| chance.value),
            rate: self.rate.and_then(|rate| rate.value),
        }
    }

    /// Takes `value` for `key`, one of [`KEYS`].
    ///
    /// # Errors
    /// What is wanted, if `value` is nothing of the kind.
    pub fn set(&mut self, key: &str, value: Spanned<&str>) -> Result<(), String> {
        match key {
            "delay" => self.delay = Some(delay(value)?),
            "jitter" => self.jitter = Some(jitter(value)?),
            "distribution" => self.distribution = Some(distribution(value)?),
            "loss" => self.loss = Some(chance(key, value)?),
            "duplicate" => self.duplicate = Some(chance(key, value)?),
            "reorder" => self.reorder = Some(chance(key, value)?),
            "corrupt" => self.corrupt = Some(chance(key, value)?),
            "rate" => self.rate = Some(rate(value)?),
            _ => return Err(format!("one of {}", KEYS.join(", "))),
        }
        Ok(())
    }
}

impl From<Impairment> for Impairments {
    /// Says only what is not nothing.
    fn from(settled: Impairment) -> Self {
        let chance = |chance: Chance| (!chance.is_none()).then(|| chance.into());
        let distribution = settled.distribution;
        Self {
            delay: (!settled.delay.is_zero()).then(|| settled.delay.into()),
            jitter: (!settled.jitter.is_none()).then(|| settled.jitter.into()),
            distribution: (distribution != Distribution::Uniform).then(|| distribution.into()),
            loss: chance(settled.loss),
            duplicate: chance(settled.duplicate),
            reorder: chance(settled.reorder),
            corrupt: chance(settled.corrupt),
            rate: settled.rate.map(|rate| Some(rate).into()),
        }
    }
}

fn delay(value: Spanned<&str>) -> Result<Spanned<Duration>, String> {
    let read = units::duration(value.value).filter(|time| *time <= MAX_DELAY);
    read.map(|time| value.map(|_| time)).ok_or_else(|| "a delay of at most an hour, such as 5ms".to_owned())
}

fn jitter(value: Spanned<&str>) -> Result<Spanned<Jitter>, String> {
    let read = Jitter::parse(value.value).filter(|jitter| jitter.time() <= MAX_DELAY);
    read.map(|jitter| value.map(|_| jitter))
        .ok_or_else(|| "a jitter of at most an hour, such as 5ms, or `5ms 25%` with a correlation".to_owned())
}

fn distribution(value: Spanned<&str>) -> Result<Spanned<Distribution>, String> {
    Distribution::parse(value.value).map(|one| value.map(|_| one)).ok_or_else(|| {
        let names: Vec<&str> = Distribution::NAMES.iter().map(|(name, _)| *name).collect();
        format!("a distribution, one of {}", names.join(", "))
    })
}

fn chance(key: &str, value: Spanned<&str>) -> Result<Spanned<Chance>, String> {
    Chance::parse(value.value)
        .map(|chance| value.map(|_| chance))
        .ok_or_else(|| format!("{key}, a share such as 1%, or `1% 25%` with a correlation"))
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
        for (key, text) in [("loss", "1% 25%"), ("reorder", "0.5% 1.5%"), ("jitter", "1500us 25%")] {
            let all = said(&[(key, text)]);
            assert_eq!(all.settled().to_string(), format!("{key} {text}"));
            assert_eq!(Impairments::from(all.settled()).settled(), all.settled());
        }
        for text in ["8bit", "64kbit", "10mbit", "1gbit", "1500kbit", "1tbit"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("1mbps".parse::<Rate>(), Ok(Rate::new(8_000_000)));
        let all = said(&[("delay", "5ms"), ("loss", "1%"), ("rate", "2mbit")]).settled();
        assert_eq!(all.to_string(), "delay 5ms, loss 1%, rate 2mbit");
        assert_eq!(Impairments::from(all).settled(), all);
    }

    #[test]
    fn an_end_says_more_than_its_link() {
        let link = said(&[("delay", "5ms"), ("loss", "1%"), ("rate", "2mbit")]);
        let end = said(&[("delay", "0"), ("loss", "2%"), ("rate", "none")]);
        assert_eq!(end.or(link).settled().to_string(), "loss 2%");
        let link =
            said(&[("loss", "1% 25%"), ("delay", "5ms"), ("jitter", "2ms"), ("distribution", "pareto")]);
        let end = said(&[("loss", "2%"), ("jitter", "1ms 10%")]);
        let both = "delay 5ms, jitter 1ms 10%, distribution pareto, loss 2%";
        assert_eq!(end.or(link).settled().to_string(), both);
    }

    #[test]
    fn what_is_nothing_depends_on_nothing() {
        let none = said(&[("loss", "0% 25%"), ("jitter", "0 25%"), ("distribution", "normal")]);
        assert!(none.settled().is_none());
        assert_eq!(said(&[("loss", "100% 25%")]).settled().to_string(), "loss 100%");
    }

    #[test]
    fn nonsense_is_refused() {
        for (key, value) in [
            ("delay", "2h"),
            ("delay", "-1ms"),
            ("loss", "1"),
            ("loss", "101%"),
            ("loss", "1% 101%"),
            ("loss", "1% 2% 3%"),
            ("loss", ""),
            ("jitter", "1ms 5"),
            ("jitter", "2h"),
            ("distribution", "gauss"),
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
