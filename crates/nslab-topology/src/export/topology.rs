//! A topology as a lab that leaves nothing open.

use super::policy;
use crate::diagnostic::Spanned;
use crate::impairment::Impairments;
use crate::lab::{
    self, Addressing, Destination, End, Endpoint, Family, Gateway, Interface, Lab, Link, Node, Notes,
    PathEnd, Remote, Routing, Switch, Via,
};
use crate::model::{self, RouteAction, Topology};

/// Describes a topology.
pub(super) fn describe(topology: &Topology) -> Lab {
    // Every namespace has the same prefix; a lab without any has no use for one.
    let devices = topology.nodes.iter().map(|node| (&node.namespace, &node.name));
    let devices = devices.chain(topology.switches.iter().map(|switch| (&switch.namespace, &switch.name)));
    let prefix = devices.map(|(namespace, name)| namespace.strip_suffix(name.as_str())).next().flatten();
    let prefix = prefix.filter(|prefix| *prefix != format!("{}-", topology.name));
    let mut switches: Vec<Switch> = topology.switches.iter().map(switch).collect();
    for (index, path) in paths(topology) {
        switches[index].paths.push(path);
    }
    Lab {
        expectations: Vec::new(),
        name: topology.name.clone().into(),
        prefix: prefix.map(|prefix| prefix.to_owned().into()),
        addressing: Addressing::NONE,
        routing: Routing::None,
        nodes: (0..topology.nodes.len()).map(|index| node(topology, index)).collect(),
        switches,
        links: topology.links.iter().map(|link| self::link(topology, link)).collect(),
        seed: topology.seed,
        timeline: Vec::new(),
        notes: Notes::default(),
    }
}

fn node(topology: &Topology, index: usize) -> Node {
    let node = &topology.nodes[index];
    Node {
        name: node.name.clone().into(),
        existing: node.existing.clone().map(Spanned::from),
        forward: node.forward,
        sysctls: node.sysctls.iter().map(|(key, value)| (key.clone().into(), value.clone())).collect(),
        addresses: node.loopback.iter().copied().map(Spanned::from).collect(),
        gateway_ipv4: Gateway::Auto,
        gateway_ipv6: Gateway::Auto,
        routes: node.routes.iter().map(|route| self::route(route).into()).collect(),
        rules: node.rules.iter().map(|rule| self::rule(rule).into()).collect(),
        neighbours: node
            .neighbours
            .iter()
            .map(|entry| lab::Neighbour {
                address: entry.address,
                mac: entry.mac,
                dev: Some(entry.dev.to_string().into()),
            })
            .map(Spanned::from)
            .collect(),
        programs: node.programs.iter().map(program).collect(),
        env: node.env.clone(),
        hosts: node.hosts.clone(),
        uplink: node.uplink.as_ref().map(|uplink| self::uplink(uplink).into()),
        dns: node.dns.clone(),
        policy: policy::describe(&node.policy),
        view: lab::View {
            directories: node.view.directories.iter().cloned().map(Spanned::from).collect(),
            files: node.view.files.iter().cloned().map(Spanned::from).collect(),
            processes: (!node.view.processes.is_hosts()).then(|| node.view.processes.into()),
        },
        user: node.user.clone().map(Spanned::from),
        interfaces: node.interfaces.iter().map(|one| interface(topology, index, one)).collect(),
    }
}

fn interface(topology: &Topology, node: usize, interface: &model::Interface) -> Interface {
    let name = interface.full_name.clone().unwrap_or_else(|| interface.name.to_string());
    let mut end = End::new(topology.nodes[node].name.clone());
    end.interface = Some(name.into());
    end.addresses = Some(interface.addresses.iter().copied().map(Spanned::from).collect());
    end.mac = interface.mac.map(Spanned::from);
    end.mtu = Some(interface.mtu.into());
    end.up = interface.up;
    end.impairments = interface.impairment.into();
    Interface { end, kind: kind(topology, node, interface) }
}

fn kind(topology: &Topology, node: usize, interface: &model::Interface) -> lab::InterfaceKind {
    let ends = topology.ends_of(model::Device::Node(node)).map(|(_, end)| (end.name, end.master));
    let others = topology.nodes[node].interfaces.iter().map(|other| (other.name, other.master));
    let all = ends.chain(others).filter(|(_, master)| *master == Some(interface.name));
    let members = all.map(|(member, _)| member.to_string().into()).collect();
    lab::InterfaceKind::describing(&interface.kind, members)
}

