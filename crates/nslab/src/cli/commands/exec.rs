//! `nslab exec` and `nslab shell`.

use std::process::ExitCode;

use crate::cli::args::{Exec, Shell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Output;
use crate::cli::target::Target;

pub(super) fn run(args: &Exec, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let place = Target::parse(&args.target, &context)?.place()?;
    // Returns only if the program cannot be run.
    Ok(failed(&nslab_lab::exec::exec(&place, &args.command)))
}

pub(super) fn shell(args: &Shell, output: Output) -> Result<ExitCode, CliError> {
    let context = Context::open(output)?;
    let place = Target::parse(&args.target, &context)?.place()?;
    Ok(failed(&nslab_lab::exec::shell(&place, &args.target)))
}

/// The statuses that shells give: 127 not found, 126 found but not to be run.
#[expect(clippy::print_stderr, reason = "the exit status is not one of nslab's own kinds")]
fn failed(error: &nslab_lab::exec::ExecError) -> ExitCode {
    eprintln!("nslab: {error}");
    ExitCode::from(error.exit_code())
}
