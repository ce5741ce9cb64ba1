//! Whole ways through small networks made by ip(8) and nft(8): what is predicted of each. That the kernel does the same is
//! shown on random networks elsewhere.

use nslab_predict::{Action, Code, Error, Ip, Packet, Tcp, Transport, Verdict};
use nslab_testing::privileged;

use crate::made::Made;

/// An echo request.
fn echo(to: &str) -> Packet {
    let destination: std::net::IpAddr = to.parse().unwrap();
    let (source, kind) = if destination.is_ipv6() { ("::", 128) } else { ("0.0.0.0", 8) };
    Packet {
        ip: Ip {
            source: source.parse().unwrap(),
            destination,
            ttl: 64,
            tos: 0,
            dont_fragment: false,
            size: 84,
        },
        transport: Transport::Icmp { kind, code: 0, id: 7 },
        mark: 0,
    }
}

/// The first packet of a TCP connection.
fn tcp(to: &str, port: u16) -> Packet {
    let transport = Transport::Tcp(Tcp { source: 40000, destination: port, flags: Tcp::SYN });
    Packet { transport, ..echo(to) }
}

fn sized(packet: &Packet, size: u32) -> Packet {
    Packet { ip: Ip { size, dont_fragment: true, ..packet.ip.clone() }, ..packet.clone() }
}

const DELIVERED: (Verdict, Option<Code>) = (Verdict::Delivered, None);

/// Two hosts and a router between them.
const ROUTED: &str = "
    ann -- rt
    rt -- bob
    ann: address add 10.0.1.2/24 dev rt
    rt: address add 10.0.1.1/24 dev ann
    rt: address add 10.0.2.1/24 dev bob
    bob: address add 10.0.2.2/24 dev rt
    ann: address add fd00:1::2/64 dev rt
    rt: address add fd00:1::1/64 dev ann
    rt: address add fd00:2::1/64 dev bob
    bob: address add fd00:2::2/64 dev rt
    ann: route add default via 10.0.1.1
    ann: route add default via fd00:1::1
    rt: sysctl net.ipv4.ip_forward=1
    rt: sysctl net.ipv6.conf.all.forwarding=1
";
const BACK: &str = "
    bob: route add default via 10.0.2.1
    bob: route add default via fd00:2::1
";

#[test]
fn through_a_router_and_back() {
    privileged(|| {
        let Some(made) = Made::new(&format!("{ROUTED}{BACK}")) else { return };
        for to in ["10.0.2.2", "fd00:2::2", "10.0.1.1", "10.0.1.2", "fd00:1::2"] {
            let prediction = made.ask("ann", echo(to));
            assert_eq!(
                (prediction.verdict, prediction.cause.clone()),
                (Verdict::Delivered, None),
                "{prediction:#?}"
            );
        }
        let prediction = made.ask("ann", echo("10.0.2.2"));
        let seen: Vec<bool> = prediction.sightings().map(|(_, sent)| sent).collect();
        assert_eq!(seen, [true, false, true, false], "{prediction:#?}");
        assert!(prediction.answer.unwrap().iter().any(|hop| hop.action == Action::Deliver));
        assert_eq!(made.code("ann", tcp("10.0.2.2", 80)), (Verdict::Rejected, Some(Code::NoListener)));
        assert_eq!(made.code("ann", echo("10.0.2.9")), (Verdict::Dropped, Some(Code::NeighbourFailed)));
        assert_eq!(made.code("ann", echo("10.0.9.9")), (Verdict::Rejected, Some(Code::NoRoute)));
        let mut short = echo("10.0.2.2");
        short.ip.ttl = 1;
        assert_eq!(made.code("ann", short), (Verdict::Rejected, Some(Code::TtlExpired)));
    });
}

#[test]
fn a_router_that_does_not_pass_on_and_a_host_that_knows_no_way_back() {
    privileged(|| {
        let Some(made) = Made::new(ROUTED) else { return };
        assert_eq!(made.code("ann", echo("10.0.2.2")), (Verdict::Dropped, Some(Code::NoReturnRoute)));
        assert_eq!(made.code("ann", echo("fd00:2::2")), (Verdict::Dropped, Some(Code::NoReturnRoute)));
        let Some(made) = Made::new(&format!("{ROUTED}rt: sysctl net.ipv4.ip_forward=0")) else { return };
        assert_eq!(made.code("ann", echo("10.0.2.2")), (Verdict::Dropped, Some(Code::ForwardingOff)));
    });
}

