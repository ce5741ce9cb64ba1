//! Routes whose next hop nobody is, is elsewhere, or does not forward.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use nslab_kernel::route::RouteAction;

use super::{Fault, Host, Severity};
use crate::Code;
use crate::l2::Port;

/// Gateways of all routes.
pub(super) fn gateways(host: &Host<'_>, faults: &mut Vec<Fault>) {
    // Many routes have one gateway, and many namespaces: each fault is told once, by whoever is to blame.
    let mut asleep: BTreeMap<(usize, bool), BTreeSet<usize>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (namespace, state) in host.states() {
        for route in &state.network.routes {
            let RouteAction::Forward(hops) = &route.action else { continue };
            for hop in hops {
                let (Some(via), Some(link)) = (hop.via, hop.link) else { continue };
                let at = Port { namespace, link };
                let Some(segment) = host.segments.number(at) else { continue };
                let everywhere = host.owners.get(&via).map_or(&[][..], |ports| ports);
                let here = everywhere.iter().find(|&&owner| host.segments.number(owner) == Some(segment));
                match here {
                    Some(owner) if owner.namespace == namespace || host.passes_on(*owner, via.is_ipv6()) => {}
                    // It is the destination itself.
                    Some(owner) if host.owns_all(owner.namespace, route.to) => {}
                    Some(owner) => {
                        asleep.entry((owner.namespace, via.is_ipv6())).or_default().insert(namespace);
                    }
                    // Whoever is out there may have it.
                    None if host.segments.is_open(segment) => {}
                    None if is_spoken_for(host, at, via) => {}
                    None if seen.insert((at, via)) => faults.push(nobody(host, at, via, everywhere)),
                    None => {}
                }
            }
        }
    }
    for ((namespace, ipv6), senders) in asleep {
        let (key, family) =
            if ipv6 { ("net.ipv6.conf.all.forwarding", "IPv6") } else { ("net.ipv4.ip_forward", "IPv4") };
        let names: Vec<String> = senders.iter().take(3).map(|&place| host.name(place)).collect();
        let more = if senders.len() > 3 { format!(" and {} more", senders.len() - 3) } else { String::new() };
        let ns = host.name(namespace);
        faults.push(Fault {
            severity: Severity::Error,
            code: Code::ForwardingOff,
            text: format!("{ns} is a gateway and does not forward {family}"),
            places: vec![super::Place { namespace, ns, link: None, object: key.to_owned() }],
            evidence: vec![format!("{}{more} route by it", names.join(", "))],
            fix: vec![host.command(namespace, &format!("sysctl -w {key}=1"))],
        });
    }
}

impl Host<'_> {
    /// Whether a namespace has the one address of which a prefix consists.
    fn owns_all(&self, namespace: usize, to: IpNet) -> bool {
        let owners = self.owners.get(&to.addr()).map_or(&[][..], |all| all);
        to.prefix_len() == to.max_prefix_len() && owners.iter().any(|owner| owner.namespace == namespace)
    }
}

/// Whether an address is found though nobody on the segment has it: it is written into the neighbour table, or somebody
/// there may stand in for it (`proxy_arp`, `proxy_ndp`).
fn is_spoken_for(host: &Host<'_>, at: Port, via: IpAddr) -> bool {
    /// `NUD_NOARP` and `NUD_PERMANENT` (`include/uapi/linux/neighbour.h`).
    const FIXED: u16 = 0x40 | 0x80;
    let Some(state) = host.state(at.namespace) else { return true };
    let is_it = |entry: &nslab_kernel::neighbour::Neighbour| {
        entry.link == at.link && entry.address == via && !entry.proxy && entry.state & FIXED != 0
    };
    if state.network.neighbours.iter().any(is_it) {
        return true;
    }
    let segment = host.segments.number(at);
    let mut members = host.segments.all().filter(|(number, _)| Some(*number) == segment);
    members
        .any(|(_, members)| members.iter().filter(|&&other| other != at).any(|&other| stands_in(host, other)))
}

/// Whether an interface may answer for addresses of others.
fn stands_in(host: &Host<'_>, at: Port) -> bool {
    let Some(state) = host.state(at.namespace) else { return true };
    let Some(link) = state.link(at.link) else { return true };
    let all = &state.settings;
    link.ipv4.is_some_and(|own| own.proxy_arp || own.proxy_arp_pvlan)
        || link.ipv6.is_some_and(|own| own.proxy_ndp)
        || all.ipv4_all.proxy_arp
        || all.ipv6_all.proxy_ndp
        || state.network.neighbours.iter().any(|entry| entry.proxy)
}

/// Nobody on the segment has the gateway's address.
fn nobody(host: &Host<'_>, at: Port, via: IpAddr, elsewhere: &[Port]) -> Fault {
    let port = host.port(at);
    let own_group = |owner: &&Port| host.belong_together(owner.namespace, at.namespace);
    let owner = elsewhere.iter().find(own_group);
    let (code, text) = match owner {
        Some(&owner) => (
            Code::WrongSegment,
            format!("the gateway {via}, looked for at {port}, is {} on another segment", host.port(owner)),
        ),
        None if !is_on_link(host, at, via) => (
            Code::GatewayUnreachable,
            format!(
                "the gateway {via} is in no subnet of {port}, and nobody on its segment has that address"
            ),
        ),
        None => (Code::NeighbourFailed, format!("nobody on the segment of {port} is the gateway {via}")),
    };
    let mut places = vec![host.place(at)];
    places.extend(owner.map(|&owner| host.place(owner)));
    Fault {
        severity: Severity::Error,
        code,
        text,
        places,
        evidence: vec![format!("a route of {} goes by {via}", host.name(at.namespace))],
        fix: Vec::new(),
    }
}

/// Whether an address is in a subnet of an interface; link-local ones are on every link.
fn is_on_link(host: &Host<'_>, at: Port, address: IpAddr) -> bool {
    let is_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let own = host.state(at.namespace).into_iter().flat_map(|state| &state.network.addresses);
    is_local || own.filter(|own| own.link == at.link).any(|own| own.address.contains(&address))
}
