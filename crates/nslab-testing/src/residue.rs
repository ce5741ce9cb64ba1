//! What a test left behind.

use std::collections::BTreeSet;

use nslab_kernel::link;
use nslab_kernel::netlink::{Protocol, Socket};

/// What there is on this host that a test could leave behind: interfaces of the thread's namespace, mounts, namespaces
/// with a name or a process in them, and processes descended from this one.
///
/// Other tests running meanwhile in the same process show too, so take it in a test that runs alone, or around a program
/// of its own.
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

/// The processes descended from this one, and the network namespaces of all processes.
fn processes(things: &mut BTreeSet<String>) {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Ok(namespace) = std::fs::read_link(entry.path().join("ns/net")) {
            things.insert(format!("namespace {}", namespace.display()));
        }
        // pid (name) state parent …; the name may hold anything, so count from the last parenthesis.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        let parent = tail.split(' ').nth(1).and_then(|parent| parent.parse::<u32>().ok()).unwrap_or(0);
        parents.push((pid, parent, format!("{head})")));
    }
    let mut family = BTreeSet::from([std::process::id()]);
    loop {
        let before = family.len();
        for (pid, parent, name) in &parents {
            if family.contains(parent) && family.insert(*pid) {
                things.insert(format!("process {name}"));
            }
        }
        if family.len() == before {
            break;
        }
    }
}
