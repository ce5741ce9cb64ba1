//! Namespaces and their names, without what is in them.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use nslab_kernel::link;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::{Namespace, NamespaceId, parallel};

use crate::discover::{self, Found};
use crate::error::Result;
use crate::{Name, mark, mounts, read};

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
    let all = discover::all()?;
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

/// A file on which a network namespace is mounted, in whatever mount namespace a process is; by that process's root, so that it
/// can be opened as long as the process is there. None if there is no such, or none that may be seen.
pub fn mounted_at(id: NamespaceId) -> Option<PathBuf> {
    let mut seen = HashSet::new();
    let processes = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    // This one's first: it lasts as long as whoever asks.
    let mut all = std::iter::once(PathBuf::from("/proc/self")).chain(processes);
    all.find_map(|process| {
        let space = std::fs::metadata(process.join("ns/mnt")).ok()?.ino();
        if !seen.insert(space) {
            return None;
        }
        let pin = mounts::list(&process).into_iter().find(|pin| pin.inode == id.inode)?;
        let path = process.join("root").join(pin.path.strip_prefix("/").unwrap_or(&pin.path));
        std::fs::metadata(&path).is_ok_and(|about| about.ino() == id.inode).then_some(path)
    })
}

/// The alias of a namespace's loopback interface, by which nodes of labs are known.
fn alias(found: &Found) -> Option<String> {
    let mut socket = found.handle.as_ref().ok()?.run(|| Socket::open(Protocol::Route)).ok()?.ok()?;
    mark::set(&socket);
    link::find_by_name(&mut socket, nslab_types::IfName::LOOPBACK).ok()?.alias
}
