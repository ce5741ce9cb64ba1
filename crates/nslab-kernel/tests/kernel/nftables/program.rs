//! What we program, nft shows as it is meant.

use nslab_kernel::nftables::build::{Field, RuleBuilder, SetKey, interval_elements};
use nslab_kernel::nftables::{
    BaseChain, Chain, ChainKind, CtState, CtStatus, Data, Element, ElementValue, Family, Hook, MapsTo,
    Policy, Reject, RejectIcmpx, Rule, Set, SetFlags, Table, Verdict, priority,
};
use nslab_testing::{Nft, privileged};
use serde_json::json;

use super::support::Tables;
use crate::support::name;

/// Rules as a firewall is made of them, each with what nft says of it.
fn rules() -> Vec<(Rule, &'static str)> {
    let new = || RuleBuilder::new(Family::Inet);
    let tcp = || new().l4_protocol(6);
    let net = |net: &str| net.parse().unwrap();
    let ip = |ip: &str| ip.parse().unwrap();
    let established = CtState::ESTABLISHED | CtState::RELATED;
    vec![
        (new().ct_state(established).accept(), "ct state established,related accept"),
        (
            new().ct_state(CtState::INVALID).counter().drop(),
            "ct state invalid counter packets 0 bytes 0 drop",
        ),
        (new().ct_status(CtStatus::DNAT).accept(), "ct status dnat accept"),
        (new().iif_name(name("lo")).accept(), "iifname \"lo\" accept"),
        (new().oif_name(name("eth0")).counter().go_on(), "oifname \"eth0\" counter packets 0 bytes 0"),
        (new().source(net("10.0.0.0/8")).accept(), "ip saddr 10.0.0.0/8 accept"),
        (new().source(net("10.1.2.3/32")).accept(), "ip saddr 10.1.2.3 accept"),
        (new().destination(net("10.1.2.64/27")).accept(), "ip daddr 10.1.2.64/27 accept"),
        (new().source(net("2001:db8::/32")).accept(), "ip6 saddr 2001:db8::/32 accept"),
        (new().destination(net("2001:db8::4/126")).accept(), "ip6 daddr 2001:db8::4/126 accept"),
        (
            new().source(net("10.0.0.0/24")).destination(net("10.0.1.0/24")).accept(),
            "ip saddr 10.0.0.0/24 ip daddr 10.0.1.0/24 accept",
        ),
        (new().source(net("0.0.0.0/0")).accept(), "meta nfproto ipv4 accept"),
        (tcp().accept(), "meta l4proto tcp accept"),
        (tcp().equal(Field::DestinationPort, Data::be16(443)).accept(), "tcp dport 443 accept"),
        (tcp().not_equal(Field::SourcePort, Data::be16(443)).accept(), "tcp sport != 443 accept"),
        (
            new()
                .l4_protocol(17)
                .range(Field::DestinationPort, Data::be16(60000), Data::be16(61000))
                .accept(),
            "udp dport 60000-61000 accept",
        ),
        (tcp().in_set(Field::DestinationPort, "ports").accept(), "tcp dport { 22, 80 } accept"),
        (new().in_set(Field::IifName, "names").accept(), "iifname { \"a\", \"b\" } accept"),
        (new().not_in_set(Field::SourceIp4, "prefixes").drop(), "ip saddr != @prefixes drop"),
        (
            new()
                .lookup(
                    &[Field::SourceIp4, Field::DestinationPort],
                    "pairs",
                    nslab_kernel::nftables::LookupInto::Nothing,
                    false,
                )
                .accept(),
            "ip saddr . th dport @pairs accept",
        ),
        (new().verdict_map(&[Field::IifName], "zones").go_on(), "iifname vmap @zones"),
        (new().equal(Field::IcmpType, Data::u8(8)).accept(), "icmp type echo-request accept"),
        (new().equal(Field::Icmpv6Type, Data::u8(135)).accept(), "icmpv6 type nd-neighbor-solicit accept"),
        (new().log("dropped: ").drop(), "log prefix \"dropped: \" drop"),
        (new().log("").go_on(), "log"),
        (new().log_group("x ", 7).go_on(), "log prefix \"x \" group 7"),
        (new().limit_packets(10, 60, 5).accept(), "limit rate 10/minute accept"),
        (new().reject(Reject::Icmpx(RejectIcmpx::AdminProhibited)), "reject with icmpx admin-prohibited"),
        (tcp().reject(Reject::TcpReset), "meta l4proto tcp reject with tcp reset"),
        (new().ipv4().reject(Reject::Icmp(1)), "reject with icmp host-unreachable"),
        (new().set_mark(0x2a).go_on(), "meta mark set 0x0000002a"),
        (new().set_ct_mark(7).go_on(), "ct mark set 0x00000007"),
        (new().tcp_syn().clamp_mss().go_on(), "tcp flags syn / syn,rst tcp option maxseg size set rt mtu"),
        (new().equal(Field::DestinationType, Data::ne32(2)).accept(), "fib daddr type local accept"),
        (new().equal(Field::CtDirection, Data::u8(0)).accept(), "ct direction original accept"),
        (
            new().equal(Field::CtOriginalDestinationIp4, Data::address(ip("10.0.0.1"))).accept(),
            "ct original ip daddr 10.0.0.1 accept",
        ),
        (new().equal(Field::Mark, Data::ne32(1)).accept(), "meta mark 0x00000001 accept"),
        (new().equal(Field::SourceMac, [2, 0, 0, 0, 0, 1]).accept(), "ether saddr 02:00:00:00:00:01 accept"),
        (new().jump("sub"), "jump sub"),
        (new().goto("sub"), "goto sub"),
        (new().verdict(Verdict::Return), "return"),
        (new().comment("from ü to x").intent("fw.yaml:3").accept(), "accept comment \"from ü to x\""),
    ]
}

