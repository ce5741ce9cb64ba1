//! `nslab test`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli::target::complete_labs;

/// `nslab test`.
#[derive(Debug, Args)]
pub struct Test {
    /// A lab file, or the name of a running lab [default: lab.yaml of this directory, else the lab that runs]
    #[arg(value_name = "FILE|LAB", value_hint = ValueHint::FilePath, add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub subject: Option<String>,
    /// Give a variable of the lab file another value
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = super::labs::assignment)]
    pub set: Vec<(String, String)>,
    /// Give the lab another name
    #[arg(long, value_name = "LAB")]
    pub name: Option<String>,
    /// Let a lab that was built for the test run on
    #[arg(long)]
    pub keep: bool,
    /// How to test
    #[command(flatten)]
    pub how: How,
    /// List the expectations that hold as well
    #[arg(short, long)]
    pub verbose: bool,
    /// Write a report in JUnit's XML; `-` is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
    /// Print TAP (Test Anything Protocol, version 14) instead of text
    #[arg(long, conflicts_with = "json")]
    pub tap: bool,
}

/// How to test.
#[derive(Debug, Clone, Default, Args)]
pub struct How {
    /// Only expectations that contain this text, as in `a -> b tcp/80`
    #[arg(short = 'k', long = "filter", value_name = "TEXT")]
    pub filter: Option<String>,
    /// End with the first that does not hold
    #[arg(long)]
    pub fail_fast: bool,
    /// Try again for so long, as 5s, whatever the file says
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub within: Option<Duration>,
    /// How long to wait for an answer, as 500ms [default: 1s]
    #[arg(short = 'W', long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Nodes by their IPv4 addresses only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Nodes by their IPv6 addresses only
    #[arg(short = '6')]
    pub ipv6: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    nslab_topology::duration(text).ok_or_else(|| "a time is wanted, as 500ms, 5s or 2m".to_owned())
}
