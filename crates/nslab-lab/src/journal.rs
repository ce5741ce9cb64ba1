//! The journal: what is about to be done to the kernel, written before it is done.
//!
//! One JSON text a line. It serves whoever comes after an interruption: the namespaces named in it may exist, also
//! where nothing else says so. A plan is written whole before its first step.
//!
//! It is handed to the kernel and not forced to a disk: it has to outlive this process, not the machine, because what
//! it tells of ends with the machine too. Usually `/run` is in memory anyway; where it is not, what a crash of the
//! machine left of it is stale (another boot's) and may be cut off.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::plan::{NamespaceRef, Op, Plan, Role, Stage};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<'a> {
    /// A change begins that concerns these namespaces.
    Begin {
        /// The boot in which it happens: a namespace does not outlive it.
        boot: std::borrow::Cow<'a, str>,
        namespaces: std::borrow::Cow<'a, [NamespaceRef]>,
    },
    /// These steps are about to be done.
    Stage(std::borrow::Cow<'a, Stage>),
    /// What follows takes steps back.
    Undo,
    /// The change is whole.
    Done,
    /// The lab is about to be taken away.
    Down,
}

/// A journal open for writing.
#[derive(Debug)]
pub struct Journal {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Journal {
    /// Begins a change; what an earlier one wrote is kept if it did not end, so that its namespaces stay known.
    pub fn begin(path: &Path) -> Result<Self> {
        let interrupted = Past::read(path)?.is_some_and(|past| past.interrupted);
        let file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .append(interrupted)
            .truncate(!interrupted)
            .mode(0o600)
            .open(path)
            .context(|| format!("open the journal {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// Notes that the lab is about to be taken away.
    pub fn down(path: &Path) -> Result<()> {
        let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = file.context(|| format!("open the journal {}", path.display()))?;
        let mut journal = Self { file: BufWriter::new(file), path: path.to_owned() };
        journal.write(&Entry::Down)?;
        journal.flush()
    }

    /// Notes all that a plan is about to do, so that it survives the end of this process.
    pub fn plan(&mut self, plan: &Plan) -> Result<()> {
        self.write(&Entry::Begin { boot: boot_id().into(), namespaces: (&plan.namespaces[..]).into() })?;
        for stage in &plan.stages {
            self.write(&Entry::Stage(std::borrow::Cow::Borrowed(stage)))?;
        }
        self.flush()
    }

    /// Notes that what follows takes steps back.
    pub fn undo(&mut self) -> Result<()> {
        self.write(&Entry::Undo)
    }

    /// Notes that the change is whole, or wholly taken back.
    pub fn done(&mut self) -> Result<()> {
        self.write(&Entry::Done)?;
        self.flush()
    }

    fn write(&mut self, entry: &Entry<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.file, entry)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .context(|| format!("write {}", self.path.display()))
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush().context(|| format!("write {}", self.path.display()))
    }
}

/// What a journal tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its last change did not come to its end.
    pub interrupted: bool,
    /// The lab was being taken away.
    pub going_down: bool,
}

impl Past {
    /// Reads a journal; `None` if there is none. A last line that is cut off counts as interrupted.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(|| format!("read {}", path.display())),
        };
        // Only the last line matters; the others need not even be looked at.
        let last = text.lines().last().unwrap_or_default();
        let done = last == quoted(&Entry::Done, path)?;
        let going_down = last == quoted(&Entry::Down, path)?;
        Ok(Some(Self { interrupted: !done, going_down }))
    }

    /// The sysctls that changes which did not come to their end may have set in nodes of the lab's own: node and key. No
    /// state tells of them. A line that is cut off was not carried out.
    pub fn unfinished_sysctls(path: &Path) -> Result<BTreeSet<(String, String)>> {
        let mut found = BTreeSet::new();
        if Self::read(path)?.is_none_or(|past| !past.interrupted) {
            return Ok(found);
        }
        let text = std::fs::read_to_string(path).context(|| format!("read {}", path.display()))?;
        let mut spaces = Vec::new();
        for line in text.lines() {
            match serde_json::from_str(line) {
                Ok(Entry::Begin { namespaces, .. }) => spaces = namespaces.into_owned(),
                Ok(Entry::Stage(stage)) => {
                    for step in &stage.steps {
                        let space: Option<&NamespaceRef> = spaces.get(step.namespace);
                        if let (Op::SetSysctl { key, .. }, Some(space)) = (&step.op, space)
                            && space.role == Role::Node
                        {
                            found.insert((space.node.clone(), key.clone()));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn quoted(entry: &Entry<'_>, path: &Path) -> Result<String> {
    serde_json::to_string(entry)
        .map_err(|error| Error::Damaged { path: path.to_owned(), problem: error.to_string() })
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
