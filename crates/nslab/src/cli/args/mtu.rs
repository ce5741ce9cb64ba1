//! Path MTU.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Explain;
use super::look::seconds;
use crate::cli::target::complete_nodes;

/// `nslab mtu`.
#[derive(Debug, Args)]
pub struct Mtu {
    /// Who sends: a node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME`
    #[arg(value_name = "SRC", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub source: String,
    /// To whom: an address, or one of those as well; then what: `:80/tcp`, `:53/udp` [default: ICMP echo]
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
    /// Seconds to wait for a first answer; how long later ones are waited for follows from how long that took
    #[arg(short = 'W', long, default_value = "1", value_parser = seconds)]
    pub timeout: Duration,
    /// Send nothing
    #[arg(long)]
    pub predict: bool,
    /// Look at a saved snapshot instead of this host; nothing is sent
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
}

impl Mtu {
    /// The packet that is asked about, as `explain` asks for it.
    pub(in crate::cli) fn as_explain(&self) -> Explain {
        Explain {
            source: self.source.clone(),
            destination: self.destination.clone(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            from: self.from,
            sport: None,
            size: None,
            dont_fragment: true,
            ttl: None,
            mark: None,
            established: false,
            short: false,
            snapshot: self.snapshot.clone(),
        }
    }
}
