//! Open namespaces: a handle and a netlink socket for each, while a plan is made and carried out.

use std::collections::HashMap;

use nslab_kernel::link::IfIndex;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::{Namespace, NamespaceState};
use nslab_types::IfName;

use crate::error::Result;

/// Interfaces that nslab makes are numbered from here on in a new namespace. The kernel may put up to ten of its own
/// (`lo`, `tunl0`, `sit0`, `ip6tnl0` …) into it when the modules are loaded.
pub const FIRST_INDEX: IfIndex = 16;

/// One open namespace.
#[derive(Debug)]
pub struct Open {
    /// The handle.
    pub namespace: Namespace,
    /// A routing socket that belongs to it.
    pub socket: Socket,
    /// The numbers of its interfaces.
    pub indexes: HashMap<IfName, IfIndex>,
    /// The number that the next interface gets.
    pub next_index: IfIndex,
}

impl Open {
    /// A namespace that was just made, in which the calling thread is.
    pub fn new_inside(namespace: Namespace) -> Result<Self> {
        let socket = Socket::open(Protocol::Route)?;
        let indexes = HashMap::from([(IfName::LOOPBACK, 1)]);
        Ok(Self { namespace, socket, indexes, next_index: FIRST_INDEX })
    }

    /// A namespace that exists.
    pub fn enter(namespace: Namespace) -> Result<Self> {
        let socket = namespace.run(|| Socket::open(Protocol::Route))??;
        Ok(Self::with_socket(namespace, socket))
    }

    /// A namespace that exists, with a routing socket of its.
    pub fn with_socket(namespace: Namespace, socket: Socket) -> Self {
        Self { namespace, socket, indexes: HashMap::new(), next_index: FIRST_INDEX }
    }

    /// Takes over the numbers of the interfaces that were read.
    pub fn learn(&mut self, state: &NamespaceState) {
        self.indexes = state.links.iter().map(|link| (link.name, link.index)).collect();
        let highest = state.links.iter().map(|link| link.index).max().unwrap_or(0);
        self.next_index = FIRST_INDEX.max(highest + 1);
    }

    /// Picks the number of an interface that is about to be made.
    pub fn assign(&mut self, name: IfName) -> IfIndex {
        let index = self.next_index;
        self.next_index += 1;
        self.indexes.insert(name, index);
        index
    }
}
