//! The kernel's tracepoints as a source of evidence: which packets it throws away, and why.

use std::collections::HashMap;
use std::ops::ControlFlow;

use nslab_kernel::NamespaceId;
use nslab_observe::trace::{DropSource, Dropped};
use nslab_predict::reason::of_function;
use nslab_tracepoints::{Filter, Tracepoints, Tuple, Unavailable, What};

/// Packets that the kernel throws away in namespaces that are watched.
#[derive(Debug)]
pub struct Drops {
    points: Tracepoints,
    /// By the inode numbers of their files.
    namespaces: HashMap<u32, NamespaceId>,
}

impl Drops {
    /// Bytes of memory that are enough for what is dropped while one packet is traced.
    const MEMORY: u32 = 1 << 18;

    /// Loads the programs, for one packet that is traced; nothing is watched yet. It takes root, and some 40 ms.
    pub fn open() -> Result<Self, Unavailable> {
        Self::with(Self::MEMORY, false)
    }

    /// The same for packets that are [chosen](Self::choose), with so many bytes of memory for drops that wait to be read.
    pub fn of_many(memory: u32) -> Result<Self, Unavailable> {
        Self::with(memory, true)
    }

    fn with(memory: u32, chooses: bool) -> Result<Self, Unavailable> {
        let filter = Filter { namespaces: Some(Vec::new()), memory, chooses, ..Filter::default() };
        Ok(Self { points: Tracepoints::open(&filter)?, namespaces: HashMap::new() })
    }

    /// Watches these namespaces, too.
    pub fn watch(&mut self, namespaces: impl IntoIterator<Item = NamespaceId>) -> Result<(), Unavailable> {
        for id in namespaces {
            let Ok(inode) = u32::try_from(id.inode) else { continue };
            self.points.watch(inode)?;
            self.namespaces.insert(inode, id);
        }
        Ok(())
    }

    /// From here on packets are left out that are for sure of none of these; all are told if that cannot be said in the kernel.
    pub fn choose(&mut self, tuples: &[Tuple]) -> Result<(), Unavailable> {
        self.points.choose(tuples)
    }

    /// Watches one no longer, which may go.
    pub fn unwatch(&mut self, namespace: NamespaceId) {
        let Ok(inode) = u32::try_from(namespace.inode) else { return };
        self.points.unwatch(inode);
        self.namespaces.remove(&inode);
    }

    /// Watches none any more, and forgets what it has seen.
    pub fn clear(&mut self) {
        for (inode, _) in self.namespaces.drain() {
            self.points.unwatch(inode);
        }
        self.points.for_each(|_| ControlFlow::Continue(()));
    }
}

impl DropSource for Drops {
    fn drain(&mut self, each: &mut dyn FnMut(Dropped<'_>)) {
        let mut all = Vec::new();
        self.points.for_each(|event| {
            if let (What::Dropped { reason, location }, Some(namespace), Some(network)) =
                (event.what, event.namespace, event.network)
            {
                let packet = event.bytes.get(network..).unwrap_or_default().to_vec();
                all.push((event.time, namespace, packet, reason, location));
            }
            ControlFlow::Continue(())
        });
        for (time, namespace, packet, reason, location) in all {
            let Some(&namespace) = self.namespaces.get(&namespace) else { continue };
            let reason = if let Some(reason) = reason {
                self.points.names().reason(reason)
            } else {
                // An older kernel gives none.
                let function = self.points.symbol(location);
                function.and_then(|one| of_function(&one.name)).unwrap_or("dropped").into()
            };
            each(Dropped { namespace, time, packet: &packet, reason: &reason, location: Some(location) });
        }
    }

    fn function(&mut self, address: u64) -> Option<String> {
        Some(self.points.symbol(address)?.name.to_string())
    }
}
