//! One packet watched through small networks of the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{Hook, Ruleset};
use nslab_observe::trace::{
    Heard, Kind, Neighbour, Options, Place, Probe, Role, Seen, Trace, Visit, VisitEnd, What, run,
};
use nslab_testing::{Nft, privileged};
use support::{ETH0, apply, cable, namespaces, route, sysctl};

const NAMES: [&str; 3] = ["left", "router", "right"];

/// `left`, `router` and `right`, with links of this MTU on the right.
fn routed(mtu: u32) -> Vec<Namespace> {
    let all = namespaces(3);
    cable(
        (&all[0], ETH0, &["10.0.0.2/24", "fd00::2/64"]),
        (&all[1], ETH0, &["10.0.0.1/24", "fd00::1/64"]),
        1500,
    );
    cable(
        (&all[1], ETH0 + 1, &["10.0.1.1/24", "fd01::1/64"]),
        (&all[2], ETH0, &["10.0.1.2/24", "fd01::2/64"]),
        mtu,
    );
    sysctl(&all[1], "net.ipv4.ip_forward", "1");
    sysctl(&all[1], "net.ipv6.conf.all.forwarding", "1");
    apply(&all[0], &[&route("0.0.0.0/0", "10.0.0.1"), &route("::/0", "fd00::1")]);
    apply(&all[2], &[&route("0.0.0.0/0", "10.0.1.1"), &route("::/0", "fd01::1")]);
    all
}

fn ruleset(namespace: &Namespace) -> Ruleset {
    let mut socket = namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
    Ruleset::read(&mut socket).unwrap()
}

/// Sends from the first, and sees to it that nothing is left of it.
fn trace(all: &[Namespace], probe: &Probe, options: &Options) -> Trace {
    let places = NAMES.iter().zip(all);
    let places: Vec<Place> = places
        .map(|(name, namespace)| Place::new(*name, namespace.duplicate().unwrap(), ruleset(namespace)))
        .collect();
    let before: Vec<_> = all.iter().map(|namespace| ruleset(namespace).tables).collect();
    let trace = run(&places, probe, options, &mut ()).unwrap();
    let before: Vec<_> = before.iter().map(Vec::len).collect();
    let now = || all.iter().map(|namespace| ruleset(namespace).tables.len()).collect::<Vec<_>>();
    // A table goes with its socket, which a process that another test is starting may hold until it is what it is to be.
    let limit = Instant::now() + Duration::from_secs(20);
    while now() != before && Instant::now() < limit {
        std::thread::yield_now();
    }
    assert_eq!(now(), before, "tables are left");
    assert_eq!((trace.lost, trace.missed, &trace.untraced[..]), (0, false, &[][..]));
    trace
}

fn to(destination: &str, kind: Kind) -> Probe {
    Probe::new(0, destination.parse().unwrap(), kind)
}

/// What is seen of one role, in words.
fn words(trace: &Trace, role: Role) -> Vec<String> {
    let own = trace.events.iter().filter(|event| event.role() == Some(role));
    own.map(|event| {
        let place = NAMES[event.place];
        match &event.what {
            What::Seen(Seen { sent, link, fragment, .. }) => {
                let piece = fragment.map_or_else(String::new, |piece| format!(" from {}", piece.offset));
                format!("{place} {} {}{piece}", if *sent { "sends by" } else { "gets by" }, link - ETH0)
            }
            What::Hook(Visit { hook, end, .. }) => {
                format!("{place} {} {end:?}", hook.map_or("?", Hook::as_str))
            }
            other => format!("{place} {other:?}"),
        }
    })
    .collect()
}

/// Where one role is seen at interfaces.
fn sightings(trace: &Trace, role: Role) -> Vec<String> {
    words(trace, role).into_iter().filter(|word| word.contains(" by ")).collect()
}

fn from(address: &str) -> IpAddr {
    address.parse().unwrap()
}

const THERE: [&str; 4] = ["left sends by 0", "router gets by 0", "router sends by 1", "right gets by 0"];
const BACK: [&str; 4] = ["right sends by 0", "router gets by 1", "router sends by 0", "left gets by 0"];

