//! Routes and rules as they were described.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Spanned;
use crate::model::RuleAction;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// Both, IPv4 first.
    pub const BOTH: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// An address's family.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::Ipv6 } else { Self::Ipv4 }
    }

    /// `0.0.0.0/0` or `::/0`.
    pub fn everything(self) -> IpNet {
        match self {
            Self::Ipv4 => IpNet::V4(ipnet::Ipv4Net::default()),
            Self::Ipv6 => IpNet::V6(ipnet::Ipv6Net::default()),
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// A route as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads.
    pub to: Destination,
    /// What happens.
    pub action: RouteAction,
    /// The metric.
    pub metric: Option<u32>,
    /// The table; main unless given.
    pub table: Option<u32>,
    /// The preferred source address.
    pub source: Option<Spanned<IpAddr>>,
    /// The path MTU.
    pub mtu: Option<u32>,
}

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Everywhere; the family follows from the gateway unless it is given.
    Default(Option<Family>),
    /// Here.
    Net(IpNet),
}

/// What a route as it was described does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteAction {
    /// Send it on.
    Forward(Vec<NextHop>),
    /// Drop it without a word.
    Blackhole,
    /// Drop it and say "host unreachable".
    Unreachable,
    /// Drop it and say "administratively prohibited".
    Prohibit,
    /// Look in the next rule's table.
    Throw,
}

/// A way out as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHop {
    /// The gateway.
    pub via: Option<Spanned<Via>>,
    /// The interface.
    pub dev: Option<Spanned<String>>,
    /// Share of the traffic.
    pub weight: u16,
    /// The gateway is on the link, whatever the addresses say.
    pub onlink: bool,
}

impl Default for NextHop {
    fn default() -> Self {
        Self { via: None, dev: None, weight: 1, onlink: false }
    }
}

/// A gateway as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// By address.
    Address(IpAddr),
    /// By the name of a node on a shared segment.
    Node(String),
}

/// A policy routing rule as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its priority, if given.
    pub priority: Option<u32>,
    /// IPv4 or IPv6.
    pub family: Family,
    /// Packets from here.
    pub from: Option<IpNet>,
    /// Packets to there.
    pub to: Option<IpNet>,
    /// Packets that come in by this interface.
    pub iif: Option<Spanned<String>>,
    /// Packets that are to leave by this interface.
    pub oif: Option<Spanned<String>>,
    /// Packets with this mark: value and mask.
    pub fwmark: Option<(u32, u32)>,
    /// What to do with them.
    pub action: RuleAction,
}
