//! Measures nslab beside the kernel's own floor and beside other tools, in the same run.
//!
//! Every figure stands beside the others of its run: candidates take turns (A B C A B C …) after a round that does not
//! count, and medians are printed with the least and the greatest. Nothing is asserted. Nothing is left behind, since
//! all happens in namespaces of this program's own (see `sandbox`).

#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod arguments;
pub mod barrier;
pub mod candidates;
pub mod capture;
pub mod converge;
pub mod error;
pub mod firewall;
pub mod floor;
pub mod growth;
pub mod joining;
pub mod overhead;
pub mod process;
pub mod sandbox;
pub mod see;
pub mod shape;
pub mod start;
pub mod stats;
pub mod sys;
pub mod up;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::error::Result;

/// The program: the outer process, the inner one, or a helper of it.
pub fn main() -> ExitCode {
    let outcome = match std::env::var(sandbox::ROLE_VARIABLE).as_deref() {
        Ok(barrier::ROLE) => barrier::helper().map(|()| ExitCode::SUCCESS),
        Ok(_) => inner(),
        Err(_) => {
            // Bad arguments are refused before anything is made.
            Arguments::parse();
            sandbox::outer()
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("nslab-bench: {error}");
        // Bad input is 2, as nslab has it.
        ExitCode::from(if matches!(error, error::Error::Usage(_)) { 2 } else { 1 })
    })
}

fn inner() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.is_measured() {
        return arguments.run().map(|()| ExitCode::SUCCESS);
    }
    sandbox::enter()?;
    arguments.run().map(|()| ExitCode::SUCCESS)
}
