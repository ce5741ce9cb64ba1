//! Queueing disciplines and what went through them.

use nslab_kernel::NamespaceState;
use nslab_kernel::qdisc::{Handle, Qdisc};

use super::Names;
use crate::Style;
use crate::style::Role;

/// Those that somebody hung there; the kernel's own are left out.
pub(super) fn queues(state: &NamespaceState, names: Names<'_>, style: &Style) -> Vec<Vec<String>> {
    let all = state.queues.qdiscs.iter().filter(|one| one.handle != Handle::NONE);
    all.map(|one| queue(one, names, style)).collect()
}

fn queue(one: &Qdisc, names: Names<'_>, style: &Style) -> Vec<String> {
    let counts = &one.statistics;
    let dropped = match counts.drops {
        0 => String::new(),
        drops => style.paint(Role::Bad, format!("dropped {drops}")).into_owned(),
    };
    let waiting = match counts.queue_packets {
        0 => String::new(),
        packets => format!("waiting {packets} ({} bytes)", counts.queue_bytes),
    };
    vec![
        names.of(one.link),
        one.parent.to_string(),
        one.kind.to_string(),
        format!("sent {} ({} bytes)", counts.packets, counts.bytes),
        [dropped, waiting].iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(", "),
    ]
}
