//! Where labs keep what they must remember.
//!
//! ```text
//! /run/netns/PREFIX+NODE           symbolic link to the pin, so that `ip netns` knows the namespace
//! /run/nslab/LAB/                  one directory a lab; its lock is the directory itself (flock)
//!               /ns/               a mount of the lab's own; below it one pin for each namespace
//!               /ns/NODE           a namespace's file (nsfs), bound here
//!               /keys            private keys of WireGuard interfaces
//!               /journal           what was about to be done to the kernel
//!               /state.json        what the lab is
//!               /ledger.json       what it has put into namespaces that are not its own
//!               /hosts             /etc/hosts of its nodes
//!               /nodes/NODE/       what differs by node: `env`, `hosts`, `resolv.conf`
//!               /logs/NODE.NAME    output of a program
//!               /views/NODE/       the mounts and the host name that a node's programs share, if it has files of its own
//!               /keeper.sock       the process that runs the programs
//! ```
//! All pins of a lab hang below one mount, so that one unmount releases them together: the kernel then takes all
//! namespaces down in one go instead of one by one.

use std::path::{Path, PathBuf};

/// The directories that labs live in. As an ordinary user these paths are looked up inside the user's own mount
/// namespace, where `/run` is private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Where `ip netns` looks for namespaces.
    pub netns: PathBuf,
    /// One directory for each lab.
    pub state: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { netns: PathBuf::from("/run/netns"), state: PathBuf::from("/run/nslab") }
    }
}

impl Paths {
    /// The paths of one lab. A name that no lab can have leads to where nothing ever is, and to no other directory.
    pub fn lab(&self, name: &str) -> LabPaths {
        let is_possible =
            !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && !name.contains(['/', '\0']);
        let name = if is_possible { name } else { ".none" };
        LabPaths { root: self.state.join(name), netns: self.netns.clone() }
    }

    /// Exists if nslab made the directory [`Paths::netns`].
    pub fn made_netns(&self) -> PathBuf {
        self.state.join(".made-netns")
    }

    /// The names of the labs that have a directory, in order. None if there is no state directory.
    pub fn labs(&self) -> std::io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.state) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Lab names never begin with a dot; what does is nslab's own.
            if let Ok(name) = entry.file_name().into_string()
                && !name.starts_with('.')
                && entry.file_type()?.is_dir()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// The paths of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabPaths {
    root: PathBuf,
    netns: PathBuf,
}

impl LabPaths {
    /// The lab's directory, which is also its lock.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        self.root.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default()
    }

    /// The mount below which the pins are.
    pub fn pins(&self) -> PathBuf {
        self.root.join("ns")
    }

    /// The pin of a node's or switch's namespace.
    pub fn pin(&self, node: &str) -> PathBuf {
        self.root.join("ns").join(node)
    }

    /// The name under which `ip netns` finds the namespace `namespace`.
    pub fn netns_link(&self, namespace: &str) -> PathBuf {
        self.netns.join(namespace)
    }

    /// Exists if nslab made the directory of [`LabPaths::netns_link`].
    pub fn made_netns(&self) -> PathBuf {
        self.root.with_file_name(".made-netns")
    }

    /// The directory of [`LabPaths::netns_link`].
    pub fn netns_directory(&self) -> &Path {
        &self.netns
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The private keys of the lab's WireGuard interfaces.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// What the lab is.
    pub fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// What the lab has put into namespaces that are not its own.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger.json")
    }

    /// The ledgers of the other labs, as far as they can be read, by lab.
    pub(crate) fn other_labs(&self) -> Vec<(String, crate::joined::Ledger)> {
        let Some(state) = self.root.parent() else { return Vec::new() };
        let all = Paths { netns: self.netns.clone(), state: state.to_owned() };
        let others = all.labs().unwrap_or_default().into_iter().filter(|lab| lab != self.name());
        let ledger = |lab: String| {
            let ledger = crate::joined::Ledger::read(&all.lab(&lab)).ok()?;
            Some((lab, ledger))
        };
        others.filter_map(ledger).collect()
    }

    /// The directory of all labs.
    pub(crate) fn all(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }

    /// `/etc/hosts` of the nodes that have none of their own.
    pub fn hosts(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// What differs by node, a directory for each that has such.
    pub fn nodes(&self) -> PathBuf {
        self.root.join("nodes")
    }

    /// What differs by node.
    pub fn node(&self, node: &str) -> PathBuf {
        self.nodes().join(node)
    }

    /// What the user's nft was handed for a node.
    pub fn nft(&self, node: &str) -> PathBuf {
        self.node(node).join("nft.json")
    }

    /// The mount below which the views of nodes are.
    pub fn views(&self) -> PathBuf {
        self.root.join("views")
    }

    /// The output of a program.
    pub fn log(&self, node: &str, program: &str) -> PathBuf {
        self.root.join("logs").join(format!("{node}.{program}"))
    }

    /// The directory of the logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The socket of the process that runs the programs.
    pub fn keeper(&self) -> PathBuf {
        self.root.join("keeper.sock")
    }

    /// What that process says when it fails. Nothing, usually.
    pub fn keeper_log(&self) -> PathBuf {
        self.root.join("keeper.log")
    }
}
