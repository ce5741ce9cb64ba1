//! Which object is named, and what is said to mend it: where the code alone does not tell.

use nslab_predict::fix::{self, Aim};
use nslab_predict::{Code, Error, Ip, Network, Packet, Question, Tcp, Transport, predict};
use nslab_testing::privileged;

use crate::made::Made;

fn echo(to: &str) -> Packet {
    let destination: std::net::IpAddr = to.parse().unwrap();
    let (source, kind) = if destination.is_ipv6() { ("::", 128) } else { ("0.0.0.0", 8) };
    let source = source.parse().unwrap();
    let ip = Ip { source, destination, ttl: 64, tos: 0, dont_fragment: false, size: 84 };
    Packet { ip, transport: Transport::Icmp { kind, code: 0, id: 7 }, mark: 0 }
}

/// `ann`, two routers that lead to `bob`, and `bob`.
const SQUARE: &str = "
    ann -- rt
    ann -- ro
    rt -- bob
    ann: address add 10.0.1.2/24 dev rt
    rt: address add 10.0.1.1/24 dev ann
    ann: address add 10.0.3.2/24 dev ro
    ro: address add 10.0.3.1/24 dev ann
    rt: address add 10.0.2.1/24 dev bob
    bob: address add 10.0.2.2/24 dev rt
    ann: address add fd00:1::2/64 dev rt
    rt: address add fd00:1::1/64 dev ann
    rt: address add fd00:2::1/64 dev bob
    bob: address add fd00:2::2/64 dev rt
    ann: route add 10.0.2.0/24 via 10.0.1.1
    ann: route add fd00:2::/64 via fd00:1::1
    bob: route add default via 10.0.2.1
    bob: route add default via fd00:2::1
    rt: sysctl net.ipv4.ip_forward=1
    rt: sysctl net.ipv6.conf.all.forwarding=1
";

/// The cause of what `ann` sends with these lines besides, as code, namespace and object; and what mends it.
fn cause(lines: &str, to: &str) -> Option<((Code, String, String), Vec<String>)> {
    let made = Made::new(&format!("{SQUARE}{lines}"))?;
    let snapshot = made.snapshot();
    let network = Network::of(&snapshot);
    let (namespace, _) = snapshot.find("ann").next().unwrap();
    let question = Question { namespace, packet: echo(to), established: false, fresh: false, link: None };
    let prediction = predict(&network, &question);
    let cause = prediction.cause.clone().unwrap_or_else(|| panic!("{lines}: {prediction:#?}"));
    let aim = Aim { destination: snapshot.find("bob").next().map(|(place, _)| place), ..Aim::default() };
    let fix = fix::find(&network, &question, &prediction, &aim);
    let commands = fix.iter().flat_map(|fix| fix.commands().map(str::to_owned)).collect();
    let name = snapshot.namespaces[cause.namespace].name().to_string();
    Some(((cause.code, name, cause.object), commands))
}

#[test]
fn the_object_of_a_fault() {
    privileged(|| {
        let cases = [
            // Forwarding is on, but not where it comes in.
            (
                "rt: sysctl net.ipv4.conf.ann.forwarding=0",
                "10.0.2.2",
                (Code::ForwardingOff, "netns:rt", "net.ipv4.conf.ann.forwarding"),
            ),
            // What goes down takes its routes along, and another interface is up.
            ("ann: link set rt down", "10.0.2.2", (Code::LinkDown, "netns:ann", "rt")),
            // And IPv6 forgets the addresses.
            ("ann: link set rt down", "fd00:2::2", (Code::LinkDown, "netns:ann", "rt")),
            ("bob: link set rt down", "fd00:2::2", (Code::NoCarrier, "netns:rt", "bob")),
            // Nobody answers ARP in whose eyes the one who asks is itself.
            (
                "rt: address add 10.0.1.2/32 dev lo",
                "10.0.2.2",
                (Code::Martian, "netns:rt", "net.ipv4.conf.ann.accept_local"),
            ),
            (
                "rt: rule add pref 100 to 10.0.2.2 unreachable",
                "10.0.2.2",
                (Code::RouteUnreachable, "netns:rt", "rule 100"),
            ),
        ];
        for (lines, to, (code, name, object)) in cases {
            let Some((found, _)) = cause(lines, to) else { return };
            assert_eq!(found, (code, name.to_owned(), object.to_owned()), "{lines}");
        }
    });
}