/// Rules of NAT.
fn translations() -> Vec<(Rule, &'static str)> {
    let new = || RuleBuilder::new(Family::Inet);
    let ip = |ip: &str| ip.parse().unwrap();
    vec![
        (new().oif_name(name("wan")).masquerade(), "oifname \"wan\" masquerade"),
        (new().snat(ip("192.0.2.1"), None), "meta nfproto ipv4 snat ip to 192.0.2.1"),
        (new().snat(ip("2001:db8::1"), None), "meta nfproto ipv6 snat ip6 to 2001:db8::1"),
        (
            new().l4_protocol(6).snat(ip("192.0.2.1"), Some((1024, 2047))),
            "meta l4proto tcp meta nfproto ipv4 snat ip to 192.0.2.1:1024-2047",
        ),
    ]
}

fn destinations() -> Vec<(Rule, &'static str)> {
    let new = || RuleBuilder::new(Family::Inet);
    let tcp = |port| new().l4_protocol(6).equal(Field::DestinationPort, Data::be16(port));
    let ip = |ip: &str| ip.parse().unwrap();
    vec![
        (
            tcp(8080).dnat(ip("10.0.0.2"), Some((80, 80))),
            "tcp dport 8080 meta nfproto ipv4 dnat ip to 10.0.0.2:80",
        ),
        (
            new()
                .ipv6()
                .l4_protocol(6)
                .equal(Field::DestinationPort, Data::be16(8080))
                .dnat(ip("2001:db8::2"), Some((80, 80))),
            "meta nfproto ipv6 tcp dport 8080 dnat ip6 to [2001:db8::2]:80",
        ),
        (tcp(80).redirect(Some((3128, 3128))), "tcp dport 80 redirect to :3128"),
        (new().redirect(None), "redirect"),
    ]
}

fn sets() -> Vec<Set> {
    let ports = SetKey(&[Field::DestinationPort]);
    let element = |port| Element::new(Data::be16(port));
    let ports = ports.anonymous("ports", vec![element(22), element(80)]);
    let names = ["a", "b"].map(|one| Element::new(Data::interface_name(name(one))));
    let names = SetKey(&[Field::IifName]).anonymous("names", names.to_vec());

    let mut prefixes = SetKey(&[Field::SourceIp4]).named("prefixes");
    prefixes.flags |= SetFlags::INTERVAL;
    let range = |a: [u8; 4], b: [u8; 4]| (Data::from(a), Data::from(b));
    prefixes.elements = interval_elements([
        range([10, 0, 0, 0], [10, 255, 255, 255]),
        range([192, 0, 2, 1], [192, 0, 2, 1]),
        range([198, 51, 100, 3], [198, 51, 100, 9]),
    ]);

    let key = SetKey(&[Field::SourceIp4, Field::DestinationPort]);
    let mut pairs = key.named("pairs");
    pairs.elements = vec![Element::new(key.key(&[Data::from([10, 0, 0, 1]), Data::be16(80)]))];

    let mut zones = SetKey(&[Field::IifName]).named("zones");
    zones.maps_to = MapsTo::Verdict;
    zones.elements = vec![
        Element::new(Data::interface_name(name("lan")))
            .with_value(ElementValue::Verdict(Verdict::Jump("sub".to_owned()))),
        Element::new(Data::interface_name(name("wan"))).with_value(ElementValue::Verdict(Verdict::Drop)),
    ];
    vec![ports, names, prefixes, pairs, zones]
}

