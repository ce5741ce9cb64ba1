//! Predicting.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::target::complete_nodes;

/// `nslab explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Who sends: a node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME`
    #[arg(value_name = "SRC", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub source: String,
    /// To whom: an address, or one of those as well; then what: `:80/tcp`, `:53/udp`, `/47` [default: ICMP echo]
    #[arg(value_name = "DST[:PORT/PROTO]", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub destination: String,
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6')]
    pub ipv6: bool,
    /// Send from this address [default: as the kernel chooses]
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// The sender's port [default: one of those that clients get]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub sport: Option<u16>,
    /// Bytes of payload [default: 56 of ICMP echo, else 0]
    #[arg(short, long)]
    pub size: Option<u16>,
    /// It may not be fragmented; TCP and IPv6 never are
    #[arg(long = "df")]
    pub dont_fragment: bool,
    /// Hops that it may take [default: as the sender's namespace has it]
    #[arg(short, long, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,
    /// The mark that its socket puts on it, as 7 or 0x7
    #[arg(long, value_parser = mark)]
    pub mark: Option<u32>,
    /// It belongs to a connection that firewalls have seen both ways
    #[arg(long)]
    pub established: bool,
    /// One line: the verdict and its cause
    #[arg(long, conflicts_with = "json")]
    pub short: bool,
    /// Look at a saved snapshot instead of this host
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
}

/// `nslab schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Whose
    #[arg(value_enum)]
    pub command: SchemaOf,
}

/// Commands whose JSON has a schema.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SchemaOf {
    /// `nslab explain --json`
    Explain,
    /// `nslab doctor --json`
    Doctor,
    /// `nslab doctor --host --json`
    DoctorHost,
    /// `nslab reach --json`
    Reach,
    /// `nslab reach --diff --json`
    ReachDiff,
    /// `nslab reach --expect --json`
    ReachExpect,
    /// `nslab bench --json`
    Bench,
    /// `nslab mtu --json`
    Mtu,
    /// `nslab test --json`
    Test,
    /// `nslab trace --json`
    Trace,
    /// `nslab trace --listen --json`, of each line
    TraceListen,
    /// `nslab capture --json`, of each line
    Capture,
    /// `nslab drops --json`, of each line
    Drops,
    /// `nslab export --json` of namespaces
    Export,
}

pub(super) fn mark(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a number of 32 bits is wanted, as 7 or 0x7".to_owned())
}
