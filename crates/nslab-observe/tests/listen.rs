//! Packets of others that are traced in the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use nslab_filter::NameTable;
use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::Ruleset;
use nslab_observe::trace::listen::{Listener, Options, Wanted};
use nslab_observe::trace::{Place, What};
use nslab_testing::privileged;
use support::{ETH0, cable, namespaces};

/// Two on a cable.
fn pair() -> Vec<Namespace> {
    let all = namespaces(2);
    cable((&all[0], ETH0, &["10.0.0.1/24"]), (&all[1], ETH0, &["10.0.0.2/24"]), 1500);
    all
}

fn places(all: &[Namespace]) -> Vec<Place> {
    let place = |(name, namespace): (&str, &Namespace)| {
        let mut socket = namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        Place::new(name, namespace.duplicate().unwrap(), Ruleset::read(&mut socket).unwrap())
    };
    ["left", "right"].into_iter().zip(all).map(place).collect()
}

#[test]
fn who_looks_seldom_sees_all_the_same() {
    privileged(|| {
        let all = pair();
        let options = Options { quiet: Duration::from_millis(1), ..Options::default() };
        let wanted = Wanted::of("udp port 9", &NameTable::builtin(), false).unwrap();
        let mut listener = Listener::open(&places(&all), &wanted, &options).unwrap();
        assert_eq!(listener.untraced().count(), 0);
        listener.start().unwrap();
        let receiver = all[1].run(|| UdpSocket::bind("10.0.0.2:9")).unwrap().unwrap();
        let sender = all[0].run(|| UdpSocket::bind("10.0.0.1:0")).unwrap().unwrap();
        sender.send_to(b"here", "10.0.0.2:9").unwrap();
        receiver.recv(&mut [0; 8]).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        let packet = loop {
            listener.turn(Duration::from_millis(1), &mut ()).unwrap();
            // Whoever looks has other things to do, for longer than packets are on their way.
            std::thread::sleep(Duration::from_millis(60));
            if let Some(packet) = listener.next(&mut (), false) {
                break packet;
            }
            assert!(Instant::now() < end, "nothing is seen");
        };
        let sightings = packet.events.iter().filter(|event| matches!(event.what, What::Seen(_))).count();
        let hooks = packet.events.iter().filter(|event| matches!(event.what, What::Hook(_))).count();
        // Output, prerouting and input; where there are no rules, others are not told of.
        assert_eq!((sightings, hooks), (2, 3), "{packet:#?}");
        assert!(listener.next(&mut (), true).is_none());
    });
}
