//! Bridges that are joined in a circle, and bridged packets that IP rules drop.

use std::collections::{BTreeSet, HashMap, VecDeque};

use nslab_kernel::link::{Link, LinkKind};
use nslab_kernel::nftables::Hook;
use nslab_snapshot::{State, Where};

use super::filter::{Kind, Passage, pass};
use super::{Fault, Host, Place, Severity};
use crate::l2::Port;
use crate::nft::Step;
use crate::{Code, Ip, Packet, Transport};

/// `BR_STATE_FORWARDING` (`include/uapi/linux/if_bridge.h`).
const FORWARDING: u8 = 3;

/// A bridge, or one VLAN of a bridge that filters.
type Node = (Port, Option<u16>);

/// A cable between two of them.
#[derive(Debug, Clone, Copy)]
struct Edge {
    ends: [Node; 2],
    ports: [Port; 2],
}

/// Bridges that frames come back to, where no spanning tree stops them.
pub(super) fn circles(host: &Host<'_>, faults: &mut Vec<Fault>) {
    let edges = edges(host);
    let mut tree: HashMap<Node, Vec<usize>> = HashMap::new();
    let mut told: BTreeSet<Vec<Port>> = BTreeSet::new();
    for (number, edge) in edges.iter().enumerate() {
        let Some(way) = path(&tree, &edges, edge.ends) else {
            for node in edge.ends {
                tree.entry(node).or_default().push(number);
            }
            continue;
        };
        // The cable and the way that there is already make the circle.
        let mut bridges: Vec<Port> = way
            .iter()
            .flat_map(|&number| edges[number].ends)
            .chain(edge.ends)
            .map(|(bridge, _)| bridge)
            .collect();
        bridges.sort();
        bridges.dedup();
        let has_tree = |at: &Port| {
            let link = host.link(*at).and_then(Link::as_bridge);
            link.is_some_and(|bridge| bridge.stp == Some(true))
        };
        if bridges.iter().any(has_tree) || !told.insert(bridges.clone()) {
            continue;
        }
        let cables = way.iter().map(|&number| &edges[number]).chain([edge]).map(|edge| {
            let [one, other] = edge.ports;
            format!("{} – {}", host.port(one), host.port(other))
        });
        let names: Vec<String> = bridges.iter().map(|&at| host.port(at)).collect();
        let first = bridges.first().and_then(|&at| {
            let name = &host.link(at)?.name;
            Some(host.command(at.namespace, &format!("ip link set {name} type bridge stp_state 1")))
        });
        faults.push(Fault {
            severity: Severity::Error,
            code: Code::BridgeLoop,
            text: match &names[..] {
                [only] => {
                    format!("{only} is joined to itself without spanning tree: broadcasts go round for ever")
                }
                _ => format!(
                    "{} are joined in a circle without spanning tree: broadcasts go round for ever",
                    names.join(", ")
                ),
            },
            places: bridges.iter().map(|&at| host.place(at)).collect(),
            evidence: cables.collect(),
            fix: first.into_iter().collect(),
        });
    }
}

/// Cables between ports that forward.
fn edges(host: &Host<'_>) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (namespace, state) in host.states() {
        for link in state.network.links.iter().filter(|link| link.is_veth()) {
            let Some(peer) = state.peer(link.index) else { continue };
            let Where::Namespace(there) = peer.namespace else { continue };
            let (one, other) =
                (Port { namespace, link: link.index }, Port { namespace: there, link: peer.lower });
            // Each cable from one end only.
            if one > other {
                continue;
            }
            let Some((far, far_link)) = host.state(there).zip(host.link(other)) else { continue };
            let (near, farther) = (domains(state, namespace, link), domains(far, there, far_link));
            for (tag, node) in &near {
                edges.extend(
                    farther
                        .iter()
                        .filter(|(other, _)| other == tag)
                        .map(|(_, other_node)| Edge { ends: [*node, *other_node], ports: [one, other] }),
                );
            }
        }
    }
    edges
}

/// What a port of a bridge is part of, by the tag that frames have on the cable.
fn domains(state: &State, namespace: usize, link: &Link) -> Vec<(Option<u16>, Node)> {
    let forwards = link.bridge_port.is_some_and(|port| port.state == FORWARDING);
    let Some(master) = link.master.and_then(|master| state.link(master)) else { return Vec::new() };
    let Some(bridge) = master.as_bridge() else { return Vec::new() };
    if !forwards || !link.is_running() || !master.up {
        return Vec::new();
    }
    let at = Port { namespace, link: master.index };
    if bridge.vlan_filtering != Some(true) {
        return vec![(None, (at, None))];
    }
    let own = state.network.vlans.iter().filter(|vlan| vlan.link == link.index);
    own.map(|vlan| ((!vlan.untagged).then_some(vlan.vlan), (at, Some(vlan.vlan)))).collect()
}

