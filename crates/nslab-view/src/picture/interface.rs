//! Interfaces that are no ends of cables.

use nslab_topology::Topology;
use nslab_topology::model::{Interface, InterfaceKind, Node};

use crate::Style;
use crate::style::Role;
use crate::table;

/// A line for each: its node, name, kind and addresses.
pub(super) fn lines(topology: &Topology, style: &Style) -> String {
    let rows: Vec<Vec<String>> = topology
        .nodes
        .iter()
        .flat_map(|node| node.interfaces.iter().map(move |interface| row(node, interface, style)))
        .collect();
    let mut text = table::lines(&rows, 2).join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn row(node: &Node, interface: &Interface, style: &Style) -> Vec<String> {
    let mut remarks = Vec::new();
    if !interface.up {
        remarks.push("down".to_owned());
    }
    if !matches!(interface.mtu, 1500 | 65535) {
        remarks.push(format!("mtu {}", interface.mtu));
    }
    remarks.extend(interface.master.map(|master| format!("in {master}")));
    remarks.extend(interface.full_name.iter().map(|name| format!("alias {name}")));
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    vec![
        format!("{}:{}", style.paint(Role::Node, node.name.as_str()), interface.name),
        kind(&interface.kind),
        addresses.join(", "),
        style.paint(Role::Faint, remarks.join(", ")).into_owned(),
    ]
}

/// What it is, in a few words.
fn kind(kind: &InterfaceKind) -> String {
    let name = kind.name();
    match kind {
        InterfaceKind::Vlan { link, id, .. } => format!("{name} {id} on {link}"),
        InterfaceKind::Vxlan { id, remotes, .. } => {
            let remotes: Vec<String> = remotes.iter().map(ToString::to_string).collect();
            if remotes.is_empty() {
                format!("{name} {id}")
            } else {
                format!("{name} {id} to {}", remotes.join(" "))
            }
        }
        InterfaceKind::Geneve { id, remote, .. } => format!("{name} {id} to {remote}"),
        InterfaceKind::Tunnel { remote, .. } => format!("{name} to {remote}"),
        InterfaceKind::Wireguard { peers, .. } => {
            let peers: Vec<&str> = peers.iter().map(|peer| peer.node.as_str()).collect();
            format!("{name} with {}", peers.join(" "))
        }
        InterfaceKind::Macvlan { link, .. } | InterfaceKind::Ipvlan { link, .. } => {
            format!("{name} on {link}")
        }
        InterfaceKind::Bond { mode, .. } => format!("{name} {}", mode.name()),
        InterfaceKind::Vrf { table } => format!("{name} table {table}"),
        _ => name.to_owned(),
    }
}
