//! Which packets an expectation is about.

use std::net::IpAddr;

use nslab_observe::probe::{Probe, Service};
use nslab_topology::Topology;
use nslab_topology::lab::{Expectation, Party, Probe as Wanted};
use nslab_topology::model::Device;

use crate::cli::commands::ping::Nodes;
use crate::cli::error::CliError;
use crate::cli::family::Family;

/// One pair of an expectation.
#[derive(Debug, Clone)]
pub(super) struct Case<'e> {
    pub(super) expectation: &'e Expectation,
    /// The sender, by its place among the nodes.
    pub(super) from: usize,
    /// The receiver's name, or its address if it was written as such.
    pub(super) to: String,
    pub(super) address: IpAddr,
    /// What is sent, in words: `a -> b tcp/80`.
    pub(super) label: String,
}

impl Case<'_> {
    pub(super) fn probe(&self) -> Probe {
        Probe::new(self.from, self.address, service(self.expectation.service))
    }
}

/// What is sent.
fn service(wanted: Wanted) -> Service {
    match wanted {
        Wanted::Icmp => Service::Echo,
        Wanted::Tcp(port) => Service::Tcp(port),
        Wanted::Udp(port) => Service::Udp(port),
    }
}

/// All pairs of all expectations, in the order of the file; with `filter` those that contain it.
pub(super) fn of<'e>(
    expectations: &'e [Expectation],
    topology: &Topology,
    family: Family,
    filter: Option<&str>,
) -> Result<Vec<Case<'e>>, CliError> {
    let nodes = Nodes::new(topology);
    let mut cases = Vec::new();
    for expectation in expectations {
        let written = expectation.to_string();
        let is_wanted =
            |label: &str| filter.is_none_or(|text| label.contains(text) || written.contains(text));
        for from in side(&expectation.from, &nodes, topology, family, expectation.line)? {
            let mut push = |to: String, address: IpAddr| {
                let label = format!("{} -> {to} {}", nodes.names[from], expectation.service);
                if is_wanted(&label) {
                    cases.push(Case { expectation, from, to, address, label });
                }
            };
            if let Party::Address(address) = expectation.to {
                if family.allows(address) {
                    push(address.to_string(), address);
                }
                continue;
            }
            for to in side(&expectation.to, &nodes, topology, family, expectation.line)? {
                if let Some(address) = nodes.address(Some(from), to, family).filter(|_| to != from) {
                    push(nodes.names[to].clone(), address);
                }
            }
        }
    }
    Ok(cases)
}

/// The nodes of one side that have an address.
fn side(
    party: &Party,
    nodes: &Nodes,
    topology: &Topology,
    family: Family,
    line: usize,
) -> Result<Vec<usize>, CliError> {
    let has = |node: &usize| nodes.address(None, *node, family).is_some();
    let name = match party {
        Party::Every => return Ok((0..nodes.names.len()).filter(has).collect()),
        // It is no sender.
        Party::Address(_) => return Ok(Vec::new()),
        Party::Named(name) => name,
    };
    if let Some(node) = nodes.names.iter().position(|known| known == name) {
        if !has(&node) {
            let message = format!("line {line}: {name} has no {}address", family.word());
            return Err(CliError::bad_input(message).hint("give it one, or take the expectation out"));
        }
        return Ok(vec![node]);
    }
    let Some(switch) = topology.switches.iter().position(|switch| switch.name == *name) else {
        let message = format!("line {line}: the lab that runs has no node or switch {name:?}");
        return Err(CliError::bad_input(message).hint("`nslab up FILE` brings it to what the file says"));
    };
    // All that are plugged into it, each once.
    let mut at_switch: Vec<usize> = topology
        .links
        .iter()
        .filter(|link| link.ends.iter().any(|end| end.device == Device::Switch(switch)))
        .flat_map(|link| &link.ends)
        .filter_map(|end| match end.device {
            Device::Node(node) => Some(node),
            Device::Switch(_) => None,
        })
        .filter(has)
        .collect();
    at_switch.sort_unstable();
    at_switch.dedup();
    Ok(at_switch)
}
