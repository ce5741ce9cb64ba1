//! Hosts whose packets arrive and are not answered, as the way back is missing, refused or too narrow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nslab_kernel::nftables::{Expr, ExthdrKind};
use nslab_kernel::sock_diag::{Protocol, State as SocketState};
use nslab_snapshot::State;

use super::filter::Kind;
use super::hosts::{Site, sites};
use super::way::{End, Hop, Way, answer, follow};
use super::{Fault, Host, verdicts};
use crate::l2::Port;
use crate::nft::{Step, tuple};
use crate::{Ip, Packet, Tcp, Transport};

/// So many pairs of hosts that were drawn together are looked at for each family; where there are more, each host is tried with some of the others.
const MOST_PAIRS: usize = 20_000;
/// Somebody in the internet, for whom nothing is sent.
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));

/// What was found, by whoever is to blame: each fault is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blame {
    /// This namespace has no way back.
    NoReturn(usize),
    /// This one does not translate what leaves by the interface, toward that one or toward an outside.
    NoNat(Port, Option<usize>),
    /// This interface is strict about what comes by it.
    ReversePath(Port),
    /// This rule or policy of the namespace drops what would tell senders of the interface's MTU.
    Blackhole(usize, (usize, usize, Option<usize>), Port),
}

/// What shows it.
pub(super) struct Found {
    /// Whence the packets come that are not answered.
    pub(super) sources: BTreeSet<IpNet>,
    /// One of them in each family.
    pub(super) examples: Vec<Example>,
}

/// A packet that is not answered.
pub(super) struct Example {
    pub(super) way: Way,
    pub(super) from: Site,
    pub(super) to: IpAddr,
}

/// Looks at the ways of packets between all hosts that somebody drew together, and back.
pub(super) fn missing(host: &Host<'_>, faults: &mut Vec<Fault>) {
    let mut all = BTreeMap::new();
    for ipv6 in [false, true] {
        // Those that somebody drew together, each group for itself.
        let mut groups: Vec<Vec<Site>> = Vec::new();
        for site in sites(host, ipv6) {
            let own = |group: &&mut Vec<Site>| {
                group.first().is_some_and(|first| host.belong_together(first.at.namespace, site.at.namespace))
            };
            match groups.iter_mut().find(own) {
                Some(group) => group.push(site),
                None => groups.push(vec![site]),
            }
        }
        for sites in groups {
            let count = sites.len();
            let each = if count * count > MOST_PAIRS { (MOST_PAIRS / count).max(1) } else { count };
            // Where not all can be tried, they are in steps that are spread over all.
            let step = (count / each).max(1);
            for (place, from) in sites.iter().enumerate() {
                for to in (0..each).map(|number| &sites[(place + number * step) % count]) {
                    pair(host, *from, *to, &mut all);
                }
                if !ipv6 && is_private(from.net.addr()) && from.at.namespace != 0 {
                    outside(host, *from, &mut all);
                }
            }
        }
    }
    faults.extend(all.into_iter().map(|(blame, found)| verdicts::tell(host, blame, &found)));
}

fn packet(to: IpAddr, transport: Transport) -> Packet {
    let source =
        if to.is_ipv6() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let ip = Ip { source, destination: to, ttl: 64, tos: 0, dont_fragment: true, size: 60 };
    Packet { ip, transport, mark: 0 }
}

fn syn(port: u16) -> Transport {
    Transport::Tcp(Tcp { source: 40_000, destination: port, flags: Tcp::SYN })
}

/// The ports of TCP that packets to an address are taken at.
fn port_of(state: &State, address: IpAddr) -> u16 {
    let open = state.sockets.iter().map(|listener| &listener.socket).find(|socket| {
        socket.protocol == Protocol::Tcp && socket.state == SocketState::Open && socket.takes(address)
    });
    open.map_or(443, |socket| socket.port)
}

/// The ways of the first kind of packet that no rule drops.
fn ways(host: &Host<'_>, from: usize, to: IpAddr, port: u16) -> Option<(Packet, Vec<Way>)> {
    let echo = Transport::Icmp { kind: if to.is_ipv6() { 128 } else { 8 }, code: 0, id: 1 };
    [syn(port), echo].into_iter().find_map(|transport| {
        let packet = packet(to, transport);
        let ways = follow(host, from, &packet, &Kind::Opens);
        let passes = ways.iter().all(|way| !matches!(way.end, End::Filtered(_)));
        passes.then_some((packet, ways))
    })
}

fn note(all: &mut BTreeMap<Blame, Found>, blame: Blame, source: IpNet, way: &Way, from: Site, to: IpAddr) {
    let found = all.entry(blame).or_insert_with(|| Found { sources: BTreeSet::new(), examples: Vec::new() });
    if !found.examples.iter().any(|example| example.to.is_ipv6() == to.is_ipv6()) {
        found.examples.push(Example { way: way.clone(), from, to });
    }
    found.sources.insert(source);
}

