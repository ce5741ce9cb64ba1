//! Whose word it is that nobody answers.

use std::net::IpAddr;

use nslab_predict::{Ip, Packet, Tcp, Transport};
use nslab_snapshot::Snapshot;

use super::*;

/// A segment for another's port 80 that the sender's own rules lead to a neighbour who does not answer.
fn led_away() -> (Taken, Probe, Prediction, Observation) {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let to = |destination: IpAddr| {
        let ip =
            Ip { source: address("fd00:1::1"), destination, ttl: 64, tos: 0, dont_fragment: true, size: 80 };
        let transport = Transport::Tcp(Tcp { source: 20_000, destination: 80, flags: Tcp::SYN });
        Packet { ip, transport, mark: 0 }
    };
    let hop = |action, object: &str| Hop {
        namespace: 0,
        link: None,
        action,
        object: object.into(),
        detail: String::new(),
    };
    let cause = Cause {
        code: Code::NeighbourFailed,
        namespace: 0,
        link: Some(2),
        object: "e2".into(),
        text: String::new(),
        evidence: Evidence::Neighbour { target: address("fd00:2::3"), owners: Vec::new() },
        packet: Some(to(address("fd00:2::3"))),
        inner: None,
    };
    let prediction = Prediction {
        verdict: Verdict::Dropped,
        cause: Some(cause),
        packet: to(address("fd00:1::2")),
        ports: Vec::new(),
        hops: vec![
            hop(Action::Make, "tcp"),
            hop(Action::Change, "ip6 nat output handle 2"),
            hop(Action::Route, "fd00:2::/64 dev e2"),
            hop(Action::Stop, "e2"),
        ],
        others: Vec::new(),
        answer: None,
        error: None,
        told: None,
        assumptions: Vec::new(),
    };
    let told = Told { from: address("fd00:1::2"), what: Refusal::Icmp { kind: 1, code: 3, mtu: None } };
    let observed = Observation { told: vec![told], gave_up: vec![0], ..Observation::default() };
    let probe = Probe {
        from: 0,
        link: None,
        source: None,
        destination: address("fd00:1::2"),
        what: Kind::Tcp(80),
        size: 80,
        dont_fragment: true,
        ttl: 64,
        tos: 0,
        mark: 0,
    };
    (
        Taken {
            snapshot: Snapshot::of(Vec::new(), nslab_snapshot::Options::default()).unwrap(),
            places: vec![0, 1],
        },
        probe,
        prediction,
        observed,
    )
}

#[test]
fn the_hosts_own_word_is_nobodys() {
    let (taken, probe, prediction, observed) = led_away();
    assert_eq!(compare(&taken, &probe, &prediction, &observed), Finding::Agrees);
}

#[test]
fn all_else_is_somebodys_word() {
    type Change = fn(&mut Prediction, &mut Observation);
    let others: [(&str, Change); 7] = [
        ("nobody was asked for in vain there", |_, observed| observed.gave_up = vec![1]),
        ("the packet left the host", |_, observed| {
            let (space, link, sent) = (0, 2, true);
            observed.seen.push(Sighting { space, link, sent, is_others: false, in_tunnel: false });
        }),
        ("somebody else says so", |_, observed| observed.told[0].from = "fd00:1::3".parse().unwrap()),
        ("it is no word about a host", |_, observed| {
            observed.told[0].what = Refusal::Icmp { kind: 1, code: 1, mtu: None };
        }),
        ("nothing led it away", |prediction, _| {
            let sent = prediction.packet.clone();
            if let Some(cause) = &mut prediction.cause {
                cause.packet = Some(sent);
            }
        }),
        ("another host is to stop it", |prediction, _| {
            prediction.hops.iter_mut().skip(2).for_each(|hop| hop.namespace = 1);
        }),
        ("it is not at the question that it stops", |prediction, _| {
            prediction.hops.remove(2);
        }),
    ];
    for (what, change) in others {
        let (taken, probe, mut prediction, mut observed) = led_away();
        change(&mut prediction, &mut observed);
        let found = compare(&taken, &probe, &prediction, &observed);
        assert!(matches!(found, Finding::Contradicts(_)), "{what}: {found:?}");
    }
}
