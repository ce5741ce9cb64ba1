//! Packets of others that are traced in the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use nslab_filter::NameTable;
use nslab_kernel::Namespace;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::{BaseChain, Chain, Family, Hook, Ruleset, Table, Transaction};
use nslab_observe::trace::listen::{Listener, Options, Packet, Wanted};
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

/// The next packet.
fn next(listener: &mut Listener) -> Packet {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        listener.turn(Duration::from_millis(1), &mut ()).unwrap();
        if let Some(packet) = listener.next(&mut (), false) {
            return packet;
        }
        assert!(Instant::now() < end, "nothing is seen");
    }
}

#[test]
fn rules_that_come_later_are_traced() {
    privileged(|| {
        let all = pair();
        let options = Options { quiet: Duration::from_millis(50), ends_only: true, ..Options::default() };
        let wanted = Wanted::of("udp port 9", &NameTable::builtin(), false).unwrap();
        let mut listener = Listener::open(&places(&all), &wanted, &options).unwrap();
        listener.start().unwrap();
        let _receiver = all[1].run(|| UdpSocket::bind("10.0.0.2:9")).unwrap().unwrap();
        let sender = all[0].run(|| UdpSocket::bind("10.0.0.1:0")).unwrap().unwrap();
        let send = || sender.send_to(b"here", "10.0.0.2:9").unwrap();
        let steps = |packet: &Packet| -> Vec<(usize, Option<Hook>, String)> {
            let visits = packet.events.iter().filter_map(|event| match &event.what {
                What::Hook(visit) => Some((event.place, visit)),
                _ => None,
            });
            let met =
                visits.flat_map(|(place, visit)| visit.steps.iter().map(move |met| (place, visit, met)));
            met.map(|(place, visit, met)| (place, visit.hook, met.table.name.clone())).collect()
        };
        send();
        assert_eq!(steps(&next(&mut listener)), []);
        // At a hook that is not looked at where there are no rules.
        let mut table = Table::new(Family::Inet, "late");
        table.chains.push(Chain::base("before", BaseChain::filter(Hook::Prerouting)));
        let id = table.id.clone();
        let mut socket = all[1].run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        let mut transaction = Transaction::new();
        transaction.load(&table);
        transaction.commit(&mut socket).unwrap();
        listener.turn(Duration::from_millis(1), &mut ()).unwrap();
        send();
        assert_eq!(steps(&next(&mut listener)), [(1, Some(Hook::Prerouting), "late".to_owned())]);
        // And when they go again, there is as little as before.
        let mut transaction = Transaction::new();
        transaction.delete_table(&id);
        transaction.commit(&mut socket).unwrap();
        listener.turn(Duration::from_millis(1), &mut ()).unwrap();
        let chains: usize =
            Ruleset::read(&mut socket).unwrap().tables.iter().map(|one| one.chains.len()).sum();
        assert_eq!(chains, 2);
        send();
        assert_eq!(steps(&next(&mut listener)), []);
    });
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
