//! What becomes of what an interface sends: queueing disciplines.

use nslab_kernel::link::Link;
use nslab_kernel::qdisc::{Handle, QdiscKind};
use nslab_topology::impairment::Impairments;

use crate::draft::Draft;

impl Draft<'_> {
    /// The impairments of an interface.
    pub(crate) fn queue(&mut self, number: usize, link: &Link) -> Impairments {
        let state = self.spaces[number].state;
        // What the kernel hangs there by itself has no name.
        let own = state.network.queues.qdiscs.iter().filter(|one| one.link == link.index);
        for qdisc in own.filter(|one| one.handle != Handle::NONE) {
            let object = format!("{} qdisc {} {}", link.name, qdisc.kind.name(), qdisc.handle);
            let why = match qdisc.kind {
                QdiscKind::Netem(_) | QdiscKind::Tbf(_) => {
                    "is not carried over; `delay`, `loss`, `rate` and the like of a link say the same"
                }
                QdiscKind::Clsact | QdiscKind::Ingress => "and its filters are not carried over",
                _ => "a lab file has no words for it",
            };
            self.skip(number, object, why);
        }
        Impairments::default()
    }
}
