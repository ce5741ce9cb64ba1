//! Links, addresses, segments and gateways.

use nslab_testing::privileged;

use super::Drawn;

#[test]
fn a_network_without_fault_has_none() {
    privileged(|| {
        let Some(net) = Drawn::new("fine", &["a", "r", "b", "unused"]) else { return };
        net.cable([("a", "eth0", "10.0.1.2/24"), ("r", "one", "10.0.1.1/24")]);
        net.cable([("b", "eth0", "10.0.2.2/24"), ("r", "two", "10.0.2.1/24")]);
        net.at("a", "route add default via 10.0.1.1");
        net.at("b", "route add default via 10.0.2.1");
        let asleep = net.one();
        assert_eq!(
            (asleep.code.as_str(), &asleep.places[0].object[..]),
            ("FORWARDING_OFF", "net.ipv4.ip_forward")
        );
        assert!(asleep.fix[0].ends_with("sysctl -w net.ipv4.ip_forward=1"), "{asleep:#?}");
        net.space("r").run(|| nslab_kernel::sysctl::write("net.ipv4.ip_forward", "1")).unwrap().unwrap();
        assert_eq!(net.faults(), []);
    });
}

#[test]
fn the_guides_own_network_is_on_two_segments() {
    privileged(|| {
        let Some(net) = Drawn::new("guide", &["red", "blue", "green", "switch"]) else { return };
        net.cable([("red", "veth-red", "10.0.0.1/24"), ("blue", "veth-blue", "10.0.0.2/24")]);
        net.at("switch", "link add br0 type bridge");
        net.at("switch", "link set br0 up");
        net.cable([("green", "veth-green", "10.0.0.3/24"), ("switch", "port", "")]);
        net.at("switch", "link set port master br0");
        let fault = net.one();
        assert_eq!(fault.code.as_str(), "WRONG_SEGMENT");
        assert!(fault.text.contains("green:veth-green (10.0.0.3/24)"), "{fault:#?}");
    });
}

#[test]
fn links_that_are_down_are_told_once() {
    privileged(|| {
        let Some(net) = Drawn::new("down", &["a", "b"]) else { return };
        net.cable([("a", "eth0", "10.0.0.1/24"), ("b", "eth0", "10.0.0.2/24")]);
        net.at("b", "link set eth0 down");
        let fault = net.one();
        assert_eq!((fault.code.as_str(), &fault.places[0].object[..]), ("LINK_DOWN", "eth0"));
        assert!(fault.text.contains("/b:eth0 is down"), "{fault:#?}");
        net.at("b", "link set eth0 up");
        net.at("a", "link set lo down");
        assert_eq!(net.one().code.as_str(), "LOOPBACK_DOWN");
        net.at("a", "link set lo up");
        // An end without an address, down: the other end says why it has no carrier.
        net.at("b", "address flush dev eth0");
        net.at("b", "link set eth0 down");
        let fault = net.one();
        assert!(fault.code.as_str() == "NO_CARRIER" && fault.text.contains("its other end"), "{fault:#?}");
        assert!(fault.fix[0].ends_with("ip link set eth0 up"), "{fault:#?}");
    });
}

#[test]
fn addresses_macs_and_mtus_of_a_segment_are_compared() {
    privileged(|| {
        let Some(net) = Drawn::new("seg", &["a", "b", "c", "switch"]) else { return };
        net.at("switch", "link add br0 type bridge");
        net.at("switch", "link set br0 up");
        for (name, port, address) in
            [("a", "p1", "10.0.0.1/24"), ("b", "p2", "10.0.0.2/24"), ("c", "p3", "10.0.0.3/24")]
        {
            net.cable([(name, "eth0", address), ("switch", port, "")]);
            net.at("switch", &format!("link set {port} master br0"));
        }
        assert_eq!(net.faults(), []);
        net.at("c", "address add 10.0.0.1/24 dev eth0");
        let fault = net.one();
        assert_eq!((fault.code.as_str(), fault.places.len()), ("DUPLICATE_ADDRESS", 2));
        net.at("c", "address del 10.0.0.1/24 dev eth0");
        for name in ["a", "c"] {
            net.at(name, "link set eth0 address 02:00:00:00:00:07");
        }
        assert_eq!(net.one().code.as_str(), "DUPLICATE_MAC");
        net.at("c", "link set eth0 address 02:00:00:00:00:08");
        net.at("b", "link set eth0 mtu 1400");
        let fault = net.one();
        assert_eq!((fault.code.as_str(), &fault.fix[..]), ("MTU_MISMATCH", &[fault.fix[0].clone()][..]));
        assert!(fault.fix[0].ends_with("ip link set eth0 mtu 1500"), "{fault:#?}");
        net.at("b", "link set eth0 mtu 1500");
        net.at("a", "route add 192.0.2.0/24 via 10.0.0.77");
        assert_eq!(net.one().code.as_str(), "NEIGHBOUR_FAILED");
        net.at("a", "route change 192.0.2.0/24 via 10.9.9.9 dev eth0 onlink");
        assert_eq!(net.one().code.as_str(), "GATEWAY_UNREACHABLE");
    });
}

#[test]
fn what_may_be_is_no_fault() {
    privileged(|| {
        let Some(net) = Drawn::new("may", &["a", "r", "one", "other", "h1", "h2"]) else { return };
        // A gateway that somebody stands in for, or that is written into the neighbour table.
        net.cable([("a", "eth0", "10.0.0.2/24"), ("r", "eth0", "10.0.0.1/24")]);
        net.at("a", "route add 192.0.2.0/24 via 10.0.0.77");
        assert_eq!(net.one().code.as_str(), "NEIGHBOUR_FAILED");
        net.at("a", "neighbour add 10.0.0.77 lladdr 02:00:00:00:00:01 dev eth0 nud permanent");
        assert_eq!(net.faults(), []);
        net.at("a", "neighbour del 10.0.0.77 dev eth0");
        net.space("r")
            .run(|| nslab_kernel::sysctl::write("net.ipv4.conf.eth0.proxy_arp", "1"))
            .unwrap()
            .unwrap();
        assert_eq!(net.faults(), []);
        // One subnet at both ends of a tunnel.
        for (space, host, address) in [("one", "h1", "10.7.0.1/24"), ("other", "h2", "10.7.0.2/24")] {
            net.at(space, "link add br0 type bridge");
            net.at(space, "link set br0 up");
            net.cable([(host, "eth0", address), (space, "port", "")]);
            net.at(space, "link set port master br0");
        }
        assert_eq!(net.one().code.as_str(), "WRONG_SEGMENT");
        for space in ["one", "other"] {
            net.at(space, "link add vx type vxlan id 7 dstport 4789");
            net.at(space, "link set vx master br0 up");
        }
        assert_eq!(net.faults(), []);
    });
}
