//! Finding all network namespaces.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nslab_containers::Containers;
use nslab_kernel::{Namespace, NamespaceId, mark};

use crate::error::Result;
use crate::holders::{Holders, Memory};
use crate::mounts::{self, Pin};
use crate::{Name, read};

/// Where `ip netns` has its names.
const NETNS: [&str; 2] = ["/run/netns", "/var/run/netns"];

/// A namespace that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: NamespaceId,
    /// A handle on it, or why there is none.
    pub(crate) handle: std::result::Result<Namespace, String>,
    /// What people call it, as far as files tell.
    pub(crate) names: Vec<Name>,
}

/// All that were found.
#[derive(Debug)]
pub(crate) struct All {
    pub(crate) found: Vec<Found>,
    pub(crate) holders: Holders,
}

impl All {
    /// Reads each.
    pub(crate) fn read(&self, options: crate::Options) -> Result<Vec<crate::Namespace>> {
        read::all(self, options)
    }
}

/// These and no others.
pub(crate) fn these(namespaces: Vec<(Name, Namespace)>) -> Result<All> {
    let mut found = Vec::with_capacity(namespaces.len());
    for (name, namespace) in namespaces {
        found.push(Found { id: namespace.id()?, handle: Ok(namespace), names: vec![name] });
    }
    Ok(All { found, holders: Holders::default() })
}

/// Looks everywhere: at this thread, at all that is mounted, at processes and their threads, at what they have open.
pub(crate) fn all(memory: &mut Memory) -> Result<All> {
    let own = Namespace::current()?;
    let own_id = own.id()?;
    let mut search = Search { device: own_id.device, found: BTreeMap::new() };
    let pins = mounts::list(Path::new("/proc/self"));
    for pin in &pins {
        search.pinned(pin, Path::new("/"));
    }
    search.links_to_pins(&pins);
    let mut holders = Holders::find(memory)?;
    search.of_processes(&holders);
    let elsewhere = search.of_other_mount_namespaces(&holders);
    search.mounted_meanwhile(elsewhere);
    for (&inode, path) in &holders.files {
        search.add(inode, || Namespace::open(path));
    }
    for (id, namespace) in std::mem::take(&mut holders.by_socket) {
        search.add(id.inode, || Ok(namespace));
    }
    search.found.entry(own_id.inode).or_insert_with(|| Found {
        id: own_id,
        handle: Ok(own),
        names: Vec::new(),
    });
    let mut found: Vec<Found> = search.found.into_values().collect();
    found.sort_by_key(|one| (one.id != own_id, one.id));
    if let Some(first) = found.first_mut() {
        first.names.push(Name::Host);
    }
    let mut containers = Containers::default();
    for one in &mut found {
        let inside = holders.inside.get(&one.id);
        // The first process of a container is the one that its engine started; others may be guests.
        one.names
            .extend(inside.and_then(|pids| pids.iter().find_map(|&pid| containers.of(pid).map(Name::from))));
        one.names.sort();
        one.names.dedup();
    }
    Ok(All { found, holders })
}

struct Search {
    /// The device of the kernel's file system of namespaces: there is one.
    device: u64,
    /// By inode.
    found: BTreeMap<u64, Found>,
}

impl Search {
    /// Adds a namespace, or a handle on one that was found without.
    fn add(
        &mut self,
        inode: u64,
        open: impl FnOnce() -> nslab_kernel::Result<Namespace>,
    ) -> Option<&mut Found> {
        if let Some(found) = self.found.get(&inode)
            && found.handle.is_ok()
        {
            return self.found.get_mut(&inode);
        }
        let id = NamespaceId { device: self.device, inode };
        let handle = match open() {
            // What is at a path may have changed since it was listed.
            Ok(namespace) if namespace.id().is_ok_and(|opened| opened == id) => {
                mark::set(&namespace);
                Ok(namespace)
            }
            Ok(_) => return None,
            // Gone meanwhile.
            Err(error)
                if matches!(error.errno(), Some(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH)) =>
            {
                return None;
            }
            Err(error) => Err(error.to_string()),
        };
        let found = self.found.entry(inode).or_insert_with(|| Found {
            id,
            handle: Err(String::new()),
            names: Vec::new(),
        });
        found.handle = handle;
        Some(found)
    }

