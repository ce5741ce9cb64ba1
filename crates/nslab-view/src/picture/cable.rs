//! Cables from node to node.

use nslab_topology::Topology;
use nslab_topology::model::{Device, End};

use super::{addresses, remarks, role};
use crate::Style;
use crate::style::{Role, left, width};

/// A line for each cable between two nodes: `red:eth0 10.0.0.1/24 ───── 10.0.0.2/24 eth0:blue`, with the lines one below
/// the other.
pub(super) fn lines(topology: &Topology, style: &Style) -> String {
    let between_nodes = |end: &End| matches!(end.device, Device::Node(_));
    let cables = topology.links.iter().filter(|link| link.ends.iter().all(between_nodes));
    let sides: Vec<[String; 3]> = cables
        .map(|link| {
            let [from, to] = &link.ends;
            let name =
                |end: &End| style.paint(role(end.device), topology.device_name(end.device)).into_owned();
            let near = join(&[format!("{}:{}", name(from), from.name), addresses(from)]);
            let far = join(&[addresses(to), format!("{}:{}", to.name, name(to))]);
            let both = [remarks(from), remarks(to)];
            let remark = if both[0] == both[1] { both[0].clone() } else { both.join(" | ") };
            [near, far, style.paint(Role::Faint, remark.trim_matches([' ', '|'])).into_owned()]
        })
        .collect();
    let widest = sides.iter().map(|[near, ..]| width(near)).max().unwrap_or(0);
    let line = style.paint(Role::Faint, style.sign("─────", "-----"));
    let cable = |[near, far, remark]: &[String; 3]| {
        let text = format!("{} {line} {far}", left(near, widest));
        if remark.is_empty() { text + "\n" } else { format!("{text}  {remark}\n") }
    };
    sides.iter().map(cable).collect()
}

fn join(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}
