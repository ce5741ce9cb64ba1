//! Watching one packet.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::explain::{Explain, mark};
use crate::cli::target::complete_nodes;

/// `nslab trace`.
#[derive(Debug, Args)]
pub struct Trace {
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
    /// Bytes of payload, at least 8 [default: 56 of ICMP echo, else 8]
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
    /// Seconds to wait for whatever happens
    #[arg(short = 'W', long, default_value = "0.9", value_parser = super::look::seconds)]
    pub wait: Duration,
    /// Exit status 1 also if the packet was delivered, but not as predicted
    #[arg(long)]
    pub strict: bool,
    /// Do not trace rules: nothing is made in any namespace
    #[arg(long)]
    pub no_rules: bool,
    /// Write all sightings to a file, as pcapng
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub pcapng: Option<PathBuf>,
}

impl Trace {
    /// The same question for a prediction.
    pub fn question(&self) -> Explain {
        Explain {
            source: self.source.clone(),
            destination: self.destination.clone(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            from: self.from,
            sport: self.sport,
            size: self.size,
            dont_fragment: self.dont_fragment,
            ttl: self.ttl,
            mark: self.mark,
            established: false,
            short: false,
            snapshot: None,
        }
    }
}
