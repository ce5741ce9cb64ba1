//! Commands that look at the whole host.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::target::complete_labs;

/// `nslab scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// Look at a saved snapshot instead of this host
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
}

/// `nslab doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Only faults that concern this lab
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// Look at a saved snapshot instead of this host
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Whether this machine has what labs need: kernel, user namespaces, limits, firewall
    #[arg(long, conflicts_with_all = ["lab", "snapshot"])]
    pub host: bool,
}

/// `nslab reach`.
#[derive(Debug, Args)]
pub struct Reach {
    /// Labs or namespaces; without, the lab that runs, or of a snapshot all that have a name
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub targets: Vec<String>,
    /// What is asked for: icmp, tcp/PORT or udp/PORT; several with commas
    #[arg(short, long, value_name = "SERVICE", value_delimiter = ',', default_value = "icmp")]
    pub service: Vec<nslab_predict::reach::Service>,
    /// Ask for IPv4 addresses
    #[arg(short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Ask for IPv6 addresses
    #[arg(short = '6')]
    pub ipv6: bool,
    /// One line for each pair, with commas between
    #[arg(long, conflicts_with_all = ["diff", "expect"])]
    pub csv: bool,
    /// Show only who gained or lost since this snapshot, and why
    #[arg(long, value_name = "OLD", conflicts_with = "expect")]
    pub diff: Option<PathBuf>,
    /// Hold it against the `expect:` of a lab file
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Look at a saved snapshot instead of this host
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
}

/// `nslab snapshot`.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Read every namespace of this host into a file
    #[command(after_help = "The file is for you alone to read: it tells much of the host.\n\nExamples:\n  \
                            nslab snapshot save host.nslab\n  nslab scan --snapshot host.nslab")]
    Save {
        /// The file, which is replaced once the new one is whole
        file: PathBuf,
        /// The tracked connections too
        #[arg(long)]
        connections: bool,
    },
}
