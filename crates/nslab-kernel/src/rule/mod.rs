//! Policy routing rules (ip-rule(8), `include/uapi/linux/fib_rules.h`).

mod wire;

pub use wire::list;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use wire::parse;

use ipnet::IpNet;
use nslab_types::IfName;
use serde::{Deserialize, Serialize};

/// A rule, to be added or as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// The order in which rules are tried, lowest first.
    pub priority: u32,
    /// For IPv6 rather than IPv4.
    pub ipv6: bool,
    /// The condition is turned round (`FIB_RULE_INVERT`).
    pub invert: bool,
    /// Packets from here.
    pub from: Option<IpNet>,
    /// Packets to there.
    pub to: Option<IpNet>,
    /// Packets that come in by this interface.
    pub iif: Option<IfName>,
    /// Packets of sockets bound to this interface.
    pub oif: Option<IfName>,
    /// Firewall mark: value and mask.
    pub fwmark: Option<(u32, u32)>,
    /// Packets with this in the DS field; 0 is any (`tos` of ip-rule(8)).
    pub tos: u8,
    /// Packets of this IP protocol (`FRA_IP_PROTO`).
    pub ip_protocol: Option<u8>,
    /// Packets from a port of this range (`FRA_SPORT_RANGE`).
    pub source_ports: Option<(u16, u16)>,
    /// Packets to a port of this range (`FRA_DPORT_RANGE`).
    pub destination_ports: Option<(u16, u16)>,
    /// Packets of sockets of a user of this range (`FRA_UID_RANGE`).
    pub users: Option<(u32, u32)>,
    /// What to do.
    pub action: RuleAction,
    /// A route found in the table is passed over if its prefix is no longer than this (`FRA_SUPPRESS_PREFIXLEN`, which
    /// wg-quick(8) sets to 0).
    pub suppress_prefix_length: Option<u32>,
    /// A route found in the table is passed over if it leads out by an interface of this group
    /// (`FRA_SUPPRESS_IFGROUP`).
    pub suppress_group: Option<u32>,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
    /// Packets whose DSCP is this under the mask, all six bits being compared (`FRA_DSCP`, Linux 6.13).
    #[serde(default)]
    pub dscp: Option<(u8, u8)>,
    /// Attributes that the kernel showed and that are in no other field (`FRA_*`): conditions which nslab does not
    /// know. Not written.
    #[serde(default)]
    pub unknown: Vec<u16>,
    /// An IPv6 packet without a source address yet is tried with the one it would get (`FIB_RULE_FIND_SADDR`). Not
    /// written.
    #[serde(default)]
    pub finds_source: bool,
}

impl Rule {
    /// A rule for every packet, made by hand.
    pub fn new(ipv6: bool, priority: u32, action: RuleAction) -> Self {
        Self {
            priority,
            ipv6,
            invert: false,
            from: None,
            to: None,
            iif: None,
            oif: None,
            fwmark: None,
            tos: 0,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            users: None,
            action,
            suppress_prefix_length: None,
            suppress_group: None,
            protocol: crate::route::PROTOCOL_BOOT,
            dscp: None,
            unknown: Vec::new(),
            finds_source: false,
        }
    }
}

/// What a rule does (`FR_ACT_*`, `include/uapi/linux/fib_rules.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Look in this table.
    Table(u32),
    /// Look in the table of the VRF that the packet belongs to, if any (`FRA_L3MDEV`).
    VrfTable,
    /// Go on at the rule with this priority.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drop it without a word.
    Blackhole,
    /// Drop it and say "network unreachable".
    Unreachable,
    /// Drop it and say "administratively prohibited".
    Prohibit,
    /// Another action.
    Other(u8),
}

/// `RTM_NEWRULE` (exclusively: an equal rule is refused with `EEXIST`) / `RTM_DELRULE`.
#[derive(Debug, Clone)]
pub struct ChangeRule {
    /// The rule.
    pub rule: Rule,
    /// Take it away instead.
    pub delete: bool,
}
