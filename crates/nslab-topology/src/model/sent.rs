//! What happens to what interfaces send, by name.

use std::collections::BTreeMap;

use super::{IfName, InterfaceKind, Path, Topology};
use crate::impairment::Impairment;

/// What happens to what an interface sends, or sends on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The interface is up.
    pub up: bool,
    /// What happens.
    pub impairment: Impairment,
}

/// An interface of a node, where paths may begin and end.
struct Candidate<'a> {
    node: &'a str,
    name: String,
    segment: usize,
    /// It sends by another interface on the same segment, as a macvlan does.
    upper: bool,
}

impl Topology {
    /// Of each interface, by `NODE:INTERFACE`, and of each path, by `NODE:INTERFACE -> NODE:INTERFACE`.
    pub fn sent(&self) -> BTreeMap<String, Sent> {
        let mut all = BTreeMap::new();
        let mut add = |name: String, up: bool, impairment: Impairment, paths: &[Path]| {
            for path in paths {
                let of_path = Sent { up, impairment: path.impairment };
                all.insert(format!("{name} -> {}", path.to), of_path);
            }
            all.insert(name, Sent { up, impairment });
        };
        for end in self.links.iter().flat_map(|link| &link.ends) {
            let name = label(self.device_name(end.device), end.full_name.as_ref(), end.name);
            add(name, end.up, end.impairment, &end.paths);
        }
        for node in &self.nodes {
            for one in &node.interfaces {
                let name = label(&node.name, one.full_name.as_ref(), one.name);
                add(name, one.up, one.impairment, &one.paths);
            }
        }
        all
    }

    /// The paths from one node's interface, or all of them, to another's over switches, as [`Topology::sent`] names
    /// them.
    pub(crate) fn paths_between(&self, from: (&str, Option<&str>), to: (&str, Option<&str>)) -> Vec<String> {
        let [starts, ends] = [from, to].map(|(node, interface)| {
            let mut all = self.candidates(node);
            all.retain(|one| interface.is_none_or(|name| one.name == name));
            all
        });
        let label = |one: &Candidate<'_>| format!("{}:{}", one.node, one.name);
        let starts = starts.iter().filter(|one| !one.upper);
        starts
            .flat_map(|one| {
                let there = ends.iter().filter(|other| other.segment == one.segment);
                there.map(move |other| format!("{} -> {}", label(one), label(other)))
            })
            .collect()
    }

    fn candidates(&self, name: &str) -> Vec<Candidate<'_>> {
        let Some(index) = self.nodes.iter().position(|node| node.name == name) else { return Vec::new() };
        let node = &self.nodes[index];
        let is_member = |master: Option<IfName>| {
            let master = node.interfaces.iter().find(|one| Some(one.name) == master);
            master.is_some_and(|one| !matches!(one.kind, InterfaceKind::Vrf { .. }))
        };
        let ends = self.ends_of(super::Device::Node(index)).filter(|(_, end)| !is_member(end.master));
        let ends = ends.map(|(link, end)| Candidate {
            node: &node.name,
            name: end.full_name.clone().unwrap_or_else(|| end.name.to_string()),
            segment: self.links[link].segment,
            upper: false,
        });
        let interfaces = node.interfaces.iter().filter(|one| !is_member(one.master));
        let interfaces = interfaces.map(|one| Candidate {
            node: &node.name,
            name: one.full_name.clone().unwrap_or_else(|| one.name.to_string()),
            segment: one.segment,
            upper: matches!(one.kind, InterfaceKind::Macvlan { .. } | InterfaceKind::Ipvlan { .. }),
        });
        let on_switch = |one: &Candidate<'_>| !self.segments[one.segment].switches.is_empty();
        ends.chain(interfaces).filter(on_switch).collect()
    }
}

fn label(device: &str, full: Option<&String>, name: IfName) -> String {
    format!("{device}:{}", full.map_or(name.as_str(), String::as_str))
}
