//! Reading routes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::{NextHop, PathMtu, Preference, Route, RouteAction, nexthop};
use crate::abi::*;
use crate::error::Result;
use crate::link::IfIndex;
use crate::netlink::{Attribute, Attributes, MessageWriter, Reader, Request, Socket};

/// The bytes of `struct rtmsg` (`include/uapi/linux/rtnetlink.h`).
const HEADER_LEN: usize = 12;
/// The bytes of `struct rtnexthop`.
const HOP_LEN: usize = 8;

/// `RTM_GETROUTE` for the routes of all tables of a family.
struct GetRoutes {
    family: u8,
}

impl fmt::Display for GetRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list routes")
    }
}

impl Request for GetRoutes {
    fn message_type(&self) -> u16 {
        RTM_GETROUTE
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let mut header = [0; HEADER_LEN];
        header[0] = self.family;
        message.header(&header);
    }
}

/// All IPv4 and IPv6 routes of the namespace that `socket` belongs to, without cached ones: IPv4 first, then by table,
/// longest prefix first, metric. Routes that are equal in these stay in the kernel's order, in which it tries them.
pub fn list(socket: &mut Socket) -> Result<Vec<Route>> {
    let mut routes = socket.dump_families(
        "routes",
        |family| GetRoutes { family },
        |kind, payload| Ok((kind == RTM_NEWROUTE).then(|| parse(payload)).flatten()),
    )?;
    nexthop::expand(socket, &mut routes)?;
    routes.sort_by_key(|route| {
        let to = route.to;
        (to.addr().is_ipv6(), route.table, std::cmp::Reverse(to.prefix_len()), to.addr(), route.metric)
    });
    Ok(routes)
}

/// Reads the payload of `RTM_NEWROUTE`; none if it is of another family, cached, or makes no sense.
pub(crate) fn parse(payload: &[u8]) -> Option<Route> {
    let cached = Reader::new(payload).u32(8) & RTM_F_CLONED != 0;
    if cached { None } else { parse_any(payload) }
}

