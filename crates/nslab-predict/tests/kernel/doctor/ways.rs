//! Ways between hosts, and back.

use nslab_predict::doctor::Severity;
use nslab_snapshot::Contents;
use nslab_testing::{Nft, privileged};

use super::Drawn;

/// a – r1 – r2 – b, with routes of both families everywhere.
fn chain(lab: &str) -> Option<Drawn> {
    let net = Drawn::new(lab, &["a", "r1", "r2", "b"])?;
    for (number, ends) in [
        [("a", "eth0", "2"), ("r1", "left", "1")],
        [("r1", "right", "1"), ("r2", "left", "2")],
        [("b", "eth0", "2"), ("r2", "right", "1")],
    ]
    .into_iter()
    .enumerate()
    {
        let number = number + 1;
        let address = |end: (&'static str, &'static str, &str)| {
            (end.0, end.1, format!("10.0.{number}.{}/24", end.2), format!("2001:db8:{number}::{}/64", end.2))
        };
        let [one, other] = ends.map(address);
        net.cable([(one.0, one.1, &one.2), (other.0, other.1, &other.2)]);
        for end in [one, other] {
            net.at(end.0, &format!("address add {} dev {} nodad", end.3, end.1));
        }
    }
    net.forward(&["r1", "r2"]);
    for (name, route) in [
        ("a", "route add default via 10.0.1.1"),
        ("a", "-6 route add default via 2001:db8:1::1"),
        ("b", "route add default via 10.0.3.1"),
        ("b", "-6 route add default via 2001:db8:3::1"),
        ("r1", "route add 10.0.3.0/24 via 10.0.2.2"),
        ("r1", "-6 route add 2001:db8:3::/64 via 2001:db8:2::2"),
        ("r2", "route add 10.0.1.0/24 via 10.0.2.1"),
        ("r2", "-6 route add 2001:db8:1::/64 via 2001:db8:2::1"),
    ] {
        net.at(name, route);
    }
    Some(net)
}

#[test]
fn answers_need_a_way_back() {
    privileged(|| {
        let Some(net) = chain("back") else { return };
        assert_eq!(net.faults(), []);
        net.reaches("a", "b", "10.0.3.2");
        net.reaches("b", "a", "2001:db8:1::2");
        for (family, target, default) in
            [("-4", "10.0.3.2", "10.0.3.1"), ("-6", "2001:db8:3::2", "2001:db8:3::1")]
        {
            net.at("b", &format!("{family} route del default"));
            let fault = net.one();
            assert_eq!(fault.code.as_str(), "NO_RETURN_ROUTE");
            assert!(fault.places[0].ns.ends_with("/b") && fault.fix[0].ends_with(default), "{fault:#?}");
            net.is_lost("a", "b", target);
            net.mend(&fault);
            net.reaches("a", "b", target);
        }
        // Both at once are one fault.
        net.at("b", "route del default");
        net.at("b", "-6 route del default");
        let fault = net.one();
        assert_eq!((fault.code.as_str(), fault.fix.len()), ("NO_RETURN_ROUTE", 2));
        net.mend(&fault);
        // A router on the way back.
        net.at("r2", "route del 10.0.1.0/24");
        let fault = net.one();
        assert_eq!(fault.code.as_str(), "NO_RETURN_ROUTE");
        assert!(fault.places[0].ns.ends_with("/r2") && fault.text.contains("10.0.1.0/24"), "{fault:#?}");
        net.is_lost("a", "b", "10.0.3.2");
        net.mend(&fault);
        net.reaches("a", "b", "10.0.3.2");
        // It is no fault that nobody is told the way to what is between routers.
        net.at("r1", "route add 192.0.2.0/24 via 10.0.2.2");
        assert_eq!(net.faults(), []);
    });
}

