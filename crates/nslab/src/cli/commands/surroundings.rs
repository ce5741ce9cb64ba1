//! `nslab completions` and `nslab man`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::env::Shells;

use super::DONE;
use crate::cli::args::{Cli, Completions, Man, ShellName};
use crate::cli::error::{CliError, Kind};
use crate::cli::output::Output;

pub(super) fn completions(args: &Completions, output: Output) -> Result<ExitCode, CliError> {
    let name = match args.shell {
        ShellName::Bash => "bash",
        ShellName::Elvish => "elvish",
        ShellName::Fish => "fish",
        ShellName::Powershell => "powershell",
        ShellName::Zsh => "zsh",
    };
    let shells = Shells::builtins();
    let shell = shells.completer(name).ok_or_else(|| CliError::bad_input(format!("{name} is not known")))?;
    let mut script = Vec::new();
    shell
        .write_registration("COMPLETE", "nslab", "nslab", "nslab", &mut script)
        .map_err(|error| CliError::new(Kind::Machine, error.to_string()))?;
    output.print(&String::from_utf8_lossy(&script));
    Ok(DONE)
}

pub(super) fn man(args: &Man, output: Output) -> Result<ExitCode, CliError> {
    let failed =
        |error: std::io::Error| CliError::new(Kind::Machine, format!("cannot write the manual: {error}"));
    if let Some(directory) = &args.out {
        clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(failed)?;
        output.print(&String::from_utf8_lossy(&page));
    }
    Ok(DONE)
}
