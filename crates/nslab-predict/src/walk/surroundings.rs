//! What rules ask about: routes and addresses of the namespace.

use std::net::IpAddr;

use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::nftables::{FibFlags, Hook};
use nslab_kernel::route::RouteAction;
use nslab_snapshot::State;

use crate::fib::{self, Cast, Flow, Verdict};
use crate::nft::{Context, Device, FibQuestion, Surroundings};
use crate::{Doubt, Packet};

/// Types of routes and addresses (`RTN_*`, `include/uapi/linux/rtnetlink.h`).
const UNICAST: u32 = 1;
const LOCAL: u32 = 2;
const BROADCAST: u32 = 3;
const MULTICAST: u32 = 5;
const BLACKHOLE: u32 = 6;
const UNREACHABLE: u32 = 7;
const PROHIBIT: u32 = 8;

/// A namespace.
pub(super) struct Here<'a>(pub(super) &'a State);

/// An interface as rules see it.
pub(super) fn device<'a>(state: &'a State, link: &'a Link) -> Device<'a> {
    let master = link.master.and_then(|master| state.link(master));
    let is = |master: &&Link, kind: &str| master.kind.as_ref().is_some_and(|own| own.name() == kind);
    Device {
        name: link.name.as_str(),
        index: link.index,
        group: link.group,
        kind: link.kind.as_ref().map(nslab_kernel::link::LinkKind::name),
        hardware: if link.loopback {
            772
        } else if link.mac.is_some() {
            1
        } else {
            65534
        },
        bridge: master.filter(|master| is(master, "bridge")).map(|master| master.name.as_str()),
        vrf: master.filter(|master| is(master, "vrf")).map(|master| master.name.as_str()),
    }
}

impl Here<'_> {
    /// `nft_fib4_eval_type`: what the table `local` says.
    fn type_in_local(&self, address: IpAddr, link: Option<IfIndex>) -> u32 {
        let IpAddr::V4(ipv4) = address else { return UNICAST };
        if ipv4.is_multicast() {
            return MULTICAST;
        }
        if ipv4.is_broadcast() || ipv4.is_unspecified() {
            return BROADCAST;
        }
        let local = nslab_kernel::route::TABLE_LOCAL;
        let routes = self.0.network.routes.iter();
        let best = routes
            .filter(|route| route.table == local && route.to.contains(&address))
            .max_by_key(|route| route.to.prefix_len());
        let of_link = |own: Option<IfIndex>| link.is_none_or(|link| own == Some(link));
        match best.map(|route| &route.action) {
            Some(RouteAction::Local(own)) if of_link(*own) => LOCAL,
            Some(RouteAction::Broadcast(own)) if of_link(*own) => BROADCAST,
            _ => UNICAST,
        }
    }

    /// `nft_fib6_eval_type`: what a lookup says.
    fn type_by_route(
        &self,
        address: IpAddr,
        link: Option<IfIndex>,
        oif: Option<IfIndex>,
    ) -> Result<u32, Doubt> {
        if address.is_multicast() {
            return Ok(MULTICAST);
        }
        let decision = fib::lookup(self.0, &Flow { oif, ..Flow::to(address) });
        let Some(outcome) = decision.only() else { return Err(several(&decision.doubts)) };
        Ok(match &outcome.verdict {
            Verdict::Deliver { link: own, .. } if link.is_none() || *own == link => LOCAL,
            Verdict::Leave(ways) if ways.iter().any(|way| way.cast == Cast::Multicast) => MULTICAST,
            Verdict::Leave(_) => UNICAST,
            Verdict::Stop(fib::Stop::Blackhole) => BLACKHOLE,
            Verdict::Stop(fib::Stop::Prohibit) => PROHIBIT,
            Verdict::Deliver { .. } | Verdict::Stop(_) => UNREACHABLE,
        })
    }
}

fn several(doubts: &[Doubt]) -> Doubt {
    doubts.first().cloned().unwrap_or_else(|| Doubt::new("which route is chosen", "send the packet"))
}

/// The interface by which alone an address of one link is looked for (`nft_fib6_flowi_init`,
/// `net/ipv6/netfilter/nft_fib_ipv6.c`).
fn strictly(question: &FibQuestion<'_>, address: IpAddr) -> Option<IfIndex> {
    let IpAddr::V6(ipv6) = address else { return None };
    let own = question.context.input.or(question.context.output).map(|device| device.index);
    ipv6.is_unicast_link_local().then(|| bound(question).or(own)).flatten()
}

/// The interface that a `fib` expression is bound to.
fn bound(question: &FibQuestion<'_>) -> Option<IfIndex> {
    if question.flags.contains(FibFlags::IIF) {
        return question.context.input.map(|device| device.index);
    }
    if question.flags.contains(FibFlags::OIF) {
        return question.context.output.map(|device| device.index);
    }
    None
}