impl lab::InterfaceKind {
    /// The description that leaves nothing open of an interface of this kind. `members` are those of a bridge, bond or
    /// VRF, and passed over for other kinds.
    pub fn describing(kind: &model::InterfaceKind, members: Vec<Spanned<String>>) -> Self {
        use model::InterfaceKind as From;
        let name = |name: &nslab_types::IfName| -> Spanned<String> { name.to_string().into() };
        let remote = |address: &std::net::IpAddr| -> Spanned<Remote> { Remote::Address(*address).into() };
        match kind {
            From::Vlan { link, id, protocol } => {
                Self::Vlan { link: name(link), id: (*id).into(), protocol: *protocol }
            }
            From::Vxlan { id, port, local, remotes, link, learning } => Self::Vxlan {
                id: (*id).into(),
                port: *port,
                local: local.map(Spanned::from),
                remotes: remotes.iter().map(remote).collect(),
                link: link.as_ref().map(name),
                learning: *learning,
            },
            From::Geneve { id, port, remote: far } => {
                Self::Geneve { id: (*id).into(), port: *port, remote: remote(far) }
            }
            From::Tunnel { encapsulation, local, remote: far, key, ttl, link } => Self::Tunnel {
                encapsulation: *encapsulation,
                local: local.map(Spanned::from),
                remote: remote(far),
                key: *key,
                ttl: *ttl,
                link: link.as_ref().map(name),
            },
            From::Wireguard { port, peers } => Self::Wireguard {
                port: (*port).into(),
                peers: peers
                    .iter()
                    .map(|peer| lab::WireguardPeer {
                        node: peer.node.clone().into(),
                        interface: Some(name(&peer.interface)),
                        endpoint: peer.endpoint.map_or(Endpoint::None, Endpoint::Socket),
                        allowed: Some(peer.allowed.clone()),
                        keepalive: (peer.keepalive != 0)
                            .then(|| std::time::Duration::from_secs(u64::from(peer.keepalive))),
                    })
                    .map(Spanned::from)
                    .collect(),
            },
            From::Macvlan { link, mode } => Self::Macvlan { link: name(link), mode: *mode },
            From::Ipvlan { link, mode } => Self::Ipvlan { link: name(link), mode: *mode },
            From::Dummy => Self::Dummy,
            From::Bond { mode, miimon, primary } => {
                Self::Bond { members, mode: *mode, miimon: *miimon, primary: primary.as_ref().map(name) }
            }
            From::Bridge { stp } => Self::Bridge { members, stp: *stp },
            From::Vrf { table } => Self::Vrf { members, table: (*table).into() },
            From::Tun { tap, owner } => Self::Tun { tap: *tap, owner: *owner },
        }
    }
}

fn uplink(uplink: &model::Uplink) -> lab::Uplink {
    let interface = uplink.interface.to_string();
    lab::Uplink {
        interface: (interface != lab::Uplink::INTERFACE).then(|| interface.into()),
        ipv4: uplink.ipv4,
        ipv6: uplink.ipv6,
        publish: uplink.publish.iter().cloned().map(Spanned::from).collect(),
    }
}

fn program(program: &model::Program) -> lab::Program {
    lab::Program {
        name: Some(program.name.clone().into()),
        command: program.command.clone(),
        env: program.env.clone(),
        directory: program.directory.clone(),
        ready: program.ready.clone(),
        timeout: Some(program.timeout),
        user: program.user.clone(),
    }
}

fn route(route: &model::Route) -> lab::Route {
    let to = if route.to.prefix_len() == 0 {
        Destination::Default(Some(Family::of(route.to.addr())))
    } else {
        Destination::Net(route.to)
    };
    let action = match &route.action {
        RouteAction::Forward(hops) => lab::RouteAction::Forward(
            hops.iter()
                .map(|hop| lab::NextHop {
                    via: hop.via.map(|via| Via::Address(via).into()),
                    dev: hop.dev.map(|dev| dev.to_string().into()),
                    weight: hop.weight,
                    onlink: hop.onlink,
                })
                .collect(),
        ),
        RouteAction::Blackhole => lab::RouteAction::Blackhole,
        RouteAction::Unreachable => lab::RouteAction::Unreachable,
        RouteAction::Prohibit => lab::RouteAction::Prohibit,
        RouteAction::Throw => lab::RouteAction::Throw,
    };
    lab::Route {
        to,
        action,
        metric: route.metric,
        table: Some(route.table).filter(|table| *table != 254),
        source: route.source.map(Spanned::from),
        mtu: route.mtu,
    }
}

