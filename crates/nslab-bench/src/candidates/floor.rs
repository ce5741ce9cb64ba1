//! The floor, with or without tricks, as a candidate.

use std::path::{Path, PathBuf};

use super::Candidate;
use crate::error::Result;
use crate::floor::{Floor, Tricks};
use crate::shape::Shape;

/// The floor. Runs inside this process: it has no start-up to pay for.
#[derive(Debug)]
pub struct FloorCandidate {
    tricks: Tricks,
    directory: PathBuf,
    built: Option<Floor>,
}

impl FloorCandidate {
    /// With its pins below a directory.
    pub fn new(tricks: Tricks, work: &Path) -> Self {
        Self { tricks, directory: work.join("pins"), built: None }
    }
}

impl Candidate for FloorCandidate {
    fn prepare(&mut self, _: Shape) -> Result<()> {
        Ok(())
    }

    fn up(&mut self, shape: Shape) -> Result<()> {
        self.built = Some(Floor::build(shape, self.tricks, &self.directory)?);
        Ok(())
    }

    fn down(&mut self) -> Result<()> {
        self.built.take().map_or(Ok(()), Floor::remove)
    }
}
