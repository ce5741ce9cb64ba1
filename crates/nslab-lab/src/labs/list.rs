//! What labs there are.

use serde::Serialize;

use super::Labs;
use crate::error::Result;
use crate::journal::Past;
use crate::lock::Lock;
use crate::pins;
use crate::state::State;

/// A lab in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// Its nodes by name; none if it was never wholly built.
    pub nodes: Vec<String>,
    /// Its switches by name.
    pub switches: Vec<String>,
    /// How many cables it has.
    pub links: usize,
    /// When it was first built, in seconds since 1970.
    pub created: Option<u64>,
    /// The lab file it came from.
    pub file: Option<std::path::PathBuf>,
}

/// How a lab is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was built and nobody is changing it.
    Running,
    /// Somebody is changing it just now.
    Changing,
    /// A change was interrupted; `up` completes it, `down` takes the lab away.
    Interrupted,
}

impl Labs<'_> {
    /// All labs by name.
    pub fn list(&self) -> Result<Vec<Summary>> {
        let names = self.paths.labs().map_err(|source| crate::error::Error::Io {
            action: format!("read {}", self.paths.state.display()),
            source,
        })?;
        let mut labs = Vec::with_capacity(names.len());
        for name in names {
            labs.push(self.summary(name)?);
        }
        Ok(labs)
    }

    fn summary(&self, name: String) -> Result<Summary> {
        let paths = self.lab(&name);
        let held = Lock::is_held(paths.root())?;
        let interrupted = Past::read(&paths.journal())?.is_none_or(|past| past.interrupted);
        let status = match (held, interrupted) {
            (true, _) => Status::Changing,
            (false, true) => Status::Interrupted,
            (false, false) => Status::Running,
        };
        // A state that cannot be read must not hide the lab.
        let state = State::read(&paths).ok().flatten();
        let topology = state.as_ref().map(|state| &state.topology);
        Ok(Summary {
            name,
            status,
            nodes: match topology {
                Some(topology) => topology.nodes.iter().map(|node| node.name.clone()).collect(),
                None => pins::list(&paths)?,
            },
            switches: topology
                .iter()
                .flat_map(|all| &all.switches)
                .map(|switch| switch.name.clone())
                .collect(),
            links: topology.map_or(0, |topology| topology.links.len()),
            created: state.as_ref().map(|state| state.created),
            file: state.and_then(|state| state.file),
        })
    }
}
