//! Lab files out of something else, and files for the surroundings.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use crate::cli::target::complete_nodes;

/// `nslab export`.
#[derive(Debug, Args)]
pub struct Export {
    /// A running lab; or namespaces, whoever made them: `netns:NAME`, `container:NAME`, `pid:N`, NODE, LAB/NODE, `host`
    /// [default: the lab of lab.yaml, or the only one]
    #[arg(value_name = "LAB|TARGET", add = clap_complete::ArgValueCandidates::new(complete_nodes))]
    pub targets: Vec<String>,
    /// Every namespace of this host, and what of its own one joins them
    #[arg(long, conflicts_with_all = ["targets", "topo"])]
    pub host: bool,
    /// Namespaces of a saved snapshot instead of this host's; all of them unless some are named
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "topo")]
    pub snapshot: Option<PathBuf>,
    /// As a shell script of ip(8) and sysctl(8) commands
    #[arg(long)]
    pub shell: bool,
    /// With every name, MAC, address and route written out
    #[arg(long, conflicts_with = "shell")]
    pub resolved: bool,
    /// A shape instead of a running lab, as `nslab up --topo` takes it
    #[arg(long, value_name = "SHAPE", conflicts_with = "targets")]
    pub topo: Option<String>,
    /// Give the lab of a shape, or of namespaces, another name [default: the machine's]
    #[arg(long, value_name = "LAB")]
    pub name: Option<String>,
}

/// `nslab import`.
#[derive(Debug, Args)]
pub struct Import {
    /// A containerlab topology file (*.clab.yml), or the directory of a Kathará lab
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Write the lab file there instead of to standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Carry over all commands, also those that were meant for a container's own files
    #[arg(long)]
    pub run_all: bool,
    /// Put a plain router in the place of each node that needs an image
    #[arg(long)]
    pub stand_ins: bool,
    /// Give the lab another name
    #[arg(long, value_name = "LAB")]
    pub name: Option<String>,
}

/// `nslab completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: ShellName,
}

/// A shell that completions can be written for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ShellName {
    /// bash
    Bash,
    /// elvish
    Elvish,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// zsh
    Zsh,
}

/// `nslab man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write one page for each command into this directory
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}
