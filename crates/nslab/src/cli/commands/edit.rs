//! `nslab node`, `link`, `switch`, `addr`, `route`: a running lab changed step by step.
//!
//! Each edits what the lab remembers of its file and then does what `up` does to the network. Programs are left as they
//! are.

use std::process::ExitCode;

use nslab_lab::State;
use nslab_lab::labs::Wanted;
use nslab_topology::lab::{Interface, InterfaceKind};
use nslab_topology::model::End;
use nslab_topology::{Diagnostic, EditError, Lab, LinkOptions};
use nslab_types::MacAddr;

use super::{DONE, up};
use crate::cli::args::{AddrCommand, LinkCommand, NodeCommand, RouteCommand, SwitchCommand};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Output;

pub(super) fn node(command: NodeCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        NodeCommand::Add { names, forward, lab } => edit(lab.lab.as_deref(), output, |lab| {
            names.iter().try_for_each(|name| lab.add_node(name, forward))
        }),
        NodeCommand::Del { names, lab } => {
            edit(lab.lab.as_deref(), output, |lab| names.iter().try_for_each(|name| lab.remove_node(name)))
        }
    }
}

pub(super) fn switch(command: SwitchCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        SwitchCommand::Add { names, lab } => {
            edit(lab.lab.as_deref(), output, |lab| names.iter().try_for_each(|name| lab.add_switch(name)))
        }
        SwitchCommand::Del { names, lab } => {
            edit(lab.lab.as_deref(), output, |lab| names.iter().try_for_each(|name| lab.remove_switch(name)))
        }
    }
}

pub(super) fn link(command: LinkCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        LinkCommand::Add { one, other, mtu, lab } => {
            let options = LinkOptions { mtu };
            edit(lab.lab.as_deref(), output, |lab| lab.add_link(&one, &other, &options))
        }
        LinkCommand::Del { one, other, lab } => edit(lab.lab.as_deref(), output, |lab| {
            let other = other.or_else(|| other_end(lab, &one)).unwrap_or_default();
            lab.remove_link(&one, &other)
        }),
        LinkCommand::Up { interface, lab } => {
            edit(lab.lab.as_deref(), output, |lab| lab.set_up(&interface, true))
        }
        LinkCommand::Down { interface, lab } => {
            edit(lab.lab.as_deref(), output, |lab| lab.set_up(&interface, false))
        }
    }
}

pub(super) fn address(command: AddrCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        AddrCommand::Add { interface, address, lab } => {
            edit(lab.lab.as_deref(), output, |lab| lab.add_address(&interface, &address))
        }
        AddrCommand::Del { interface, address, lab } => {
            edit(lab.lab.as_deref(), output, |lab| lab.remove_address(&interface, &address))
        }
    }
}

pub(super) fn route(command: RouteCommand, output: Output) -> Result<ExitCode, CliError> {
    match command {
        RouteCommand::Add { node, lab, route } => {
            edit(lab.lab.as_deref(), output, |lab| lab.add_route(&node, &route.join(" ")))
        }
        RouteCommand::Del { node, lab, route } => {
            edit(lab.lab.as_deref(), output, |lab| lab.remove_route(&node, &route.join(" ")))
        }
    }
}

/// The other end of the cable whose one end is `NODE:INTERFACE`.
fn other_end(lab: &Lab, interface: &str) -> Option<String> {
    let topology = nslab_topology::resolve(lab).ok()?.topology;
    let name = |end: &End| format!("{}:{}", topology.device_name(end.device), end.name);
    topology.links.iter().find_map(|link| {
        let [one, other] = link.ends.each_ref().map(name);
        if one == interface { Some(other) } else { (other == interface).then_some(one) }
    })
}

/// What a lab remembers, in a form in which a change of one thing moves no other: all that was chosen is written out.
/// What comes new is chosen as the lab file would have had it.
pub(super) fn settled(state: &State) -> Lab {
    let mut topology = state.topology.clone();
    for node in &mut topology.nodes {
        node.routes.retain(|route| !route.derived);
    }
    let mut lab = Lab::from_topology(&topology);
    // A MAC that follows from the names would be chosen again.
    for (link, resolved) in lab.links.iter_mut().zip(&topology.links) {
        for (end, chosen) in link.ends.iter_mut().zip(&resolved.ends) {
            let name = chosen.full_name.as_deref().unwrap_or(chosen.name.as_str());
            let seed = format!("{}/{}:{name}", topology.name, topology.device_name(chosen.device));
            if MacAddr::from_seed(&seed) == chosen.mac {
                end.mac = None;
            }
        }
    }
    allow_anew(&mut lab, &state.lab);
    lab.addressing = state.lab.addressing.clone();
    lab.routing = state.lab.routing;
    lab.prefix.clone_from(&state.lab.prefix);
    lab.timeline.clone_from(&state.lab.timeline);
    lab
}

/// What WireGuard's peers may send follows addresses and routes, where the lab file left it open.
fn allow_anew(lab: &mut Lab, remembered: &Lab) {
    for node in &mut lab.nodes {
        let Some(before) = remembered.nodes.iter().find(|one| one.name.value == node.name.value) else {
            continue;
        };
        for interface in &mut node.interfaces {
            let name = |one: &Interface| one.end.interface.as_ref().map(|name| name.value.clone());
            let known = before.interfaces.iter().find(|one| name(one) == name(interface));
            let (Some(InterfaceKind::Wireguard { peers: known, .. }), InterfaceKind::Wireguard { peers, .. }) =
                (known.map(|one| &one.kind), &mut interface.kind)
            else {
                continue;
            };
            for (peer, known) in peers.iter_mut().zip(known) {
                if known.value.allowed.is_none() {
                    peer.value.allowed = None;
                }
            }
        }
    }
}

/// What likely isn't meant, in words; nothing of a lab that cannot be built.
fn warnings(lab: &Lab) -> Vec<String> {
    let resolved = nslab_topology::resolve(lab).into_iter();
    let text = |one: Diagnostic| std::iter::once(one.message).chain(one.notes).collect::<Vec<_>>().join(": ");
    resolved.flat_map(|resolved| resolved.warnings).map(text).collect()
}

/// Changes what the lab remembers and brings the kernel to it; nothing is changed if either is refused.
pub(super) fn edit(
    named: Option<&str>,
    output: Output,
    change: impl FnOnce(&mut Lab) -> Result<(), EditError>,
) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let state = context.lab(named)?;
    let mut lab = settled(&state);
    let known = warnings(&lab);
    change(&mut lab).map_err(|error| CliError::bad_input(error.to_string()).detail("nothing was changed"))?;
    let resolved = nslab_topology::resolve(&lab).map_err(|diagnostics| {
        let error = CliError::bad_input("the lab would be wrong with this change");
        let error = diagnostics.errors().fold(error, |error, one| error.detail(one.message.clone()));
        error.detail("nothing was changed")
    })?;
    for warning in warnings(&lab).iter().filter(|warning| !known.contains(warning)) {
        output.note(&format!("warning: {warning}"));
    }
    let wanted = Wanted {
        lab,
        topology: resolved.topology,
        file: state.file.clone(),
        directory: state.directory.clone(),
    };
    let built = up::change(&context, |labs| labs.tune(&wanted))?;
    if output.json {
        output.print_json(&built.plan);
    } else {
        for step in built.plan.steps() {
            output.note(&built.plan.describe(step));
        }
        if built.plan.is_empty() {
            output.note("nothing to change");
        }
    }
    Ok(DONE)
}
