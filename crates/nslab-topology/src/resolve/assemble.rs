//! Everything settled, put together.

use std::collections::HashSet;
use std::time::Duration;

use nslab_types::{IfName, MacAddr};

use super::Problems;
use super::impair::Settled;
use super::parts::unknown_interface;
use super::segments::Network;
use crate::diagnostic::Diagnostic;
use crate::lab;
use crate::model::{
    End, Interface, InterfaceKind, Link, Neighbour, Node, Path, Policy, Processes, Program, Route, Rule,
    Segment, Switch, Topology, View, WireguardPeer,
};

/// How long a program may take to be ready unless the file says.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The priority of the first rule that has none. The next gets the next, so that they are tried as they are written.
const FIRST_PRIORITY: u32 = 10_000;

/// Makes the topology.
pub(crate) fn topology(
    net: &Network<'_>,
    routes: Vec<Vec<Route>>,
    policies: Vec<Policy>,
    impaired: &Settled,
    problems: &mut Problems,
) -> Topology {
    let lab = net.lab;
    let prefix = lab.namespace_prefix();
    let nodes = routes
        .into_iter()
        .zip(policies)
        .enumerate()
        .map(|(index, (routes, policy))| {
            let interfaces = interfaces(net, impaired, index, &routes);
            node(net, index, &prefix, interfaces, routes, policy, problems)
        })
        .collect();
    let switches = (0..lab.switches.len()).map(|index| switch(net, index, &prefix, problems)).collect();
    let links = (0..net.links.len())
        .map(|index| Link {
            ends: [end(net, impaired, 2 * index), end(net, impaired, 2 * index + 1)],
            segment: net.segment_of[2 * index],
        })
        .collect();
    let segments = (0..net.segments.len()).map(|index| segment(net, index)).collect();
    Topology { name: lab.name.value.clone(), nodes, switches, links, segments, seed: lab.seed }
}

fn node(
    net: &Network<'_>,
    index: usize,
    prefix: &str,
    interfaces: Vec<Interface>,
    routes: Vec<Route>,
    policy: Policy,
    problems: &mut Problems,
) -> Node {
    let node = &net.lab.nodes[index];
    Node {
        name: node.name.value.clone(),
        namespace: format!("{prefix}{}", node.name.value),
        existing: node.existing.as_ref().map(|existing| existing.value.clone()),
        forward: node.forward,
        sysctls: node.sysctls.iter().map(|(key, value)| (key.value.clone(), value.clone())).collect(),
        loopback: node.addresses.iter().map(|net| net.value).collect(),
        interfaces,
        routes,
        rules: rules(net, index),
        neighbours: neighbours(net, index, problems),
        programs: programs(node),
        env: node.env.clone(),
        hosts: node.hosts.clone(),
        uplink: node.uplink.as_ref().map(|uplink| super::uplink::exact(uplink)),
        dns: node.dns.clone(),
        policy,
        view: View {
            directories: node.view.directories.iter().map(|one| one.value.clone()).collect(),
            files: node.view.files.iter().map(|one| one.value.clone()).collect(),
            processes: node.view.processes.as_ref().map_or_else(Processes::default, |one| one.value),
        },
        user: node.user.as_ref().map(|user| user.value.clone()),
    }
}

fn rules(net: &Network<'_>, node: usize) -> Vec<Rule> {
    let rules = &net.lab.nodes[node].rules;
    let mut used: HashSet<u32> = rules.iter().filter_map(|rule| rule.priority).collect();
    let mut next = FIRST_PRIORITY;
    let interface = |name: &crate::diagnostic::Spanned<String>| match net.port_named(node, name) {
        Some(port) => Some(net.ports[port].name),
        None => IfName::shortened(name).ok(),
    };
    rules
        .iter()
        .map(|rule| Rule {
            priority: rule.priority.unwrap_or_else(|| {
                while !used.insert(next) {
                    next += 1;
                }
                next
            }),
            ipv6: rule.family == lab::Family::Ipv6,
            from: rule.from,
            to: rule.to,
            iif: rule.iif.as_ref().and_then(interface),
            oif: rule.oif.as_ref().and_then(interface),
            fwmark: rule.fwmark,
            action: rule.action,
        })
        .collect()
}

