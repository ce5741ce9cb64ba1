//! Other tools, where they are installed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Candidate;
use crate::error::{Doing, Error, Result};
use crate::process;
use crate::shape::{Cable, Shape, cables};

/// A candidate, or why it cannot be measured.
type Found = Result<Box<dyn Candidate>, String>;

/// pyroute2 in one Python process.
pub(super) fn pyroute2(python: &Path, work: &Path) -> Found {
    library("pyroute2", python, work)
}

/// Mininet, hosts on its `LinuxBridge`.
pub(super) fn mininet(python: &Path, work: &Path) -> Found {
    library("mininet", python, work)
}

fn library(name: &'static str, python: &Path, work: &Path) -> Found {
    process::run(python, &["-c", &format!("import {name}")])
        .map_err(|_| format!("{} has no module {name}", python.display()))?;
    Ok(Box::new(Library { name, python: python.to_owned(), script: work.join("peers.py"), running: None }))
}

/// A Python library, driven by a script that builds, says so, waits, and takes away.
#[derive(Debug)]
struct Library {
    name: &'static str,
    python: PathBuf,
    script: PathBuf,
    running: Option<Child>,
}

impl Candidate for Library {
    fn prepare(&mut self, _: Shape) -> Result<()> {
        super::write(&self.script, include_str!("peers.py"))
    }

    fn up(&mut self, shape: Shape) -> Result<()> {
        let kind = match shape {
            Shape::Star { .. } => "star",
            Shape::Mesh { .. } | Shape::FatTree(_) => "mesh",
        };
        let mut child = Command::new(&self.python)
            .arg(&self.script)
            .args([self.name, kind, &shape.nodes().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(|| format!("run {}", self.python.display()))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).doing(|| format!("read from {}", self.name))?;
        }
        if line != "ready\n" {
            let status = child.wait().doing(|| "wait for Python".to_owned())?;
            return Err(process::failed(format!("peers.py {}", self.name), status, line.as_bytes()));
        }
        self.running = Some(child);
        Ok(())
    }

    fn down(&mut self) -> Result<()> {
        let Some(mut child) = self.running.take() else { return Ok(()) };
        // wait() closes its input first, which is what it waits for.
        let status = child.wait().doing(|| "wait for Python".to_owned())?;
        if status.success() { Ok(()) } else { Err(process::failed(self.name.to_owned(), status, b"")) }
    }
}

/// `nlink-lab deploy FILE` and `nlink-lab destroy LAB`.
#[derive(Debug)]
pub(super) struct NlinkLab {
    file: PathBuf,
    lab: String,
}

impl NlinkLab {
    /// With its lab file in a directory.
    pub(super) fn new(work: &Path) -> Self {
        Self { file: work.join("lab.nll"), lab: String::new() }
    }
}

impl Candidate for NlinkLab {
    fn prepare(&mut self, shape: Shape) -> Result<()> {
        use std::fmt::Write as _;
        self.lab = format!("bench-{}", shape.name());
        let mut text = format!("lab \"{}\"\n", self.lab);
        match shape {
            Shape::Star { hosts } => {
                let _ = writeln!(text, "for i in 1..{hosts} {{ node h${{i}} }}");
                let members: Vec<String> = (1..=hosts).map(|host| format!("h{host}:eth0")).collect();
                let _ = writeln!(
                    text,
                    "network lan {{\n  members [{}]\n  subnet 10.0.0.0/16\n}}",
                    members.join(", ")
                );
            }
            Shape::Mesh { routers } => {
                for router in 1..=routers {
                    let _ = writeln!(text, "node r{router} {{ forward ipv4 }}");
                }
                for Cable { ends, addresses: (near, far) } in cables(routers) {
                    let (low, high) = (ends.0 + 1, ends.1 + 1);
                    let (to_high, to_low) = (Cable::interface_to(ends.1), Cable::interface_to(ends.0));
                    let _ = writeln!(
                        text,
                        "link r{low}:{to_high} -- r{high}:{to_low} {{ {near}/30 -- {far}/30 }}"
                    );
                }
            }
            // Measured beside the floor only.
            Shape::FatTree(_) => {}
        }
        super::write(&self.file, &text)
    }

    fn up(&mut self, _: Shape) -> Result<()> {
        process::run("nlink-lab", &["deploy".as_ref(), self.file.as_os_str()])
    }

    fn down(&mut self) -> Result<()> {
        if self.lab.is_empty() {
            return Err(Error::Usage("nothing was deployed".to_owned()));
        }
        process::run("nlink-lab", &["destroy", &self.lab])
    }
}
