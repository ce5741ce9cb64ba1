//! Capturing on small networks of the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::UdpSocket;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::link::DelLink;
use nslab_kernel::packet::{Instruction, PacketKind};
use nslab_observe::Error;
use nslab_observe::capture::{Capture, Event, Found, Options, Source, Watch, open};
use nslab_observe::ping::{PingOptions, Probe, ping};
use nslab_testing::privileged;
use support::{ETH0, apply, cable, namespaces, route, sysctl};

const LIMIT: Duration = Duration::from_secs(20);

/// `left`, `router` and `right`, and what each is called.
fn routed() -> Vec<Namespace> {
    let all = namespaces(3);
    cable((&all[0], ETH0, &["10.0.0.2/24"]), (&all[1], ETH0, &["10.0.0.1/24"]), 1500);
    cable((&all[1], ETH0 + 1, &["10.0.1.1/24"]), (&all[2], ETH0, &["10.0.1.2/24"]), 1500);
    sysctl(&all[1], "net.ipv4.ip_forward", "1");
    apply(&all[0], &[&route("0.0.0.0/0", "10.0.0.1")]);
    apply(&all[2], &[&route("0.0.0.0/0", "10.0.1.1")]);
    all
}

fn sources(namespaces: &[Namespace]) -> Vec<Source> {
    let names = ["left", "router", "right"];
    names.iter().zip(namespaces).map(|(name, one)| Source::all(*name, one.duplicate().unwrap())).collect()
}

/// Only IPv4, so that neighbours' talk is no matter.
fn only_ip() -> Options {
    let filter = vec![
        Instruction::load_protocol(),
        Instruction::unless_equal(0x0800, 1),
        Instruction::give(262_144),
        Instruction::give(0),
    ];
    Options { filter, ..Options::default() }
}

fn ping_once(namespaces: &[Namespace], to: &str) {
    let outcome =
        ping(namespaces, &[Probe::new(0, to.parse().unwrap())], &PingOptions::default(), &mut |_| {});
    assert_eq!(outcome.unwrap()[0].received(), 1);
}

