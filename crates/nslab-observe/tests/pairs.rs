//! What single pings say on small networks of the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::route::RouteAction;
use nslab_observe::Error;
use nslab_observe::ping::{Cause, Event, IcmpErrorKind, Outcome, PingOptions, Probe, SendError, ping};
use nslab_testing::privileged;
use support::{ETH0, apply, cable, namespaces, route, special_route, sysctl, up};

fn quick() -> PingOptions {
    PingOptions {
        timeout: Duration::from_millis(900),
        interval: Duration::from_millis(20),
        ..PingOptions::default()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn one(namespaces: &[Namespace], to: &str, options: &PingOptions) -> Outcome {
    ping(namespaces, &[Probe::new(0, ip(to))], options, &mut |_| {}).unwrap().remove(0)
}

#[track_caller]
fn cause(outcome: &Outcome) -> Cause {
    assert_eq!((outcome.sent, outcome.received(), outcome.failures.len()), (1, 0, 1), "{outcome:?}");
    outcome.failures[0].cause
}

fn refusal(outcome: &Outcome) -> SendError {
    let Cause::Refused(error) = cause(outcome) else { panic!("{outcome:?}") };
    error
}

/// Two hosts with a cable.
fn pair() -> Vec<Namespace> {
    let all = namespaces(2);
    cable(
        (&all[0], ETH0, &["10.0.0.1/24", "fd00::1/64"]),
        (&all[1], ETH0, &["10.0.0.2/24", "fd00::2/64"]),
        1500,
    );
    all
}

/// A host, three routers in a row, a host: 10.0.0.0/24 to 10.0.3.0/24 between them, and fd00:0 to fd00:3.
fn chain(mtu_behind: u32) -> Vec<Namespace> {
    let all = namespaces(5);
    for (link, ends) in all.windows(2).enumerate() {
        let left = if link == 0 { ETH0 } else { ETH0 + 1 };
        let (v4, v6) = (|end| format!("10.0.{link}.{end}/24"), |end| format!("fd00:{link}::{end}/64"));
        let mtu = if link == 2 { mtu_behind } else { 1500 };
        cable((&ends[0], left, &[&v4(1), &v6(1)]), (&ends[1], ETH0, &[&v4(2), &v6(2)]), mtu);
    }
    for (place, namespace) in all.iter().enumerate() {
        if (1..4).contains(&place) {
            sysctl(namespace, "net.ipv4.ip_forward", "1");
            sysctl(namespace, "net.ipv6.conf.all.forwarding", "1");
        }
        for link in 0..4 {
            // To the right by the next one's address, to the left by the one before's.
            if link > place {
                apply(namespace, &[&route(&format!("10.0.{link}.0/24"), &format!("10.0.{place}.2"))]);
                apply(namespace, &[&route(&format!("fd00:{link}::/64"), &format!("fd00:{place}::2"))]);
            } else if link + 1 < place {
                apply(namespace, &[&route(&format!("10.0.{link}.0/24"), &format!("10.0.{}.1", place - 1))]);
                apply(namespace, &[&route(&format!("fd00:{link}::/64"), &format!("fd00:{}::1", place - 1))]);
            }
        }
    }
    all
}

#[test]
fn a_cable_answers_in_both_families() {
    privileged(|| {
        let all = pair();
        for to in ["10.0.0.2", "fd00::2"] {
            let mut events = Vec::new();
            let options = PingOptions { count: 3, ..quick() };
            let probe = Probe::new(0, ip(to));
            let outcomes = ping(&all, &[probe], &options, &mut |event| events.push(event)).unwrap();
            let outcome = &outcomes[0];
            assert_eq!((outcome.sent, outcome.received(), outcome.duplicates), (3, 3, 0), "{outcome:?}");
            assert!(outcome.failures.is_empty());
            for (reply, sequence) in outcome.replies.iter().zip(1..) {
                assert_eq!(
                    (reply.sequence, reply.ttl, reply.from, reply.bytes),
                    (sequence, Some(64), ip(to), 64)
                );
                assert!(reply.rtt > Duration::ZERO && reply.rtt < Duration::from_millis(900));
            }
            assert_eq!(events.len(), 4);
            assert_eq!(events[3], Event::Finished { probe: 0 });
        }
    });
}

#[test]
fn a_link_local_destination_takes_its_interface() {
    privileged(|| {
        let all = namespaces(2);
        cable((&all[0], ETH0, &["fe80::1/64"]), (&all[1], ETH0, &["fe80::2/64"]), 1500);
        let probe = Probe { scope: ETH0, ..Probe::new(0, ip("fe80::2")) };
        let outcomes = ping(&all, &[probe, Probe { scope: 77, ..probe }], &quick(), &mut |_| {}).unwrap();
        assert_eq!(outcomes[0].received(), 1, "{outcomes:?}");
        assert_eq!(outcomes[1].received(), 0, "{outcomes:?}");
        assert_eq!(refusal(&outcomes[1]), SendError::NetworkUnreachable);
    });
}

#[test]
fn it_ends_when_all_is_answered() {
    privileged(|| {
        let all = pair();
        let options = PingOptions { timeout: Duration::from_secs(60), ..PingOptions::default() };
        let start = Instant::now();
        assert_eq!(one(&all, "10.0.0.2", &options).received(), 1);
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

/// However late that is: whoever waits may have been kept from the processor meanwhile.
#[test]
fn what_has_come_is_read_before_it_is_given_up() {
    privileged(|| {
        let all = pair();
        assert_eq!(one(&all, "10.0.0.2", &PingOptions::default()).received(), 1);
        let at_once = PingOptions { timeout: Duration::ZERO, ..PingOptions::default() };
        // The answer comes while the request is being sent, unless the kernel puts that off.
        let end = Instant::now() + Duration::from_secs(60);
        while one(&all, "10.0.0.2", &at_once).received() == 0 {
            assert!(Instant::now() < end, "it is never read");
        }
    });
}

#[test]
fn any_size_is_answered() {
    privileged(|| {
        let all = pair();
        for to in ["10.0.0.2", "fd00::2"] {
            for size in [0, 1, 7, 8, 9, 1472, 1473, 9000, 65_000] {
                let outcome = one(&all, to, &PingOptions { size, ..quick() });
                assert_eq!(outcome.received(), 1, "{size} bytes to {to}: {outcome:?}");
                assert_eq!(outcome.replies[0].bytes, size + 8);
            }
        }
        let too_large = ping(&all, &[], &PingOptions { size: 70_000, ..quick() }, &mut |_| {});
        assert!(matches!(too_large, Err(Error::TooLarge { size: 70_000, .. })));
        let nowhere = ping(&all, &[Probe::new(2, ip("10.0.0.1"))], &quick(), &mut |_| {});
        assert!(matches!(nowhere, Err(Error::NoSuchNamespace { probe: 0, source_index: 2, namespaces: 2 })));
    });
}

#[test]
fn the_own_kernel_says_why_it_does_not_send() {
    privileged(|| {
        let all = pair();
        assert_eq!(refusal(&one(&all, "192.0.2.1", &quick())), SendError::NetworkUnreachable);
        assert_eq!(refusal(&one(&all, "2001:db8::1", &quick())), SendError::NetworkUnreachable);
        for (action, v4, v6) in [
            (RouteAction::Unreachable, SendError::HostUnreachable, SendError::HostUnreachable),
            (RouteAction::Prohibit, SendError::Prohibited, SendError::Prohibited),
            (RouteAction::Blackhole, SendError::Invalid, SendError::Invalid),
        ] {
            let mut change = special_route("192.0.2.0/24", action.clone());
            let mut change6 = special_route("2001:db8::/32", action);
            apply(&all[0], &[&change, &change6]);
            assert_eq!(refusal(&one(&all, "192.0.2.1", &quick())), v4);
            assert_eq!(refusal(&one(&all, "2001:db8::1", &quick())), v6);
            (change.delete, change6.delete) = (true, true);
            apply(&all[0], &[&change, &change6]);
        }
        let elsewhere = PingOptions { source_address: Some(ip("10.9.9.9")), ..quick() };
        assert_eq!(refusal(&one(&all, "10.0.0.2", &elsewhere)), SendError::AddressNotAvailable);
        let large = PingOptions { size: 1473, dont_fragment: true, ..quick() };
        assert_eq!(refusal(&one(&all, "10.0.0.2", &large)), SendError::TooBig { mtu: Some(1500) });
        let large = PingOptions { size: 1453, dont_fragment: true, ..quick() };
        assert_eq!(refusal(&one(&all, "fd00::2", &large)), SendError::TooBig { mtu: Some(1500) });
    });
}

#[test]
fn nobody_with_the_address_is_told_from_silence() {
    privileged(|| {
        let all = pair();
        assert_eq!(cause(&one(&all, "10.0.0.77", &quick())), Cause::Unresolved { link: ETH0 });
        assert_eq!(cause(&one(&all, "fd00::77", &quick())), Cause::Unresolved { link: ETH0 });
        sysctl(&all[1], "net.ipv4.icmp_echo_ignore_all", "1");
        let outcome = one(&all, "10.0.0.2", &quick());
        assert_eq!((outcome.sent, outcome.lost(), outcome.failures.len()), (1, 1, 0));
    });
}

#[test]
fn the_kernel_gives_up_on_a_neighbour_after_three_seconds() {
    privileged(|| {
        let all = pair();
        let options = PingOptions { timeout: Duration::from_secs(30), ..PingOptions::default() };
        let Cause::Icmp { from, error } = cause(&one(&all, "10.0.0.77", &options)) else {
            panic!("an error")
        };
        assert_eq!((from, error.kind), (ip("10.0.0.1"), IcmpErrorKind::HostUnreachable));
        let Cause::Icmp { from, error } = cause(&one(&all, "fd00::77", &options)) else { panic!("an error") };
        assert_eq!((from, error.kind), (ip("fd00::1"), IcmpErrorKind::HostUnreachable));
    });
}

#[test]
fn routers_on_the_way_speak_for_themselves() {
    privileged(|| {
        let all = chain(1500);
        for (to, hop) in [("10.0.3.2", "10.0.{}.2"), ("fd00:3::2", "fd00:{}::2")] {
            assert_eq!(one(&all, to, &quick()).replies[0].ttl, Some(61));
            for ttl in 1..=3 {
                let outcome = one(&all, to, &PingOptions { ttl: Some(ttl), ..quick() });
                let Cause::Icmp { from, error } = cause(&outcome) else { panic!("{outcome:?}") };
                assert_eq!(
                    (from, error.kind),
                    (ip(&hop.replace("{}", &(ttl - 1).to_string())), IcmpErrorKind::TimeExceeded)
                );
            }
            assert_eq!(one(&all, to, &PingOptions { ttl: Some(4), ..quick() }).received(), 1);
        }
        // The second router has no way there.
        apply(&all[0], &[&route("192.0.2.0/24", "10.0.0.2"), &route("2001:db8::/32", "fd00:0::2")]);
        apply(&all[1], &[&route("192.0.2.0/24", "10.0.1.2"), &route("2001:db8::/32", "fd00:1::2")]);
        for (to, hop) in [("192.0.2.1", "10.0.1.2"), ("2001:db8::1", "fd00:1::2")] {
            let Cause::Icmp { from, error } = cause(&one(&all, to, &quick())) else { panic!("an error") };
            assert_eq!((from, error.kind), (ip(hop), IcmpErrorKind::NetworkUnreachable));
        }
        apply(&all[2], &[&special_route("192.0.2.0/24", RouteAction::Prohibit)]);
        let Cause::Icmp { error, .. } = cause(&one(&all, "192.0.2.1", &quick())) else { panic!("an error") };
        assert_eq!((error.kind, error.code), (IcmpErrorKind::Prohibited, 13));
    });
}

#[test]
fn a_narrow_link_tells_its_mtu_every_time() {
    privileged(|| {
        let all = chain(1400);
        for (to, fits, hop) in [("10.0.3.2", 1372, "10.0.1.2"), ("fd00:3::2", 1352, "fd00:1::2")] {
            let with = |size, dont_fragment| PingOptions { size, dont_fragment, ..quick() };
            // More than once: what the kernel learns from the first does not hide the way from the second.
            for _ in 0..2 {
                let Cause::Icmp { from, error } = cause(&one(&all, to, &with(fits + 1, true))) else {
                    panic!("{to}")
                };
                assert_eq!((from, error.kind), (ip(hop), IcmpErrorKind::FragmentationNeeded { mtu: 1400 }));
            }
            assert_eq!(one(&all, to, &with(fits, true)).received(), 1);
            // The first answer over IPv6 may teach the answerer the way's MTU and be lost over it.
            let outcome = one(&all, to, &PingOptions { count: 2, ..with(fits + 1, false) });
            assert_eq!(outcome.replies.last().map(|reply| reply.sequence), Some(2), "{outcome:?}");
        }
    });
}

#[test]
fn pings_side_by_side_do_not_hear_each_other() {
    privileged(|| {
        let all = chain(1500);
        let options = PingOptions { count: 20, interval: Duration::from_millis(3), ..quick() };
        let blocked = PingOptions { ttl: Some(1), ..options.clone() };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let (all, options) = (&all, if number % 2 == 0 { &options } else { &blocked });
                    scope.spawn(move || (number, one(all, "10.0.3.2", options)))
                })
                .collect();
            for thread in threads {
                let (number, outcome) = thread.join().unwrap();
                assert_eq!((outcome.sent, outcome.duplicates), (20, 0));
                assert_eq!(outcome.received(), if number % 2 == 0 { 20 } else { 0 }, "{outcome:?}");
                // Routers send few errors a second, so most of the others meet silence.
                assert!(outcome.failures.len() <= if number % 2 == 0 { 0 } else { 20 }, "{outcome:?}");
            }
        });
    });
}

#[test]
fn a_wish_to_stop_is_heard() {
    privileged(|| {
        let all = pair();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let options = PingOptions { count: u32::MAX, stop: Some(stop.clone()), ..quick() };
        let mut replies = 0;
        let outcomes = ping(&all, &[Probe::new(0, ip("10.0.0.2"))], &options, &mut |_| {
            replies += 1;
            stop.store(replies == 5, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(outcomes.unwrap()[0].received() >= 5);
    });
}

#[test]
fn an_interface_that_is_down_sends_nothing() {
    privileged(|| {
        let all = pair();
        let down = nslab_kernel::link::SetLink { up: Some(false), ..up(ETH0) };
        apply(&all[0], &[&down]);
        assert_eq!(refusal(&one(&all, "10.0.0.2", &quick())), SendError::NetworkUnreachable);
    });
}