/// As [`parse`], also if it is cached, as the answer to a lookup is.
pub(super) fn parse_any(payload: &[u8]) -> Option<Route> {
    let header = Reader::new(payload);
    let unspecified: IpAddr = match header.u8(0) {
        AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let flags = header.u32(8);
    let mut to = unspecified;
    let mut from = None;
    let mut route = Route {
        to: IpNet::from(unspecified),
        action: RouteAction::Other(0),
        metric: 0,
        table: u32::from(header.u8(4)),
        source: None,
        mtu: None,
        protocol: header.u8(5),
        scope: Some(header.u8(6)),
        nexthop: None,
        tos: header.u8(3),
        from: None,
        preference: Preference::Medium,
        unknown: Vec::new(),
    };
    let mut single =
        NextHop { via: None, link: None, weight: 1, onlink: flags & u32::from(RTNH_F_ONLINK) != 0 };
    let mut several = None;
    for attribute in header.attributes(HEADER_LEN) {
        match attribute.kind {
            RTA_DST => to = attribute.address()?,
            RTA_TABLE => route.table = attribute.u32()?,
            RTA_PRIORITY => route.metric = attribute.u32()?,
            RTA_PREFSRC => route.source = attribute.address(),
            RTA_METRICS => route.mtu = attribute.nested().get(RTAX_MTU).and_then(|mtu| mtu.u32()),
            RTA_GATEWAY => single.via = attribute.address(),
            RTA_VIA => single.via = via(&attribute),
            RTA_OIF => single.link = attribute.u32(),
            RTA_MULTIPATH => several = Some(hops(attribute.payload)),
            RTA_NH_ID => route.nexthop = attribute.u32(),
            RTA_SRC => from = attribute.address(),
            RTA_PREF => {
                // ICMPV6_ROUTER_PREF_* (include/uapi/linux/icmpv6.h).
                route.preference = match attribute.u8()? {
                    1 => Preference::High,
                    3 => Preference::Low,
                    _ => Preference::Medium,
                };
            }
            RTA_IIF | RTA_FLOW | RTA_CACHEINFO | RTA_MARK | RTA_EXPIRES | RTA_PAD | RTA_UID
            | RTA_IP_PROTO | RTA_SPORT | RTA_DPORT => {}
            unknown => route.unknown.push(unknown),
        }
    }
    if to.is_ipv4() != unspecified.is_ipv4() {
        return None;
    }
    route.to = IpNet::new(to, header.u8(1)).ok()?.trunc();
    route.from = from.and_then(|from| IpNet::new(from, header.u8(2)).ok()).map(|net| net.trunc());
    // A nexthop object in place of ways out.
    let bare = route.nexthop.is_some() && several.is_none() && single.via.is_none() && single.link.is_none();
    let single = (!bare).then_some(single);
    route.action = action(header.u8(7), single, several);
    Some(route)
}

/// What the answer to a lookup says of the path's MTU. `rta_expires` of `struct rta_cacheinfo`
/// (`include/uapi/linux/rtnetlink.h`) is in hundredths of a second (`USER_HZ`), and 0 of what does not expire.
pub(super) fn parse_path_mtu(payload: &[u8]) -> PathMtu {
    let mut found = PathMtu::default();
    for attribute in Reader::new(payload).attributes(HEADER_LEN) {
        match attribute.kind {
            RTA_METRICS => found.mtu = attribute.nested().get(RTAX_MTU).and_then(|mtu| mtu.u32()),
            RTA_CACHEINFO => {
                let expires = Reader::new(attribute.payload).u32(8).cast_signed();
                let expires = u64::try_from(expires).ok().filter(|&expires| expires > 0);
                found.expires = expires.map(|expires| Duration::from_millis(expires * 10));
            }
            _ => {}
        }
    }
    found.mtu = found.mtu.filter(|&mtu| mtu != 0);
    found
}

fn action(kind: u8, single: Option<NextHop>, several: Option<Vec<NextHop>>) -> RouteAction {
    let link: Option<IfIndex> = single.as_ref().and_then(|hop| hop.link);
    match kind {
        RTN_UNICAST => RouteAction::Forward(several.unwrap_or_else(|| single.into_iter().collect())),
        RTN_LOCAL => RouteAction::Local(link),
        RTN_BROADCAST => RouteAction::Broadcast(link),
        RTN_ANYCAST => RouteAction::Anycast(link),
        RTN_MULTICAST => RouteAction::Multicast(link),
        RTN_BLACKHOLE => RouteAction::Blackhole,
        RTN_UNREACHABLE => RouteAction::Unreachable,
        RTN_PROHIBIT => RouteAction::Prohibit,
        RTN_THROW => RouteAction::Throw,
        other => RouteAction::Other(other),
    }
}

/// `struct rtvia`: family, address.
fn via(attribute: &Attribute<'_>) -> Option<IpAddr> {
    Attribute { kind: attribute.kind, payload: attribute.payload.get(2..)? }.address()
}

/// The content of `RTA_MULTIPATH`; ends at the first way out that is cut off.
fn hops(mut bytes: &[u8]) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let Some(hop) = Some(Reader::new(bytes)).filter(|_| bytes.len() >= HOP_LEN) {
        let len = usize::from(hop.u16(0));
        let Some(attributes) = bytes.get(HOP_LEN..len) else { break };
        let attributes = Attributes::new(attributes);
        hops.push(NextHop {
            via: attributes
                .get(RTA_GATEWAY)
                .and_then(|gateway| gateway.address())
                .or_else(|| via(&attributes.get(RTA_VIA)?)),
            link: Some(hop.u32(4)).filter(|&link| link != 0),
            weight: u16::from(hop.u8(3)) + 1,
            onlink: hop.u8(2) & RTNH_F_ONLINK != 0,
        });
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}