#[test]
fn a_rule_that_says_unreachable_speaks_of_the_network() {
    privileged(|| {
        for (line, code) in
            [("rt: rule add pref 100 to 10.0.2.2 unreachable", 0), ("rt: route add unreachable 10.0.2.2", 1)]
        {
            let Some(made) = Made::new(&format!("{SQUARE}{line}")) else { return };
            let told = made.ask("ann", echo("10.0.2.2")).told.unwrap();
            assert_eq!(told.what, Error::Icmp { kind: 3, code, mtu: None }, "{line}");
        }
    });
}

/// What is sent to an address of one link comes back by that link, whichever the first route to such addresses leads by.
#[test]
fn errors_to_addresses_of_one_link() {
    privileged(|| {
        let lines = "rt -- other\nother: address add fe80::2/64 dev rt\nrt: address add fe80::1/64 dev other\n\
                     ann: address add fe80::2/64 dev rt\nrt: address add fe80::1/64 dev ann";
        let Some(made) = Made::new(&format!("{SQUARE}{lines}")) else { return };
        let snapshot = made.snapshot();
        let (namespace, _) = snapshot.find("ann").next().unwrap();
        let link = snapshot.namespaces[namespace].state().unwrap().link_named("rt").unwrap().index;
        let ask = |transport, link| {
            let mut packet = Packet { transport, ..echo("fe80::1") };
            packet.ip.source = "fe80::2".parse().unwrap();
            let question = Question { namespace, packet, established: false, fresh: false, link };
            predict(&Network::of(&snapshot), &question)
        };
        let udp = Transport::Udp { source: 40_000, destination: 9 };
        let tcp = Transport::Tcp(Tcp { source: 40_000, destination: 9, flags: Tcp::SYN });
        for (transport, what) in [(udp, Error::Icmp { kind: 1, code: 4, mtu: None }), (tcp, Error::Reset)] {
            let prediction = ask(transport, Some(link));
            let told = prediction.told.map(|told| (told.from, told.what));
            assert_eq!(told, Some(("fe80::1".parse().unwrap(), what)), "{prediction:#?}");
        }
        // To connect there needs an interface to be told; and nobody connects to a group.
        let prediction = ask(tcp, None);
        assert_eq!(prediction.cause.as_ref().map(|cause| cause.code), Some(Code::NoRoute), "{prediction:#?}");
        let prediction = made.ask("ann", Packet { transport: tcp, ..echo("10.0.1.255") });
        assert_eq!(prediction.cause.as_ref().map(|cause| cause.code), Some(Code::Martian), "{prediction:#?}");
    });
}

#[test]
fn what_leads_astray_goes() {
    privileged(|| {
        let cases = [
            ("rt: route add throw 10.0.2.2", "ip -n rt route del throw 10.0.2.2"),
            (
                "bob -- ro\nbob: address add 10.0.4.2/24 dev ro\nbob: route add 10.0.1.2 dev ro\n\
                 bob: sysctl net.ipv4.conf.all.rp_filter=1",
                "ip -n bob route del 10.0.1.2 dev ro",
            ),
            (
                "rt: sysctl net.ipv4.conf.ann.forwarding=0",
                "ip netns exec rt sysctl -w net.ipv4.conf.ann.forwarding=1",
            ),
        ];
        for (lines, command) in cases {
            let Some((cause, commands)) = cause(lines, "10.0.2.2") else { return };
            assert_eq!(commands, [command], "{cause:?}");
        }
    });
}
