//! Firewalls and address translation with every zone turned into interfaces and prefixes.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_types::IfName;
use serde::{Deserialize, Serialize};

use crate::lab;

/// What a node does with packets besides routing them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its firewall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Firewall>,
    /// Its address translation, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nat: Vec<NatRule>,
    /// Text for nft(8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nft: Vec<lab::Nft>,
}

impl Policy {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.firewall.is_none() && self.nat.is_empty() && self.nft.is_empty()
    }

    /// Whether the firewall, or a rule of it, writes to the kernel's log.
    pub fn logs(&self) -> bool {
        let rules = |firewall: &Firewall| firewall.rules.iter().any(|rule| rule.written.log.is_some());
        self.firewall.as_ref().is_some_and(|firewall| firewall.log.is_some() || rules(firewall))
    }
}

/// A firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// Its defaults and its log.
    pub input: lab::Verdict,
    /// What becomes of what passes through and is new.
    pub forward: lab::Verdict,
    /// What becomes of what the node itself begins.
    pub output: lab::Verdict,
    /// Log what the defaults drop or reject, with this prefix; an empty one stands for nslab's own.
    pub log: Option<String>,
    /// The line of its `default`.
    pub line: lab::Line,
    /// Its rules: the first that matches decides.
    pub rules: Vec<FirewallRule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallRule {
    /// What was written.
    pub written: lab::FirewallRule,
    /// Where it is tried, and what it then asks of a packet's way; at most one for each [`Hook`].
    pub matches: Vec<Match>,
}

/// Where a packet is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// On its way to the node itself.
    Input,
    /// On its way through the node.
    Forward,
    /// On its way from the node itself.
    Output,
}

/// What is asked of a packet's way. Of each list one must hold; an empty one always holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// Where it is looked at.
    pub hook: Hook,
    /// Of where it comes from.
    pub from: Vec<Selector>,
    /// Of where it goes.
    pub to: Vec<Selector>,
}

/// A side of a packet's way. Both must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// It comes in, or goes out, by one of these interfaces; any if there is none.
    pub interfaces: Vec<IfName>,
    /// Its source, or destination, is in one of these prefixes; any if there is none.
    pub prefixes: Vec<IpNet>,
}

/// An item of address translation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatRule {
    /// What was written.
    pub written: lab::NatRule,
    /// What it asks of where a packet comes from: one must hold, an empty list always does.
    pub from: Vec<Selector>,
    /// What it does.
    pub kind: NatKind,
}

/// What an item of address translation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatKind {
    /// What leaves by one of these interfaces gets the interface's address as its source.
    Masquerade {
        /// The interfaces, at least one.
        interfaces: Vec<IfName>,
    },
    /// What goes there gets this source.
    Source {
        /// Where it goes: one must hold, an empty list always does.
        to: Vec<Selector>,
        /// The new source, at most one of each family.
        addresses: Vec<IpAddr>,
    },
    /// What comes for one of the node's addresses goes to another node.
    Forward {
        /// TCP or UDP ports.
        services: Vec<lab::Service>,
        /// The node's addresses that it is for.
        addresses: Vec<IpAddr>,
        /// Where it goes, at most one of each family.
        targets: Vec<IpAddr>,
        /// The port there; the same unless given.
        port: Option<u16>,
        /// The interfaces behind which the target lies. What comes in by one of them and goes back out by it is given
        /// the node's address, or the answer would not come back this way (a hairpin).
        interfaces: Vec<IfName>,
    },
    /// One address stands for another in both directions.
    OneToOne {
        /// The address that others see.
        outside: IpAddr,
        /// The address that it stands for.
        inside: IpAddr,
        /// The interfaces behind which the inner address lies, for the hairpin.
        interfaces: Vec<IfName>,
        /// The interfaces by which the outer address is seen.
        out: Vec<IfName>,
    },
}
