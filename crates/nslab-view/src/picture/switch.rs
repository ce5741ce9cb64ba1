//! A switch with its ports.

use ipnet::IpNet;
use nslab_topology::Topology;
use nslab_topology::model::{Device, End, Link};

use super::{addresses, remarks, role};
use crate::Style;
use crate::names;
use crate::style::{Role, width};
use crate::table::lines;

/// With more ports than this, those that only count up are folded.
const MANY: usize = 12;

/// The switch and a line for each of its ports: what is plugged in, its interface there, its addresses.
pub(super) fn tree(topology: &Topology, switch: usize, style: &Style) -> String {
    let own = Device::Switch(switch);
    let name = &topology.switches[switch].name;
    let painted = style.paint(Role::Switch, name.as_str());
    let ports: Vec<(&End, &End)> = topology.links.iter().filter_map(|link| port(link, own)).collect();
    if ports.is_empty() {
        return format!("{painted} {}\n", style.paint(Role::Faint, "(nothing is plugged in)"));
    }
    let rows = rows(topology, &ports, style);
    let (last, count) = (rows.len() - 1, rows.len());
    let line = |(place, row): (usize, String)| {
        let branch = match place {
            0 if count == 1 => style.sign("───", "---"),
            0 => style.sign("─┬─", "-+-"),
            _ if place == last => style.sign(" └─", " `-"),
            _ => style.sign(" ├─", " |-"),
        };
        let before = if place == 0 { painted.clone().into_owned() } else { " ".repeat(width(name)) };
        format!("{before} {} {row}\n", style.paint(Role::Faint, branch))
    };
    lines(&rows, 2).into_iter().enumerate().map(line).collect()
}

/// What is plugged into the switch by this link, and the port it is plugged into. A cable from the switch to itself has
/// two; the first is taken.
fn port(link: &Link, own: Device) -> Option<(&End, &End)> {
    match &link.ends {
        [port, other] if port.device == own => Some((other, port)),
        [other, port] if port.device == own => Some((other, port)),
        _ => None,
    }
}

fn rows(topology: &Topology, ports: &[(&End, &End)], style: &Style) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut rest = ports;
    while let Some((&(end, port), others)) = rest.split_first() {
        let alike = if ports.len() > MANY { run(topology, rest) } else { 1 };
        if alike > 2 {
            rows.push(folded(topology, (end, port), rest[alike - 1].0, style));
            rest = &rest[alike..];
            continue;
        }
        let name = topology.device_name(end.device);
        let mut row = vec![style.paint(role(end.device), name).into_owned()];
        if matches!(end.device, Device::Switch(_)) {
            row.extend([format!("({})", end.name), String::new()]);
        } else {
            row.extend([end.name.to_string(), addresses(end)]);
        }
        row.push(style.paint(Role::Faint, both(end, port)).into_owned());
        rows.push(row);
        rest = others;
    }
    rows
}

/// How many ports from the first on differ only in what counts up: the node's name and the addresses.
fn run(topology: &Topology, ports: &[(&End, &End)]) -> usize {
    let Some((first, first_port)) = ports.first() else { return 0 };
    let alike = ports.iter().take_while(|(end, port)| {
        matches!(end.device, Device::Node(_))
            && end.name == first.name
            && (end.up, end.mtu, port.up, port.mtu) == (first.up, first.mtu, first_port.up, first_port.mtu)
            && (&port.vlans, port.isolated) == (&first_port.vlans, first_port.isolated)
            && end.full_name.is_none()
            && end.addresses.len() == first.addresses.len()
            && end.addresses.iter().zip(&first.addresses).all(|(a, b)| a.trunc() == b.trunc())
    });
    let alike = &ports[..alike.count()];
    let names: Vec<&str> = alike.iter().map(|(end, _)| topology.device_name(end.device)).collect();
    names::run(&names)
}

/// One row for all from the first end to the last.
fn folded(topology: &Topology, (first, port): (&End, &End), last: &End, style: &Style) -> Vec<String> {
    let dots = style.sign("…", "...");
    let names =
        [first, last].map(|end| style.paint(role(end.device), topology.device_name(end.device)).into_owned());
    let address = |(first, last): (&IpNet, &IpNet)| format!("{first} {dots} {last}");
    let addresses: Vec<String> = first.addresses.iter().zip(&last.addresses).map(address).collect();
    vec![
        names.join(&format!(" {dots} ")),
        first.name.to_string(),
        addresses.join(", "),
        style.paint(Role::Faint, both(first, port)).into_owned(),
    ]
}

/// The remarks about an end; those of the switch's port where there are none, and always its VLANs.
fn both(end: &End, port: &End) -> String {
    let mut text =
        [remarks(end), remarks(port)].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    if let Some(vlans) = super::vlans(port).filter(|vlans| !text.contains(vlans.as_str())) {
        text = format!("{text}, {vlans}");
    }
    text
}
