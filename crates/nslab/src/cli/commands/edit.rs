//! `nslab node`, `link`, `switch`, `addr`, `route`: a running lab changed step by step.
//!
//! Each edits what the lab remembers of its file and then does what `up` does.

use std::process::ExitCode;

use nslab_lab::labs::Wanted;
use nslab_topology::{EditError, Lab, LinkOptions};

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
            let options = LinkOptions { mtu, ..LinkOptions::default() };
            edit(lab.lab.as_deref(), output, |lab| lab.add_link(&one, &other, &options))
        }
        LinkCommand::Del { interface, lab } => {
            edit(lab.lab.as_deref(), output, |lab| lab.remove_link(&interface))
        }
        LinkCommand::Up { interface, lab } => {
            edit(lab.lab.as_deref(), output, |lab| lab.set_link_up(&interface, true))
        }
        LinkCommand::Down { interface, lab } => {
            edit(lab.lab.as_deref(), output, |lab| lab.set_link_up(&interface, false))
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

/// Changes what the lab remembers and brings the kernel to it; nothing is changed if either is refused.
fn edit(
    named: Option<&str>,
    output: Output,
    change: impl FnOnce(&mut Lab) -> Result<(), EditError>,
) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let state = context.lab(named)?;
    let mut lab = state.lab;
    change(&mut lab).map_err(|error| {
        let hint = error.hint();
        let error = CliError::bad_input(error.to_string()).detail("nothing was changed");
        hint.into_iter().fold(error, CliError::hint)
    })?;
    let resolved = nslab_topology::resolve(&lab).map_err(|diagnostics| {
        let mut error = CliError::bad_input("the lab would be wrong with this change");
        for one in diagnostics.as_slice() {
            error = error.detail(one.to_string());
        }
        error.detail("nothing was changed")
    })?;
    for warning in &resolved.warnings {
        output.note(&warning.to_string());
    }
    let wanted =
        Wanted { lab, topology: resolved.topology, file: state.file.clone(), directory: state.directory.clone() };
    let built = up::build(&context, &wanted)?;
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
