//! Hosts that are alike: each could stand in the other's place, and no packet would fare otherwise.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Debug, Write as _};
use std::hash::Hasher;
use std::net::IpAddr;

use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::nftables::{Expr, Ruleset};
use nslab_kernel::route::RouteAction;
use nslab_snapshot::{Snapshot, State, Where};
use nslab_types::MacAddr;

use super::constants::Constants;

/// Puts hosts into classes of those that are alike; to each host the number of its class.
pub(super) fn of(snapshot: &Snapshot, hosts: &[usize]) -> Vec<usize> {
    let whole = Whole::of(snapshot, &connected(snapshot, hosts));
    let mut numbers: HashMap<u64, usize> = HashMap::new();
    let mut next = 0;
    hosts
        .iter()
        .map(|&host| {
            let number = match whole.print(host) {
                Some(print) => *numbers.entry(print).or_insert(next),
                None => next,
            };
            next = next.max(number + 1);
            number
        })
        .collect()
}

/// The namespaces that are joined to these by cables, and what lies on others, over any number of namespaces between.
fn connected(snapshot: &Snapshot, hosts: &[usize]) -> HashSet<usize> {
    let mut beside: HashMap<usize, Vec<usize>> = HashMap::new();
    for (place, seen) in snapshot.namespaces.iter().enumerate() {
        for peer in seen.state().iter().flat_map(|state| &state.peers) {
            if let Where::Namespace(there) = peer.namespace {
                beside.entry(place).or_default().push(there);
                beside.entry(there).or_default().push(place);
            }
        }
    }
    let mut found: HashSet<usize> = hosts.iter().copied().collect();
    let mut next: Vec<usize> = hosts.to_vec();
    while let Some(place) = next.pop() {
        let new = beside.get(&place).into_iter().flatten().filter(|there| found.insert(**there));
        next.extend(new);
    }
    found
}

/// What hosts are told apart by besides what they are themselves.
struct Whole<'a> {
    snapshot: &'a Snapshot,
    constants: Constants,
    /// Addresses that several have, and MACs; MACs that are named somewhere.
    several: HashSet<IpAddr>,
    named: HashSet<MacAddr>,
    /// By MAC, where bridges have learned it.
    learned: HashMap<(usize, MacAddr), Vec<IfIndex>>,
}

/// Hashes what is written to it.
struct Print(DefaultHasher);

impl fmt::Write for Print {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl<'a> Whole<'a> {
    /// Of the namespaces `within`: no packet of the hosts gets to others.
    fn of(snapshot: &'a Snapshot, within: &HashSet<usize>) -> Self {
        let mut several = HashSet::new();
        let mut named = HashSet::new();
        let mut learned: HashMap<_, Vec<_>> = HashMap::new();
        let (mut addresses, mut macs) = (HashSet::new(), HashSet::new());
        for &place in within {
            let Some(state) = snapshot.namespaces.get(place).and_then(|seen| seen.state()) else { continue };
            for own in state.network.addresses.iter().map(|own| own.address.addr()) {
                if !addresses.insert(own) {
                    several.insert(own);
                }
            }
            for mac in state.network.links.iter().filter(|link| !link.loopback).filter_map(|link| link.mac) {
                if !macs.insert(mac) {
                    named.insert(mac);
                }
            }
            let fixed = state.network.neighbours.iter().filter(|entry| entry.state & 0xc0 != 0);
            named.extend(fixed.filter_map(|entry| entry.mac));
            for entry in &state.network.fdb {
                if entry.local {
                    continue;
                }
                if entry.fixed || entry.external || entry.remote.is_some() {
                    named.insert(entry.mac);
                } else {
                    learned.entry((place, entry.mac)).or_default().push(entry.link);
                }
            }
        }
        several.retain(|address| !is_common(*address));
        Self { snapshot, constants: Constants::of(snapshot, within), several, named, learned }
    }