    /// One that is mounted at a path below `root`.
    fn pinned(&mut self, pin: &Pin, root: &Path) {
        let path = root.join(pin.path.strip_prefix("/").unwrap_or(&pin.path));
        if let Some(found) = self.add(pin.inode, || Namespace::open(&path)) {
            found.names.push(name_of(&pin.path));
        }
    }

    /// `ip netns` follows symbolic links: what one leads to has its name too.
    fn links_to_pins(&mut self, pins: &[Pin]) {
        let by_path: BTreeMap<&Path, u64> = pins.iter().map(|pin| (&*pin.path, pin.inode)).collect();
        for entry in std::fs::read_dir(NETNS[0]).into_iter().flatten().flatten() {
            let target = std::fs::read_link(entry.path());
            if let Ok(target) = target
                && let Some(found) = by_path.get(&*target).and_then(|inode| self.found.get_mut(inode))
            {
                found.names.push(name_of(&entry.path()));
            }
        }
    }

    /// Those that processes and their threads are in.
    fn of_processes(&mut self, holders: &Holders) {
        for (id, pids) in &holders.inside {
            self.add(id.inode, || {
                let mut last = None;
                for &pid in pids {
                    let first = Namespace::of_process(pid);
                    match first {
                        Ok(namespace) if namespace.id().is_ok_and(|opened| opened == *id) => {
                            return Ok(namespace);
                        }
                        Ok(_) => {}
                        Err(error) => last = Some(error),
                    }
                    // Another of its threads is in it.
                    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
                    for task in std::fs::read_dir(tasks).into_iter().flatten().flatten() {
                        if let Ok(namespace) = Namespace::open(&task.path().join("ns/net"))
                            && namespace.id().is_ok_and(|opened| opened == *id)
                        {
                            return Ok(namespace);
                        }
                    }
                }
                Err(last.unwrap_or_else(|| {
                    nslab_kernel::Error::io("find the process again", std::io::ErrorKind::NotFound)
                }))
            });
        }
    }

    /// Those that are mounted where only others see it; returns the inodes of those that have their names from there.
    fn of_other_mount_namespaces(&mut self, holders: &Holders) -> HashSet<u64> {
        let inode = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.ino());
        let mut seen: HashSet<u64> = inode(Path::new("/proc/self/ns/mnt")).into_iter().collect();
        let mut named = HashSet::new();
        for pid in holders.inside.values().flatten() {
            let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
            let Some(space) = inode(&process.join("ns/mnt")) else { continue };
            if !seen.insert(space) {
                continue;
            }
            for pin in mounts::list(&process) {
                // Those that were found have better names.
                if self.found.get(&pin.inode).is_none_or(|found| found.names.is_empty()) {
                    self.pinned(&pin, &process.join("root"));
                    named.insert(pin.inode);
                }
            }
        }
        named
    }

    /// Names those that have their names from elsewhere by where they are mounted here. What is mounted here and propagates to others
    /// (`mount_namespaces(7)`) is there for all at once, but for a search that has looked here before and looks there after it.
    fn mounted_meanwhile(&mut self, mut elsewhere: HashSet<u64>) {
        if elsewhere.is_empty() {
            return;
        }
        let mut here = mounts::list(Path::new("/proc/self"));
        here.retain(|pin| elsewhere.contains(&pin.inode));
        for pin in here {
            let Some(found) = self.found.get_mut(&pin.inode) else { continue };
            if elsewhere.remove(&pin.inode) {
                found.names.clear();
            }
            found.names.push(name_of(&pin.path));
        }
    }
}

/// What a file is called on which a namespace is mounted.
fn name_of(path: &Path) -> Name {
    let is_name =
        path.parent().is_some_and(|parent| NETNS.iter().any(|directory| parent == Path::new(directory)));
    match path.file_name().and_then(|name| name.to_str()).filter(|_| is_name) {
        Some(name) => Name::Netns(name.to_owned()),
        None => Name::Pinned(path.to_owned()),
    }
}