#[test]
fn forwarding_is_needed_on_the_whole_way() {
    privileged(|| {
        let Some(net) = chain("transit") else { return };
        for (key, name) in [("net.ipv4.ip_forward", "r2"), ("net.ipv6.conf.all.forwarding", "r1")] {
            net.sysctl(name, key, "0");
            let fault = net.one();
            assert_eq!((fault.code.as_str(), &fault.places[0].object[..]), ("FORWARDING_OFF", key));
            assert!(fault.places[0].ns.ends_with(name), "{fault:#?}");
            net.mend(&fault);
        }
        // Of one interface only.
        net.sysctl("r1", "net.ipv4.conf.left.forwarding", "0");
        assert_eq!(net.one().code.as_str(), "FORWARDING_OFF");
        net.sysctl("r1", "net.ipv4.conf.left.forwarding", "1");
        // Who is himself the destination need not forward.
        net.at("b", "address add 198.51.100.1/32 dev lo");
        net.at("r2", "route add 198.51.100.1/32 via 10.0.3.2");
        assert_eq!(net.faults(), []);
    });
}

#[test]
fn private_addresses_are_to_be_translated() {
    privileged(|| {
        let (Some(net), Some(nft)) = (Drawn::new("nat", &["laptop", "router", "internet"]), Nft::find())
        else {
            return;
        };
        net.cable([("laptop", "eth0", "192.168.1.10/24"), ("router", "lan", "192.168.1.1/24")]);
        net.cable([("internet", "eth0", "203.0.113.1/24"), ("router", "wan", "203.0.113.2/24")]);
        net.forward(&["router"]);
        net.at("laptop", "route add default via 192.168.1.1");
        net.at("router", "route add default via 203.0.113.1");
        net.forward(&["internet"]);
        let fault = net.one();
        assert_eq!((fault.code.as_str(), &fault.places[0].object[..]), ("NAT_MISSING", "wan"));
        net.is_lost("laptop", "internet", "203.0.113.1");
        net.mend(&fault);
        net.reaches("laptop", "internet", "203.0.113.1");
        // A rule that translates something else is none.
        nft.apply(net.space("router"), "flush ruleset\n");
        nft.apply(
            net.space("router"),
            "table ip nat { chain post { type nat hook postrouting priority 100; oifname \"other\" masquerade; }; }",
        );
        let fault = net.one();
        assert_eq!(fault.code.as_str(), "NAT_MISSING");
        net.mend(&fault);
        net.reaches("laptop", "internet", "203.0.113.1");
        // Nobody knows what is beyond a cable that leads where nslab may not look: that is told, and no error.
        nft.apply(net.space("router"), "flush ruleset\n");
        let mut snapshot = Drawn::snapshot();
        let id = net.space("internet").id().unwrap();
        let space = snapshot.namespaces.iter_mut().find(|space| space.id == id).unwrap();
        space.contents = Contents::Unreadable { why: "it is somebody else's".to_owned() };
        let faults = net.faults_of(&snapshot);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert_eq!((faults[0].code.as_str(), faults[0].severity), ("NAT_MISSING", Severity::Warning));
        // Rules that let nothing out are meant.
        nft.apply(net.space("router"), "flush ruleset\n");
        nft.apply(
            net.space("router"),
            "table inet f { chain c { type filter hook forward priority 0; policy drop; }; }",
        );
        assert_eq!(net.faults(), []);
    });
}

