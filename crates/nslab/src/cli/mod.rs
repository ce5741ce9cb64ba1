//! The command line: one file for each command, and what they share.

mod args;
mod commands;
mod context;
mod error;
mod family;
mod file;
mod foreign;
mod output;
mod places;
mod progress;
mod service;
mod target;

pub use args::Cli;
use args::Exec;
pub use error::{CliError, Kind};

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    // Under COMPLETE=SHELL the process only answers the shell's question what might come next, and ends.
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    if let Some(args) = Exec::plain(std::env::args_os()) {
        return commands::exec(&args).unwrap_or_else(|error| error.report());
    }
    let parsed =
        Cli::command().try_get_matches().and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, all else is bad input.
            let code = if error.use_stderr() { Kind::BadInput.exit_code() } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
