//! What namespaces cost.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::look::seconds;

/// `nslab bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Only these ways; several with commas
    #[arg(long, value_name = "WAY", value_delimiter = ',', value_enum)]
    pub only: Vec<Way>,
    /// How often each figure is measured [default: 7, with --quick 6]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: Option<u16>,
    /// How long a figure is measured each time, in seconds [default: 0.5, with --quick 0.1]
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// For less time: figures spread more
    #[arg(long)]
    pub quick: bool,
    /// Write a chart as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// From one program to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Way {
    /// By loopback, in the namespace that nslab is started in
    Host,
    /// By loopback, in a namespace
    Namespace,
    /// From a namespace to another, by a pair of veths
    Veth,
    /// By a bridge between two pairs
    Bridge,
    /// By a router between two pairs
    Routed,
    /// By a router that translates addresses
    Nat,
    /// By a router whose firewall has 10 rules that each packet goes through
    #[value(name = "firewall-10")]
    Firewall10,
    /// 100 rules
    #[value(name = "firewall-100")]
    Firewall100,
    /// 1000 rules
    #[value(name = "firewall-1000")]
    Firewall1000,
}