#[test]
fn an_error_does_not_wait_for_the_neighbour_that_it_reports() {
    privileged(|| {
        // Bob sends what he does not know back by the router, and can ask for it only from his own address.
        let text = format!(
            "{ROUTED}
    ann: route add fd09::/64 via fd00:1::1
    rt: route add fd09::/64 via fd00:2::2
    bob: route add default via fd00:2::1
    bob: sysctl net.ipv6.conf.all.forwarding=1
    bob: address flush dev rt scope link"
        );
        let Some(made) = Made::new(&text) else { return };
        let prediction = made.ask("ann", echo("fd09::9"));
        let cause = prediction.cause.as_ref().map(|cause| cause.code);
        assert_eq!((prediction.verdict, cause), (Verdict::Dropped, Some(Code::NoSourceAddress)));
        assert_eq!(prediction.told, None);
        let error = prediction.error.unwrap();
        assert_eq!(error.last().unwrap().action, Action::Stop, "{error:#?}");
        // To others it tells.
        let Some(made) = Made::new(&format!("{text}\nbob: route add fd09::/64 via fd00:2::7")) else {
            return;
        };
        assert!(made.ask("ann", echo("fd09::9")).told.is_some());
    });
}

#[test]
fn too_big_for_a_link_on_the_way() {
    privileged(|| {
        let text = format!("{ROUTED}{BACK}\nrt: link set bob mtu 1300\nbob: link set rt mtu 1300");
        let Some(made) = Made::new(&text) else { return };
        let prediction = made.ask("ann", sized(&echo("10.0.2.2"), 1400));
        let code = prediction.cause.as_ref().map(|cause| cause.code);
        assert_eq!(
            (prediction.verdict, code),
            (Verdict::Rejected, Some(Code::MtuExceeded)),
            "{prediction:#?}"
        );
        let told = prediction.told.unwrap();
        assert_eq!(told.what, Error::Icmp { kind: 3, code: 4, mtu: Some(1300) });
        assert_eq!(told.from.to_string(), "10.0.1.1");
        assert_eq!(
            made.code("ann", sized(&echo("fd00:2::2"), 1400)),
            (Verdict::Rejected, Some(Code::MtuExceeded))
        );
        assert_eq!(
            made.code("ann", sized(&echo("10.0.2.2"), 1600)),
            (Verdict::Dropped, Some(Code::MtuExceeded))
        );
        let Some(made) = Made::new(&format!(
            "{text}\nann: nft table ip t {{; chain c {{; type filter hook input priority 0; icmp type destination-unreachable drop; }}; }}"
        )) else {
            return;
        };
        assert_eq!(
            made.code("ann", sized(&echo("10.0.2.2"), 1400)),
            (Verdict::Dropped, Some(Code::PmtuBlackhole))
        );
    });
}

#[test]
fn what_firewalls_and_address_translation_make_of_it() {
    privileged(|| {
        let filter = "rt: nft table inet t {; chain c {; type filter hook forward priority 0~policy drop; \
                      ct state established,related accept; tcp dport 80 reject with tcp reset; ip6 nexthdr icmpv6 accept; }; }";
        let Some(made) = Made::new(&format!("{ROUTED}{BACK}\n{filter}")) else { return };
        assert_eq!(made.code("ann", echo("10.0.2.2")), (Verdict::Dropped, Some(Code::FirewallDrop)));
        assert_eq!(made.code("ann", echo("fd00:2::2")), DELIVERED);
        // Rules that let nothing begin let go on what began before.
        let prediction = made.ask_of("ann", echo("10.0.2.2"), true);
        assert_eq!(prediction.verdict, Verdict::Delivered, "{prediction:#?}");
        let prediction = made.ask("ann", tcp("10.0.2.2", 80));
        assert_eq!(prediction.verdict, Verdict::Rejected, "{prediction:#?}");
        assert_eq!(prediction.told.unwrap().what, Error::Reset);
        // Without a way back, and with an address that has one.
        let nat = "rt: nft table ip n {; chain c {; type nat hook postrouting priority 100; oifname bob masquerade; }; }";
        let Some(made) = Made::new(&format!("{ROUTED}\n{nat}")) else { return };
        assert_eq!(made.code("ann", echo("10.0.2.2")), DELIVERED);
    });
}

