//! What was lost on its way.

use nslab_decode::{Flow, Points};
use nslab_kernel::NamespaceId;
use nslab_snapshot::{Contents, FORMAT, Machine, Name, Namespace};

use super::*;

#[test]
fn what_may_be_lost_is_not_missing() {
    let host = Namespace {
        id: NamespaceId { device: 1, inode: 1 },
        names: vec![Name::Host],
        processes: Vec::new(),
        other_processes: Vec::new(),
        process_count: 0,
        contents: Contents::Unreadable { why: String::new() },
    };
    let machine = Machine { name: String::new(), kernel: String::new() };
    let snapshot = Snapshot { format: FORMAT, taken_at: 0, machine, namespaces: vec![host] };
    let (source, destination) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let flow = Flow { source, destination, protocol: 1, points: Points::Echo(1) };
    let packet = Packet { begin: 0, flow, headers: Vec::new(), events: Vec::new() };
    let hop = |action| Hop {
        namespace: 0,
        link: Some(1),
        action,
        object: "eth0".to_owned(),
        detail: String::new(),
    };
    let told = |hops: &[Hop], has_missed, has_lost| {
        let only = Only::new();
        let around = Around { snapshot: &snapshot, places: &[0], only: &only, has_missed, has_lost };
        let tale =
            Passing::of(around, &packet, &Foreseen { ways: vec![hops.to_vec()], ..Foreseen::default() });
        (tale.differences.len(), tale.is_partial, tale.agrees)
    };
    // At an interface, and without a step where it would be seen.
    for hops in [&[hop(Action::Send), hop(Action::Deliver)][..], &[hop(Action::Deliver)]] {
        assert_eq!(told(hops, false, false), (1, false, Some(false)), "{hops:?}");
        for (missed, lost) in [(true, false), (false, true)] {
            assert_eq!(told(hops, missed, lost), (0, true, None), "{hops:?}");
        }
    }
}
