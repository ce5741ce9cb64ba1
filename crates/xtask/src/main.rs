//! Tasks of nslab's development: `cargo xtask TASK`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

mod bpf;
mod error;
mod fuzz;
mod vm;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Tasks of nslab's development
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    #[command(name = "vm-test")]
    Test(vm::TestArgs),
    #[command(name = "vm-run")]
    Run(vm::RunArgs),
    Fuzz(fuzz::FuzzArgs),
    Bpf(bpf::BpfArgs),
    /// What runs inside the virtual machine
    #[command(name = "vm-guest", hide = true)]
    Guest {
        /// What to do there
        job: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Test(args) => vm::test(&args),
        Task::Run(args) => vm::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Bpf(args) => bpf::run(&args),
        Task::Guest { job } => vm::guest(&job),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(error.status())
    })
}
