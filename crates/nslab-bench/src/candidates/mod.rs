//! What is measured: ways to build a network and to take it away.

mod floor;
mod ip;
mod nslab;
mod peers;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::floor::Tricks;
use crate::shape::Shape;

pub use self::floor::FloorCandidate;
pub use self::ip::{Batched, Loop};
pub use self::nslab::Nslab;

/// A way to build networks. Every call but [`prepare`](Candidate::prepare) is timed as a whole.
pub trait Candidate {
    /// Writes the files it will need. Not timed.
    fn prepare(&mut self, shape: Shape) -> Result<()>;
    /// Builds the network; returns when it is usable.
    fn up(&mut self, shape: Shape) -> Result<()>;
    /// Takes it away; returns when the tool says that it is done.
    fn down(&mut self) -> Result<()>;
}

/// Where the measured programs are and files may be written.
#[derive(Debug, Clone)]
pub struct Places {
    /// The nslab binary.
    pub nslab: PathBuf,
    /// The Python that has pyroute2 and Mininet.
    pub python: PathBuf,
    /// A directory of this run's own.
    pub work: PathBuf,
}

/// All there are, in the order in which they take turns.
pub const NAMES: [&str; 8] =
    ["floor", "floor2", "nslab", "ip-loop", "ip-batch", "pyroute2", "mininet", "nlink-lab"];

/// The candidate of this name, or why it cannot be measured here. `floor:TRICK+TRICK` names a floor with tricks.
pub fn named(name: &str, places: &Places) -> Result<Result<Box<dyn Candidate>, String>> {
    let work = &places.work;
    let missing = |program: &str| Err(format!("{program} is not installed"));
    let floor = |tricks| Ok(Box::new(FloorCandidate::new(tricks, work)) as Box<dyn Candidate>);
    Ok(match name.split_once(':').unwrap_or((name, "")) {
        ("floor", "") => floor(Tricks::NONE),
        ("floor2", "") => floor(Tricks::BEST),
        ("floor", tricks) => floor(tricks.split('+').try_fold(Tricks::NONE, Tricks::with)?),
        ("floor2", tricks) => floor(tricks.split('+').try_fold(Tricks::BEST, Tricks::with)?),
        ("nslab", "") => match crate::process::run(&places.nslab, &["--version"]) {
            Ok(()) => Ok(Box::new(Nslab::new(&places.nslab, work))),
            Err(error) => Err(format!("{} does not run: {error}", places.nslab.display())),
        },
        ("ip-loop" | "ip-batch", "") if !on_path("ip") => missing("ip"),
        ("ip-loop", "") => Ok(Box::new(Loop::new(work))),
        ("ip-batch", "") => Ok(Box::new(Batched::new(work))),
        ("pyroute2", "") => peers::pyroute2(&places.python, work),
        ("mininet", "") if !on_path("mnexec") => missing("Mininet's mnexec"),
        ("mininet", "") => peers::mininet(&places.python, work),
        ("nlink-lab", "") if !on_path("nlink-lab") => missing("nlink-lab"),
        ("nlink-lab", "") => Ok(Box::new(peers::NlinkLab::new(work))),
        _ => {
            return Err(Error::Usage(format!(
                "no candidate {name:?}; there are {}, and floor:TRICK+TRICK of {}",
                NAMES.join(", "),
                Tricks::NAMES.join(", ")
            )));
        }
    })
}

/// Whether there is such a program.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Writes a file of a candidate's.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    use crate::error::Doing;
    std::fs::write(path, text).doing(|| format!("write {}", path.display()))
}