/// Behind the routing decision `fib saddr . iif` looks for the way of a packet that comes in where this one goes out.
#[test]
fn a_way_back_by_rules_for_interfaces() {
    privileged(|| {
        let filter = "rt: nft table inet t {; chain c {; type filter hook forward priority 0; fib saddr . iif oif missing drop; }; }";
        let text = format!("{ROUTED}{BACK}\n{filter}");
        let Some(made) = Made::new(&text) else { return };
        for to in ["10.0.2.2", "fd00:2::2"] {
            assert_eq!(made.code("ann", echo(to)), DELIVERED);
        }
        let rules = "rt: rule add pref 200 iif bob prohibit\nrt: -6 rule add pref 200 iif bob prohibit";
        let Some(made) = Made::new(&format!("{text}\n{rules}")) else { return };
        for to in ["10.0.2.2", "fd00:2::2"] {
            assert_eq!(made.code("ann", echo(to)), (Verdict::Dropped, Some(Code::FirewallDrop)));
        }
    });
}

#[test]
fn on_two_segments_and_through_bridges_and_tunnels() {
    privileged(|| {
        let Some(made) = Made::new(
            "red -- blue
             host -- green
             host: link add br0 type bridge
             host: link set br0 up
             host: link set green master br0
             red: address add 10.0.0.1/24 dev blue
             blue: address add 10.0.0.2/24 dev red
             green: address add 10.0.0.3/24 dev host",
        ) else {
            return;
        };
        assert_eq!(made.code("red", echo("10.0.0.2")), DELIVERED);
        assert_eq!(made.code("red", echo("10.0.0.3")), (Verdict::Dropped, Some(Code::WrongSegment)));
        assert_eq!(made.code("red", echo("10.0.0.4")), (Verdict::Dropped, Some(Code::NeighbourFailed)));
        assert_eq!(made.code("red", echo("10.1.0.4")), (Verdict::Dropped, Some(Code::NoRoute)));
        let tunnel = format!(
            "{ROUTED}{BACK}
             ann: link add vx type vxlan id 5 remote 10.0.2.2 dstport 4789
             ann: link set vx up
             ann: address add 192.168.5.1/24 dev vx
             bob: link add vx type vxlan id 5 remote 10.0.1.2 dstport 4789
             bob: link set vx up
             bob: address add 192.168.5.2/24 dev vx"
        );
        let Some(made) = Made::new(&tunnel) else { return };
        assert_eq!(made.code("ann", echo("192.168.5.2")), DELIVERED);
        // The same once more beside it, which no link joins to the first.
        let twin = tunnel.replace("ann", "ann2").replace("bob", "bob2").replace(" rt", " rt2");
        let Some(made) = Made::new(&format!("{tunnel}\n{twin}")) else { return };
        assert_eq!(made.code("ann", echo("192.168.5.2")), DELIVERED);
        // Into itself: what carries the tunnel's packets is the tunnel.
        let Some(made) = Made::new(&format!("{tunnel}\nann: route add 10.0.2.2 dev vx")) else { return };
        assert_eq!(made.code("ann", echo("192.168.5.2")), (Verdict::Dropped, Some(Code::TtlExpired)));
        let Some(made) = Made::new(&format!("{tunnel}\nrt: sysctl net.ipv4.ip_forward=0")) else { return };
        assert_eq!(made.code("ann", echo("192.168.5.2")), (Verdict::Dropped, Some(Code::ForwardingOff)));
    });
}

/// A bridge that four cables join to itself, without STP: frames multiply. The prediction has to come to an end, and to know that it
/// does not know.
#[test]
fn bridges_in_a_circle() {
    privileged(|| {
        let mut text = String::from(
            "one: link add br0 type bridge\ntwo: link add br0 type bridge\n\
             ann -- one\none: link set ann master br0\nbob -- two\ntwo: link set bob master br0\n\
             ann: address add 10.0.0.1/24 dev one\nbob: address add 10.0.0.2/24 dev two\n",
        );
        for number in 0..4 {
            text.extend([format!(
                "one: link add a{number} type veth peer name b{number}\none: link set a{number} master br0 up\n\
                 one: link set b{number} master br0 up\n"
            )]);
        }
        let Some(made) = Made::new(&text) else {
            return;
        };
        // No frame goes round in the kernel: the bridge is down. In the snapshot it is up.
        let mut snapshot = made.snapshot();
        let (place, _) = snapshot.find("one").next().unwrap();
        let nslab_snapshot::Contents::State(state) = &mut snapshot.namespaces[place].contents else { return };
        for link in &mut state.network.links {
            link.up = true;
            link.carrier = true;
            if let Some(port) = &mut link.bridge_port {
                port.state = 3;
            }
        }
        let (namespace, _) = snapshot.find("ann").next().unwrap();
        let question = nslab_predict::Question {
            namespace,
            packet: echo("10.0.0.9"),
            established: false,
            fresh: true,
            link: None,
        };
        let prediction = nslab_predict::predict(&nslab_predict::Network::of(&snapshot), &question);
        assert_ne!(prediction.verdict, Verdict::Delivered, "{prediction:#?}");
    });
}

