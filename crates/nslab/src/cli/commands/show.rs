//! `nslab show`.

use std::collections::HashMap;
use std::process::ExitCode;

use nslab_kernel::NamespaceState;
use nslab_kernel::link::Link;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::state::Select;
use nslab_types::IfName;
use serde::Serialize;

use super::DONE;
use crate::cli::args::Show;
use crate::cli::context::{self, Context};
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::target::Target;

/// What `show TARGET --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    target: &'a str,
    namespace: String,
    #[serde(flatten)]
    state: &'a NamespaceState,
}

pub(super) fn run(args: &Show, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let lab = match &args.target {
        None => Some(context.lab(None)?),
        Some(name) if context::paths().labs().unwrap_or_default().contains(name) => {
            Some(context.lab(Some(name))?)
        }
        Some(_) => None,
    };
    if let Some(state) = &lab
        && args.firewall
    {
        let name = &state.topology.name;
        return Err(CliError::bad_input(format!("{name} is a lab, and a firewall belongs to a node"))
            .hint(format!("nslab show {name}/NODE --firewall")));
    }
    if let Some(state) = lab {
        if output.json {
            output.print_json(&state.topology);
        } else {
            output.print(&nslab_view::picture(&state.topology, &output.style()));
        }
        return Ok(DONE);
    }
    let name = args.target.as_deref().unwrap_or_default();
    let target = Target::parse(name, &context)?;
    let namespace = target.namespace()?;
    if args.firewall {
        let policy = match &target {
            Target::Node { lab, node } => context.lab(Some(lab)).ok().and_then(|state| {
                state.topology.nodes.into_iter().find(|one| one.name == *node).map(|one| one.policy)
            }),
            _ => None,
        };
        super::firewall::show(name, &namespace, policy.as_ref(), output)?;
        return Ok(DONE);
    }
    let mut socket = namespace.run(|| Socket::open(Protocol::Route))??;
    let state = NamespaceState::read(&mut socket, Select { tables: true })?;
    if output.json {
        let namespace = namespace.id()?.to_string();
        output.print_json(&Report { target: name, namespace, state: &state });
    } else {
        let peers = peers(&target, &context);
        let peer = |link: &Link| peers.get(&link.name).cloned();
        output.print(&nslab_view::namespace_state(&state, &peer, &output.style()));
    }
    Ok(DONE)
}

/// What is at the other end of each interface, as the lab has it; nothing for what is no lab's.
fn peers(target: &Target, context: &Context) -> HashMap<IfName, String> {
    let Target::Node { lab, node } = target else { return HashMap::new() };
    let Ok(state) = context.lab(Some(lab)) else { return HashMap::new() };
    let topology = &state.topology;
    let mut peers = HashMap::new();
    for link in &topology.links {
        let [one, other] = &link.ends;
        for (near, far) in [(one, other), (other, one)] {
            if topology.device_name(near.device) == node {
                peers.insert(near.name, format!("{}:{}", topology.device_name(far.device), far.name));
            }
        }
    }
    peers
}
