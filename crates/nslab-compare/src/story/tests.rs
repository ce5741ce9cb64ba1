//! What was lost on its way.

use nslab_kernel::NamespaceId;
use nslab_predict::{Action, Ip, Packet};
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
    let destination: IpAddr = [10, 0, 0, 2].into();
    let probe = Probe::new(0, destination, Kind::Echo { id: 1 });
    let ip =
        Ip { source: [10, 0, 0, 1].into(), destination, ttl: 64, tos: 0, dont_fragment: false, size: 84 };
    let send = Hop {
        namespace: 0,
        link: Some(1),
        action: Action::Send,
        object: "eth0".to_owned(),
        detail: String::new(),
    };
    let prediction = Prediction {
        verdict: Verdict::Delivered,
        cause: None,
        packet: Packet { ip, transport: nslab_predict::Transport::Icmp { kind: 8, code: 0, id: 1 }, mark: 0 },
        ports: Vec::new(),
        hops: vec![send],
        others: Vec::new(),
        answer: None,
        error: None,
        told: None,
        assumptions: Vec::new(),
    };
    let story = |lost, missed| {
        let heard = vec![Heard::Answer { from: destination }];
        let trace = Trace { heard, lost, missed, ..Trace::default() };
        Story::of(Facts {
            snapshot: &snapshot,
            places: &[0],
            probe: &probe,
            prediction: &prediction,
            trace: &trace,
        })
    };
    let whole = story(0, false);
    assert_eq!((whole.differences.len(), whole.is_partial), (1, false), "{whole:?}");
    for partial in [story(1, false), story(0, true)] {
        assert_eq!((partial.differences.len(), partial.is_partial), (0, true), "{partial:?}");
    }
}