/// Rules of IP that a bridge calls at its port send a frame to another neighbour, or up to the bridge's namespace.
#[test]
fn a_bridge_whose_rules_change_the_destination() {
    privileged(|| {
        let bridged = "
            sw: link add br0 type bridge
            sw: link set br0 up
            ann -- sw
            bob -- sw
            cid -- sw
            sw: link set ann master br0
            sw: link set bob master br0
            sw: link set cid master br0
            sw: address add 10.0.0.254/24 dev br0
            ann: address add 10.0.0.1/24 dev sw
            bob: address add 10.0.0.2/24 dev sw
            cid: address add 10.0.0.3/24 dev sw
            sw: nft add table ip nat; add chain ip nat pre { type nat hook prerouting priority -100; }
        ";
        let Some(made) =
            Made::new(&format!("{bridged}\nsw: nft add rule ip nat pre ip daddr 10.0.0.2 dnat to 10.0.0.3"))
        else {
            return;
        };
        let snapshot = made.snapshot();
        let (_, sw) = snapshot.find("sw").next().unwrap();
        if !sw.state().is_some_and(|state| state.settings.bridge_netfilter.is_some_and(|calls| calls.ipv4)) {
            return nslab_testing::kernel_lacks("CONFIG_BRIDGE_NETFILTER");
        }
        // IPv4 asks for forwarding for all that.
        assert_eq!(made.code("ann", echo("10.0.0.2")), (Verdict::Dropped, Some(Code::ForwardingOff)));
        let bridged = format!("{bridged}\nsw: sysctl net.ipv4.ip_forward=1");
        let turned = format!("{bridged}\nsw: nft add rule ip nat pre ip daddr 10.0.0.2 dnat to 10.0.0.3");
        let Some(made) = Made::new(&turned) else { return };
        let way = |made: &Made| {
            let prediction = made.ask("ann", echo("10.0.0.2"));
            let hops: Vec<String> = prediction.hops.iter().map(|hop| hop.object.clone()).collect();
            (prediction.verdict, hops)
        };
        let (verdict, hops) = way(&made);
        assert!(verdict == Verdict::Delivered && hops.contains(&"cid".to_owned()), "{hops:?}");
        assert!(!hops.contains(&"bob".to_owned()), "{hops:?}");
        // For the bridge's own address it goes up.
        let Some(made) = Made::new(&format!(
            "{bridged}\nsw: nft add rule ip nat pre ip daddr 10.0.0.2 dnat to 10.0.0.254"
        )) else {
            return;
        };
        let (verdict, hops) = way(&made);
        assert!(verdict == Verdict::Delivered && hops.contains(&"br0".to_owned()), "{hops:?}");
        assert!(!hops.contains(&"bob".to_owned()), "{hops:?}");
    });
}

/// Where NAT sends a datagram on to, its answer comes from.
#[test]
fn ports_that_nat_changes() {
    privileged(|| {
        let nat =
            "rt: nft add table ip nat; add chain ip nat pre { type nat hook prerouting priority -100; }";
        let rule = "rt: nft add rule ip nat pre udp dport 53 dnat to 10.0.2.2:5353";
        let Some(made) = Made::new(&format!("{ROUTED}{BACK}\n{nat}\n{rule}")) else { return };
        let ports = |destination| {
            let transport = Transport::Udp { source: 40000, destination };
            made.ask("ann", Packet { transport, ..echo("10.0.2.2") }).ports
        };
        assert_eq!((ports(53), ports(54)), (vec![5353], vec![]));
    });
}

/// Policy rules that ask for ports see none of them in pieces of packets.
#[test]
fn rules_for_ports_and_pieces_of_packets() {
    privileged(|| {
        let Some(made) =
            Made::new(&format!("{ROUTED}{BACK}\nrt: rule add pref 100 ipproto udp dport 53 prohibit"))
        else {
            return;
        };
        let udp = |size| {
            let transport = Transport::Udp { source: 40000, destination: 53 };
            let Packet { ip, .. } = echo("10.0.2.2");
            Packet { ip: Ip { size, ..ip }, transport, mark: 0 }
        };
        assert_eq!(made.code("ann", udp(84)), (Verdict::Rejected, Some(Code::RouteProhibit)));
        assert_eq!(made.code("ann", udp(2000)), (Verdict::Rejected, Some(Code::NoListener)));
    });
}
