//! Keys of `WireGuard` interfaces: made at random when an interface is first built, and kept as long as the lab runs.
//!
//! They are in a file of their own that only its owner may read; neither plans nor the lab's state hold any.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use nslab_kernel::wireguard::{PrivateKey, PublicKey};
use nslab_topology::model::{InterfaceKind, Topology};
use nslab_types::IfName;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::paths::LabPaths;

/// The private keys of a lab, by node and interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    keys: BTreeMap<(String, IfName), PrivateKey>,
}

/// A key as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    node: String,
    interface: IfName,
    key: [u8; 32],
}

impl Keys {
    /// Reads a lab's keys; none if it has none yet.
    pub fn read(paths: &LabPaths) -> Result<Self> {
        let path = paths.keys();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).context(|| format!("read {}", path.display())),
        };
        let kept: Vec<Kept> = serde_json::from_slice(&text)
            .map_err(|error| Error::Damaged { path, problem: error.to_string() })?;
        let keys = kept.into_iter().map(|one| ((one.node, one.interface), PrivateKey::from_bytes(one.key)));
        Ok(Self { keys: keys.collect() })
    }

    /// Makes the keys that `topology` needs and there are none for yet. Says whether it made any.
    pub fn make(&mut self, topology: &Topology) -> Result<bool> {
        let mut made = false;
        for name in needed(topology) {
            if let Entry::Vacant(vacant) = self.keys.entry(name) {
                vacant.insert(PrivateKey::random()?);
                made = true;
            }
        }
        Ok(made)
    }

    /// Forgets the keys that `topology` does not need. Says whether there were any.
    pub fn forget(&mut self, topology: &Topology) -> bool {
        let needed: BTreeSet<(String, IfName)> = needed(topology).collect();
        let before = self.keys.len();
        self.keys.retain(|name, _| needed.contains(name));
        self.keys.len() != before
    }

    /// Writes them down.
    pub fn write(&self, paths: &LabPaths) -> Result<()> {
        let kept: Vec<Kept> = self
            .keys
            .iter()
            .map(|((node, interface), key)| Kept {
                node: node.clone(),
                interface: *interface,
                key: key.to_bytes(),
            })
            .collect();
        let text = serde_json::to_vec(&kept)
            .map_err(|error| Error::Damaged { path: paths.keys(), problem: error.to_string() })?;
        crate::state::replace(&paths.keys(), &text, 0o600)
    }

    /// The private key of an interface.
    pub fn private(&self, node: &str, interface: IfName) -> Option<PrivateKey> {
        self.keys.get(&(node.to_owned(), interface)).copied()
    }

    /// The public key of an interface.
    pub fn public(&self, node: &str, interface: IfName) -> Option<PublicKey> {
        self.private(node, interface).map(PrivateKey::public)
    }

    /// All public keys, each with whose it is.
    pub fn owners(&self) -> impl Iterator<Item = (PublicKey, &str, IfName)> {
        self.keys.iter().map(|((node, interface), key)| (key.public(), &node[..], *interface))
    }
}

/// The `WireGuard` interfaces of a lab, by node and name.
fn needed(topology: &Topology) -> impl Iterator<Item = (String, IfName)> {
    topology.nodes.iter().flat_map(|node| {
        let own = node.interfaces.iter();
        own.filter(|interface| matches!(interface.kind, InterfaceKind::Wireguard { .. }))
            .map(|interface| (node.name.clone(), interface.name))
    })
}
