//! Which processes are in which network namespaces, and which namespaces have names.

use std::fs::DirEntry;
use std::path::Path;

use rustix::fs::{AtFlags, CWD};
use rustix::process::Pid;

use crate::error::{Context, Result};
use crate::namespace::{Namespace, NamespaceId};

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// At each process's first thread: right for all but the rare program that, like nslab, moves single threads.
    Processes,
    /// At every thread: a process is named once for each namespace that a thread of it is in.
    Threads,
}

/// The processes in the namespaces that `wanted` says, by process id.
///
/// A process that ends meanwhile, or whose namespace this one may not see (`ptrace(2)`, access mode
/// `PTRACE_MODE_READ_FSCREDS`), is passed over.
pub fn list(depth: Depth, wanted: impl Fn(NamespaceId) -> bool) -> Result<Vec<(Pid, NamespaceId)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context(|| "list processes")? {
        let entry = entry.context(|| "list processes")?;
        let Some(pid) = number(&entry) else { continue };
        let mut seen = Vec::new();
        match depth {
            Depth::Processes => seen.extend(id_of(&entry.path())),
            Depth::Threads => {
                let tasks = std::fs::read_dir(entry.path().join("task")).into_iter().flatten().flatten();
                seen.extend(tasks.filter_map(|task| id_of(&task.path())));
                seen.sort();
                seen.dedup();
            }
        }
        found.extend(seen.into_iter().filter(|&id| wanted(id)).map(|id| (pid, id)));
    }
    found.sort_by_key(|(pid, id)| (pid.as_raw_nonzero(), *id));
    Ok(found)
}

fn number(entry: &DirEntry) -> Option<Pid> {
    Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)
}

/// The network namespace of the process or thread whose directory this is.
fn id_of(process: &Path) -> Option<NamespaceId> {
    let stat = rustix::fs::statat(CWD, process.join("ns/net"), AtFlags::empty()).ok()?;
    Some(NamespaceId { device: stat.st_dev, inode: stat.st_ino })
}

/// The namespaces pinned in a directory, as `/run/netns`, by name. What else lies there (a name whose namespace is gone,
/// an ordinary file) is passed over; a directory that is not there holds none.
pub fn pinned(directory: &Path) -> Result<Vec<(String, Namespace)>> {
    let action = || format!("list the namespaces in {}", directory.display());
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(action)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.context(action)?;
        if let (Ok(name), Ok(namespace)) = (entry.file_name().into_string(), Namespace::open(&entry.path())) {
            found.push((name, namespace));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}
