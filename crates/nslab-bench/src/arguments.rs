//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::candidates::{NAMES, Places};
use crate::error::Result;
use crate::floor::Tricks;
use crate::shape::{FatTree, Shape};
use crate::up::Plan;
use crate::{barrier, capture, converge, firewall, growth, joining, overhead, sandbox, see, start, up};

/// Measures nslab beside the kernel's own floor and beside other tools
#[derive(Debug, Parser)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// How often each is measured, after one round that does not count
    #[arg(long, global = true)]
    runs: Option<usize>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
    /// The nslab binary
    #[arg(long, global = true, default_value = "target/release/nslab")]
    nslab: PathBuf,
    /// The Python that has pyroute2 and Mininet
    #[arg(long, global = true, default_value = "python3")]
    python: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Networks built and taken away
    Up {
        /// Stars of so many hosts (at most 1023, the most ports that a bridge has)
        #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
        n: Vec<usize>,
        /// A full mesh of so many routers; 0 for none
        #[arg(long, default_value_t = 60)]
        mesh: usize,
        /// A fat-tree of routers with so many ports, beside the floor only; 0 for none
        #[arg(long, default_value_t = 8)]
        fat_tree: usize,
        /// Just these candidates, the first being what the others are held against; floor:TRICK+TRICK is one
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Seconds after which a candidate sits out the rest of a shape's runs
        #[arg(long, default_value_t = 60)]
        budget: u64,
        /// After each build, wait so many seconds and take the machine's soft interrupt time in them
        #[arg(long)]
        settle: Option<u64>,
    },
    /// What each trick that could beat the floor buys, alone and missing from all together
    Tricks {
        /// Stars of so many hosts
        #[arg(long, value_delimiter = ',', default_value = "100,1000")]
        n: Vec<usize>,
        /// After each build, wait so many seconds and take the machine's soft interrupt time in them
        #[arg(long)]
        settle: Option<u64>,
    },
    /// What each host costs as they grow in number, and which step grows
    Growth {
        /// Stars of so many hosts
        #[arg(long, value_delimiter = ',', default_value = "100,200,500,1000")]
        n: Vec<usize>,
        /// Just these candidates
        #[arg(long, value_delimiter = ',', default_value = "floor,floor2,nslab")]
        only: Vec<String>,
    },
    /// A running star brought to an edited lab file
    Converge {
        /// Of so many hosts
        #[arg(long, default_value_t = 1000)]
        n: usize,
    },
    /// A program started in a node
    Exec {
        /// Among so many nodes
        #[arg(long, default_value_t = 10)]
        n: usize,
    },
    /// Every pair of a star
    Ping {
        /// Of so many hosts
        #[arg(long, default_value_t = 100)]
        n: usize,
    },
    /// A large firewall loaded, beside `nft -f` of the same
    Firewall {
        /// Of so many rules
        #[arg(long, default_value_t = 1000)]
        rules: usize,
        /// And a set of so many prefixes
        #[arg(long, default_value_t = 100_000)]
        prefixes: usize,
    },
    /// A host looked at: a snapshot, one packet explained, all pairs
    See {
        /// Of so many hosts, in three segments around a firewall
        #[arg(long, value_delimiter = ',', default_value = "100,300,1000,3000")]
        n: Vec<usize>,
    },
    /// Packets captured while they flood a network, beside tcpdump and dumpcap
    Capture {
        /// On so many interfaces: 1, 6 (four namespaces in a row), or a star of so many hosts
        #[arg(long, value_delimiter = ',', default_value = "1,6,300")]
        n: Vec<usize>,
        /// So many packets a second; 0 for as many as can be sent
        #[arg(long, value_delimiter = ',', default_value = "50000,100000,200000,0")]
        pace: Vec<u64>,
        /// For so many seconds
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// A star built and taken away while all namespaces are captured in
    Joining {
        /// Of so many hosts
        #[arg(long, default_value_t = 1000)]
        n: usize,
    },
    /// Traffic that nobody asked about, while nslab watches for other packets
    Overhead {
        /// For so many seconds each
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
    },
    /// Loads a firewall; the measured half of `firewall`
    #[command(hide = true, name = firewall::LOAD)]
    LoadFirewall {
        /// Of so many rules
        rules: usize,
        /// And a set of so many prefixes
        prefixes: usize,
    },
    /// Programs that do nothing
    Start,
    /// How long waiting for the kernel takes where there is nothing to wait for: the error of "kernel finished"
    Barrier,
}

