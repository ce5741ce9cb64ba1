//! Bridges.

use nslab_testing::{Nft, privileged};

use super::Drawn;

#[test]
fn bridges_that_are_joined_twice() {
    privileged(|| {
        let Some(net) = Drawn::new("loop", &["one", "two", "three"]) else { return };
        for name in ["one", "two", "three"] {
            // Without a word of IPv6, nothing is sent that would go round.
            net.sysctl(name, "net.ipv6.conf.default.disable_ipv6", "1");
            net.at(name, "link add br0 type bridge mcast_snooping 0");
            net.at(name, "link set br0 up");
        }
        let join = |one: &'static str, port: &str, other: &'static str, far: &str| {
            net.cable([(one, port, ""), (other, far, "")]);
            net.at(one, &format!("link set {port} master br0"));
            net.at(other, &format!("link set {far} master br0"));
        };
        join("one", "p2", "two", "p1");
        join("two", "p3", "three", "p2");
        assert_eq!(net.faults(), []);
        join("three", "p1", "one", "p3");
        let fault = net.one();
        assert_eq!((fault.code.as_str(), fault.places.len(), fault.evidence.len()), ("BRIDGE_LOOP", 3, 3));
        net.mend(&fault);
        // A port that is closed, and one that is in another VLAN domain, close no circle.
        net.at("one", "link set br0 type bridge stp_state 0");
        assert_eq!(net.one().code.as_str(), "BRIDGE_LOOP");
        net.at("three", "link set p1 down");
        let faults = net.faults();
        assert!(faults.iter().all(|fault| fault.code.as_str() == "LINK_DOWN"), "{faults:#?}");
        net.at("three", "link set p1 nomaster");
        net.at("three", "link del p1");
        // Two cables between the same two.
        join("one", "q2", "two", "q1");
        let fault = net.one();
        assert_eq!((fault.code.as_str(), fault.places.len()), ("BRIDGE_LOOP", 2));
    });
}

#[test]
fn rules_for_routed_packets_drop_bridged_ones() {
    privileged(|| {
        let (Some(net), Some(nft)) = (Drawn::new("brnf", &["a", "b", "switch"]), Nft::find()) else { return };
        if net
            .space("switch")
            .run(|| nslab_kernel::sysctl::read("net.bridge.bridge-nf-call-iptables"))
            .unwrap()
            .is_err()
        {
            return nslab_testing::kernel_lacks("CONFIG_BRIDGE_NETFILTER");
        }
        net.at("switch", "link add br0 type bridge");
        net.at("switch", "link set br0 up");
        for (name, port, address, ipv6) in
            [("a", "p1", "10.0.0.1/24", "2001:db8::1/64"), ("b", "p2", "10.0.0.2/24", "2001:db8::2/64")]
        {
            net.cable([(name, "eth0", address), ("switch", port, "")]);
            net.at(name, &format!("address add {ipv6} dev eth0 nodad"));
            net.at("switch", &format!("link set {port} master br0"));
        }
        for key in ["iptables", "ip6tables"] {
            net.sysctl("switch", &format!("net.bridge.bridge-nf-call-{key}"), "1");
        }
        net.reaches("a", "b", "10.0.0.2");
        assert_eq!(net.faults(), []);
        nft.apply(
            net.space("switch"),
            "table inet f { chain c { type filter hook forward priority 0; policy drop; }; }",
        );
        let fault = net.one();
        assert_eq!(
            (fault.code.as_str(), &fault.places[0].object[..]),
            ("BRIDGE_FIREWALL", "inet f c policy")
        );
        net.is_lost("a", "b", "10.0.0.2");
        net.mend(&fault);
        net.reaches("a", "b", "10.0.0.2");
        net.reaches("a", "b", "2001:db8::2");
        // Rules that let bridged packets through are as they should be.
        for key in ["iptables", "ip6tables"] {
            net.sysctl("switch", &format!("net.bridge.bridge-nf-call-{key}"), "1");
        }
        nft.apply(net.space("switch"), "add rule inet f c iifname br0 oifname br0 accept\n");
        assert_eq!(net.faults(), []);
        net.reaches("a", "b", "10.0.0.2");
    });
}