#[test]
fn an_echo_is_seen_there_and_back_with_all_hooks() {
    privileged(|| {
        let all = routed(1500);
        for destination in ["10.0.1.2", "fd01::2"] {
            let trace = trace(&all, &to(destination, Kind::Echo { id: 7 }), &Options::default());
            assert_eq!(trace.heard, [Heard::Answer { from: from(destination) }], "{destination}");
            assert_eq!(
                words(&trace, Role::Request),
                [
                    "left output Passed",
                    "left postrouting Passed",
                    "left sends by 0",
                    "router gets by 0",
                    "router prerouting Passed",
                    "router forward Passed",
                    "router postrouting Passed",
                    "router sends by 1",
                    "right gets by 0",
                    "right prerouting Passed",
                    "right input Passed"
                ],
                "{destination}"
            );
            assert_eq!(sightings(&trace, Role::Answer), BACK, "{destination}");
            assert!(words(&trace, Role::Answer).ends_with(&["left input Passed".into()]), "{destination}");
            let times: Vec<Duration> = trace.events.iter().filter_map(|event| event.at).collect();
            assert!(times.is_sorted() && times.len() >= 8, "{times:?}");
            // Others' echoes are others' business.
            assert!(words(&trace, Role::Error).is_empty());
        }
    });
}

#[test]
fn connections_are_made_or_refused() {
    privileged(|| {
        let all = routed(1500);
        for (bind, destination) in [("10.0.1.2:0", "10.0.1.2"), ("[fd01::2]:0", "fd01::2")] {
            let server = all[2].run(|| TcpListener::bind(bind)).unwrap().unwrap();
            let port = server.local_addr().unwrap().port();
            let probe = to(destination, Kind::Tcp { source: 40_001, destination: port });
            let made = trace(&all, &probe, &Options::default());
            assert_eq!(made.heard, [Heard::Answer { from: from(destination) }]);
            assert_eq!(
                (&sightings(&made, Role::Request)[..], sightings(&made, Role::Answer)),
                (&THERE.map(String::from)[..], BACK.map(String::from).to_vec())
            );
            drop(server);
            let probe = to(destination, Kind::Tcp { source: 40_002, destination: port });
            let refused = trace(&all, &probe, &Options::default());
            assert_eq!(refused.heard, [Heard::Reset { from: from(destination) }]);
            assert_eq!(sightings(&refused, Role::Error), BACK);
        }
    });
}

#[test]
fn nat_does_not_hide_it() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let all = routed(1500);
        nft.apply(
            &all[1],
            "table ip nat {
                chain pre {
                    type nat hook prerouting priority dstnat;
                    ip daddr 10.0.9.9 udp dport 53 dnat to 10.0.1.2:5353
                    ip daddr 10.0.9.9 dnat to 10.0.1.2
                }
                chain post {
                    type nat hook postrouting priority srcnat;
                    udp dport 5353 masquerade to :50000-50000
                    masquerade
                }
            }",
        );
        let server = all[2].run(|| UdpSocket::bind("10.0.1.2:5353")).unwrap().unwrap();
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (_, sender) = server.recv_from(&mut [0; 64]).unwrap();
                // Not what was sent to it, and from another port than its sender sees.
                server.send_to(b"and this is the answer", sender).unwrap();
            });
            let udp = to("10.0.9.9", Kind::Udp { source: 40_003, destination: 53 });
            let udp = trace(
                &all,
                &udp,
                &Options {
                    limit: Duration::from_secs(10),
                    quiet: Duration::from_secs(10),
                    ports: vec![5353],
                    ..Options::default()
                },
            );
            assert_eq!(udp.heard, [Heard::Answer { from: from("10.0.9.9") }]);
            assert_eq!(sightings(&udp, Role::Request), THERE);
            assert_eq!(sightings(&udp, Role::Answer), BACK);
        });
        let echo = trace(&all, &to("10.0.9.9", Kind::Echo { id: 9 }), &Options::default());
        assert_eq!(echo.heard, [Heard::Answer { from: from("10.0.9.9") }]);
        let ends: Vec<_> = echo
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Seen(seen) => Some((seen.flow.source.to_string(), seen.flow.destination.to_string())),
                _ => None,
            })
            .collect();
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        assert_eq!(
            ends,
            [
                pair("10.0.0.2", "10.0.9.9"),
                pair("10.0.0.2", "10.0.9.9"),
                pair("10.0.1.1", "10.0.1.2"),
                pair("10.0.1.1", "10.0.1.2"),
                pair("10.0.1.2", "10.0.1.1"),
                pair("10.0.1.2", "10.0.1.1"),
                pair("10.0.9.9", "10.0.0.2"),
                pair("10.0.9.9", "10.0.0.2"),
            ]
        );
    });
}

