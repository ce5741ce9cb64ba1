//! All kinds of faults.

use super::{Fault, Healthy, bridged, filters, routed};
use crate::chance::Chance;

/// Makes a fault of a kind, where it is possible.
pub(crate) type Kind = fn(&mut Chance, &Healthy<'_>) -> Option<Fault>;

pub(crate) fn all() -> Vec<Kind> {
    vec![
        routed::link_down,
        routed::loopback_down,
        routed::no_carrier,
        routed::no_source,
        routed::no_route,
        routed::stopping_route,
        routed::gateway,
        routed::neighbour,
        routed::wrong_segment,
        routed::same_address,
        routed::forwarding,
        routed::rp_filter,
        routed::martian,
        routed::hop_limit,
        routed::circle,
        routed::no_return,
        routed::mtu_exceeded,
        routed::mtu_mismatch,
        bridged::isolated,
        bridged::state,
        bridged::entry,
        bridged::same_mac,
        bridged::firewall,
        bridged::down,
        filters::pmtu_blackhole,
        filters::drop,
        filters::reject,
        filters::answer,
        filters::no_listener,
        filters::other_address,
        filters::qdisc,
    ]
}
