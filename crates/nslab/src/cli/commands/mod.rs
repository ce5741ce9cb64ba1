//! One file for each command.

mod adopt;
mod bench;
mod capture;
mod doctor;
mod down;
mod drops;
mod edit;
mod exec;
mod explain;
mod export;
mod firewall;
mod import;
mod logs;
mod ls;
mod mtu;
mod ping;
mod plan;
mod play;
mod preflight;
mod reach;
pub(super) mod scan;
mod schema;
mod set;
mod show;
mod surroundings;
mod test;
mod trace;
mod up;
mod why;

use std::process::ExitCode;

use super::args::{Cli, Command, Exec};
use super::error::CliError;
use super::output::Output;

/// Success.
const DONE: ExitCode = ExitCode::SUCCESS;
/// The answer is no.
const NO: u8 = 1;

/// Runs `nslab exec` as it is mostly written.
pub(super) fn exec(args: &Exec) -> Result<ExitCode, CliError> {
    exec::run(args, Output { json: false, quiet: false })
}

/// Runs one command.
pub(super) fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let output = Output { json: cli.json, quiet: cli.quiet };
    match cli.command {
        Command::Up(args) => up::run(&args, output),
        Command::Plan(args) => plan::run(&args, output),
        Command::Down(args) => down::run(&args, output),
        Command::Ls(args) => ls::run(&args, output),
        Command::Show(args) => show::run(&args, output),
        Command::Doctor(args) => doctor::run(&args, output),
        Command::Explain(args) => explain::run(&args, output),
        Command::Trace(args) => trace::run(&args, output),
        Command::Reach(args) => reach::run(&args, output),
        Command::Scan(args) => scan::scan(&args, output),
        Command::Snapshot(command) => scan::snapshot(&command, output),
        Command::Exec(args) => exec::run(&args, output),
        Command::Shell(args) => exec::shell(&args, output),
        Command::Logs(args) => logs::run(&args, output),
        Command::Ping(args) => ping::run(&args, output),
        Command::Bench(args) => bench::run(&args, output),
        Command::Load => Ok(bench::serve()),
        Command::Mtu(args) => mtu::run(&args, output),
        Command::Test(args) => test::run(&args, output),
        Command::Capture(args) => capture::run(&args, output),
        Command::Drops(args) => drops::run(&args, output),
        Command::After { descriptor, command } => Ok(capture::after(descriptor, &command)),
        Command::Node(command) => edit::node(command, output),
        Command::Link(command) => edit::link(command, output),
        Command::Switch(command) => edit::switch(command, output),
        Command::Addr(command) => edit::address(command, output),
        Command::Route(command) => edit::route(command, output),
        Command::Set(args) => set::run(&args, output),
        Command::Play(args) => play::run(&args, output),
        Command::Export(args) => export::run(&args, output),
        Command::Import(args) => import::run(&args, output),
        Command::Completions(args) => surroundings::completions(&args, output),
        Command::Man(args) => surroundings::man(&args, output),
        Command::Schema(args) => schema::run(&args, output),
        Command::Keeper { lab } => {
            nslab_lab::programs::keeper_main(&nslab_lab::Paths::default().lab(&lab))?;
            Ok(DONE)
        }
        Command::Init => {
            nslab_lab::view::init_main()?;
            Ok(DONE)
        }
        Command::Holder => {
            nslab_lab::rootless::holder_main()?;
            Ok(DONE)
        }
    }
}
