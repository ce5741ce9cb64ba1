//! Interfaces as the commands that make them by hand.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nslab_topology::model::InterfaceKind;
use nslab_types::IfName;

use super::shell::{q, quote};
use super::{InterfaceSettings, LINK_GROUP, Op, Plan, WireguardSettings};

/// The commands that make an interface.
pub(super) fn create(ns: &str, name: IfName, settings: &InterfaceSettings) -> Vec<String> {
    let name = q(name);
    let mac = settings.mac.map_or_else(String::new, |mac| format!(" address {mac}"));
    let mtu = settings.mtu;
    if let InterfaceKind::Tun { tap, owner } = settings.kind {
        let mode = if tap { "tap" } else { "tun" };
        let owner = owner.map_or_else(String::new, |owner| format!(" user {owner}"));
        let mut commands = vec![
            format!("ip -n {ns} tuntap add dev {name} mode {mode}{owner}"),
            format!("ip -n {ns} link set dev {name} group {LINK_GROUP}"),
            format!("ip -n {ns} link set dev {name} mtu {mtu}"),
        ];
        if !mac.is_empty() {
            commands.push(format!("ip -n {ns} link set dev {name}{mac}"));
        }
        return commands;
    }
    let link = match &settings.kind {
        InterfaceKind::Vlan { link, .. }
        | InterfaceKind::Macvlan { link, .. }
        | InterfaceKind::Ipvlan { link, .. } => format!(" link {}", q(*link)),
        _ => String::new(),
    };
    let words = type_words(&settings.kind);
    vec![format!("ip -n {ns} link add name {name}{mac} mtu {mtu} group {LINK_GROUP}{link} type {words}")]
}

fn type_words(kind: &InterfaceKind) -> String {
    let dev = |link: &Option<IfName>| link.map_or_else(String::new, |link| format!(" dev {}", q(link)));
    match kind {
        InterfaceKind::Vlan { id, protocol, .. } => format!("vlan protocol {} id {id}", protocol.name()),
        InterfaceKind::Vxlan { id, port, local, remotes, link, learning } => {
            let mut words = format!("vxlan id {id} dstport {port} ttl auto");
            if let Some(local) = local {
                let _ = write!(words, " local {local}");
            }
            if let Some(remote) = remotes.first() {
                let _ = write!(words, " remote {remote}");
            }
            words.push_str(&dev(link));
            words.push_str(if *learning { "" } else { " nolearning" });
            words
        }
        InterfaceKind::Geneve { id, port, remote } => {
            format!("geneve id {id} remote {remote} dstport {port}")
        }
        InterfaceKind::Tunnel { encapsulation, local, remote, key, ttl, link } => {
            let mut words = format!("{} remote {remote} ttl {ttl}", encapsulation.name());
            if let Some(local) = local {
                let _ = write!(words, " local {local}");
            }
            if let Some(key) = key {
                let _ = write!(words, " key {key}");
            }
            if encapsulation.is_over_ipv6() {
                words.push_str(" encaplimit none");
            }
            // What ip(8) chooses is to take whatever comes.
            words.push_str(match encapsulation.name() {
                "ip6tnl" => " mode any",
                "ipip" => " mode ipip",
                "sit" => " mode ip6ip",
                _ => "",
            });
            words.push_str(&dev(link));
            words
        }
        InterfaceKind::Macvlan { mode, .. } => format!("macvlan mode {}", mode.name()),
        InterfaceKind::Ipvlan { mode, .. } => format!("ipvlan mode {}", mode.name()),
        InterfaceKind::Bond { mode, miimon, primary } => {
            let primary = primary.map_or_else(String::new, |primary| format!(" primary {}", q(primary)));
            format!("bond mode {} miimon {}{primary}", mode.name(), miimon.as_millis())
        }
        InterfaceKind::Bridge { stp } => format!("bridge stp_state {}", u8::from(*stp)),
        InterfaceKind::Vrf { table } => format!("vrf table {table}"),
        kind => kind.name().to_owned(),
    }
}

/// The commands that set a `WireGuard` interface. Keys are in variables, see [`keys`].
pub(super) fn wireguard(
    plan: &Plan,
    (ns, node): (&str, &str),
    name: IfName,
    settings: &WireguardSettings,
) -> Vec<String> {
    let keys = named_keys(plan);
    let variable = |node: &str, interface: IfName| {
        let place = keys.iter().position(|key| *key == (node.to_owned(), interface));
        format!("wg_{}", place.map_or(0, |place| place + 1))
    };
    let own = variable(node, name);
    let set = format!("ip netns exec {ns} wg set {}", q(name));
    let mut commands =
        vec![format!("printf %s \"${own}\" | {set} private-key /dev/stdin listen-port {}", settings.port)];
    for peer in &settings.peers {
        let allowed: Vec<String> = peer.allowed.iter().map(ToString::to_string).collect();
        let endpoint = peer.endpoint.map_or_else(String::new, |endpoint| format!(" endpoint {endpoint}"));
        commands.push(format!(
            "{set} peer \"$(printf %s \"${}\" | wg pubkey)\"{endpoint} persistent-keepalive {} allowed-ips {}",
            variable(&peer.node, peer.interface),
            peer.keepalive,
            quote(&allowed.join(",")),
        ));
    }
    commands
}

/// The commands that make the keys of all `WireGuard` interfaces.
pub(super) fn keys(plan: &Plan) -> String {
    let mut script = String::new();
    for (number, (node, interface)) in named_keys(plan).into_iter().enumerate() {
        let _ = writeln!(script, "wg_{}=$(wg genkey) # {node}:{interface}", number + 1);
    }
    script
}

fn named_keys(plan: &Plan) -> BTreeSet<(String, IfName)> {
    let mut keys = BTreeSet::new();
    for step in plan.steps() {
        if let Op::SetWireguard { link, settings, .. } = &step.op {
            keys.insert((plan.namespaces[step.namespace].node.clone(), *link));
            keys.extend(settings.peers.iter().map(|peer| (peer.node.clone(), peer.interface)));
        }
    }
    keys
}
