//! The kernel's tables of neighbours, which all namespaces share.

use super::{Fault, Host, Place, Severity};
use crate::Code;

/// `NUD_NOARP` and `NUD_PERMANENT` (`include/uapi/linux/neighbour.h`): such entries are not counted.
const FIXED: u16 = 0x40 | 0x80;

/// Tables that are full, or full to nine tenths (`neigh_alloc`, `net/core/neighbour.c`: beyond `gc_thresh3` nothing is added).
pub(super) fn full(host: &Host<'_>, faults: &mut Vec<Fault>) {
    for ipv6 in [false, true] {
        let limits = host.states().find_map(|(namespace, state)| {
            let (v4, v6) = state.settings.most_neighbours;
            Some((namespace, (if ipv6 { v6 } else { v4 })?))
        });
        let Some((namespace, limit)) = limits else { continue };
        let counts: Vec<(usize, usize)> = host
            .states()
            .map(|(place, state)| {
                let entries = state.network.neighbours.iter().filter(|entry| {
                    entry.address.is_ipv6() == ipv6 && !entry.proxy && entry.state & FIXED == 0
                });
                (place, entries.count())
            })
            .collect();
        let sum: usize = counts.iter().map(|(_, count)| count).sum();
        let limit_entries = usize::try_from(limit).unwrap_or(usize::MAX);
        if sum < limit_entries / 10 * 9 || sum == 0 {
            continue;
        }
        let key =
            if ipv6 { "net.ipv6.neigh.default.gc_thresh3" } else { "net.ipv4.neigh.default.gc_thresh3" };
        let most = counts.iter().max_by_key(|(place, count)| (*count, std::cmp::Reverse(*place)));
        let family = if ipv6 { "IPv6" } else { "IPv4" };
        faults.push(Fault {
            severity: if sum >= limit_entries { Severity::Error } else { Severity::Warning },
            code: Code::NeighbourTableFull,
            text: format!("the kernel's table of {family} neighbours holds {sum} of at most {limit}: beyond that none is found"),
            places: vec![Place { namespace, ns: host.name(namespace), link: None, object: key.to_owned() }],
            evidence: most
                .map(|&(place, count)| format!("{count} of them are of {}", host.name(place)))
                .into_iter()
                .collect(),
            fix: vec![host.command(namespace, &format!("sysctl -w {key}={}", u64::from(limit).max(sum as u64) * 4))],
        });
    }
}
