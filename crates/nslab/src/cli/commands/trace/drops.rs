//! The kernel's tracepoints as a source of evidence, where they may be used.

use nslab_compare::Drops;
use nslab_lab::rootless;
use nslab_observe::trace::Place;
use nslab_tracepoints::Unavailable;

/// Programs that are being loaded, which takes as long as the rest of what is prepared.
pub(super) struct Loading(Option<std::thread::JoinHandle<Result<Drops, Unavailable>>>);

impl Loading {
    /// Begins, with so many bytes of memory for drops that wait to be read. To be called once no namespaces are entered any more:
    /// it starts a thread.
    pub(super) fn begin(memory: u32) -> Self {
        // An ordinary user may not, whatever the labs are.
        let may = !rootless::needed() && rustix::process::geteuid().is_root();
        Self(may.then(|| std::thread::spawn(move || Drops::with_memory(memory))))
    }

    /// Ends, for these namespaces. The error is a sentence's part.
    pub(super) fn end(self, places: &[Place]) -> Result<Drops, String> {
        let Some(thread) = self.0 else { return Err(Unavailable::NotPermitted.to_string()) };
        let loaded = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut drops = loaded.map_err(|error| error.to_string())?;
        let ids = places.iter().filter_map(|place| place.namespace.id().ok());
        drops.watch(ids).map_err(|error| error.to_string())?;
        Ok(drops)
    }
}
