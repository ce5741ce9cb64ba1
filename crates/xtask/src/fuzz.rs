//! Fuzzing: what takes foreign bytes apart, fed by libFuzzer.

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::error::Error;

/// What makes the compiler tell libFuzzer which ways are taken, and what is compared (`SanitizerCoverage` of LLVM).
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Feeds what takes foreign bytes apart with inputs that find new ways through it
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// What: netlink, snapshot, frame or filter
    target: String,
    /// For how many seconds
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Files to begin from, as saved snapshots, or frames of `cargo run -p nslab-decode --example seeds`
    #[arg(long, value_name = "DIRECTORY")]
    seeds: Option<std::path::PathBuf>,
}

pub(crate) fn run(args: &FuzzArgs) -> Result<ExitCode, Error> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let build = Command::new("cargo")
        // Only with a target named are the flags not for build scripts as well.
        .args(["build", "--release", "--bin", &args.target, "--target", &host])
        .current_dir(&directory)
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .status();
    let build = build.map_err(Error::file(Path::new("cargo")))?;
    if !build.success() {
        return Ok(ExitCode::FAILURE);
    }
    let corpus = directory.join("corpus").join(&args.target);
    std::fs::create_dir_all(&corpus).map_err(Error::file(&corpus))?;
    let mut fuzzer = Command::new(directory.join("target").join(host).join("release").join(&args.target));
    fuzzer.arg(&corpus).args(&args.seeds).arg(format!("-max_total_time={}", args.seconds)).args([
        "-rss_limit_mb=1024",
        "-timeout=10",
        "-max_len=65536",
        "-use_value_profile=1",
        "-print_final_stats=1",
    ]);
    let dictionary = directory.join(format!("{}.dict", args.target));
    if dictionary.exists() {
        fuzzer.arg(format!("-dict={}", dictionary.display()));
    }
    let status = fuzzer.current_dir(&directory).status().map_err(Error::file(&directory))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
