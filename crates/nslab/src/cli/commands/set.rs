//! `nslab set`: a link of a running lab made worse, better, up or down.

use std::process::ExitCode;

use nslab_topology::impairment::Impairments;
use nslab_topology::lab::interfaces;
use nslab_topology::{EditError, Lab, Spanned};

use super::edit;
use crate::cli::args::Set;
use crate::cli::error::CliError;
use crate::cli::output::Output;

pub(super) fn run(args: &Set, output: Output) -> Result<ExitCode, CliError> {
    let said = said(args)?;
    edit::edit(args.lab.lab.as_deref(), output, |lab| {
        let topology = nslab_topology::resolve(lab).map_err(|diagnostics| EditError::Invalid {
            message: diagnostics.to_string(),
            help: Vec::new(),
        })?;
        for link in &args.link {
            for interface in interfaces(link, &topology.topology)? {
                change(lab, &interface, args, &said)?;
            }
        }
        Ok(())
    })
}

fn change(lab: &mut Lab, interface: &str, args: &Set, said: &Impairments) -> Result<(), EditError> {
    if args.clear {
        lab.replace_impairments(interface, *said)?;
    } else if !said.is_open() {
        lab.set_impairments(interface, *said)?;
    }
    if interface.contains(" -> ") && (args.mtu.is_some() || args.up || args.down) {
        return Err(EditError::Invalid {
            message: format!("{interface} is a way over a switch: it has no MTU, and is not up or down"),
            help: vec!["name an interface, as NODE:INTERFACE".to_owned()],
        });
    }
    if let Some(mtu) = args.mtu {
        lab.set_mtu(interface, mtu)?;
    }
    if args.up || args.down {
        lab.set_up(interface, args.up)?;
    }
    Ok(())
}

fn said(args: &Set) -> Result<Impairments, CliError> {
    let mut said = Impairments::default();
    let options = [
        ("delay", &args.delay),
        ("jitter", &args.jitter),
        ("distribution", &args.distribution),
        ("loss", &args.loss),
        ("duplicate", &args.duplicate),
        ("reorder", &args.reorder),
        ("corrupt", &args.corrupt),
        ("rate", &args.rate),
    ];
    for (key, value) in options {
        let Some(value) = value else { continue };
        said.set(key, Spanned::from(value.as_str()))
            .map_err(|wanted| CliError::bad_input(format!("--{key}: expected {wanted}, found {value:?}")))?;
    }
    Ok(said)
}
