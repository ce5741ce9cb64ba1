//! The kernel's tracepoints as a source of evidence: which packets it throws away, and why.

use std::collections::HashMap;
use std::ops::ControlFlow;

use nslab_kernel::NamespaceId;
use nslab_lab::rootless;
use nslab_observe::trace::{DropSource, Dropped, Place};
use nslab_tracepoints::{Filter, Tracepoints, Unavailable, What};

/// Few packets are dropped in so short a time.
const MEMORY: u32 = 1 << 18;

/// Programs that are being loaded, which takes as long as the rest of what is prepared.
pub(super) struct Loading(Option<std::thread::JoinHandle<Result<Tracepoints, Unavailable>>>);

/// Packets that the kernel throws away.
pub(super) struct Drops {
    points: Tracepoints,
    /// By the inode numbers of their files.
    namespaces: HashMap<u32, NamespaceId>,
}

impl Loading {
    /// Begins. To be called once no namespaces are entered any more: it starts a thread.
    pub(super) fn begin() -> Self {
        // An ordinary user may not, whatever the labs are.
        let may = !rootless::needed() && rustix::process::geteuid().is_root();
        let filter = Filter { namespaces: Some(Vec::new()), memory: MEMORY, ..Filter::default() };
        Self(may.then(|| std::thread::spawn(move || Tracepoints::open(&filter))))
    }

    /// Ends, for these namespaces. The error is a sentence's part.
    pub(super) fn end(self, places: &[Place]) -> Result<Drops, String> {
        let Some(thread) = self.0 else { return Err(Unavailable::NotPermitted.to_string()) };
        let loaded = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut points = loaded.map_err(|error| error.to_string())?;
        let mut namespaces = HashMap::new();
        for id in places.iter().filter_map(|place| place.namespace.id().ok()) {
            let Ok(inode) = u32::try_from(id.inode) else { continue };
            points.watch(inode).map_err(|error| error.to_string())?;
            namespaces.insert(inode, id);
        }
        Ok(Drops { points, namespaces })
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
            let reason = reason.map(|reason| self.points.names().reason(reason).into_owned());
            let reason = reason.as_deref().unwrap_or("dropped");
            each(Dropped { namespace, time, packet: &packet, reason, location: Some(location) });
        }
    }

    fn function(&mut self, address: u64) -> Option<String> {
        Some(self.points.names().symbol(address)?.name.to_string())
    }
}