fn rule(rule: &model::Rule) -> lab::Rule {
    lab::Rule {
        priority: Some(rule.priority),
        family: if rule.ipv6 { Family::Ipv6 } else { Family::Ipv4 },
        from: rule.from,
        to: rule.to,
        iif: rule.iif.map(|name| name.to_string().into()),
        oif: rule.oif.map(|name| name.to_string().into()),
        fwmark: rule.fwmark,
        action: rule.action,
    }
}

fn switch(switch: &model::Switch) -> Switch {
    Switch {
        name: switch.name.clone().into(),
        mtu: Some(switch.mtu.into()).filter(|mtu: &Spanned<u32>| mtu.value != 1500),
        stp: switch.stp,
        multicast_snooping: switch.multicast_snooping,
        ageing: switch.ageing,
        subnets: Vec::new(),
        paths: Vec::new(),
        vlan_filtering: switch.vlan_filtering,
        vlans: switch
            .vlans
            .iter()
            .map(|id| lab::SwitchVlan { id: (*id).into(), subnets: Vec::new() })
            .collect(),
        fdb: switch
            .fdb
            .iter()
            .map(|entry| lab::FdbEntry {
                mac: entry.mac,
                vlan: entry.vlan.map(Spanned::from),
                port: entry.port.to_string().into(),
            })
            .map(Spanned::from)
            .collect(),
    }
}

/// Each path with the switch that the interface it begins at is plugged into.
fn paths(topology: &Topology) -> impl Iterator<Item = (usize, lab::Path)> {
    let end_of = |label: &str| {
        let (node, interface) = label.split_once(':').unwrap_or((label, ""));
        PathEnd { node: node.to_owned().into(), interface: Some(interface.to_owned().into()) }
    };
    let path = move |from: &str, path: &model::Path| lab::Path {
        from: end_of(from),
        to: end_of(&path.to),
        both: false,
        impairments: path.impairment.into(),
    };
    let of_interfaces = topology.nodes.iter().flat_map(move |node| {
        node.interfaces.iter().flat_map(move |interface| {
            let switch = topology.segments[interface.segment].switches.first().copied();
            let name = interface.full_name.as_deref().unwrap_or(interface.name.as_str());
            let from = format!("{}:{name}", node.name);
            interface.paths.iter().filter_map(move |one| Some((switch?, path(&from, one))))
        })
    });
    let of_links = topology.links.iter().flat_map(move |link| {
        let [one, other] = &link.ends;
        [(one, other), (other, one)].into_iter().flat_map(move |(near, far)| {
            let model::Device::Switch(switch) = far.device else { return Vec::new() };
            let name = near.full_name.as_deref().unwrap_or(near.name.as_str());
            let from = format!("{}:{name}", topology.device_name(near.device));
            near.paths.iter().map(|one| (switch, path(&from, one))).collect()
        })
    });
    of_links.chain(of_interfaces)
}

fn link(topology: &Topology, link: &model::Link) -> Link {
    let [one, two] = [0, 1].map(|side| link.ends[side].mtu);
    // What an end has when nothing is said of it: 1500, or what the switch at either end has.
    let usual = link.ends.iter().all(|end| match end.device {
        model::Device::Switch(index) => topology.switches[index].mtu == 1500,
        model::Device::Node(_) => true,
    });
    let alike = one == two;
    let same = link.ends[0].impairment == link.ends[1].impairment;
    let said = !(alike && one == 1500 && usual);
    let is_aware = |end: &model::End| match end.device {
        model::Device::Switch(index) => topology.switches[index].vlan_filtering,
        model::Device::Node(_) => false,
    };
    let end = |end: &model::End| End {
        device: topology.device_name(end.device).to_owned().into(),
        interface: Some(end.full_name.clone().unwrap_or_else(|| end.name.to_string()).into()),
        addresses: (!end.addresses.is_empty())
            .then(|| end.addresses.iter().copied().map(Spanned::from).collect()),
        mac: Some(end.mac.into()),
        mtu: (said && !alike).then(|| end.mtu.into()),
        up: end.up,
        impairments: if same { Impairments::default() } else { end.impairment.into() },
        vlans: is_aware(end).then(|| end.vlans.clone().into()),
        isolated: end.isolated.then(|| true.into()),
    };
    Link {
        ends: [end(&link.ends[0]), end(&link.ends[1])],
        mtu: (said && alike).then(|| one.into()),
        impairments: if same { link.ends[0].impairment.into() } else { Impairments::default() },
    }
}