    /// What is the same for all that are alike; none of a host that is like no other.
    fn print(&self, host: usize) -> Option<u64> {
        let state = self.snapshot.namespaces.get(host)?.state()?;
        let simple = |link: &Link| link.is_veth() || link.loopback;
        if self.constants.opaque || !state.network.links.iter().all(simple) {
            return None;
        }
        let own = Own::of(state);
        let mut print = Print(DefaultHasher::new());
        self.addresses(state, &own, &mut print)?;
        self.links(state, &own, &mut print)?;
        routes(state, &own, &mut print);
        rest(state, &own, &mut print);
        Some(print.0.finish())
    }

    fn addresses(&self, state: &State, own: &Own<'_>, print: &mut Print) -> Option<()> {
        let mut global = 0;
        for address in &state.network.addresses {
            let ip = address.address.addr();
            if self.several.contains(&ip) || address.peer.is_some() {
                return None;
            }
            // Of several addresses of one scope the bits decide which is the better source.
            global += usize::from(ip.is_ipv6() && !is_common(ip));
            if global > 1 {
                return None;
            }
            let piece = self.constants.piece(ip);
            let net = address.address.trunc();
            let plain = nslab_kernel::address::Address { address: net, link: 0, ..*address };
            let _ = write!(print, "{} {piece} {plain:?}", own.position(address.link));
        }
        Some(())
    }

    fn links(&self, state: &State, own: &Own<'_>, print: &mut Print) -> Option<()> {
        for link in &state.network.links {
            let plain = Link {
                index: 0,
                name: if own.named { link.name } else { state.network.links[0].name },
                mac: None,
                master: None,
                lower: None,
                lower_nsid: None,
                alias: None,
                alt_names: Vec::new(),
                ..link.clone()
            };
            let _ = write!(print, "{} {plain:?}", own.position(link.index));
            if link.loopback {
                continue;
            }
            let peer = state.peer(link.index)?;
            let Where::Namespace(there) = peer.namespace else { return None };
            let far = self.snapshot.namespaces.get(there)?.state()?;
            let port = far.link(peer.lower)?;
            let mac = link.mac?;
            if self.named.contains(&mac) {
                return None;
            }
            let known = self.learned.get(&(there, mac)).map_or(&[][..], |ports| ports);
            let is_elsewhere = known.iter().any(|known| *known != port.index);
            if port.master.is_none() || !far.nftables.tables.is_empty() {
                // It is told apart by the interface at its other end.
                let _ = write!(print, "{there} {}", port.index);
            }
            if is_elsewhere {
                return None;
            }
            let plain = Link {
                index: 0,
                name: link.name,
                mac: None,
                lower: None,
                lower_nsid: None,
                alias: None,
                alt_names: Vec::new(),
                ..port.clone()
            };
            let plain = Link { name: state.network.links[0].name, ..plain };
            let _ = write!(print, "{there} {plain:?}");
            for vlan in far.network.vlans.iter().filter(|vlan| vlan.link == port.index) {
                let _ = write!(print, "{} {} {}", vlan.vlan, vlan.pvid, vlan.untagged);
            }
            let queues = far.network.queues.qdiscs.iter().filter(|qdisc| qdisc.link == port.index);
            for qdisc in queues {
                let _ = write!(print, "{:?}", qdisc.kind);
            }
        }
        Some(())
    }
}

/// What a host is, with its own names for things.
struct Own<'a> {
    state: &'a State,
    /// Names of interfaces matter: rules may tell them apart.
    named: bool,
}

impl<'a> Own<'a> {
    fn of(state: &'a State) -> Self {
        let by_name = state.network.rules.iter().any(|rule| rule.iif.is_some() || rule.oif.is_some());
        Self { state, named: by_name || !state.nftables.tables.is_empty() }
    }

    /// The place of an interface among the host's.
    fn position(&self, link: IfIndex) -> usize {
        self.state.network.links.iter().position(|own| own.index == link).unwrap_or(usize::MAX)
    }