/// Where and which way packets went, and their times, until there are so many.
fn seen(capture: &mut Capture, count: usize) -> Vec<(String, PacketKind, u64)> {
    let mut all = Vec::new();
    let names: Vec<String> = (0..capture.len()).map(|place| capture.name(place).to_owned()).collect();
    let start = Instant::now();
    while all.len() < count {
        assert!(start.elapsed() < LIMIT, "{all:?}");
        capture
            .turn(Duration::from_millis(50), &mut |sighting| {
                let place = format!("{}:{}", names[sighting.place], sighting.interface.name);
                all.push((place, sighting.frame.kind, sighting.frame.time));
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    all
}

#[test]
fn a_packet_is_seen_at_each_interface_in_order() {
    privileged(|| {
        let all = routed();
        let mut capture = Capture::open(sources(&all), only_ip()).unwrap();
        capture.start().unwrap();
        ping_once(&all, "10.0.1.2");
        let seen = seen(&mut capture, 8);
        let way: Vec<_> = seen.iter().map(|(place, kind, _)| (&**place, *kind)).collect();
        let (host, out) = (PacketKind::Host, PacketKind::Outgoing);
        let expected = [
            ("left:eth0", out),
            ("router:eth0", host),
            ("router:eth1", out),
            ("right:eth0", host),
            ("right:eth0", out),
            ("router:eth1", host),
            ("router:eth0", out),
            ("left:eth0", host),
        ];
        assert_eq!(way, expected);
        assert!(seen.is_sorted_by_key(|(_, _, time)| *time), "{seen:?}");
        let mut more = 0;
        capture
            .finish(&mut |_| {
                more += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(more, 0);
        let counts: Vec<_> = capture.counts().iter().map(|one| (one.seen, one.lost)).collect();
        assert_eq!(counts, [(2, 0), (4, 0), (2, 0)]);
    });
}

#[test]
fn what_passed_before_the_end_is_given_and_what_is_not_wanted_any_more_is_not() {
    privileged(|| {
        let all = routed();
        let mut capture = Capture::open(sources(&all), only_ip()).unwrap();
        ping_once(&all, "10.0.1.2");
        capture.start().unwrap();
        ping_once(&all, "10.0.1.2");
        let mut count = 0;
        capture
            .finish(&mut |_| {
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(count, 8);
        let mut capture = Capture::open(sources(&all), only_ip()).unwrap();
        capture.start().unwrap();
        ping_once(&all, "10.0.1.2");
        let mut count = 0;
        let over = capture.finish(&mut |_| {
            count += 1;
            if count == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(over.unwrap());
        assert_eq!(count, 3);
    });
}

#[test]
fn one_interface_alone_until_it_is_gone() {
    privileged(|| {
        let all = routed();
        let source = |interfaces: &[&str]| {
            let interfaces = interfaces.iter().map(|name| (*name).to_owned()).collect();
            vec![Source { name: "router".into(), namespace: all[1].duplicate().unwrap(), interfaces }]
        };
        let error = Capture::open(source(&["eth1", "eth7"]), Options::default()).unwrap_err();
        assert!(
            matches!(&error, Error::NoSuchInterface { name, known, .. } if name == "eth7" && known.len() >= 3)
        );
        let mut capture = Capture::open(source(&["eth1"]), only_ip()).unwrap();
        capture.start().unwrap();
        ping_once(&all, "10.0.1.2");
        let seen = seen(&mut capture, 2);
        assert!(seen.iter().all(|(place, ..)| place == "router:eth1"), "{seen:?}");
        assert!(!capture.is_over());
        apply(&all[1], &[&DelLink::Index(ETH0 + 1)]);
        let start = Instant::now();
        while !capture.is_over() {
            assert!(start.elapsed() < LIMIT);
            capture.turn(Duration::from_millis(50), &mut |_| ControlFlow::Continue(())).unwrap();
        }
        assert_eq!(capture.events(), [Event::InterfaceGone { place: 0, name: "eth1".into() }]);
        // It comes back.
        let addresses: [&str; 1] = ["10.0.1.1/24"];
        let (left, right) = ((&all[1], ETH0 + 1, &addresses[..]), (&all[2], ETH0, &["10.0.1.2/24"][..]));
        cable(left, right, 1500);
        apply(&all[2], &[&route("0.0.0.0/0", "10.0.1.1")]);
        while capture.is_over() {
            assert!(start.elapsed() < LIMIT);
            capture.turn(Duration::from_millis(50), &mut |_| ControlFlow::Continue(())).unwrap();
        }
        assert_eq!(capture.events(), [Event::InterfaceBack { place: 0, name: "eth1".into() }]);
        ping_once(&all, "10.0.1.2");
        let seen = self::seen(&mut capture, 2);
        assert!(seen.iter().all(|(place, ..)| place == "router:eth1"), "{seen:?}");
    });
}

#[test]
fn interfaces_and_namespaces_join_and_leave() {
    privileged(|| {
        let all = namespaces(3);
        let mut capture = Capture::open(sources(&all[..1]), only_ip()).unwrap();
        capture.start().unwrap();
        cable((&all[0], ETH0, &["10.0.0.2/24"]), (&all[1], ETH0, &["10.0.0.1/24"]), 1500);
        ping_once(&all, "10.0.0.1");
        assert!(seen(&mut capture, 2).iter().all(|(place, ..)| place == "left:eth0"));
        let mut new = sources(&all).remove(1);
        new.name = "new".into();
        let mut waiting = Some(new);
        let watch = Watch::begin(&[], &only_ip(), 1, move || waiting.take().into_iter().collect()).unwrap();
        let start = Instant::now();
        let opened = loop {
            match watch.next() {
                Some(Found::Opened(opened)) => break opened,
                Some(Found::Failed(error)) => panic!("{error}"),
                None => assert!(start.elapsed() < LIMIT),
            }
            std::thread::yield_now();
        };
        capture.join(*opened).unwrap();
        ping_once(&all, "10.0.0.1");
        let places: Vec<_> = seen(&mut capture, 4).into_iter().map(|(place, ..)| place).collect();
        assert_eq!(places, ["left:eth0", "new:eth0", "new:eth0", "left:eth0"]);
        capture.leave(1).unwrap();
        ping_once(&all, "10.0.0.1");
        let places: Vec<_> = seen(&mut capture, 2).into_iter().map(|(place, ..)| place).collect();
        assert_eq!(places, ["left:eth0", "left:eth0"]);
    });
}

#[test]
fn what_is_lost_is_counted_and_memory_is_bounded() {
    privileged(|| {
        let all = routed();
        let options = Options { memory: Some(1 << 20), ..only_ip() };
        let mut capture = Capture::open(sources(&all), options).unwrap();
        capture.start().unwrap();
        let udp = all[0].run(|| UdpSocket::bind("10.0.0.2:0").unwrap()).unwrap();
        // Nobody listens there, and errors that come back are no matter.
        for _ in 0..3000 {
            let _ = udp.send_to(&[0; 1400], "10.0.1.2:9");
        }
        let mut count = [0; 3];
        let mut last = 0;
        capture
            .finish(&mut |sighting| {
                count[sighting.place] += 1;
                assert!(sighting.frame.time >= last);
                last = sighting.frame.time;
                ControlFlow::Continue(())
            })
            .unwrap();
        for (place, counts) in capture.counts().iter().enumerate() {
            assert_eq!(counts.seen, count[place] + counts.lost, "{place}: {counts:?}");
        }
        assert!(capture.counts().iter().any(|counts| counts.lost > 0), "{:?}", capture.counts());
    });
}

#[test]
fn very_many_namespaces_are_opened_and_closed_side_by_side() {
    privileged(|| {
        let all = namespaces(100);
        let sources = |part: &[Namespace]| -> Vec<Source> {
            part.iter().map(|one| Source::all("one", one.duplicate().unwrap())).collect()
        };
        let options = Options { memory: Some(1 << 20), ..Options::default() };
        let mut measured = Vec::new();
        // A machine that is busy may lengthen either.
        for _ in 0..5 {
            // One after the other, as the kernel makes each wait.
            let start = Instant::now();
            drop(
                all[..10]
                    .iter()
                    .map(|one| open(sources(std::slice::from_ref(one)), &options))
                    .collect::<Vec<_>>(),
            );
            let ten = start.elapsed();
            let start = Instant::now();
            drop(Capture::open(sources(&all), options.clone()).unwrap());
            // Ten times as many would take ten times as long.
            let hundred = start.elapsed();
            if hundred < ten * 6 {
                return;
            }
            measured.push((ten, hundred));
        }
        panic!("ten and a hundred take {measured:?}");
    });
}