fn neighbours(net: &Network<'_>, node: usize, problems: &mut Problems) -> Vec<Neighbour> {
    let mut neighbours = Vec::new();
    for entry in &net.lab.nodes[node].neighbours {
        let port = if let Some(name) = &entry.dev {
            let port = net.port_named(node, name);
            if port.is_none() {
                problems.push(unknown_interface(net, node, name, true));
            }
            port
        } else {
            let port = super::route::port_for(net, node, entry.address);
            if port.is_none() {
                let name = &net.lab.nodes[node].name.value;
                problems.push(
                    Diagnostic::error("off-link", format!("{} is on no subnet of {name}", entry.address))
                        .at(entry.span, "")
                        .help("say the interface with `dev`"),
                );
            }
            port
        };
        let dev = port.map(|port| net.ports[port].name);
        neighbours.extend(dev.map(|dev| Neighbour { address: entry.address, dev, mac: entry.mac }));
    }
    neighbours
}

/// Programs with a name each: `python3`, `python3-2`.
fn programs(node: &lab::Node) -> Vec<Program> {
    let mut used: HashSet<String> = node
        .programs
        .iter()
        .filter_map(|program| program.name.as_ref())
        .map(|name| name.value.clone())
        .collect();
    let named = node.programs.iter().map(|program| {
        let name = program.name.as_ref().map_or_else(
            || {
                let base = own_name(&program.command);
                let mut name = base.clone();
                let mut number = 2;
                while used.contains(&name) {
                    name = format!("{base}-{number}");
                    number += 1;
                }
                used.insert(name.clone());
                name
            },
            |name| name.value.clone(),
        );
        Program {
            name,
            command: program.command.clone(),
            env: program.env.clone(),
            directory: program.directory.clone(),
            ready: program.ready.clone(),
            timeout: program.timeout.unwrap_or(DEFAULT_TIMEOUT),
            user: program.user.clone().or_else(|| node.user.as_ref().map(|user| user.value.clone())),
        }
    });
    named.collect()
}

/// What a command runs, as a name: without directories, `exec` and settings of variables.
fn own_name(command: &[String]) -> String {
    let first = match command {
        [line] => line
            .split_whitespace()
            .find(|word| *word != "exec" && !word.split_once('=').is_some_and(|(name, _)| is_variable(name)))
            .unwrap_or_default(),
        [program, ..] => program,
        [] => "",
    };
    let base = first.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let name: String =
        base.chars().filter(|c| c.is_ascii_alphanumeric() || "_.-".contains(*c)).take(32).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "program".to_owned() } else { name.to_owned() }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn switch(net: &Network<'_>, index: usize, prefix: &str, problems: &mut Problems) -> Switch {
    let switch = &net.lab.switches[index];
    let (name, lab) = (&switch.name.value, &net.lab.name.value);
    Switch {
        name: name.clone(),
        namespace: format!("{prefix}{name}"),
        // Names have only characters that interface names may have.
        bridge: IfName::shortened(name).unwrap_or(IfName::LOOPBACK),
        mac: MacAddr::from_seed(&format!("{lab}/{name}")),
        mtu: switch.mtu.as_ref().map_or(super::mtu::DEFAULT, |mtu| mtu.value),
        stp: switch.stp,
        multicast_snooping: switch.multicast_snooping,
        ageing: switch.ageing,
        vlan_filtering: switch.vlan_filtering,
        vlans: switch.vlans.iter().map(|vlan| vlan.id.value).collect(),
        fdb: super::vlans::fdb(net, index, problems),
    }
}

fn end(net: &Network<'_>, impaired: &Settled, index: usize) -> End {
    let port = &net.ports[index];
    End {
        device: port.device,
        name: port.name,
        full_name: port.full.clone(),
        mac: net.mac(index),
        mtu: net.mtus[index],
        addresses: net.addresses[index].iter().map(|address| address.net).collect(),
        up: port.end.up,
        impairment: impaired.ends[index],
        paths: paths(net, impaired, index),
        master: net.master[index].map(|master| net.ports[master].name),
        vlans: net.port_vlans.get(index).cloned().unwrap_or_default(),
        isolated: port.end.isolated.as_ref().is_some_and(|isolated| isolated.value),
    }
}

fn paths(net: &Network<'_>, impaired: &Settled, port: usize) -> Vec<Path> {
    let paths = impaired.paths[port].iter();
    paths.map(|&(to, impairment)| Path { to: net.port_label(to), mac: net.mac(to), impairment }).collect()
}

