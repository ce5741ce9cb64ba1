//! What an evaluation tells.

use nslab_kernel::nftables::{Chain, Rule, Ruleset, Table};
use serde::Serialize;

use super::connection::Tracking;
use crate::{Doubt, Packet};

/// One of the ways that a packet may take through a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// What becomes of it.
    pub fate: Fate,
    /// The packet afterwards.
    pub packet: Packet,
    /// What of the packet is not known any more; the packet has some value there.
    pub vague: Vec<(Part, Doubt)>,
    /// Its connection afterwards, with what NAT decided.
    pub tracking: Tracking,
    /// The zone that a rule gave it before connections are looked for.
    pub zone: Option<u16>,
    /// It is routed again: a chain of type `route` changed what routes hang on, or NAT at output the destination.
    pub rerouted: bool,
    /// What was met, in this order.
    pub trail: Vec<Step>,
    /// What would have to be so for this way to be taken; none if it is taken in any case.
    pub doubts: Vec<Doubt>,
}

impl Branch {
    /// What decided its fate: the rule or policy that was met last.
    pub fn decided_by(&self) -> Option<&Step> {
        self.trail.last()
    }
}

/// What becomes of a packet at a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It goes on.
    Accepted,
    /// It is gone.
    Dropped,
    /// It is gone, and its sender is told.
    Rejected(Rejection),
    /// It is sent out by the interface of this number (`fwd`), past everything else.
    Sent(u32),
    /// That is not known.
    Unknown(Doubt),
}

/// What the sender of a rejected packet is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// ICMP "destination unreachable" (type 3) with this code.
    Icmp(u8),
    /// `ICMPv6` "destination unreachable" (type 1) with this code.
    Icmpv6(u8),
    /// A TCP reset.
    TcpReset,
}

/// A part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The source address.
    Source,
    /// The destination address.
    Destination,
    /// The sender's port, or the identifier of ICMP.
    SourcePort,
    /// The receiver's port.
    DestinationPort,
    /// TTL or hop limit.
    Ttl,
    /// Type of service or traffic class.
    Tos,
    /// TCP's flags, or ICMP's type and code.
    Control,
    /// The packet's mark.
    Mark,
}

/// A rule or policy that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Step {
    /// The table, by its place in the ruleset.
    pub table: usize,
    /// The chain, by its place in the table.
    pub chain: usize,
    /// The rule, by its place in the chain; none is the chain's policy.
    pub rule: Option<usize>,
    /// Whether the packet matched; none if that is not known and does not matter.
    pub matched: Option<bool>,
    /// What it did.
    pub action: Action,
}

impl Step {
    /// The table.
    pub fn table<'a>(&self, ruleset: &'a Ruleset) -> Option<&'a Table> {
        ruleset.tables.get(self.table)
    }

    /// The chain.
    pub fn chain<'a>(&self, ruleset: &'a Ruleset) -> Option<&'a Chain> {
        self.table(ruleset)?.chains.get(self.chain)
    }

    /// The rule, if it is one.
    pub fn rule<'a>(&self, ruleset: &'a Ruleset) -> Option<&'a Rule> {
        self.chain(ruleset)?.rules.get(self.rule?)
    }
}

/// What a rule or policy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The next rule is met.
    Continue,
    /// The packet passes this base chain.
    Accept,
    /// It is gone.
    Drop,
    /// It is gone, and its sender is told.
    Reject,
    /// The chain of this place in the table is evaluated.
    Jump(usize),
    /// The same, without coming back.
    Goto(usize),
    /// The rest of the chain is not met.
    Return,
    /// NAT is decided.
    Translate,
    /// It is sent out by another interface.
    Send,
    /// What it does is not known.
    Unknown,
}
