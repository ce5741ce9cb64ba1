//! What of a filter the kernel looks at itself, before it tells of a packet that was dropped.

use nslab_tracepoints::Tuple;

/// The same, as the kernel is told.
pub(in crate::cli::commands) fn tuples(all: &[nslab_filter::Tuple]) -> Vec<Tuple> {
    all.iter().map(tuple).collect()
}

fn tuple(tuple: &nslab_filter::Tuple) -> Tuple {
    let nslab_filter::Tuple { ipv6, protocol, source, destination, source_port, destination_port } = *tuple;
    Tuple { ipv6, protocol, source, destination, source_port, destination_port }
}
