//! Namespaces that no link joins, not even through others: nothing gets from one to the other.

use nslab_kernel::link::LinkKind;
use nslab_snapshot::{Contents, Snapshot, Where};

/// For each namespace of a snapshot, the number of its island: two that are on one may be joined, two on different ones are not.
///
/// What leads out of the snapshot (hardware, programs, namespaces that are not seen), and WireGuard, of which it is not told in which
/// namespace its packets go, may lead anywhere, so that all which have such are on one island.
pub(super) fn islands(snapshot: &Snapshot) -> Vec<usize> {
    let count = snapshot.namespaces.len();
    // The last one is what is outside.
    let mut next: Vec<usize> = (0..=count).collect();
    for (namespace, seen) in snapshot.namespaces.iter().enumerate() {
        let Contents::State(state) = &seen.contents else {
            join(&mut next, namespace, count);
            continue;
        };
        for link in &state.network.links {
            let leads_out = match &link.kind {
                None => !link.loopback,
                Some(kind) => matches!(kind, LinkKind::Tun(_) | LinkKind::Wireguard | LinkKind::Other(_)),
            };
            if leads_out {
                join(&mut next, namespace, count);
            }
        }
        for peer in &state.peers {
            let other = match peer.namespace {
                Where::Namespace(other) => other,
                Where::Unseen => count,
            };
            join(&mut next, namespace, other);
        }
    }
    (0..count).map(|namespace| root(&mut next, namespace)).collect()
}

/// The namespace that stands for an island. The way to it gets shorter each time.
fn root(next: &mut [usize], mut at: usize) -> usize {
    while next[at] != at {
        next[at] = next[next[at]];
        at = next[at];
    }
    at
}

fn join(next: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(next, one), root(next, other));
    // What is outside stands for its island.
    next[one.min(other)] = one.max(other);
}
