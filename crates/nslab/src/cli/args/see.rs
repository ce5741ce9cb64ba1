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