impl Surroundings for Here<'_> {
    fn address_type(&self, question: &FibQuestion<'_>) -> Result<u32, Doubt> {
        let ip = &question.packet.ip;
        let destination = question.flags.contains(FibFlags::DESTINATION);
        let address = if destination { ip.destination } else { ip.source };
        let link = bound(question);
        if address.is_ipv6() {
            self.type_by_route(address, link, strictly(question, address))
        } else {
            Ok(self.type_in_local(address, link))
        }
    }

    fn route_device(&self, question: &FibQuestion<'_>) -> Result<Option<(u32, String)>, Doubt> {
        let packet = question.packet;
        // What came by `lo` is not looked up (`nft_fib_can_skip`, `include/net/netfilter/nft_fib.h`).
        let came_in = matches!(question.context.hook, Hook::Prerouting | Hook::Input | Hook::Ingress);
        if let Some(input) = question.context.input.filter(|_| came_in)
            && self.0.link(input.index).is_some_and(|link| link.loopback)
        {
            return Ok(Some((input.index, input.name.to_owned())));
        }
        let destination = question.flags.contains(FibFlags::DESTINATION);
        let (to, from) = if destination {
            (packet.ip.destination, packet.ip.source)
        } else {
            (packet.ip.source, packet.ip.destination)
        };
        let mark = if question.flags.contains(FibFlags::MARK) { packet.mark } else { 0 };
        let name = |index: IfIndex| self.0.link(index).map(|link| (index, link.name.to_string()));
        if to.is_unspecified() || to.is_multicast() {
            return Ok(None);
        }
        // `nft_fib4_eval`: the source plays no part unless it is an address of this namespace.
        let is_own = self.0.network.addresses.iter().any(|own| own.address.addr() == from);
        let oif = strictly(question, to);
        // The way back is looked up as that of a packet from where this one goes to (`nft_fib4_eval`, `nft_fib6_flowi_init`).
        let is_back =
            !destination && question.context.hook == Hook::Forward && question.flags.contains(FibFlags::IIF);
        let rules_iif = question.context.output.filter(|_| is_back).map(|device| device.index);
        let source = is_own.then_some(from);
        let flow = Flow { source, mark, tos: packet.ip.tos, rules_iif, oif, ..Flow::to(to) };
        let decision = fib::lookup(self.0, &flow);
        let Some(outcome) = decision.only() else { return Err(several(&decision.doubts)) };
        let found: Vec<IfIndex> = match &outcome.verdict {
            Verdict::Leave(ways) => ways.iter().map(|way| way.link).collect(),
            Verdict::Deliver { .. } | Verdict::Stop(_) => return Ok(None),
        };
        match bound(question) {
            Some(link) => Ok(found.contains(&link).then(|| name(link)).flatten()),
            None => match &found[..] {
                [only] => Ok(name(*only)),
                [] => Ok(None),
                _ => Err(Doubt::new("which of several ways a route has", "send the packet")),
            },
        }
    }

    fn masquerade(&self, context: &Context<'_>, packet: &Packet) -> Result<Option<IpAddr>, Doubt> {
        let Some(output) = context.output else { return Ok(None) };
        let choices = match packet.ip.destination {
            IpAddr::V4(_) => {
                // The gateway's subnet is preferred (`nf_nat_masquerade_ipv4`: `rt_nexthop`).
                let flow = Flow { oif: Some(output.index), ..Flow::of(packet, None) };
                let decision = fib::lookup(self.0, &Flow { source: None, ..flow });
                let gateway = decision.only().and_then(|outcome| match &outcome.verdict {
                    Verdict::Leave(ways) => ways.iter().find(|way| way.link == output.index)?.gateway,
                    _ => None,
                });
                let near = match gateway.unwrap_or(packet.ip.destination) {
                    IpAddr::V4(near) => Some(near),
                    IpAddr::V6(_) => None,
                };
                fib::select_source4(self.0, output.index, near, 0)
            }
            IpAddr::V6(to) => fib::select_source6(self.0, output.index, to),
        };
        match &choices[..] {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            _ => Err(Doubt::new("which address masquerade takes", "look at the connection")),
        }
    }

    fn redirect(&self, context: &Context<'_>, packet: &Packet) -> Result<Option<IpAddr>, Doubt> {
        // What is made here is redirected to the loopback address (`nf_nat_redirect_ipv4`).
        let Some(input) = context.input else {
            return Ok(Some(if packet.is_ipv6() {
                std::net::Ipv6Addr::LOCALHOST.into()
            } else {
                std::net::Ipv4Addr::LOCALHOST.into()
            }));
        };
        let mut own = self.0.network.addresses.iter().filter(|address| {
            address.link == input.index
                && address.address.addr().is_ipv6() == packet.is_ipv6()
                && !address.tentative
                && !address.duplicate
        });
        let local = |address: IpAddr| matches!(address, IpAddr::V6(own) if own.is_unicast_link_local());
        let wanted = local(packet.ip.destination);
        Ok(own.find(|address| local(address.address.addr()) == wanted).map(|address| address.address.addr()))
    }
}
