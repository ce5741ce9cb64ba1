//! Policy routing rules.

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
    /// What to do.
    pub action: RuleAction,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
}

/// What a rule does (`FR_ACT_*`, `include/uapi/linux/fib_rules.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Look in this table.
    Table(u32),
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

/// `RTM_NEWRULE` / `RTM_DELRULE`.
#[derive(Debug, Clone)]
pub struct ChangeRule {
    /// The rule.
    pub rule: Rule,
    /// Take it away instead.
    pub delete: bool,
}