/// From one host to another and back.
fn pair(host: &Host<'_>, from: Site, to: Site, all: &mut BTreeMap<Blame, Found>) {
    let same =
        host.segments.number(from.at) == host.segments.number(to.at) && from.net.contains(&to.net.addr());
    if from.at.namespace == to.at.namespace || same {
        return;
    }
    let Some(there) = host.state(to.at.namespace) else { return };
    let target = to.net.addr();
    let Some((packet, ways)) = ways(host, from.at.namespace, target, port_of(there, target)) else { return };
    for way in &ways {
        let source = subnet(host, from, way.source);
        let last = way.last();
        let at = |hop: Hop| hop.input.map(|link| Port { namespace: hop.namespace, link });
        match way.end {
            End::NoWayBack => {
                note(all, no_return(way, last.namespace, way.source, target), source, way, from, target);
            }
            End::ReversePath => {
                if let Some(at) = at(last) {
                    note(all, Blame::ReversePath(at), source, way, from, target);
                }
            }
            End::Arrived if last.namespace == to.at.namespace => {
                let sent = Packet { ip: Ip { source: way.source, ..packet.ip.clone() }, ..packet.clone() };
                if let Some(blame) = blackhole(host, way, &sent) {
                    note(all, blame, source, way, from, target);
                }
                let kind = Kind::Answers(tuple(&sent));
                for back in follow(host, last.namespace, &answer(&sent), &kind) {
                    match (back.end, at(back.last())) {
                        (End::NoRoute, _) => {
                            let blame = no_return(way, back.last().namespace, way.source, target);
                            note(all, blame, source, way, from, target);
                        }
                        (End::ReversePath, Some(at)) => {
                            let target_net = subnet(host, to, target);
                            note(all, Blame::ReversePath(at), target_net, &back, to, way.source);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// The subnet of a site, or the address that it sends from instead.
fn subnet(host: &Host<'_>, site: Site, source: IpAddr) -> IpNet {
    let own = host.state(site.at.namespace).into_iter().flat_map(|state| &state.network.addresses);
    let net = own.map(|own| own.address).find(|own| own.addr() == source);
    net.unwrap_or_else(|| IpNet::from(source)).trunc()
}

/// Who is to blame that `stop` has no route to a source: it, or whoever lets a private address out to a public one.
fn no_return(way: &Way, stop: usize, source: IpAddr, target: IpAddr) -> Blame {
    let before = way.hops.iter().take_while(|hop| hop.namespace != stop);
    match before.last() {
        Some(Hop { namespace, input: Some(_), output: Some(link), .. })
            if is_private(source) && !is_private(target) =>
        {
            Blame::NoNat(Port { namespace: *namespace, link: *link }, Some(stop))
        }
        _ => Blame::NoReturn(stop),
    }
}

/// Addresses that the internet does not route (RFC 1918, RFC 6598, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private() || a == 100 && (64..128).contains(&b)
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// From a host with a private address to where the snapshot does not see.
fn outside(host: &Host<'_>, from: Site, all: &mut BTreeMap<Blame, Found>) {
    let Some((_, ways)) = ways(host, from.at.namespace, OUTSIDE, 443) else { return };
    for way in ways.iter().filter(|way| way.end == End::Outside && is_private(way.source)) {
        if let Hop { namespace, input: Some(_), output: Some(link), .. } = way.last() {
            let out = Port { namespace, link };
            note(all, Blame::NoNat(out, None), subnet(host, from, way.source), way, from, OUTSIDE);
        }
    }
}

/// What drops the word that a packet is too large for a link on its way, where there is a link so narrow.
fn blackhole(host: &Host<'_>, way: &Way, sent: &Packet) -> Option<Blame> {
    let mtu = |hop: &Hop| {
        let link = hop.output?;
        Some((host.link(Port { namespace: hop.namespace, link })?.mtu, link))
    };
    let (mut least, _) = way.hops.first().and_then(mtu)?;
    if way.hops.iter().any(|hop| host.state(hop.namespace).is_none_or(clamps)) {
        return None;
    }
    for hop in way.hops.iter().skip(1) {
        let Some((mtu, link)) = mtu(hop).filter(|(mtu, _)| *mtu < least) else { continue };
        least = mtu;
        let (kind, code) = if sent.is_ipv6() { (2, 0) } else { (3, 4) };
        let error = packet(way.source, Transport::Icmp { kind, code, id: 0 });
        for back in follow(host, hop.namespace, &error, &Kind::Reports(tuple(sent))) {
            if let End::Filtered(Step { table, chain, rule, .. }) = back.end {
                let narrow = Port { namespace: hop.namespace, link };
                return Some(Blame::Blackhole(back.last().namespace, (table, chain, rule), narrow));
            }
        }
    }
    None
}

/// Whether a namespace rewrites the segment size of TCP, so that nothing is too large.
fn clamps(state: &State) -> bool {
    let chains = state.nftables.tables.iter().flat_map(|table| &table.chains);
    chains.flat_map(|chain| &chain.rules).flat_map(|rule| &rule.expressions).any(|expr| match expr {
        Expr::ExthdrSet { kind, .. } => *kind == ExthdrKind::TcpOption,
        Expr::Xt { name, .. } => name == "TCPMSS",
        _ => false,
    })
}
