//! Routers that send packets round in circles.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nslab_kernel::route::RouteAction;

use super::filter::Kind;
use super::way::{End, Neighbour, follow};
use super::{Fault, Host, Place, Severity, forwards_at_all, text};
use crate::fib::{self, Flow, Verdict};
use crate::l2::Port;
use crate::{Code, Ip, Packet, Transport};

/// So many routing decisions are made at most; of the destinations that are beyond it nothing is told.
const MOST_LOOKUPS: usize = 400_000;

/// Looks at every prefix that routers hand on to others, by an address in it that no longer prefix has.
pub(super) fn circles(host: &Host<'_>, faults: &mut Vec<Fault>) {
    let mut by_prefix: BTreeMap<IpNet, Vec<usize>> = BTreeMap::new();
    for (namespace, state) in host.states() {
        for route in &state.network.routes {
            let RouteAction::Forward(hops) = &route.action else { continue };
            let ipv6 = route.to.addr().is_ipv6();
            if hops.iter().any(|hop| hop.via.is_some()) && forwards_at_all(state, ipv6) {
                by_prefix.entry(route.to).or_default().push(namespace);
            }
        }
    }
    let all: BTreeSet<IpNet> = host
        .states()
        .flat_map(|(_, state)| &state.network.routes)
        .filter(|route| matches!(route.action, RouteAction::Forward(_) | RouteAction::Local(_)))
        .map(|route| route.to)
        .collect();
    let mut told: BTreeMap<Vec<usize>, BTreeSet<IpNet>> = BTreeMap::new();
    let mut left = MOST_LOOKUPS;
    for (prefix, mut routers) in by_prefix {
        routers.dedup();
        let Some(target) = inside(prefix, &all) else { continue };
        let mut search =
            Search { host, target, seen: HashMap::new(), path: Vec::new(), found: BTreeSet::new() };
        for namespace in routers {
            search.visit(namespace);
        }
        for circle in std::mem::take(&mut search.found) {
            if is_real(host, &circle, target) {
                told.entry(circle).or_default().insert(prefix);
            }
        }
        left = left.saturating_sub(search.seen.len());
        if left == 0 {
            break;
        }
    }
    for (circle, prefixes) in told {
        let names = circle.iter().chain(circle.first()).map(|&namespace| host.name(namespace));
        let names = names.collect::<Vec<_>>().join(" → ");
        let prefixes = text::list(prefixes.iter().map(|prefix| match prefix.prefix_len() {
            0 if prefix.addr().is_ipv6() => "default (IPv6)".to_owned(),
            0 => "default".to_owned(),
            _ => prefix.to_string(),
        }));
        faults.push(Fault {
            severity: Severity::Error,
            code: Code::TtlExpired,
            text: format!("packets to {prefixes} go round in a circle: {names}"),
            places: circle
                .iter()
                .map(|&namespace| Place {
                    namespace,
                    ns: host.name(namespace),
                    link: None,
                    object: format!("route to {prefixes}"),
                })
                .collect(),
            evidence: vec!["each sends them to the next until their TTL is used up".to_owned()],
            fix: Vec::new(),
        });
    }
}

/// An address of a prefix that is in no longer one.
fn inside(prefix: IpNet, all: &BTreeSet<IpNet>) -> Option<IpAddr> {
    let at = |offset: u128| -> IpAddr {
        match prefix {
            IpNet::V4(net) => {
                let offset = u32::try_from(offset).unwrap_or(u32::MAX) & u32::from(net.hostmask());
                Ipv4Addr::from(u32::from(net.network()) | offset).into()
            }
            IpNet::V6(net) => {
                Ipv6Addr::from(u128::from(net.network()) | offset & u128::from(net.hostmask())).into()
            }
        }
    };
    // Of everything somebody in the internet; else an address at the end, in the middle, or somewhere.
    let everybody: [IpAddr; 2] =
        [Ipv4Addr::new(1, 1, 1, 1).into(), Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111).into()];
    let size = prefix.max_prefix_len() - prefix.prefix_len();
    let mask = if size == 0 { 0 } else { u128::MAX >> (128 - u32::from(size)) };
    let own = [mask.saturating_sub(1), mask / 2 + 3, mask / 3 * 2 + 1, mask / 5 + 2, mask / 7 * 6 + 3, 1];
    everybody
        .into_iter()
        .filter(|address| prefix.prefix_len() == 0 && prefix.contains(address))
        .chain(own.into_iter().map(at))
        .find(|address| {
            !all.iter().any(|other| other.prefix_len() > prefix.prefix_len() && other.contains(address))
        })
}