impl Arguments {
    /// Whether this is a measured process, which stays in the place that it was started in.
    pub fn is_measured(&self) -> bool {
        matches!(self.command, Command::LoadFirewall { .. })
    }

    /// Does what they say.
    pub fn run(self) -> Result<()> {
        let Common { runs, json, nslab, python } = self.common;
        let places = Places { nslab, python, work: PathBuf::from(sandbox::WORK) };
        let stars = |sizes: &[usize]| sizes.iter().map(|&hosts| Shape::Star { hosts }).collect::<Vec<_>>();
        match self.command {
            Command::Up { n, mesh, fat_tree, only, budget, settle } => {
                let mut shapes = stars(&n);
                shapes.extend((mesh > 1).then_some(Shape::Mesh { routers: mesh }));
                let candidates = if only.is_empty() { NAMES.map(str::to_owned).to_vec() } else { only };
                let budget = Duration::from_secs(budget);
                let settle = settle.map(Duration::from_secs);
                shapes.extend((fat_tree > 1).then_some(Shape::FatTree(FatTree { k: fat_tree / 2 * 2 })));
                report(&Plan { shapes, candidates, runs: runs.unwrap_or(5), budget, settle }, &places, json)
            }
            Command::Tricks { n, settle } => {
                let plan = Plan {
                    shapes: stars(&n),
                    candidates: trick_candidates(),
                    runs: runs.unwrap_or(5),
                    budget: Duration::from_secs(120),
                    settle: settle.map(Duration::from_secs),
                };
                report(&plan, &places, json)
            }
            Command::Growth { n, only } => growth::run(&n, runs.unwrap_or(3), &only, &places, json),
            Command::Converge { n } => converge::run(runs.unwrap_or(5), n, &places, json),
            Command::Exec { n } => start::exec(runs.unwrap_or(50), n, &places, json),
            Command::Ping { n } => start::ping(runs.unwrap_or(5), n, &places, json),
            Command::Firewall { rules, prefixes } => {
                firewall::run(rules, prefixes, runs.unwrap_or(5), &places.work, json)
            }
            Command::See { n } => see::run(&n, runs.unwrap_or(5), &places, json),
            Command::Capture { n, pace, seconds } => {
                capture::run(&n, &pace, seconds, runs.unwrap_or(3), &places, json)
            }
            Command::Joining { n } => joining::run(runs.unwrap_or(5), n, &places, json),
            Command::Overhead { seconds } => overhead::run(seconds, runs.unwrap_or(7), &places, json),
            Command::LoadFirewall { rules, prefixes } => firewall::load(rules, prefixes),
            Command::Start => start::start(runs.unwrap_or(50), &places, json),
            Command::Barrier => idle_barrier(runs.unwrap_or(50)),
        }
    }
}

fn report(plan: &Plan, places: &Places, json: bool) -> Result<()> {
    let outcomes = up::measure(plan, places, |outcome| {
        if !json {
            up::print(outcome);
        }
    })?;
    if json {
        println!("{:#}", serde_json::json!(outcomes));
    }
    Ok(())
}

fn trick_candidates() -> Vec<String> {
    let alone = Tricks::NAMES.iter().map(|name| format!("floor:{name}"));
    let added = Tricks::NAMES
        .iter()
        .filter(|name| Tricks::BEST.with(name).is_ok_and(|tricks| tricks != Tricks::BEST));
    let added = added.map(|name| format!("floor2:{name}"));
    std::iter::once("floor".to_owned()).chain(alone).chain(["floor2".to_owned()]).chain(added).collect()
}

fn idle_barrier(runs: usize) -> Result<()> {
    let mut barrier = barrier::Barrier::start()?;
    let mut samples = crate::stats::Samples::default();
    for _ in 0..runs {
        samples.push(barrier.wait()?);
    }
    println!("waiting for nothing: {} ms", samples.display());
    Ok(())
}
