//! Routes.

mod change;
mod lookup;
mod nexthop;
mod read;

pub use lookup::{Answer, Lookup, PathMtu, is_local};
pub use read::list;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use {nexthop::parse as parse_nexthop, read::parse};

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::link::IfIndex;

/// The main table (`RT_TABLE_MAIN`).
pub const TABLE_MAIN: u32 = 254;
/// The table of the kernel's own local and broadcast routes (`RT_TABLE_LOCAL`).
pub const TABLE_LOCAL: u32 = 255;
/// Who made a route: the kernel (`RTPROT_KERNEL`).
pub const PROTOCOL_KERNEL: u8 = 2;
/// Who made a route: somebody by hand (`RTPROT_BOOT`, what ip(8) uses).
pub const PROTOCOL_BOOT: u8 = 3;
/// Who made a route: an administrator's configuration (`RTPROT_STATIC`).
pub const PROTOCOL_STATIC: u8 = 4;
/// Who made a route: a router's advertisement (`RTPROT_RA`).
pub const PROTOCOL_RA: u8 = 9;

/// A route, to be added or as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads; host bits are zero.
    pub to: IpNet,
    /// What happens to a packet that matches.
    pub action: RouteAction,
    /// Lower wins (`RTA_PRIORITY`); 0 for an IPv6 route to be added lets the kernel put 1024.
    pub metric: u32,
    /// The table.
    pub table: u32,
    /// Preferred source address (`RTA_PREFSRC`).
    pub source: Option<IpAddr>,
    /// Path MTU (`RTAX_MTU`).
    pub mtu: Option<u32>,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
    /// The scope (`RT_SCOPE_*`): 0 universe, 253 link, 254 host. When adding, chosen as ip(8) does if `None`.
    pub scope: Option<u8>,
    /// The nexthop object it goes by (`RTA_NH_ID`, ip-nexthop(8)); its ways out are in [`Route::action`] too. When
    /// adding, those are passed over if this is given.
    pub nexthop: Option<u32>,
    /// IPv4: for packets with this type of service only; 0 is any (`rtm_tos`).
    #[serde(default)]
    pub tos: u8,
    /// IPv6: for packets from here only (`RTA_SRC`).
    #[serde(default)]
    pub from: Option<IpNet>,
    /// IPv6: which of equal routes is better (`RTA_PREF`, RFC 4191).
    #[serde(default)]
    pub preference: Preference,
    /// Attributes that the kernel showed and that are in no other field (`RTA_*`), such as an encapsulation. Not
    /// written.
    #[serde(default)]
    pub unknown: Vec<u16>,
}

/// A router's preference (RFC 4191, section 2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// Low.
    Low,
    /// Medium.
    #[default]
    Medium,
    /// High.
    High,
}

impl Route {
    /// A route of the main table, made by hand, with all else as the kernel has it by default.
    pub fn new(to: IpNet, action: RouteAction) -> Self {
        Self {
            to,
            action,
            metric: 0,
            table: TABLE_MAIN,
            source: None,
            mtu: None,
            protocol: PROTOCOL_BOOT,
            scope: None,
            nexthop: None,
            tos: 0,
            from: None,
            preference: Preference::Medium,
            unknown: Vec::new(),
        }
    }
}

/// What a route does (`RTN_*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteAction {
    /// Send it on (`RTN_UNICAST`) by one of these.
    Forward(Vec<NextHop>),
    /// Deliver it here (`RTN_LOCAL`), by this interface.
    Local(Option<IfIndex>),
    /// Broadcast it by this interface.
    Broadcast(Option<IfIndex>),
    /// An IPv6 anycast address of this host.
    Anycast(Option<IfIndex>),
    /// Multicast.
    Multicast(Option<IfIndex>),
    /// Drop it without a word.
    Blackhole,
    /// Drop it and say "host unreachable".
    Unreachable,
    /// Drop it and say "administratively prohibited".
    Prohibit,
    /// Look in the next rule's table.
    Throw,
    /// Another `RTN_*` type.
    Other(u8),
}

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NextHop {
    /// The gateway, of either family.
    pub via: Option<IpAddr>,
    /// The interface; when adding, `None` lets the kernel find it.
    pub link: Option<IfIndex>,
    /// Share of the traffic, 1 to 256.
    pub weight: u16,
    /// The gateway is taken to be on the link (`RTNH_F_ONLINK`).
    pub onlink: bool,
}

impl NextHop {
    /// A way through a gateway, by whichever interface leads to it.
    pub fn via(gateway: IpAddr) -> Self {
        Self { via: Some(gateway), link: None, weight: 1, onlink: false }
    }

    /// A way to those that are on the link itself.
    pub fn on(link: IfIndex) -> Self {
        Self { via: None, link: Some(link), weight: 1, onlink: false }
    }
}

/// `RTM_NEWROUTE` (exclusively: an equal route is refused with `EEXIST`) / `RTM_DELROUTE`.
#[derive(Debug, Clone)]
pub struct ChangeRoute {
    /// The route.
    pub route: Route,
    /// Take it away instead.
    pub delete: bool,
}
