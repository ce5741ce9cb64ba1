//! Seeing packets.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};

use crate::cli::target::{complete_labs, complete_nodes};

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// In.
    In,
    /// Out.
    Out,
    /// Either.
    Inout,
}

/// `nslab capture`.
#[derive(Debug, Args)]
pub struct Capture {
    /// Where: NODE, LAB/NODE, `host`, `netns:NAME`, `pid:N` or `container:NAME`, each with :INTERFACE if it is to be one
    /// alone [default: every node and switch of the lab]
    #[arg(value_name = "TARGET", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub targets: Vec<String>,
    /// The lab, where more than one runs
    #[arg(long, conflicts_with_all = ["targets", "all"], add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// Every namespace of this host, also those that come while it runs
    #[arg(long, conflicts_with = "targets")]
    pub all: bool,
    /// Only packets for which this holds, as `tcp port 80 and host 10.0.0.2` (pcap-filter(7)); the kernel sorts them out
    #[arg(short, long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Only packets that come in at an interface, or that go out, as tcpdump has it
    #[arg(
        short = 'Q',
        long,
        value_name = "WAY",
        conflicts_with = "follow",
        default_value = "inout",
        hide_default_value = true
    )]
    pub direction: Direction,
    /// Write packets to a file, as pcapng; `-` is standard output
    #[arg(short = 'w', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub write: Option<PathBuf>,
    /// Show packets although they are written to a file
    #[arg(long)]
    pub print: bool,
    /// One line for each packet: all places where it was seen, also behind NAT, and what became of it
    #[arg(long, conflicts_with_all = ["hex", "hex_and_text", "link"])]
    pub follow: bool,
    /// What is in tunnels of VXLAN, Geneve and GRE in place of the tunnels' packets
    #[arg(long)]
    pub decap: bool,
    /// End after so many packets; with --follow, after so many lines
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Keep so many bytes of each packet [default: 262144]
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(..=262_144))]
    pub snaplen: Option<u32>,
    /// Numbers in place of the names of ports
    #[arg(short = 'n', action = ArgAction::Count)]
    pub numeric: u8,
    /// More of each packet: -v, -vv, -vvv
    #[arg(short, action = ArgAction::Count)]
    pub verbose: u8,
    /// With the link-layer header
    #[arg(short = 'e')]
    pub link: bool,
    /// With the bytes, as hexadecimal; twice: with those of the link-layer header
    #[arg(short = 'x', action = ArgAction::Count)]
    pub hex: u8,
    /// With the bytes, as hexadecimal and as text; twice: with those of the link-layer header
    #[arg(short = 'X', action = ArgAction::Count, conflicts_with = "hex")]
    pub hex_and_text: u8,
    /// Another time: -t none, -tt seconds since 1970, -ttt since the last packet, -tttt with the date, -ttttt since the first
    #[arg(short = 't', action = ArgAction::Count)]
    pub time: u8,
    /// Begin another file after so many millions of bytes; its name gets a number
    #[arg(short = 'C', value_name = "MB", requires = "write", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub size: Option<u32>,
    /// Begin another file after so many seconds; FILE may have the time in it, as in strftime(3)
    #[arg(short = 'G', value_name = "SECONDS", requires = "write", value_parser = clap::value_parser!(u32).range(1..))]
    pub age: Option<u32>,
    /// So many files: with -C they are written over in turn, with -G alone it ends after them
    #[arg(short = 'W', value_name = "FILES", requires = "write", value_parser = clap::value_parser!(u32).range(1..))]
    pub files: Option<u32>,
    /// Memory for each namespace's packets that wait to be read, in KiB [default: 2048 to 32768]
    #[arg(short = 'B', long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pub buffer: Option<u32>,
    /// Capture while this program runs, which is started here once all is ready; its exit status is nslab's
    #[arg(last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<std::ffi::OsString>,
}
