//! All kinds of faults.

use super::{Fault, Healthy, bridged, filters, links, neighbours, programs, routed, sizes};
use crate::chance::Chance;

/// Makes a fault of a kind, where it is possible.
pub(super) type Kind = fn(&mut Chance, &Healthy<'_>) -> Option<Fault>;

/// All kinds, and how much more often each is taken where it is possible: few networks have room for some.
pub(super) const ALL: &[(usize, Kind)] = &[
    (2, links::down),
    (6, links::entry_down),
    (2, links::loopback_down),
    (2, links::no_carrier),
    (8, links::lower_down),
    (2, links::queue),
    (5, routed::no_route),
    (6, routed::stopping),
    (2, routed::gateway),
    (6, routed::forwarding),
    (7, routed::rp_filter),
    (4, routed::martian),
    (2, routed::hop_limit),
    (14, routed::circle),
    (6, routed::no_return),
    (5, routed::nat_missing),
    (9, neighbours::no_source),
    (2, neighbours::nobody),
    (3, neighbours::wrong_segment),
    (8, neighbours::same_address),
    (14, neighbours::same_mac),
    (7, sizes::exceeded),
    (2, sizes::mismatch),
    (7, sizes::black_hole),
    (6, bridged::isolated),
    (6, bridged::state),
    (9, bridged::entry),
    (6, bridged::not_flooded),
    (6, bridged::firewall),
    (3, bridged::down),
    (3, filters::drop),
    (3, filters::reject),
    (3, filters::answer),
    (2, programs::none),
    (2, programs::elsewhere),
];
