//! Nexthop objects (ip-nexthop(8)), which routes name by number.
//!
//! The kernel shows their ways out in each route too, unless `net.ipv4.nexthop_compat_mode` is 0.

use std::collections::HashMap;
use std::fmt;

use super::{NextHop, Route, RouteAction};
use crate::abi::*;
use crate::error::Result;
use crate::netlink::{MessageWriter, Reader, Request, Socket};

/// The bytes of `struct nhmsg` (`include/uapi/linux/nexthop.h`).
const HEADER_LEN: usize = 8;

/// `RTM_GETNEXTHOP` for all.
struct GetNexthops;

impl fmt::Display for GetNexthops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list nexthop objects")
    }
}

impl Request for GetNexthops {
    fn message_type(&self) -> u16 {
        RTM_GETNEXTHOP
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&[0; HEADER_LEN]);
    }
}

/// What a nexthop object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    Blackhole,
    One(NextHop),
    /// Others by number, with weights.
    Group(Vec<(u32, u16)>),
}

/// Fills in the ways out of routes that name a nexthop object and show none.
pub(super) fn expand(socket: &mut Socket, routes: &mut [Route]) -> Result<()> {
    let bare = |route: &Route| {
        route.nexthop.is_some() && matches!(&route.action, RouteAction::Forward(hops) if hops.is_empty())
    };
    if !routes.iter().any(bare) {
        return Ok(());
    }
    let objects: HashMap<u32, Object> = socket
        .dump("nexthop objects", &GetNexthops, |kind, payload| {
            Ok((kind == RTM_NEWNEXTHOP).then(|| parse(payload)).flatten())
        })?
        .into_iter()
        .collect();
    for route in routes.iter_mut().filter(|route| bare(route)) {
        if let Some(id) = route.nexthop {
            route.action = action(id, &objects);
        }
    }
    Ok(())
}

fn action(id: u32, objects: &HashMap<u32, Object>) -> RouteAction {
    match objects.get(&id) {
        None => RouteAction::Forward(Vec::new()),
        Some(Object::Blackhole) => RouteAction::Blackhole,
        Some(Object::One(hop)) => RouteAction::Forward(vec![hop.clone()]),
        Some(Object::Group(members)) => {
            let hops = members.iter().filter_map(|(member, weight)| match objects.get(member) {
                Some(Object::One(hop)) => Some(NextHop { weight: *weight, ..hop.clone() }),
                _ => None,
            });
            RouteAction::Forward(hops.collect())
        }
    }
}

/// Reads the payload of `RTM_NEWNEXTHOP`.
pub(crate) fn parse(payload: &[u8]) -> Option<(u32, Object)> {
    let header = Reader::new(payload);
    // nhmsg: family, scope, protocol, reserved, flags.
    let flags = header.u32(4);
    let attributes = header.attributes(HEADER_LEN);
    let id = attributes.get(NHA_ID)?.u32()?;
    if attributes.get(NHA_BLACKHOLE).is_some() {
        return Some((id, Object::Blackhole));
    }
    if let Some(group) = attributes.get(NHA_GROUP) {
        // struct nexthop_grp: id, weight less one, its high byte (6.12), reserved.
        let members = group.payload.chunks_exact(8).map(|member| {
            let member = Reader::new(member);
            let weight = u16::from_le_bytes([member.u8(4), member.u8(5)]);
            (member.u32(0), weight.saturating_add(1))
        });
        return Some((id, Object::Group(members.collect())));
    }
    let hop = NextHop {
        via: attributes.get(NHA_GATEWAY).and_then(|gateway| gateway.address()),
        link: attributes.get(NHA_OIF).and_then(|link| link.u32()),
        weight: 1,
        onlink: flags & u32::from(RTNH_F_ONLINK) != 0,
    };
    Some((id, Object::One(hop)))
}
