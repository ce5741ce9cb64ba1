//! Adding and deleting routes: the requests on the wire.

use std::fmt;
use std::net::IpAddr;

use super::{ChangeRoute, NextHop, Preference, Route, RouteAction};
use crate::abi::*;
use crate::address::no_ipv6;
use crate::error::{Error, Refusal};
use crate::netlink::{MessageWriter, Request};

impl fmt::Display for ChangeRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route { to, table, .. } = &self.route;
        write!(f, "{} the route to {to}", if self.delete { "delete" } else { "add" })?;
        match &self.route.action {
            RouteAction::Forward(hops) => {
                for hop in hops {
                    match (hop.via, hop.link) {
                        (Some(via), _) => write!(f, " via {via}"),
                        (None, Some(link)) => write!(f, " by link number {link}"),
                        (None, None) => Ok(()),
                    }?;
                }
            }
            RouteAction::Blackhole => f.write_str(" (blackhole)")?,
            RouteAction::Unreachable => f.write_str(" (unreachable)")?,
            RouteAction::Prohibit => f.write_str(" (prohibit)")?,
            RouteAction::Throw => f.write_str(" (throw)")?,
            _ => {}
        }
        if *table == super::TABLE_MAIN { Ok(()) } else { write!(f, " in table {table}") }
    }
}

impl Request for ChangeRoute {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELROUTE } else { RTM_NEWROUTE }
    }

    fn flags(&self) -> u16 {
        if self.delete { 0 } else { NLM_F_CREATE | NLM_F_EXCL }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let route = &self.route;
        let single = match &route.action {
            RouteAction::Forward(hops) if hops.len() == 1 && route.nexthop.is_none() => hops.first(),
            _ => None,
        };
        let onlink = single.is_some_and(|hop| hop.onlink);
        // struct rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags.
        let header = [
            family_of(route.to.addr()),
            route.to.prefix_len(),
            route.from.map_or(0, |from| from.prefix_len()),
            route.tos,
            u8::try_from(route.table).unwrap_or(0),
            route.protocol,
            scope(route, self.delete),
            kernel_type(&route.action),
        ];
        message.header(&header);
        message.header(&u32::from(if onlink { RTNH_F_ONLINK } else { 0 }).to_ne_bytes());
        message.address(RTA_DST, route.to.network());
        if let Some(from) = route.from {
            message.address(RTA_SRC, from.network());
        }
        match route.preference {
            Preference::Medium => {}
            Preference::High => message.u8(RTA_PREF, 1),
            Preference::Low => message.u8(RTA_PREF, 3),
        }
        if route.table > 255 {
            message.u32(RTA_TABLE, route.table);
        }
        if route.metric != 0 {
            message.u32(RTA_PRIORITY, route.metric);
        }
        if let Some(source) = route.source {
            message.address(RTA_PREFSRC, source);
        }
        if let Some(mtu) = route.mtu {
            message.nested(RTA_METRICS, |metrics| metrics.u32(RTAX_MTU, mtu));
        }
        match (&route.action, route.nexthop) {
            (_, Some(id)) => message.u32(RTA_NH_ID, id),
            (RouteAction::Forward(hops), None) => match hops.as_slice() {
                [hop] => {
                    write_gateway(message, route, hop);
                    if let Some(link) = hop.link {
                        message.u32(RTA_OIF, link);
                    }
                }
                hops => message.nested(RTA_MULTIPATH, |list| {
                    for hop in hops {
                        write_hop(list, route, hop);
                    }
                }),
            },
            (
                RouteAction::Local(link)
                | RouteAction::Broadcast(link)
                | RouteAction::Anycast(link)
                | RouteAction::Multicast(link),
                None,
            ) => {
                if let Some(link) = link {
                    message.u32(RTA_OIF, *link);
                }
            }
            _ => {}
        }
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        no_ipv6(self.route.to.addr().is_ipv6(), refusal)
    }
}

/// As ip(8) chooses it (`iproute_modify`, `ip/iproute.c` of iproute2).
fn scope(route: &Route, delete: bool) -> u8 {
    if let Some(scope) = route.scope {
        return scope;
    }
    if route.to.addr().is_ipv6() {
        return RT_SCOPE_UNIVERSE;
    }
    match &route.action {
        RouteAction::Local(_) => RT_SCOPE_HOST,
        RouteAction::Broadcast(_) | RouteAction::Multicast(_) | RouteAction::Anycast(_) => RT_SCOPE_LINK,
        _ if delete => RT_SCOPE_NOWHERE,
        RouteAction::Forward(hops) if route.nexthop.is_none() => match hops.as_slice() {
            [hop] if hop.via.is_none() => RT_SCOPE_LINK,
            _ => RT_SCOPE_UNIVERSE,
        },
        _ => RT_SCOPE_UNIVERSE,
    }
}

fn kernel_type(action: &RouteAction) -> u8 {
    match action {
        RouteAction::Forward(_) => RTN_UNICAST,
        RouteAction::Local(_) => RTN_LOCAL,
        RouteAction::Broadcast(_) => RTN_BROADCAST,
        RouteAction::Anycast(_) => RTN_ANYCAST,
        RouteAction::Multicast(_) => RTN_MULTICAST,
        RouteAction::Blackhole => RTN_BLACKHOLE,
        RouteAction::Unreachable => RTN_UNREACHABLE,
        RouteAction::Prohibit => RTN_PROHIBIT,
        RouteAction::Throw => RTN_THROW,
        RouteAction::Other(kind) => *kind,
    }
}

/// The gateway: `RTA_GATEWAY`, or `RTA_VIA` where it is of another family than the route (Linux 5.2).
fn write_gateway(message: &mut MessageWriter<'_>, route: &Route, hop: &NextHop) {
    let Some(via) = hop.via else { return };
    if via.is_ipv4() == route.to.addr().is_ipv4() {
        message.address(RTA_GATEWAY, via);
        return;
    }
    // struct rtvia: family, address.
    let mut content = u16::from(family_of(via)).to_ne_bytes().to_vec();
    match via {
        IpAddr::V4(via) => content.extend(via.octets()),
        IpAddr::V6(via) => content.extend(via.octets()),
    }
    message.attribute(RTA_VIA, &content);
}

/// `struct rtnexthop` with its attributes.
fn write_hop(list: &mut MessageWriter<'_>, route: &Route, hop: &NextHop) {
    let gateway_len = match (hop.via, route.to.addr()) {
        (None, _) => 0,
        (Some(IpAddr::V4(_)), IpAddr::V4(_)) => 4 + 4,
        (Some(IpAddr::V6(_)), IpAddr::V6(_)) => 4 + 16,
        (Some(IpAddr::V6(_)), IpAddr::V4(_)) => 4 + 2 + 16 + 2,
        (Some(IpAddr::V4(_)), IpAddr::V6(_)) => 4 + 2 + 4 + 2,
    };
    let mut header = [0; 8];
    header[..2].copy_from_slice(&(8_u16 + gateway_len).to_ne_bytes());
    header[2] = if hop.onlink { RTNH_F_ONLINK } else { 0 };
    // The kernel counts from 0.
    header[3] = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    header[4..].copy_from_slice(&hop.link.unwrap_or(0).to_ne_bytes());
    list.header(&header);
    write_gateway(list, route, hop);
}
