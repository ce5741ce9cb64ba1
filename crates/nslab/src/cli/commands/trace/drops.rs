//! The kernel's tracepoints as a source of evidence, where they may be used.

use std::cell::OnceCell;

use nslab_compare::Drops;
use nslab_lab::rootless;
use nslab_observe::trace::{DropSource, Dropped, Place};
use nslab_tracepoints::Unavailable;

/// Programs that are being loaded, which takes as long as the rest of what is prepared.
pub(super) struct Loading(Option<std::thread::JoinHandle<Result<Drops, Unavailable>>>);

impl Loading {
    /// Begins to load what `open` says. To be called once no namespaces are entered any more: it starts a thread.
    pub(super) fn begin(open: impl FnOnce() -> Result<Drops, Unavailable> + Send + 'static) -> Self {
        // An ordinary user may not, whatever the labs are.
        let may = !rootless::needed() && rustix::process::geteuid().is_root();
        Self(may.then(|| std::thread::spawn(open)))
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

/// Programs that are loaded until the probe is sent, while all else is set up.
pub(super) struct Late<'p> {
    loading: Option<(Loading, &'p [Place])>,
    loaded: Option<Drops>,
    missing: &'p OnceCell<String>,
}

impl<'p> Late<'p> {
    /// Those that are being loaded, for these namespaces. Why there are none is `missing` then, a sentence's part.
    pub(super) fn new(loading: Option<Loading>, places: &'p [Place], missing: &'p OnceCell<String>) -> Self {
        if loading.is_none() {
            let _ = missing.set("an ordinary user may not".to_owned());
        }
        Self { loading: loading.map(|loading| (loading, places)), loaded: None, missing }
    }
}

impl DropSource for Late<'_> {
    fn begin(&mut self) {
        let Some((loading, places)) = self.loading.take() else { return };
        match loading.end(places) {
            Ok(drops) => self.loaded = Some(drops),
            Err(why) => drop(self.missing.set(why)),
        }
    }

    fn drain(&mut self, each: &mut dyn FnMut(Dropped<'_>)) {
        if let Some(drops) = &mut self.loaded {
            drops.drain(each);
        }
    }

    fn function(&mut self, address: u64) -> Option<String> {
        self.loaded.as_mut()?.function(address)
    }
}
