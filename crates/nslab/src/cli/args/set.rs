//! Links made worse and better.

use clap::{Args, ValueHint};

use super::edit::LabArg;
use crate::cli::target::complete_labs;

/// `nslab set`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct Set {
    /// NODE:INTERFACE, a link as 'NODE -- NODE', or the way between two nodes of one switch; 'NODE -> NODE' is one
    /// direction
    #[arg(required = true)]
    pub link: Vec<String>,
    /// Which lab
    #[command(flatten)]
    pub lab: LabArg,
    /// How long packets are held, as 50ms
    #[arg(long, value_name = "TIME", group = "what")]
    pub delay: Option<String>,
    /// By how much that varies to either side, as 5ms, or '5ms 25%' with a correlation
    #[arg(long, value_name = "TIME", group = "what")]
    pub jitter: Option<String>,
    /// How it is spread: uniform, normal, pareto or paretonormal
    #[arg(long, value_name = "NAME", group = "what")]
    pub distribution: Option<String>,
    /// Packets that are lost, as 1%, or '1% 25%' with a correlation, as the three that follow
    #[arg(long, value_name = "SHARE", group = "what")]
    pub loss: Option<String>,
    /// Packets that come twice
    #[arg(long, value_name = "SHARE", group = "what")]
    pub duplicate: Option<String>,
    /// Packets that overtake those that are held
    #[arg(long, value_name = "SHARE", group = "what")]
    pub reorder: Option<String>,
    /// Packets with one bit turned over
    #[arg(long, value_name = "SHARE", group = "what")]
    pub corrupt: Option<String>,
    /// Bits in a second, as 10mbit, or none
    #[arg(long, value_name = "RATE", group = "what")]
    pub rate: Option<String>,
    /// Take all of these away, before what is given besides
    #[arg(long, group = "what")]
    pub clear: bool,
    /// Bring it up
    #[arg(long, group = "what", conflicts_with = "down")]
    pub up: bool,
    /// Take it down
    #[arg(long, group = "what")]
    pub down: bool,
    /// Bytes of layer 3 that it carries
    #[arg(long, value_name = "BYTES", group = "what")]
    pub mtu: Option<u32>,
}

/// `nslab play`.
#[derive(Debug, Args)]
pub struct Play {
    /// A lab file whose timeline is played on the lab that runs, or a lab [default: the lab]
    #[arg(value_hint = ValueHint::FilePath, add = clap_complete::ArgValueCandidates::new(complete_labs))]
    pub what: Option<String>,
    /// What random numbers begin with [default: the lab file's `seed`, else chance]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// So many times as fast
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed)]
    pub speed: f64,
    /// Leave links as the timeline leaves them
    #[arg(long)]
    pub keep: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    if !(0.001..=1000.0).contains(&factor) {
        return Err("0.001 to 1000 is wanted".to_owned());
    }
    Ok(factor)
}