#[test]
fn what_a_rule_drops_is_known_at_once() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let all = routed(1500);
        nft.apply(
            &all[1],
            "table inet fw {
                chain forward {
                    type filter hook forward priority 0; policy accept;
                    icmp type echo-request jump no
                }
                chain no {
                    counter
                    drop
                }
            }",
        );
        let options =
            Options { limit: Duration::from_secs(30), quiet: Duration::from_secs(30), ..Options::default() };
        let dropped = trace(&all, &to("10.0.1.2", Kind::Echo { id: 7 }), &options);
        assert_eq!(dropped.heard, []);
        assert!(dropped.took < Duration::from_secs(10), "nothing was waited for: {:?}", dropped.took);
        assert_eq!(words(&dropped, Role::Request).last().unwrap(), "router forward Dropped");
        let steps = dropped.events.iter().find_map(|event| match &event.what {
            What::Hook(visit) if visit.end == VisitEnd::Dropped => Some(visit.steps.clone()),
            _ => None,
        });
        let chains: Vec<_> = steps.unwrap().into_iter().map(|met| met.chain).collect();
        assert_eq!(chains, ["forward", "no", "no"]);
    });
}

#[test]
fn who_is_asked_for_and_does_not_answer_is_told() {
    privileged(|| {
        let all = routed(1500);
        for destination in ["10.0.1.77", "fd01::77"] {
            let options = Options { limit: Duration::from_millis(300), ..Options::default() };
            let trace = trace(&all, &to(destination, Kind::Echo { id: 7 }), &options);
            assert_eq!(trace.heard, [], "{destination}");
            let asked: Vec<_> = trace
                .events
                .iter()
                .filter_map(|event| match event.what {
                    What::Neighbour(Neighbour { sent: true, target, mac: None, link }) => {
                        Some((event.place, link, target))
                    }
                    _ => None,
                })
                .filter(|(_, _, target)| *target == from(destination))
                .collect();
            assert_eq!(asked.first(), Some(&(1, ETH0 + 1, from(destination))));
            assert_eq!(words(&trace, Role::Request).last().unwrap(), "router postrouting Passed");
        }
    });
}

#[test]
fn pieces_are_known_as_well() {
    privileged(|| {
        let all = routed(1300);
        let probe = Probe { size: 1400, ..to("10.0.1.2", Kind::Echo { id: 7 }) };
        let cut = trace(&all, &probe, &Options::default());
        assert_eq!(cut.heard, [Heard::Answer { from: from("10.0.1.2") }]);
        // One may come in before the next goes out, or after.
        let at = |place: &str| {
            let mut all = sightings(&cut, Role::Request);
            all.retain(|word| word.starts_with(place));
            all
        };
        assert_eq!(at("left"), ["left sends by 0"]);
        assert_eq!(
            at("router"),
            ["router gets by 0", "router sends by 1 from 0", "router sends by 1 from 1280"]
        );
        assert_eq!(at("right"), ["right gets by 0 from 0", "right gets by 0 from 1280"]);
        // Which may not be cut is told so.
        let probe = Probe { dont_fragment: true, ..probe };
        let refused = trace(&all, &probe, &Options::default());
        let router = from("10.0.0.1");
        assert_eq!(refused.heard, [Heard::Error { from: router, kind: 3, code: 4, mtu: Some(1300) }]);
        assert_eq!(sightings(&refused, Role::Error), BACK[2..]);
        let probe = Probe { size: 1400, ..to("fd01::2", Kind::Echo { id: 7 }) };
        let refused = trace(&all, &Probe { dont_fragment: true, ..probe }, &Options::default());
        let router = from("fd00::1");
        assert_eq!(refused.heard, [Heard::Error { from: router, kind: 2, code: 0, mtu: Some(1300) }]);
        assert_eq!(sightings(&refused, Role::Error), BACK[2..]);
    });
}

#[test]
fn what_the_own_kernel_refuses_is_told() {
    privileged(|| {
        let all = routed(1500);
        let probe = Probe { size: 2000, dont_fragment: true, ..to("10.0.1.2", Kind::Echo { id: 7 }) };
        let refused = trace(&all, &probe, &Options::default());
        assert_eq!(refused.refused, Some(rustix::io::Errno::MSGSIZE));
        assert!(words(&refused, Role::Request).is_empty());
        // What may be cut is, by the sender itself.
        for destination in ["10.0.1.2", "fd01::2"] {
            let probe = Probe { size: 2000, ..to(destination, Kind::Echo { id: 7 }) };
            let cut = trace(&all, &probe, &Options::default());
            assert_eq!(
                (cut.refused, &cut.heard[..]),
                (None, &[Heard::Answer { from: from(destination) }][..])
            );
        }
        // A socket that could not connect is ready for all, and tells of no error a second time.
        let alone = namespaces(1);
        for destination in ["10.0.1.2", "fd01::2"] {
            let probe = to(destination, Kind::Tcp { source: 40_003, destination: 80 });
            let refused = trace(&alone, &probe, &Options::default());
            assert_eq!((refused.refused, refused.heard), (Some(rustix::io::Errno::NETUNREACH), Vec::new()));
        }
    });
}
