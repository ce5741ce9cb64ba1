//! `nslab exec` and `nslab shell`.

use std::process::ExitCode;

use nslab_lab::exec::Failure;

use crate::cli::args::{Exec, Shell};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;
use crate::cli::target::Target;

pub(super) fn run(args: &Exec, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let mut place = Target::parse(&args.target, &context)?.place()?;
    place.as_user(args.user.as_deref())?;
    // Returns only if the program cannot be run.
    failed(nslab_lab::exec::exec(&place, &args.command))
}

pub(super) fn shell(args: &Shell, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let mut place = Target::parse(&args.target, &context)?.place()?;
    place.as_user(args.user.as_deref())?;
    failed(nslab_lab::exec::shell(&place))
}

/// A program that cannot be run gives the statuses that shells give: 127 not found, 126 not to be run.
fn failed(failure: Failure) -> Result<ExitCode, CliError> {
    let status = failure.exit_status();
    match (failure, status) {
        (Failure::Place(error), _) => Err(error.into()),
        (failure, status) => {
            CliError::new(Kind::Machine, failure.to_string()).report();
            Ok(ExitCode::from(status.unwrap_or(126)))
        }
    }
}
