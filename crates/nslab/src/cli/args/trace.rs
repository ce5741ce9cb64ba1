//! Watching one packet.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::explain::{Explain, mark};
use crate::cli::error::CliError;
use crate::cli::target::{complete_labs, complete_nodes};

/// `nslab trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// Who sends: a node (NODE or LAB/NODE), `host`, `netns:NAME`, `pid:N` or `container:NAME`
    #[arg(value_name = "SRC", required_unless_present = "listen", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub source: Option<String>,
    /// To whom: an address, or one of those as well; then what: `:80/tcp`, `:53/udp`, `/47` [default: ICMP echo]
    #[arg(value_name = "DST[:PORT/PROTO]", required_unless_present = "listen", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub destination: Option<String>,
    /// With --listen: more of them
    #[arg(value_name = "TARGET", requires = "listen", hide = true, add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub more: Vec<String>,
    /// Send nothing: trace packets of others for which this holds, as `tcp port 80 and host 10.0.0.2` (pcap-filter(7)), in the
    /// TARGETs that are named, `red:eth0` for one interface, else in every node and switch of the lab, also those that come
    #[arg(long, value_name = "EXPR", conflicts_with_all = ["ipv4", "ipv6", "from", "sport", "size", "dont_fragment", "ttl", "mark", "wait"])]
    pub listen: Option<String>,
    /// With --listen: the lab, where more than one runs
    #[arg(long, requires = "listen", conflicts_with_all = ["source", "all"], add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// With --listen: every namespace of this host, also those that come
    #[arg(long, requires = "listen", conflicts_with = "source")]
    pub all: bool,
    /// With --listen: end after so many packets
    #[arg(short, long, value_name = "N", requires = "listen", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// With --listen: of at most so many packets a second rules are traced in each namespace [default: 1000, and none where EXPR names no
    /// protocol, host or port]
    #[arg(long, value_name = "N", requires = "listen", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: Option<u32>,
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
    /// Exit status 1 also if the packet was delivered, but not as predicted; with --listen, if any packet was not as predicted
    #[arg(long)]
    pub strict: bool,
    /// Of TCP: make a whole connection and close it, rather than reset it once it is made, and show its other segments as well; exit status
    /// 1 also if it is reset, or nobody acknowledges its end
    #[arg(long, conflicts_with = "listen")]
    pub connect: bool,
    /// Do not trace rules: nothing is made in any namespace
    #[arg(long)]
    pub no_rules: bool,
    /// Write all sightings to a file, as pcapng
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub pcapng: Option<PathBuf>,
    /// With --listen: trace while this program runs, which is started here once all is ready; its exit status is nslab's
    #[arg(last = true, value_name = "CMD", requires = "listen", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<std::ffi::OsString>,
}

impl Trace {
    /// Who sends to whom.
    pub fn pair(&self) -> Result<(&str, &str), CliError> {
        match (&self.source, &self.destination) {
            (Some(source), Some(destination)) => Ok((source, destination)),
            _ => Err(CliError::bad_input("who sends, and to whom?").hint("nslab trace SRC DST")),
        }
    }

    /// Where to listen.
    pub fn targets(&self) -> Vec<String> {
        self.source.iter().chain(&self.destination).chain(&self.more).cloned().collect()
    }

    /// The same question for a prediction.
    pub fn question(&self, source: &str, destination: &str) -> Explain {
        Explain {
            source: source.to_owned(),
            destination: destination.to_owned(),
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