/// A search for a circle on the ways to one address, depth first.
struct Search<'a> {
    host: &'a Host<'a>,
    target: IpAddr,
    /// Those whose ways are known, or being looked at.
    seen: HashMap<usize, bool>,
    path: Vec<usize>,
    /// The circles, each from its first namespace on.
    found: BTreeSet<Vec<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, namespace: usize) {
        match self.seen.get(&namespace) {
            Some(true) => return,
            Some(false) => {
                // On the path: from there on it is a circle.
                let start = self.path.iter().position(|&place| place == namespace).unwrap_or(0);
                let mut circle = self.path[start..].to_vec();
                let least = circle.iter().enumerate().min_by_key(|(_, place)| **place);
                let first = least.map_or(0, |(first, _)| first);
                circle.rotate_left(first);
                self.found.insert(circle);
                return;
            }
            None => {}
        }
        self.seen.insert(namespace, false);
        self.path.push(namespace);
        for next in self.next(namespace) {
            self.visit(next);
        }
        self.path.pop();
        self.seen.insert(namespace, true);
    }

    /// Which routers a namespace hands packets to.
    fn next(&self, namespace: usize) -> BTreeSet<usize> {
        let Some(state) = self.host.state(namespace) else { return BTreeSet::new() };
        let decision = fib::lookup(state, &Flow::to(self.target));
        let Some(Verdict::Leave(ways)) = decision.only().map(|outcome| &outcome.verdict) else {
            return BTreeSet::new();
        };
        let ways = ways.iter().filter_map(|way| {
            let out = Port { namespace, link: way.link };
            match self.host.neighbour(out, way.gateway?) {
                Neighbour::One(at) if self.host.passes_on(at, self.target.is_ipv6()) => Some(at.namespace),
                _ => None,
            }
        });
        ways.collect()
    }
}

/// So many senders are tried.
const MOST_SENDERS: usize = 256;

/// Whether somebody's packet goes round in a circle: rules may send packets elsewhere, or drop them. (What one of the circle sends
/// itself is dropped once it comes back, being from an address of that namespace.)
fn is_real(host: &Host<'_>, circle: &[usize], target: IpAddr) -> bool {
    let unspecified: IpAddr =
        if target.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let ip = Ip { source: unspecified, destination: target, ttl: 64, tos: 0, dont_fragment: false, size: 60 };
    let packet = Packet { ip, transport: Transport::Udp { source: 40_000, destination: 33_434 }, mark: 0 };
    // Neighbours first, and then whoever was drawn together with them.
    let mut senders: Vec<usize> = Vec::new();
    for &namespace in circle {
        let links = host.state(namespace).into_iter().flat_map(|state| &state.network.links);
        let segments = links.filter_map(|link| host.segments.number(Port { namespace, link: link.index }));
        senders
            .extend(segments.flat_map(|segment| host.segments.members(segment)).map(|port| port.namespace));
    }
    let first = circle.first().copied().unwrap_or_default();
    let all = host.states().map(|(namespace, _)| namespace);
    senders.extend(all.filter(|&namespace| host.belong_together(namespace, first)));
    let mut seen: BTreeSet<usize> = circle.iter().copied().collect();
    senders.retain(|&namespace| seen.insert(namespace));
    senders.into_iter().take(MOST_SENDERS).any(|namespace| {
        follow(host, namespace, &packet, &Kind::Opens).iter().any(|way| way.end == End::Loop)
    })
}
