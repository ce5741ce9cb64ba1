//! What a test left behind.

use std::collections::BTreeSet;

use nslab_kernel::link;
use nslab_kernel::netlink::{Protocol, Socket};

/// What a test could leave behind: interfaces of the thread's namespace, processes descended from this one and the
/// namespaces they are in, mounts of this mount namespace, and files in `/run/netns`.
///
/// What others do meanwhile (tests in the same process, and as to mounts and files the whole host) shows too, so take it
/// in a test that runs alone, or look in [`Residue::since`] for what bears the test's own names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residue {
    things: BTreeSet<String>,
}

impl Residue {
    /// What there is now.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn now() -> Self {
        // Whoever outlives its parent is handed to this process, and so is found.
        let on = rustix::process::Pid::from_raw(1);
        rustix::process::set_child_subreaper(on).expect("a process may take in orphans");
        let mut things = BTreeSet::new();
        let mut socket = Socket::open(Protocol::Route).expect("a netlink socket can be opened");
        for link in link::list(&mut socket).expect("links can be listed") {
            things.insert(format!("link {} (number {})", link.name, link.index));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts can be listed");
        things.extend(mounts.lines().map(|mount| format!("mount {mount}")));
        for pin in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            things.insert(format!("file {}", pin.path().display()));
        }
        processes(&mut things);
        Self { things }
    }

    /// What is there now and was not `before`.
    pub fn since(before: &Self) -> Vec<String> {
        Self::now().things.difference(&before.things).cloned().collect()
    }

    /// Fails the test if something is there now that was not before.
    ///
    /// # Panics
    /// If something was left behind.
    pub fn assert_none_since(before: &Self) {
        let left = Self::since(before);
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }
}

/// The processes descended from this one, and their network namespaces.
fn processes(things: &mut BTreeSet<String>) {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // pid (name) state parent …; the name may hold anything, so count from the last parenthesis.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        let parent = tail.split(' ').nth(1).and_then(|parent| parent.parse::<u32>().ok()).unwrap_or(0);
        let namespace = std::fs::read_link(entry.path().join("ns/net")).ok();
        all.push((pid, parent, format!("{head})"), namespace));
    }
    let mut family = BTreeSet::from([std::process::id()]);
    loop {
        let before = family.len();
        for (pid, parent, name, namespace) in &all {
            if family.contains(parent) && family.insert(*pid) {
                things.insert(format!("process {name}"));
                things.extend(namespace.iter().map(|namespace| format!("namespace {}", namespace.display())));
            }
        }
        if family.len() == before {
            break;
        }
    }
}
