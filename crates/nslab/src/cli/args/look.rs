//! Looking at labs and their nodes.

use std::net::IpAddr;

use clap::Args;

use crate::cli::target::{complete_labs, complete_nodes};

/// `nslab show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A lab, a node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME` [default: the lab]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: Option<String>,
    /// Show its firewall and address translation: what each line of the lab file did, and the tables of others
    #[arg(long)]
    pub firewall: bool,
}

/// `nslab logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// One node's programs (NODE or LAB/NODE), or a lab's
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub target: Option<String>,
    /// One program
    pub program: Option<String>,
    /// Only the last lines
    #[arg(short = 'n', long = "tail", value_name = "LINES")]
    pub tail: Option<usize>,
    /// Go on as more comes, until the programs end
    #[arg(short, long)]
    pub follow: bool,
}

/// `nslab ping`.
#[derive(Debug, Args)]
pub struct Ping {
    /// Who sends (NODE or LAB/NODE) [default: every node]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub source: Option<String>,
    /// Who is to answer: a node or an address [default: every other node]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub destination: Option<String>,
    /// The lab, where more than one runs
    #[arg(long, add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// How many requests to each [default: 1, for one pair 4]
    #[arg(short = 'c', long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: Option<u32>,
    /// Seconds between requests to the same destination
    #[arg(short, long, default_value = "1", value_parser = seconds)]
    pub interval: std::time::Duration,
    /// Bytes of payload
    #[arg(short, long, default_value_t = 56, value_parser = clap::value_parser!(u16).range(..=65_467))]
    pub size: u16,
    /// Seconds to wait for an answer
    #[arg(short = 'W', long, default_value = "1", value_parser = seconds)]
    pub timeout: std::time::Duration,
    /// Forbid fragmentation
    #[arg(long = "df")]
    pub dont_fragment: bool,
    /// Hops that a request may take
    #[arg(short, long, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6')]
    pub ipv6: bool,
    /// Send from this address
    #[arg(long, value_name = "ADDRESS", requires = "source")]
    pub from: Option<IpAddr>,
}

pub(super) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("0 to 86400 seconds are wanted".to_owned());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}
