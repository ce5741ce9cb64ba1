//! Namespaces and their names, without what is in them.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use nslab_kernel::link;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::{Namespace, NamespaceId, mark, parallel};

use crate::discover::{self, Found};
use crate::error::Result;
use crate::holders::Memory;
use crate::{Name, mounts, read};

/// A namespace that was found.
#[derive(Debug)]
pub struct Place {
    /// What tells it from others.
    pub id: NamespaceId,
    /// What people call it, the best known first; never none.
    pub names: Vec<Name>,
    /// A handle on it, or why it cannot be entered.
    pub namespace: std::result::Result<Namespace, String>,
}

/// Every network namespace of the host, found as [`Snapshot::take`](crate::Snapshot::take) does: the one that nslab was
/// started in first, then in the order of their names.
pub fn places() -> Result<Vec<Place>> {
    Places::default().look()
}

/// Finds the namespaces of the host again and again, each time faster than [`places`].
#[derive(Debug, Default)]
pub struct Places {
    memory: Memory,
}

impl Places {
    /// Those that there are now; see [`places`].
    pub fn look(&mut self) -> Result<Vec<Place>> {
        let all = discover::all(&mut self.memory)?;
        let aliases = parallel::map(&all.found, alias);
        let mut places: Vec<Place> = Vec::with_capacity(aliases.len());
        for (found, alias) in all.found.into_iter().zip(aliases) {
            let mut names = found.names;
            let (processes, _) = all.holders.processes(found.id);
            read::name(&mut names, alias.as_deref(), &processes, found.id);
            places.push(Place { id: found.id, names, namespace: found.handle });
        }
        places.sort_by(|one, other| (&one.names, one.id).cmp(&(&other.names, other.id)));
        Ok(places)
    }
}

/// For each of these a file on which it is mounted, in whatever mount namespace a process is; by that process's root, so that it can be
/// opened as long as the process is there. Those that are mounted nowhere, or where it may not be seen, are not among them.
pub fn mounted<S: BuildHasher>(wanted: &HashSet<NamespaceId, S>) -> HashMap<NamespaceId, PathBuf> {
    let mut found = HashMap::new();
    let mut seen = HashSet::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    // This one's first: it lasts as long as whoever asks.
    for process in std::iter::once(PathBuf::from("/proc/self")).chain(processes) {
        if found.len() == wanted.len() {
            break;
        }
        let Ok(space) = std::fs::metadata(process.join("ns/mnt")) else { continue };
        if !seen.insert(space.ino()) {
            continue;
        }
        for pin in mounts::list(&process) {
            let Some(&id) = wanted.iter().find(|id| id.inode == pin.inode) else { continue };
            let path = process.join("root").join(pin.path.strip_prefix("/").unwrap_or(&pin.path));
            if !found.contains_key(&id) && std::fs::metadata(&path).is_ok_and(|about| about.ino() == id.inode)
            {
                found.insert(id, path);
            }
        }
    }
    found
}

/// The alias of a namespace's loopback interface, by which nodes of labs are known.
fn alias(found: &Found) -> Option<String> {
    let mut socket = found.handle.as_ref().ok()?.run(|| Socket::open(Protocol::Route)).ok()?.ok()?;
    mark::set(&socket);
    link::find_by_name(&mut socket, nslab_types::IfName::LOOPBACK).ok()?.alias
}
