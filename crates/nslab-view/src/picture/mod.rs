//! A lab as a picture in text.

mod cable;
mod interface;
mod router;
mod switch;

use nslab_topology::Topology;
use nslab_topology::model::{Device, End, PortVlan};

use crate::Style;
use crate::style::Role;

/// The lab: each switch as a tree of what is plugged into it, cables between nodes as lines, routers with their
/// interfaces, and nodes without a cable.
pub fn picture(topology: &Topology, style: &Style) -> String {
    let mut parts = vec![title(topology, style)];
    parts.extend((0..topology.switches.len()).map(|switch| switch::tree(topology, switch, style)));
    parts.push(cable::lines(topology, style));
    parts.extend(router::list(topology, style));
    parts.push(interface::lines(topology, style));
    parts.push(alone(topology, style));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// `three-tier: 5 nodes, 1 switch, 4 links`.
fn title(topology: &Topology, style: &Style) -> String {
    let count = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {many}")),
    };
    let counts = [
        count(topology.nodes.len(), "node", "nodes"),
        count(topology.switches.len(), "switch", "switches"),
        count(topology.links.len(), "link", "links"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let counts = if counts.is_empty() { "empty".to_owned() } else { counts.join(", ") };
    format!("{}: {}\n", style.paint(Role::Heading, topology.name.as_str()), style.paint(Role::Faint, counts))
}

/// The nodes that no cable leads to.
fn alone(topology: &Topology, style: &Style) -> String {
    let mut cabled = vec![false; topology.nodes.len()];
    for end in topology.links.iter().flat_map(|link| &link.ends) {
        if let Device::Node(node) = end.device {
            cabled[node] = true;
        }
    }
    let alone =
        topology.nodes.iter().zip(cabled).filter(|(_, cabled)| !cabled).map(|(node, _)| node.name.as_str());
    let names = crate::names::fold(alone);
    if names.is_empty() {
        names
    } else {
        format!("{} {names}\n", style.paint(Role::Faint, "without a cable:"))
    }
}

/// The addresses of an end, in one text.
fn addresses(end: &End) -> String {
    end.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is out of the ordinary about an end: that it is down, another MTU than 1500, a name that was shortened.
fn remarks(end: &End) -> String {
    let mut remarks = Vec::new();
    if !end.up {
        remarks.push("down".to_owned());
    }
    if end.mtu != 1500 {
        remarks.push(format!("mtu {}", end.mtu));
    }
    remarks.extend(vlans(end));
    if end.isolated {
        remarks.push("isolated".to_owned());
    }
    remarks.extend(end.master.map(|master| format!("in {master}")));
    remarks.extend(end.full_name.iter().map(|name| format!("alias {name}")));
    remarks.join(", ")
}

/// The VLANs of a switch's port: one untagged is said as such, others by number, the native one in parentheses.
fn vlans(end: &End) -> Option<String> {
    const MOST: usize = 6;
    match end.vlans.as_slice() {
        [] => None,
        [one] if one.pvid && one.untagged => Some(format!("VLAN {}", one.id)),
        several => {
            let number = |vlan: &PortVlan| {
                if vlan.pvid { format!("({})", vlan.id) } else { vlan.id.to_string() }
            };
            let mut numbers: Vec<String> = several.iter().take(MOST).map(number).collect();
            if several.len() > MOST {
                numbers.push(format!("and {} more", several.len() - MOST));
            }
            Some(format!("VLANs {}", numbers.join(" ")))
        }
    }
}

/// The role that gives a device's name its colour.
fn role(device: Device) -> Role {
    match device {
        Device::Node(_) => Role::Node,
        Device::Switch(_) => Role::Switch,
    }
}

#[cfg(test)]
mod tests;