    /// The place of an address among the host's own.
    fn address(&self, address: IpAddr) -> Option<usize> {
        self.state.network.addresses.iter().position(|own| own.address.addr() == address)
    }

    /// An address in words that are the same for all that are alike.
    fn words(&self, address: IpAddr) -> String {
        self.address(address).map_or_else(|| address.to_string(), |place| format!("own {place}"))
    }
}

fn routes(state: &State, own: &Own<'_>, print: &mut Print) {
    let place = |link: &Option<IfIndex>| link.map(|link| own.position(link));
    let mut lines: Vec<String> = state
        .network
        .routes
        .iter()
        .map(|route| {
            let to = if route.to.prefix_len() == route.to.max_prefix_len() {
                own.words(route.to.addr())
            } else {
                route.to.to_string()
            };
            let action = match &route.action {
                RouteAction::Forward(hops) => hops.iter().fold(String::new(), |mut text, hop| {
                    let _ =
                        write!(text, "{:?} {:?} {} {}, ", hop.via, place(&hop.link), hop.weight, hop.onlink);
                    text
                }),
                RouteAction::Local(link) => format!("local {:?}", place(link)),
                RouteAction::Broadcast(link) => format!("broadcast {:?}", place(link)),
                RouteAction::Anycast(link) => format!("anycast {:?}", place(link)),
                RouteAction::Multicast(link) => format!("multicast {:?}", place(link)),
                other => format!("{other:?}"),
            };
            let source = route.source.map(|source| own.words(source));
            let plain = (route.metric, route.table, route.mtu, route.protocol, route.scope, route.nexthop);
            let more = (route.tos, route.from, route.preference, &route.unknown);
            format!("{to} {action} {source:?} {plain:?} {more:?}")
        })
        .collect();
    lines.sort();
    for line in lines {
        let _ = print.write_str(&line);
    }
}

fn rest(state: &State, own: &Own<'_>, print: &mut Print) {
    let _ = write!(print, "{:?} {:?} {:?}", state.network.rules, state.settings, state.xtables);
    for neighbour in state.network.neighbours.iter().filter(|entry| entry.proxy || entry.state & 0xc0 != 0) {
        let _ = write!(print, "{} {} {:?}", own.position(neighbour.link), neighbour.address, neighbour.mac);
    }
    for qdisc in &state.network.queues.qdiscs {
        let _ = write!(print, "{} {:?}", own.position(qdisc.link), qdisc.kind);
    }
    let _ = write!(print, "{} ", state.network.queues.filters.len());
    if !state.nftables.tables.is_empty() {
        let _ = write!(print, "{:?}", without_counts(&state.nftables));
    }
    for gap in &state.gaps {
        let _ = write!(print, "{:?}", gap.part);
    }
    let mut sockets: Vec<String> = state
        .sockets
        .iter()
        .map(|listener| {
            let socket = &listener.socket;
            let link = socket.link.map(|link| own.position(link));
            let plain = (socket.protocol, socket.raw_protocol, socket.state, socket.port, socket.only_v6);
            format!("{plain:?} {} {link:?}", own.words(socket.address))
        })
        .collect();
    sockets.sort();
    for line in sockets {
        let _ = print.write_str(&line);
    }
}

/// Rules without what they have counted and what the kernel calls them.
fn without_counts(ruleset: &Ruleset) -> impl Debug {
    let mut plain = ruleset.clone();
    for rule in plain.tables.iter_mut().flat_map(|table| &mut table.chains).flat_map(|chain| &mut chain.rules)
    {
        rule.handle = 0;
        for expr in &mut rule.expressions {
            match expr {
                Expr::Counter { packets, bytes } => (*packets, *bytes) = (0, 0),
                Expr::Last { ago } => *ago = None,
                _ => {}
            }
        }
    }
    plain
        .tables
        .into_iter()
        .map(|table| (table.id, table.flags, table.chains, table.sets, table.objects))
        .collect::<Vec<_>>()
}

/// Addresses that every host has.
fn is_common(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}