/// The cables by which two are joined already.
fn path(tree: &HashMap<Node, Vec<usize>>, edges: &[Edge], [from, to]: [Node; 2]) -> Option<Vec<usize>> {
    let mut by: HashMap<Node, Option<usize>> = HashMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            break;
        }
        for &number in tree.get(&node).into_iter().flatten() {
            for end in edges[number].ends {
                by.entry(end).or_insert_with(|| {
                    queue.push_back(end);
                    Some(number)
                });
            }
        }
    }
    let mut way = Vec::new();
    let mut node = to;
    while let Some(number) = *by.get(&node)? {
        way.push(number);
        let [one, other] = edges[number].ends;
        node = if node == one { other } else { one };
    }
    Some(way)
}

/// Hosts of one segment whose packets a bridge between them hands to rules that drop them (`br_netfilter`).
pub(super) fn rules(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for (namespace, state) in host.states() {
        let Some(settings) = state.settings.bridge_netfilter else { continue };
        let bridges =
            state.network.links.iter().filter(|link| matches!(link.kind, Some(LinkKind::Bridge(_))));
        for bridge in bridges.filter(|bridge| bridge.up) {
            let mut found: Vec<(Step, Vec<bool>, String)> = Vec::new();
            for ipv6 in [false, true] {
                if if ipv6 { !settings.ipv6 } else { !settings.ipv4 } {
                    continue;
                }
                if let Some((step, pair)) = dropped(host, namespace, state, bridge, ipv6) {
                    // One rule may drop both.
                    let same = |other: &Step| {
                        (other.table, other.chain, other.rule) == (step.table, step.chain, step.rule)
                    };
                    match found.iter_mut().find(|(other, ..)| same(other)) {
                        Some((_, families, _)) => families.push(ipv6),
                        None => found.push((step, vec![ipv6], pair)),
                    }
                }
            }
            for (step, families, pair) in found {
                let table = step.table(&state.nftables);
                let chain = step.chain(&state.nftables);
                let name = table.zip(chain);
                let name = name
                    .map(|(table, chain)| format!("{} {} {}", table.id.family, table.id.name, chain.name));
                let object = match step.rule(&state.nftables) {
                    Some(rule) => format!("{} handle {}", name.unwrap_or_default(), rule.handle),
                    None => format!("{} policy", name.unwrap_or_default()),
                };
                let at = Port { namespace, link: bridge.index };
                let fix = families.iter().map(|&ipv6| {
                    let key = if ipv6 { "bridge-nf-call-ip6tables" } else { "bridge-nf-call-iptables" };
                    host.command(namespace, &format!("sysctl -w net.bridge.{key}=0"))
                });
                faults.push(Fault {
                    severity: Severity::Error,
                    code: Code::BridgeFirewall,
                    text: format!(
                        "what {} passes from port to port is dropped by {object}, as bridge-nf-call-* is on",
                        host.port(at)
                    ),
                    places: vec![
                        Place { namespace, ns: host.name(namespace), link: None, object },
                        host.place(at),
                    ],
                    evidence: vec![pair],
                    fix: fix.collect(),
                });
            }
        }
    }
}

/// What drops packets between two hosts that are behind different ports of a bridge, and which those are. Rules see the bridge as
/// the interface of both directions (`br_nf_forward_ip`, `net/bridge/br_netfilter_hooks.c`).
fn dropped(
    host: &Host<'_>,
    namespace: usize,
    state: &State,
    bridge: &Link,
    ipv6: bool,
) -> Option<(Step, String)> {
    let own = Port { namespace, link: bridge.index };
    let segment = host.segments.number(own)?;
    let members = host.segments.members(segment);
    let behind: BTreeSet<Port> = state
        .network
        .links
        .iter()
        .filter(|link| link.master == Some(bridge.index) && link.is_running())
        .filter_map(|link| {
            let peer = state.peer(link.index)?;
            match peer.namespace {
                Where::Namespace(there) => Some(Port { namespace: there, link: peer.lower }),
                Where::Unseen => None,
            }
        })
        .collect();
    let addresses = members.iter().filter(|&&at| at != own && behind.contains(&at)).filter_map(|&at| {
        let there = host.state(at.namespace)?;
        there.network.addresses.iter().find_map(|address| {
            let ip = address.address.addr();
            let is_local = matches!(ip, std::net::IpAddr::V6(ip) if ip.is_unicast_link_local());
            (address.link == at.link && ip.is_ipv6() == ipv6 && !is_local).then_some((at, address.address))
        })
    });
    let addresses: Vec<_> = addresses.take(8).collect();
    let both = Some(bridge.index);
    let mut last = None;
    for (place, (one, from)) in addresses.iter().enumerate() {
        for (other, to) in &addresses[place + 1..] {
            if !from.contains(&to.addr()) || host.group(one.namespace) != host.group(other.namespace) {
                continue;
            }
            let ip = Ip {
                source: from.addr(),
                destination: to.addr(),
                ttl: 64,
                tos: 0,
                dont_fragment: false,
                size: 84,
            };
            let transport = Transport::Icmp { kind: if ipv6 { 128 } else { 8 }, code: 0, id: 1 };
            match pass(state, Hook::Forward, &Packet { ip, transport, mark: 0 }, &Kind::Opens, [both, both]) {
                Passage::Stopped(step) => {
                    let pair = format!("{} sends to {} by it", host.port(*one), host.port(*other));
                    last.get_or_insert((step, pair));
                }
                // Rules that let some through are meant.
                _ => return None,
            }
        }
    }
    last
}
