//! Who is expected to reach whom, how fast and by which way.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::impairment::Share;

/// The most expectations of a lab.
pub const MAX_EXPECTATIONS: usize = 100_000;

/// One line of `expect:`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expectation {
    /// Who sends.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// What is sent.
    pub service: Probe,
    /// What is to become of it.
    pub outcome: Expected,
    /// So long it may take until it holds: a network may have to converge first.
    #[serde(default)]
    pub within: Option<Duration>,
    /// What else is to hold of what arrives.
    #[serde(default)]
    pub bounds: Bounds,
    /// The line of the file that it is written in, from 1.
    pub line: usize,
}

/// What is to hold of packets that arrive, besides that they do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The answer comes back in less than this, in the median of several.
    pub latency: Option<Duration>,
    /// A smaller share of packets gets lost, or none if it is none.
    pub loss: Option<Share>,
    /// A connection carries at least so many bits in a second.
    pub bandwidth: Option<u64>,
    /// The nodes or switches that it passes, in this order; others may lie between.
    pub via: Vec<String>,
    /// The largest packet that passes unfragmented.
    pub mtu: Option<Mtu>,
}

/// What the largest packet that passes unfragmented may be, in bytes from the IP header on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mtu {
    /// Just this: one byte more does not pass.
    Exactly(u32),
    /// This or more.
    AtLeast(u32),
}

/// One side of an expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Every node.
    Every,
    /// The node of this name, or every node at the switch of this name.
    Named(String),
    /// An address, whoever has it.
    Address(IpAddr),
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// An echo request.
    Icmp,
    /// A connection to this port.
    Tcp(u16),
    /// A packet to this port.
    Udp(u16),
}

/// What is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// It arrives and is answered.
    Ok,
    /// Nothing comes back.
    Drop,
    /// It is refused, by whomever, and the sender hears of it.
    Reject,
    /// It arrives, and the host that it is for refuses it, as nothing listens there.
    Refused,
}

/// As of all places in a file, the line takes no part.
impl PartialEq for Expectation {
    fn eq(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.service, one.outcome, one.within);
        of(self) == of(other)
            && (&self.from, &self.to, &self.bounds) == (&other.from, &other.to, &other.bounds)
    }
}

impl Eq for Expectation {}

impl Bounds {
    /// Whether nothing more is expected than that packets arrive.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Expected {
    /// Each with the word that says it.
    pub const ALL: [(&'static str, Self); 4] =
        [("ok", Self::Ok), ("drop", Self::Drop), ("reject", Self::Reject), ("refused", Self::Refused)];

    /// The word that says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("every"),
            Self::Named(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Icmp => f.write_str("icmp"),
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Udp(port) => write!(f, "udp/{port}"),
        }
    }
}

impl fmt::Display for Expectation {
    /// What is sent, as the file writes it: `a -> b tcp/80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} {}", self.from, self.to, self.service)
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(size) => size.fmt(f),
            Self::AtLeast(size) => write!(f, ">={size}"),
        }
    }
}