#[test]
fn strict_filters_and_two_ways() {
    privileged(|| {
        // a reaches b by r1, and is reached by r2.
        let Some(net) = Drawn::new("rpf", &["a", "r1", "r2", "b", "switch"]) else { return };
        for name in ["a", "b", "r1", "r2"] {
            net.sysctl(name, "net.ipv4.conf.all.rp_filter", "0");
            net.sysctl(name, "net.ipv4.conf.default.rp_filter", "0");
        }
        net.cable([("a", "one", "10.0.1.2/24"), ("r1", "left", "10.0.1.1/24")]);
        net.cable([("a", "two", "10.0.2.2/24"), ("r2", "left", "10.0.2.1/24")]);
        net.at("switch", "link add br0 type bridge");
        net.at("switch", "link set br0 up");
        for (name, link, address, port) in [
            ("r1", "right", "10.0.3.1/24", "p1"),
            ("r2", "right", "10.0.3.254/24", "p2"),
            ("b", "eth0", "10.0.3.2/24", "p3"),
        ] {
            net.cable([(name, link, address), ("switch", port, "")]);
            net.at("switch", &format!("link set {port} master br0"));
        }
        net.forward(&["r1", "r2"]);
        net.at("a", "route add 10.0.3.0/24 via 10.0.1.1");
        net.at("b", "route add default via 10.0.3.254");
        net.at("r2", "route add 10.0.1.2/32 via 10.0.2.2");
        assert_eq!(net.faults(), []);
        net.reaches("a", "b", "10.0.3.2");
        net.sysctl("a", "net.ipv4.conf.two.rp_filter", "1");
        let fault = net.one();
        assert_eq!(
            (fault.code.as_str(), &fault.places[0].object[..]),
            ("RP_FILTER", "net.ipv4.conf.two.rp_filter")
        );
        net.is_lost("a", "b", "10.0.3.2");
        net.mend(&fault);
        net.reaches("a", "b", "10.0.3.2");
    });
}

#[test]
fn circles_of_routers() {
    privileged(|| {
        let Some(net) = chain("circle") else { return };
        net.at("r1", "route add default via 10.0.2.2");
        assert_eq!(net.faults(), []);
        net.at("r2", "route add default via 10.0.2.1");
        let fault = net.one();
        assert_eq!(fault.code.as_str(), "TTL_EXPIRED");
        assert!(fault.text.contains("packets to default") && fault.places.len() == 2, "{fault:#?}");
        // The same elsewhere is a fault of its own.
        let Some(second) = chain("circle2") else { return };
        second.at("r1", "route add default via 10.0.2.2");
        second.at("r2", "route add default via 10.0.2.1");
        assert_eq!((net.one().code.as_str(), second.one().code.as_str()), ("TTL_EXPIRED", "TTL_EXPIRED"));
        drop(second);
        net.at("r2", "route del default");
        // A prefix of which the other knows a part only.
        net.at("r1", "route del default");
        net.at("r2", "route add default via 10.0.2.1");
        net.at("r1", "-6 route add 2001:db8:8000::/33 via 2001:db8:2::2");
        assert_eq!(net.faults(), []);
        net.at("r2", "-6 route add default via 2001:db8:2::1");
        let fault = net.one();
        assert_eq!(fault.code.as_str(), "TTL_EXPIRED");
        assert!(fault.text.contains("2001:db8:8000::/33"), "{fault:#?}");
    });
}

#[test]
fn words_about_narrow_links_get_through() {
    privileged(|| {
        let (Some(net), Some(nft)) = (chain("pmtu"), Nft::find()) else { return };
        net.at("r1", "link set right mtu 1400");
        net.at("r2", "link set left mtu 1400");
        assert_eq!(net.faults(), []);
        let rules = |name: &str, body: &str| {
            nft.apply(net.space(name), "flush ruleset\n");
            nft.apply(net.space(name), &format!("table inet f {{ {body} }}"));
        };
        let input = "chain in { type filter hook input priority 0; policy drop;";
        // What a stateful filter lets through is no fault.
        rules("a", &format!("{input} ct state established,related accept; }};"));
        assert_eq!(net.faults(), []);
        let fault = |name: &str| {
            let fault = net.one();
            assert_eq!(fault.code.as_str(), "PMTU_BLACKHOLE");
            assert!(fault.places[0].ns.ends_with(name), "{fault:#?}");
            fault
        };
        rules("a", &format!("{input} meta l4proto tcp accept; meta l4proto ipv6-icmp accept; }};"));
        net.mend(&fault("/a"));
        rules("a", "");
        rules("r1", "chain out { type filter hook output priority 0; icmpv6 type packet-too-big drop; };");
        net.mend(&fault("/r1"));
    });
}
