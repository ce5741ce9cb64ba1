//! Routers with their interfaces.

use nslab_topology::Topology;
use nslab_topology::model::Device;

use super::{addresses, remarks, role};
use crate::Style;
use crate::style::Role;
use crate::table::lines;

/// For each node that forwards: its interfaces, their addresses, and what they lead to.
pub(super) fn list(topology: &Topology, style: &Style) -> Vec<String> {
    let routers = topology.nodes.iter().enumerate().filter(|(_, node)| node.forward);
    routers.map(|(node, _)| router(topology, node, style)).collect()
}

fn router(topology: &Topology, node: usize, style: &Style) -> String {
    let own = Device::Node(node);
    let mut rows = Vec::new();
    for link in &topology.links {
        for (end, other) in [(&link.ends[0], &link.ends[1]), (&link.ends[1], &link.ends[0])] {
            if end.device == own {
                let far = style.paint(role(other.device), topology.device_name(other.device)).into_owned();
                let arrow = style.paint(Role::Faint, style.sign("→", "->"));
                rows.push(vec![end.name.to_string(), addresses(end), format!("{arrow} {far}"), remarks(end)]);
            }
        }
    }
    let loopback: Vec<String> = topology.nodes[node].loopback.iter().map(ToString::to_string).collect();
    if !loopback.is_empty() {
        rows.push(vec!["lo".to_owned(), loopback.join(", ")]);
    }
    let name = style.paint(Role::Node, topology.nodes[node].name.as_str());
    let title = format!("{name} {}\n", style.paint(Role::Faint, "(router)"));
    let rows = lines(&rows, 2).into_iter().map(|line| format!("  {line}\n"));
    std::iter::once(title).chain(rows).collect()
}
