//! What a namespace has: the text of `nslab show NODE`.

mod links;
mod queues;
mod routes;

use nslab_kernel::NamespaceState;
use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::neighbour::{BridgeVlan, FdbEntry, Neighbour};

use crate::Style;
use crate::style::Role;
use crate::table::lines;

/// The namespace's links, addresses, routes, rules, neighbours, forwarding entries, VLANs and queues, a section for each that
/// is not empty, in the words of iproute2.
///
/// Left out are the kernel's own table of local routes and its three rules that every namespace has. `peer` tells what
/// is at the other end of a link, as `blue:eth0`, where the caller knows.
pub fn namespace_state(
    state: &NamespaceState,
    peer: &dyn Fn(&Link) -> Option<String>,
    style: &Style,
) -> String {
    let names = Names(&state.links);
    let mut sections = vec![
        ("links".to_owned(), state.links.iter().map(|link| links::link(link, names, peer, style)).collect()),
        (
            "addresses".to_owned(),
            state.addresses.iter().map(|address| links::address(address, names)).collect(),
        ),
    ];
    sections.extend(routes::tables(state, names));
    sections.push(("rules".to_owned(), routes::rules(&state.rules)));
    sections.push((
        "neighbours".to_owned(),
        state.neighbours.iter().map(|each| neighbour(each, names, style)).collect(),
    ));
    sections.push(("forwarding".to_owned(), state.fdb.iter().map(|entry| fdb(entry, names)).collect()));
    sections.push(("vlans".to_owned(), state.vlans.iter().map(|each| vlan(*each, names)).collect()));
    sections.push(("queues".to_owned(), queues::queues(state, names, style)));
    sections.retain(|(_, rows)| !rows.is_empty());
    sections.iter().map(|(heading, rows)| section(heading, rows, style)).collect::<Vec<_>>().join("\n")
}

fn section(heading: &str, rows: &[Vec<String>], style: &Style) -> String {
    let rows = lines(rows, 2).into_iter().map(|line| format!("  {line}\n"));
    std::iter::once(format!("{}\n", style.paint(Role::Heading, heading))).chain(rows).collect()
}

/// Interfaces' names by their numbers.
#[derive(Clone, Copy)]
struct Names<'a>(&'a [Link]);

impl Names<'_> {
    fn of(self, index: IfIndex) -> String {
        let link = self.0.iter().find(|link| link.index == index);
        link.map_or_else(|| format!("if{index}"), |link| link.name.to_string())
    }
}

fn neighbour(neighbour: &Neighbour, names: Names<'_>, style: &Style) -> Vec<String> {
    // `NUD_*` of include/uapi/linux/neighbour.h.
    let (state, role) = match neighbour.state {
        _ if neighbour.proxy => ("proxy", Role::Faint),
        0x01 => ("INCOMPLETE", Role::Bad),
        0x02 => ("REACHABLE", Role::Good),
        0x04 => ("STALE", Role::Faint),
        0x08 => ("DELAY", Role::Faint),
        0x10 => ("PROBE", Role::Faint),
        0x20 => ("FAILED", Role::Bad),
        0x40 => ("NOARP", Role::Faint),
        0x80 => ("PERMANENT", Role::Good),
        _ => ("NONE", Role::Faint),
    };
    let mac = neighbour.mac.map_or(String::new(), |mac| format!("lladdr {mac}"));
    let link = format!("dev {}", names.of(neighbour.link));
    vec![neighbour.address.to_string(), link, mac, style.paint(role, state).into_owned()]
}

fn fdb(entry: &FdbEntry, names: Names<'_>) -> Vec<String> {
    let vlan = entry.vlan.map_or(String::new(), |vlan| format!("vlan {vlan}"));
    let way = match (entry.remote, entry.master) {
        (Some(remote), _) => format!("dst {remote}"),
        (None, Some(master)) if master != entry.link => format!("master {}", names.of(master)),
        _ => String::new(),
    };
    let kind = match (entry.local, entry.fixed) {
        (true, _) => "permanent",
        (false, true) => "static",
        (false, false) => "",
    };
    vec![entry.mac.to_string(), format!("dev {}", names.of(entry.link)), vlan, way, kind.to_owned()]
}

fn vlan(vlan: BridgeVlan, names: Names<'_>) -> Vec<String> {
    let flags = [(vlan.pvid, "PVID"), (vlan.untagged, "Egress Untagged")];
    let flags: Vec<&str> = flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect();
    vec![names.of(vlan.link), vlan.vlan.to_string(), flags.join(" ")]
}

#[cfg(test)]
mod tests;
