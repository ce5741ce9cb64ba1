//! The programs at the kernel's tracepoints, built from their source.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

use crate::error::{self, Error};

/// Another compiler may make something else of the same source. This is Debian 12's.
const COMPILER: &str = "Debian clang version 14.0.6";
/// Without a system's headers, for every kernel since 5.8 (`-mcpu=v2` has no instructions that came later than 4.14).
/// What is told of types becomes BTF; no path of this machine is in it.
const FLAGS: [&str; 9] = [
    "-target",
    "bpfel",
    "-mcpu=v2",
    "-O2",
    "-g",
    "-Wall",
    "-Werror",
    "-nostdinc",
    "-fdebug-compilation-dir=.",
];
const SOURCE: &str = "tracepoints.bpf.c";
const OBJECT: &str = "tracepoints.bpf.o";

/// Builds the programs that nslab-tracepoints puts at the kernel's tracepoints
#[derive(Debug, Args)]
pub(crate) struct BpfArgs {
    /// Change nothing; fail if what is there is not what the source gives
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &BpfArgs) -> Result<ExitCode, Error> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nslab-tracepoints/src/bpf");
    let version = error::output(Command::new("clang").arg("--version"), "clang")?;
    let version = String::from_utf8_lossy(&version).lines().next().unwrap_or_default().to_owned();
    if version != COMPILER {
        let what = format!("{OBJECT} is built by {COMPILER}, and here is {version}");
        if args.check {
            println!("not compared: {what}");
            return Ok(ExitCode::SUCCESS);
        }
        return Err(Error::Machine(what));
    }
    let built = build(&directory)?;
    let object = directory.join(OBJECT);
    if args.check {
        let known = std::fs::read(&object).map_err(Error::file(&object))?;
        if known == built {
            println!("{OBJECT} is what {SOURCE} gives");
            return Ok(ExitCode::SUCCESS);
        }
        println!("{OBJECT} is not what {SOURCE} gives: `cargo xtask bpf` builds it");
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(&object, &built).map_err(Error::file(&object))?;
    println!("{OBJECT}: {} bytes", built.len());
    Ok(ExitCode::SUCCESS)
}

/// The object that the source gives.
fn build(directory: &Path) -> Result<Vec<u8>, Error> {
    let made = Made(std::env::temp_dir().join(format!("nslab-{}.bpf.o", std::process::id())));
    let mut clang = Command::new("clang");
    clang.current_dir(directory).args(FLAGS).args(["-c", SOURCE, "-o"]).arg(&made.0);
    error::output(&mut clang, "clang")?;
    // Of what debuggers read the kernel has no use.
    error::output(Command::new("llvm-strip").arg("-g").arg(&made.0), "llvm")?;
    std::fs::read(&made.0).map_err(Error::file(&made.0))
}

/// A file that goes.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
