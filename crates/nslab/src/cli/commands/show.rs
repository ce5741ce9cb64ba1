//! `nslab show`.

use std::process::ExitCode;

use nslab_kernel::NamespaceState;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::state::Select;
use serde::Serialize;

use super::DONE;
use crate::cli::args::Show;
use crate::cli::context::Context;
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
        Some(name) if nslab_lab::Paths::default().labs().unwrap_or_default().contains(name) => {
            Some(context.lab(Some(name))?)
        }
        Some(_) => None,
    };
    if let Some(state) = lab {
        if output.json {
            output.print_json(&state.topology);
        } else {
            output.print(&nslab_view::picture(&state.topology, &output.style()));
        }
        return Ok(DONE);
    }
    let name = args.target.as_deref().unwrap_or_default();
    let namespace = Target::parse(name, &context)?.namespace()?;
    let mut socket = namespace.run(|| Socket::open(Protocol::Route))??;
    let state = NamespaceState::read(&mut socket, Select { tables: true })?;
    if output.json {
        let namespace = namespace.id()?.to_string();
        output.print_json(&Report { target: name, namespace, state: &state });
    } else {
        output.print(&nslab_view::namespace_state(&state, &output.style()));
    }
    Ok(DONE)
}
