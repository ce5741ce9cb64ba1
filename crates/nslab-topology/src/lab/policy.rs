//! A node's firewall and address translation as they were described.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Family;
use crate::diagnostic::Spanned;

/// A line of the lab file that an object of a running lab came from, from 1; none for what did not come from a file.
///
/// Unlike a [`crate::Span`] it is remembered with the lab. Like one it takes no part in comparison: a rule that
/// moved in its file is the same rule.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line(pub Option<usize>);

impl PartialEq for Line {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Line {}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// It is dropped without a word.
    Drop,
    /// It is dropped and the sender is told: TCP by a reset, others by ICMP "administratively prohibited".
    Reject,
}

/// What a node does with packets besides routing them, as it was described.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its firewall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Firewall>,
    /// Its address translation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nat: Vec<Spanned<NatRule>>,
    /// Text for nft(8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nft: Vec<Nft>,
}

impl Policy {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.firewall.is_none() && self.nat.is_empty() && self.nft.is_empty()
    }

    /// Every list of zones.
    pub(crate) fn zones_mut(&mut self) -> impl Iterator<Item = &mut Vec<Spanned<String>>> {
        let rules = self.firewall.iter_mut().flat_map(|firewall| &mut firewall.rules);
        let rules = rules.flat_map(|rule| [&mut rule.value.from, &mut rule.value.to]);
        rules.chain(self.nat.iter_mut().flat_map(|rule| {
            let NatRule { kind, from, .. } = &mut rule.value;
            let to = match kind {
                NatKind::Masquerade { to } | NatKind::Source { to, .. } => Some(to),
                NatKind::Forward { .. } | NatKind::OneToOne { .. } => None,
            };
            [Some(from), to].into_iter().flatten()
        }))
    }
}

/// A node's firewall as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// What becomes of connections to the node itself that no rule is about.
    pub input: Verdict,
    /// What becomes of connections through the node that no rule is about.
    pub forward: Verdict,
    /// What becomes of connections from the node itself that no rule is about.
    pub output: Verdict,
    /// Log what the defaults drop or reject, with this prefix; an empty one stands for nslab's own.
    pub log: Option<String>,
    /// The line of its `default`.
    pub line: Line,
    /// The rules, in the order in which they are tried: the first that matches decides.
    pub rules: Vec<Spanned<FirewallRule>>,
}

/// A rule of a firewall as it was described: about the first packet of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallRule {
    /// What becomes of a packet that matches.
    pub verdict: Verdict,
    /// Where it comes from: any of these zones; none is anywhere but the node itself.
    pub from: Vec<Spanned<String>>,
    /// Where it goes: any of these zones; none is anywhere, the node itself included.
    pub to: Vec<Spanned<String>>,
    /// What it carries: any of these; none is anything.
    pub services: Vec<Service>,
    /// Only this family.
    pub family: Option<Family>,
    /// Log it, with this prefix; an empty one stands for nslab's own.
    pub log: Option<String>,
    /// What the user has to say about it.
    pub comment: Option<String>,
    /// Its line.
    pub line: Line,
}

/// What a packet carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// TCP to one of these ports.
    Tcp(Vec<Ports>),
    /// UDP to one of these ports.
    Udp(Vec<Ports>),
    /// An ICMP message in IPv4 or an `ICMPv6` message in IPv6, of one of these types; none is any.
    Icmp(Vec<IcmpType>),
    /// An `ICMPv6` message of one of these types; none is any.
    Icmpv6(Vec<IcmpType>),
    /// An IP protocol, by its number (IANA "Assigned Internet Protocol Numbers").
    Protocol(u8),
}

/// Ports from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ports {
    /// The lowest, at least 1.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl std::fmt::Display for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A type of ICMP messages by its number in each protocol; one that only one of them has has no number in the other
/// (RFC 792, RFC 4443, RFC 4861, and IANA's lists).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IcmpType {
    /// In ICMP.
    pub v4: Option<u8>,
    /// In `ICMPv6`.
    pub v6: Option<u8>,
}

