//! Building labs and taking them away.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::cli::target::complete_labs;

/// A lab file and the values of its variables.
#[derive(Debug, Default, Args)]
pub struct FileArgs {
    /// The lab file, or what `nslab import` takes [default: lab.yaml of this directory]
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// A shape instead of a file: single,K linear,K[,N] tree,DEPTH,FANOUT torus,X,Y ring,K mesh,K fat-tree,K
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["file", "set"])]
    pub topo: Option<String>,
    /// Give a variable of the lab file another value
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// Give the lab another name
    #[arg(long, value_name = "LAB")]
    pub name: Option<String>,
}

/// `nslab up`.
#[derive(Debug, Args)]
pub struct Up {
    /// What to build
    #[command(flatten)]
    pub file: FileArgs,
    /// Begin a lab with nothing in it
    #[arg(long, value_name = "LAB", conflicts_with_all = ["file", "set", "name", "topo"])]
    pub empty: Option<String>,
    /// Then ping every pair
    #[arg(long)]
    pub ping: bool,
    /// Then check what the file expects, as `nslab test` does
    #[arg(long, conflicts_with = "empty")]
    pub test: bool,
}

/// `nslab plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// What to plan
    #[command(flatten)]
    pub file: FileArgs,
    /// As a shell script of ip(8) and sysctl(8) commands
    #[arg(long, conflicts_with = "json")]
    pub shell: bool,
    /// As if nothing of the lab existed
    #[arg(long)]
    pub fresh: bool,
}

/// `nslab down`.
#[derive(Debug, Args)]
pub struct Down {
    /// The lab [default: that of lab.yaml, or the only one]
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
    /// All labs
    #[arg(long, conflicts_with = "lab")]
    pub all: bool,
}

/// `nslab ls`.
#[derive(Debug, Args)]
pub struct Ls {
    /// One lab's nodes instead of all labs
    #[arg(add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub lab: Option<String>,
}

pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is wanted".to_owned()),
    }
}
