//! What was lost on its way, and what has arrived.

use nslab_decode::{Flow, Points};

use super::*;
use crate::examples::{self, hop, host};

#[test]
fn what_may_be_lost_is_not_missing() {
    let snapshot = host();
    let (source, destination) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let flow = Flow { source, destination, protocol: 1, points: Points::Echo(1) };
    let packet = Packet { begin: 0, flow, headers: Vec::new(), events: Vec::new() };
    let told = |hops: &[Hop], has_missed, has_lost| {
        let only = Only::new();
        let around = Around { snapshot: &snapshot, places: &[0], only: &only, has_missed, has_lost };
        let tale =
            Passing::of(around, &packet, &Foreseen { ways: vec![hops.to_vec()], ..Foreseen::default() });
        (tale.differences.len(), tale.is_partial, tale.agrees)
    };
    // At an interface, and without a step where it would be seen.
    for hops in [&[hop(1, Action::Send), hop(1, Action::Deliver)][..], &[hop(1, Action::Deliver)]] {
        assert_eq!(told(hops, false, false), (1, false, Some(false)), "{hops:?}");
        for (missed, lost) in [(true, false), (false, true)] {
            assert_eq!(told(hops, missed, lost), (0, true, None), "{hops:?}");
        }
    }
}

#[test]
fn what_the_kernel_drops_before_it_arrives_has_not_arrived() {
    let snapshot = host();
    let ends = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
    let flow = Flow { source: ends[0], destination: ends[1], protocol: 17, points: Points::None };
    let seen = examples::seen(Role::Request, flow, 1, false);
    let only = Only::new();
    let around =
        Around { snapshot: &snapshot, places: &[0], only: &only, has_missed: false, has_lost: false };
    let fate = |reason: Option<&str>| {
        let mut events = vec![Event { place: 0, at: None, what: What::Seen(seen.clone()) }];
        events.extend(reason.map(|reason| {
            let what = What::Dropped { role: Role::Request, reason: reason.to_owned(), location: None };
            Event { place: 0, at: None, what }
        }));
        let packet = Packet { begin: 0, flow, headers: Vec::new(), events };
        Passing::of(around, &packet, &Foreseen::default()).fate
    };
    // A rule that came after the trace looked for rules, which does not tell of itself.
    assert_eq!([fate(None), fate(Some("NETFILTER_DROP"))], [Fate::Delivered, Fate::Dropped]);
    // After it has come, or nobody knows where: an echo's answer is thrown away once it was given to who asked.
    for reason in ["NO_SOCKET", "OTHERHOST", "UDP_CSUM", "NOT_SPECIFIED"] {
        assert_eq!(fate(Some(reason)), Fate::Delivered, "{reason}");
    }
}
