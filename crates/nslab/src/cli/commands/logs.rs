//! `nslab logs`.

use std::io::Write as _;
use std::process::ExitCode;

use nslab_lab::Paths;

use super::DONE;
use crate::cli::args::Logs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::target::Target;

pub(super) fn run(args: &Logs, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let labs = Paths::default().labs().unwrap_or_default();
    let (lab, node) = match &args.target {
        None => (context.lab_name(None)?, None),
        Some(name) if labs.contains(name) => (name.clone(), None),
        Some(name) => match Target::parse(name, &context)? {
            Target::Node { lab, node } => (lab, Some(node)),
            _ => return Err(CliError::bad_input(format!("{name} is not a node of a lab; only those have programs"))),
        },
    };
    let paths = Paths::default().lab(&lab);
    let mut out = std::io::stdout().lock();
    let options = nslab_lab::programs::LogOptions { tail: args.tail, follow: args.follow };
    let shown = nslab_lab::programs::logs(&paths, node.as_deref(), args.program.as_deref(), options, &mut |line| {
        // A reader that went away ends it.
        out.write_all(line).is_ok() && out.flush().is_ok()
    })?;
    if shown == 0 {
        output.note("no program has run there");
    }
    Ok(DONE)
}
