//! What was lost on its way, and what took one of several ways.

use nslab_decode::{Flow, Points};
use nslab_observe::trace::Event;
use nslab_predict::{Action, Ip, Packet};

use super::*;
use crate::examples::{hop, host, seen};

const ENDS: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];

/// Of an echo request that goes out at the first interface.
fn prediction() -> Prediction {
    let [source, destination] = ENDS.map(IpAddr::from);
    let ip = Ip { source, destination, ttl: 64, tos: 0, dont_fragment: false, size: 84 };
    Prediction {
        verdict: Verdict::Delivered,
        cause: None,
        packet: Packet { ip, transport: nslab_predict::Transport::Icmp { kind: 8, code: 0, id: 1 }, mark: 0 },
        ports: Vec::new(),
        hops: vec![hop(1, Action::Send)],
        others: Vec::new(),
        answer: None,
        error: None,
        told: None,
        assumptions: Vec::new(),
    }
}

fn story(prediction: &Prediction, trace: &Trace) -> Story {
    let probe = Probe::new(0, ENDS[1].into(), Kind::Echo { id: 1 });
    Story::of(Facts { snapshot: &host(), places: &[0], probe: &probe, prediction, trace })
}

#[test]
fn what_may_be_lost_is_not_missing() {
    let prediction = prediction();
    let story = |lost, missed| {
        let heard = vec![Heard::Answer { from: ENDS[1].into() }];
        story(&prediction, &Trace { heard, lost, missed, ..Trace::default() })
    };
    let whole = story(0, false);
    assert_eq!((whole.differences.len(), whole.is_partial), (1, false), "{whole:?}");
    for partial in [story(1, false), story(0, true)] {
        assert_eq!((partial.differences.len(), partial.is_partial), (0, true), "{partial:?}");
    }
}

#[test]
fn of_another_way_neither_the_cause_nor_the_error_is_foretold() {
    let prediction = Prediction {
        verdict: Verdict::Dropped,
        others: vec![vec![hop(2, Action::Send)]],
        error: Some(vec![hop(1, Action::Make)]),
        ..prediction()
    };
    let [source, destination] = ENDS.map(IpAddr::from);
    let flow = Flow { source, destination, protocol: 1, points: Points::Echo(1) };
    let event =
        |role, link, sent| Event { place: 0, at: None, what: What::Seen(seen(role, flow, link, sent)) };
    let of = |link| {
        let events = [(Role::Request, link, true), (Role::Answer, 2, false), (Role::Error, 3, false)];
        let events = events.map(|(role, link, sent)| event(role, link, sent)).to_vec();
        story(&prediction, &Trace { events, ..Trace::default() })
    };
    let other = of(2);
    assert_eq!(other.ways.len(), 3, "{other:?}");
    assert_eq!(
        (other.other, &other.differences[..], other.end.is_some()),
        (Some(0), &[][..], true),
        "{other:?}"
    );
    // Of the way that the prediction tells of it is.
    let own = of(1);
    assert_eq!((own.other, own.differences.len()), (None, 2), "{own:?}");
}