fn interfaces(net: &Network<'_>, impaired: &Settled, node: usize, routes: &[Route]) -> Vec<Interface> {
    let ports = net.order.iter().copied().filter(|port| net.node_of(*port) == Some(node));
    ports.filter_map(|port| interface(net, impaired, port, routes)).collect()
}

fn interface(net: &Network<'_>, impaired: &Settled, port: usize, routes: &[Route]) -> Option<Interface> {
    let written = net.interface(port)?;
    let (named, lower) = (&net.ports[port], net.lower[port].map(|lower| net.ports[lower].name));
    let underlay = &net.underlay[port - net.cable_ports()];
    let remote = || underlay.remotes.first().map(|remote| remote.value);
    let kind = match &written.kind {
        lab::InterfaceKind::Vlan { id, protocol, .. } => {
            InterfaceKind::Vlan { link: lower?, id: id.value, protocol: *protocol }
        }
        lab::InterfaceKind::Vxlan { id, port, learning, .. } => InterfaceKind::Vxlan {
            id: id.value,
            port: *port,
            local: underlay.local,
            remotes: underlay.remotes.iter().map(|remote| remote.value).collect(),
            link: lower,
            learning: *learning,
        },
        lab::InterfaceKind::Geneve { id, port, .. } => {
            InterfaceKind::Geneve { id: id.value, port: *port, remote: remote()? }
        }
        lab::InterfaceKind::Tunnel { encapsulation, key, ttl, .. } => InterfaceKind::Tunnel {
            encapsulation: *encapsulation,
            local: underlay.local,
            remote: remote()?,
            key: *key,
            ttl: *ttl,
            link: lower,
        },
        lab::InterfaceKind::Wireguard { port: listens, peers } => {
            let allowed = super::tunnels::allowed(net, port, routes);
            let known = underlay.peers.iter().zip(peers).zip(allowed);
            let peers = known.map(|((peer, written), allowed)| WireguardPeer {
                node: written.node.value.clone(),
                interface: net.ports[peer.port].name,
                endpoint: peer.endpoint,
                allowed,
                keepalive: written
                    .keepalive
                    .map_or(0, |time| u16::try_from(time.as_secs()).unwrap_or(u16::MAX)),
            });
            InterfaceKind::Wireguard { port: listens.value, peers: peers.collect() }
        }
        lab::InterfaceKind::Macvlan { mode, .. } => InterfaceKind::Macvlan { link: lower?, mode: *mode },
        lab::InterfaceKind::Ipvlan { mode, .. } => InterfaceKind::Ipvlan { link: lower?, mode: *mode },
        lab::InterfaceKind::Dummy => InterfaceKind::Dummy,
        lab::InterfaceKind::Bond { mode, miimon, .. } => {
            let primary = super::interfaces::primary(net, port).map(|member| net.ports[member].name);
            InterfaceKind::Bond { mode: *mode, miimon: *miimon, primary }
        }
        lab::InterfaceKind::Bridge { stp, .. } => InterfaceKind::Bridge { stp: *stp },
        lab::InterfaceKind::Vrf { table, .. } => InterfaceKind::Vrf { table: table.value },
        lab::InterfaceKind::Tun { tap, owner } => InterfaceKind::Tun { tap: *tap, owner: *owner },
    };
    Some(Interface {
        name: named.name,
        full_name: named.full.clone(),
        mac: super::interfaces::has_mac(&written.kind).then(|| net.mac(port)),
        kind,
        mtu: net.mtus[port],
        addresses: net.addresses[port].iter().map(|address| address.net).collect(),
        up: written.end.up,
        master: net.master[port].map(|master| net.ports[master].name),
        impairment: impaired.ends[port],
        paths: paths(net, impaired, port),
        segment: net.segment_of[port],
    })
}

fn segment(net: &Network<'_>, index: usize) -> Segment {
    let mut seen = HashSet::new();
    let prefixes = net.segments[index].ports.iter().flat_map(|port| &net.addresses[*port]);
    let prefixes =
        prefixes.map(|address| address.net.trunc()).filter(|prefix| seen.insert(*prefix)).collect();
    let mut switches: Vec<usize> = net.segments[index].domains.iter().map(|(switch, _)| *switch).collect();
    switches.dedup();
    Segment { name: net.segment_name(index), switches, vlan: net.vlan_of(index), prefixes }
}
