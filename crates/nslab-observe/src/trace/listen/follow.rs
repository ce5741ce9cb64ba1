//! Rules of a namespace traced while they change.

use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::trace::{TraceEvent, TraceOptions, TraceTuple};
use nslab_kernel::nftables::{Ruleset, RulesetMonitor};
use nslab_kernel::{Namespace, mark};

use super::super::Place;
use super::super::rules::{Tracer, options_for};

/// Traces packets by their ends in one namespace: where there are rules, also if they come later.
#[derive(Debug)]
pub(super) struct Follower {
    tracer: Tracer,
    changes: RulesetMonitor,
    place: Place,
    tuples: Vec<TraceTuple>,
    /// Where there are no rules it is enough to be told of what is sent and what has arrived.
    ends_only: bool,
}

impl Follower {
    /// Sets it up. The error is a sentence's part.
    pub(super) fn begin(place: &Place, tuples: &[TraceTuple], ends_only: bool) -> Result<Self, String> {
        let namespace = place.namespace.duplicate().map_err(|error| error.to_string())?;
        // Before the table is made, which is a change too: whatever came since the rules were read is found then.
        let changes = within(&namespace, || RulesetMonitor::open().map_err(|error| error.to_string()))?;
        // The namespace goes when others let it go.
        mark::set(&namespace);
        mark::set(&changes);
        let tracer = Tracer::begin_for(place, tuples, options_for(place, ends_only))?;
        let Place { name, ruleset, has_bridges, interfaces, .. } = place;
        let (name, ruleset, interfaces) = (name.clone(), ruleset.clone(), interfaces.clone());
        let place = Place { name, namespace, ruleset, has_bridges: *has_bridges, interfaces };
        Ok(Self { tracer, changes, place, tuples: tuples.to_vec(), ends_only })
    }

    /// Takes what was told of packets.
    pub(super) fn events(&mut self) -> Vec<TraceEvent> {
        self.tracer.read();
        std::mem::take(&mut self.tracer.events)
    }

    /// Whether the kernel had more to tell than there was room for.
    pub(super) fn has_missed(&self) -> bool {
        self.tracer.missed
    }

    /// Traces other packets from here on. The error is a sentence's part.
    pub(super) fn trace(&mut self, tuples: &[TraceTuple], ends_only: bool) -> Result<(), String> {
        (self.tuples, self.ends_only) = (tuples.to_vec(), ends_only);
        let options = self.options();
        self.tracer.renew_for(&self.place, &self.tuples, options)
    }

    fn options(&self) -> TraceOptions {
        options_for(&self.place, self.ends_only)
    }

    /// Its rules, as far as they are known.
    pub(super) fn ruleset(&self) -> &Ruleset {
        &self.place.ruleset
    }

    /// Reads the rules if they have changed; they are traced from here on. What cannot be read or set up stays as it was; the error is a
    /// sentence's part.
    pub(super) fn renew(&mut self) -> Result<(), String> {
        if !self.changes.has_changed().map_err(|error| error.to_string())? {
            return Ok(());
        }
        let read = || {
            let mut socket = Socket::open(Protocol::Netfilter).map_err(|error| error.to_string())?;
            Ruleset::read_without_elements(&mut socket).map_err(|error| error.to_string())
        };
        let ruleset = within(&self.place.namespace, read)?;
        let known = self.options();
        self.place.ruleset = ruleset;
        let options = self.options();
        if options == known { Ok(()) } else { self.tracer.renew_for(&self.place, &self.tuples, options) }
    }
}

fn within<T: Send>(
    namespace: &Namespace,
    work: impl FnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    namespace.run(work).map_err(|error| error.to_string())?
}