/// The types of ICMP messages by the names that nft(8) has for them.
const ICMP_TYPES: &[(&str, Option<u8>, Option<u8>)] = &[
    ("echo-request", Some(8), Some(128)),
    ("echo-reply", Some(0), Some(129)),
    ("destination-unreachable", Some(3), Some(1)),
    ("packet-too-big", None, Some(2)),
    ("time-exceeded", Some(11), Some(3)),
    ("parameter-problem", Some(12), Some(4)),
    ("source-quench", Some(4), None),
    ("redirect", Some(5), None),
    ("router-advertisement", Some(9), None),
    ("router-solicitation", Some(10), None),
    ("timestamp-request", Some(13), None),
    ("timestamp-reply", Some(14), None),
    ("info-request", Some(15), None),
    ("info-reply", Some(16), None),
    ("address-mask-request", Some(17), None),
    ("address-mask-reply", Some(18), None),
    ("mld-listener-query", None, Some(130)),
    ("mld-listener-report", None, Some(131)),
    ("mld-listener-done", None, Some(132)),
    ("mld2-listener-report", None, Some(143)),
    ("nd-router-solicit", None, Some(133)),
    ("nd-router-advert", None, Some(134)),
    ("nd-neighbor-solicit", None, Some(135)),
    ("nd-neighbor-advert", None, Some(136)),
    ("nd-redirect", None, Some(137)),
    ("router-renumbering", None, Some(138)),
];

impl IcmpType {
    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        ICMP_TYPES.iter().find(|(known, ..)| *known == name).map(|&(_, v4, v6)| Self { v4, v6 })
    }

    /// Its name; of one that has none, its number.
    pub fn name(self) -> String {
        let named = ICMP_TYPES.iter().find(|&&(_, v4, v6)| (v4, v6) == (self.v4, self.v6));
        named.map_or_else(
            || self.v4.or(self.v6).map_or_else(String::new, |number| number.to_string()),
            |(name, ..)| (*name).to_owned(),
        )
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        ICMP_TYPES.iter().map(|(name, ..)| *name)
    }
}

/// IP protocols by name (IANA "Assigned Internet Protocol Numbers").
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("egp", 8),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

/// The number of an IP protocol by its name or in digits.
pub fn protocol_number(name: &str) -> Option<u8> {
    let named = PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    named.or_else(|| name.parse().ok())
}

/// The name of an IP protocol, else its number.
pub fn protocol_name(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|(_, known)| *known == number);
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// The names of the IP protocols that have one here.
pub fn protocol_names() -> impl Iterator<Item = &'static str> + Clone {
    PROTOCOLS.iter().map(|(name, _)| *name)
}

/// One item of a node's `nat` as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatRule {
    /// What is translated, and how.
    pub kind: NatKind,
    /// What comes from these zones; none is anywhere.
    pub from: Vec<Spanned<String>>,
    /// Only this family.
    pub family: Option<Family>,
    /// What the user has to say about it.
    pub comment: Option<String>,
    /// Its line.
    pub line: Line,
}

/// What an item of `nat` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatKind {
    /// What leaves by these zones' interfaces gets the address of the interface as its source.
    Masquerade {
        /// Interfaces, or zones that have them.
        to: Vec<Spanned<String>>,
    },
    /// What goes to these zones gets a fixed address as its source.
    Source {
        /// Where it goes; none is anywhere.
        to: Vec<Spanned<String>>,
        /// The new source, at most one of each family.
        addresses: Vec<Spanned<IpAddr>>,
    },
    /// What comes for a port of the node goes to a port of another.
    Forward {
        /// The ports, TCP or UDP.
        services: Vec<Service>,
        /// The node's addresses that it is for; none are all those on its outside.
        addresses: Vec<Spanned<IpAddr>>,
        /// A node, or an address.
        to: Spanned<String>,
        /// The port there, where it is another.
        port: Option<u16>,
    },
    /// One address stands for another in both directions.
    OneToOne {
        /// The address that others see.
        outside: Spanned<IpAddr>,
        /// A node, or its address.
        inside: Spanned<String>,
    },
}

/// Raw text for nft(8) as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nft {
    /// The text itself.
    Text {
        /// What nft reads.
        text: Spanned<String>,
        /// The line of the lab file on which the text begins.
        line: Line,
    },
    /// A file, relative to the lab file's directory.
    File {
        /// Its path.
        path: Spanned<String>,
        /// The line of the lab file that names it.
        line: Line,
        /// What is in it; empty until [`crate::Lab::read_files`] has read it.
        #[serde(default)]
        text: String,
    },
}