fn table() -> Table {
    let mut table = Table::new(Family::Inet, "lab");
    table.sets = sets();
    table.chains.push(Chain::regular("sub"));
    let base = BaseChain { policy: Policy::Drop, ..BaseChain::filter(Hook::Forward) };
    let mut forward = Chain::base("forward", base);
    forward.rules = rules().into_iter().map(|(rule, _)| rule).collect();
    table.chains.push(forward);
    for (chain, hook, priority, rules) in [
        ("post", Hook::Postrouting, priority::SRCNAT, translations()),
        ("pre", Hook::Prerouting, priority::DSTNAT, destinations()),
    ] {
        let base = BaseChain { kind: ChainKind::Nat, priority, ..BaseChain::filter(hook) };
        let mut chain = Chain::base(chain, base);
        chain.rules = rules.into_iter().map(|(rule, _)| rule).collect();
        table.chains.push(chain);
    }
    table
}

#[test]
fn nft_shows_rules_as_they_are_meant() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let mut tables = Tables::new();
        tables.load(&[table()]);
        let listed = nft.list(&tables.namespace);
        let mut lines = listed.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut next = || lines.next().unwrap_or("(the end)");
        for (chain, wanted) in
            [("chain forward {", rules()), ("chain post {", translations()), ("chain pre {", destinations())]
        {
            while next() != chain {}
            assert!(next().starts_with("type "), "{listed}");
            for (_, wanted) in wanted {
                assert_eq!(next(), wanted);
            }
            assert_eq!(next(), "}");
        }
        for wanted in [
            "type filter hook forward priority filter; policy drop;",
            "type nat hook postrouting priority srcnat; policy accept;",
            "elements = { 10.0.0.0/8, 192.0.2.1,\n\t\t\t     198.51.100.3-198.51.100.9 }",
            "type ipv4_addr . inet_service\n\t\telements = { 10.0.0.1 . 80 }",
            "elements = { \"lan\" : jump sub,\n\t\t\t     \"wan\" : drop }",
        ] {
            assert!(listed.contains(wanted), "{wanted} is not in\n{listed}");
        }
    });
}

#[test]
fn nft_says_the_same_in_json() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let mut tables = Tables::new();
        tables.load(&[table()]);
        let listed = nft.list_json(&tables.namespace);
        let of = |kind: &str, key: &str, value: &str| -> Vec<_> {
            let all = listed.iter().filter_map(|entry| entry.get(kind));
            all.filter(|entry| entry[key] == value).cloned().collect()
        };
        let listed_rules = of("rule", "chain", "forward");
        assert_eq!(listed_rules.len(), rules().len());
        let first = &listed_rules[0]["expr"];
        assert_eq!(first[0]["match"]["left"]["ct"]["key"], "state");
        assert_eq!(first[0]["match"]["right"], json!(["established", "related"]));
        assert_eq!(first[1], json!({"accept": null}));
        let handles: Vec<_> = listed_rules.iter().map(|rule| rule["handle"].as_u64().unwrap()).collect();
        let read = tables.read();
        let chain = read.tables[0].chain("forward").unwrap();
        assert_eq!(chain.rules.iter().map(|rule| rule.handle).collect::<Vec<_>>(), handles);

        let chain = &of("chain", "name", "forward")[0];
        assert_eq!(
            (&chain["hook"], &chain["prio"], &chain["policy"]),
            (&json!("forward"), &json!(0), &json!("drop"))
        );
        let zones = &of("map", "name", "zones")[0];
        assert_eq!((&zones["type"], &zones["map"]), (&json!("ifname"), &json!("verdict")));
        let prefixes = &of("set", "name", "prefixes")[0];
        let wanted = json!([
            {"prefix": {"addr": "10.0.0.0", "len": 8}},
            "192.0.2.1",
            {"range": ["198.51.100.3", "198.51.100.9"]},
        ]);
        assert_eq!(prefixes["elem"], wanted);
        let comment = listed_rules.iter().find_map(|rule| rule.get("comment"));
        assert_eq!(comment.unwrap(), "from ü to x");
    });
}

#[test]
fn what_is_programmed_is_read_back() {
    privileged(|| {
        let mut tables = Tables::new();
        let meant = table();
        tables.load(std::slice::from_ref(&meant));
        let ruleset = tables.read();
        let read = ruleset.table(Family::Inet, "lab").unwrap();
        let chain = read.chain("forward").unwrap();
        assert_eq!(chain.base, meant.chain("forward").unwrap().base);
        for (read, (meant, words)) in chain.rules.iter().zip(rules()) {
            assert_eq!(read.user_data, meant.user_data, "{words}");
            if !words.contains('{') {
                assert_eq!(read.expressions, meant.expressions, "{words}");
            }
            assert_ne!(read.handle, 0);
        }
        let mut meant = meant.set("prefixes").unwrap().clone();
        meant.sort();
        let read = read.set("prefixes").unwrap();
        assert_eq!(read.elements, meant.elements);
        assert_eq!(read.ranges().len(), 3);
    });
}
