//! nslab itself, as whole processes.

use std::path::{Path, PathBuf};

use super::Candidate;
use crate::error::Result;
use crate::process;
use crate::shape::Shape;

/// `nslab up FILE` and `nslab down LAB`.
#[derive(Debug)]
pub struct Nslab {
    program: PathBuf,
    file: PathBuf,
    lab: String,
}

impl Nslab {
    /// That binary.
    pub fn new(program: &Path, work: &Path) -> Self {
        Self { program: program.to_owned(), file: work.join("lab.yaml"), lab: String::new() }
    }

    /// The name of the lab that `prepare` wrote.
    pub fn lab(&self) -> &str {
        &self.lab
    }
}

impl Candidate for Nslab {
    fn prepare(&mut self, shape: Shape) -> Result<()> {
        self.lab = format!("bench-{}", shape.name());
        super::write(&self.file, &shape.lab_file(&self.lab))
    }

    fn up(&mut self, _: Shape) -> Result<()> {
        process::run(&self.program, &["up".as_ref(), self.file.as_os_str()])
    }

    fn down(&mut self) -> Result<()> {
        process::run(&self.program, &["down", &self.lab])
    }
}
