//! Watching packets die.

use clap::{ArgAction, Args, ValueHint};

use crate::cli::target::{complete_labs, complete_nodes};

/// `nslab drops`.
#[derive(Debug, Args)]
pub struct Drops {
    /// Where: NODE, LAB/NODE, `host`, `netns:NAME`, `pid:N` or `container:NAME`, each with :INTERFACE if it is to be one
    /// alone [default: everywhere on this machine]
    #[arg(value_name = "TARGET", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub targets: Vec<String>,
    /// Every node and switch of this lab, also those that come while it runs
    #[arg(long, conflicts_with = "targets", add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// Also what is no fault: answers to ping that a program has read already, multicast that nobody joined, and the like
    #[arg(long, short)]
    pub all: bool,
    /// Only packets for which this holds, as `tcp port 80 and host 10.0.0.2` (pcap-filter(7))
    #[arg(short, long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// End after so many packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Numbers in place of the names of ports
    #[arg(short = 'n', action = ArgAction::Count)]
    pub numeric: u8,
    /// More of each packet: -v, -vv, -vvv
    #[arg(short, action = ArgAction::Count)]
    pub verbose: u8,
    /// With the link-layer header
    #[arg(short = 'e')]
    pub link: bool,
    /// Another time: -t none, -tt seconds since 1970, -ttt since the last packet, -tttt with the date, -ttttt since the first
    #[arg(short = 't', action = ArgAction::Count)]
    pub time: u8,
    /// Memory for drops that wait to be read, in KiB
    #[arg(short = 'B', long, value_name = "KIB", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub buffer: u32,
    /// Watch while this program runs, which is started here once all is ready; its exit status is nslab's
    #[arg(last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<std::ffi::OsString>,
}
