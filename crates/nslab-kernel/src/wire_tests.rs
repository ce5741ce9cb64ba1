//! Messages as bytes: what is written is read back alike, and no bytes whatever make a reader panic.
//!
//! The kernel tells of an object in the form in which it was asked to make it, so each reader can be held against the
//! writer, also for what the kernel at hand lacks.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab_types::{IfName, MacAddr};

use crate::address::{self, ChangeAddress};
use crate::link::{
    self, Bond, BondMode, Bridge, BridgePort, Encapsulation, Geneve, Ipvlan, IpvlanMode, IpvlanSiblings,
    LinkKind, Macvlan, MacvlanMode, NewLink, SetBridgePort, Tunnel, Vlan, VlanProtocol, Vrf, Vxlan,
};
use crate::neighbour::{
    self, BridgeVlan, ChangeBridgeVlan, ChangeFdb, ChangeNeighbour, ChangeProxy, fdb, vlan,
};
use crate::netlink::{Batch, Request};
use crate::qdisc::{self, ChangeQdisc, Handle, Netem, QdiscKind};
use crate::route::{self, ChangeRoute, NextHop, Route, RouteAction};
use crate::rule::{self, ChangeRule, Rule, RuleAction};

fn name(name: &str) -> IfName {
    name.parse().unwrap()
}

fn net(net: &str) -> IpNet {
    net.parse().unwrap()
}

fn new_link(kind: LinkKind) -> NewLink {
    NewLink {
        index: Some(9),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 9])),
        mtu: Some(1234),
        lower: Some(3),
        master: Some(4),
        group: 5,
        up: true,
        queues: Some(6),
        ..NewLink::new(name("eth0"), kind)
    }
}

fn kinds() -> Vec<LinkKind> {
    vec![
        LinkKind::Veth(None),
        LinkKind::Bridge(Bridge {
            stp: Some(true),
            vlan_filtering: Some(true),
            multicast_snooping: Some(false),
            ageing_time: Some(1),
            forward_delay: Some(2),
            group_forward_mask: Some(3),
            default_pvid: Some(4),
        }),
        LinkKind::Vxlan(Vxlan {
            vni: 0x00ab_cdef,
            remote: Some("2001:db8::1".parse().unwrap()),
            local: Some("2001:db8::2".parse().unwrap()),
            port: Some(4789),
            lower: Some(8),
            learning: Some(true),
            ttl: Some(64),
        }),
        LinkKind::Macvlan(Macvlan { mode: MacvlanMode::Passthru }),
        LinkKind::Ipvlan(Ipvlan { mode: IpvlanMode::L2, siblings: IpvlanSiblings::Bridge }),
        LinkKind::Ipvlan(Ipvlan { mode: IpvlanMode::L3s, siblings: IpvlanSiblings::Private }),
        LinkKind::Ipvlan(Ipvlan { mode: IpvlanMode::L3, siblings: IpvlanSiblings::Vepa }),
        LinkKind::Vlan(Vlan { id: 4094, protocol: VlanProtocol::Dot1Q }),
        LinkKind::Vlan(Vlan { id: 0, protocol: VlanProtocol::Dot1Ad }),
        LinkKind::Vrf(Vrf { table: 70_000 }),
        LinkKind::Ifb,
        LinkKind::Dummy,
        LinkKind::Wireguard,
        LinkKind::Bond(Bond { mode: BondMode::BalanceAlb, miimon: 100, primary: Some(9) }),
        LinkKind::Geneve(Geneve {
            vni: 77,
            remote: Some("2001:db8::1".parse().unwrap()),
            port: Some(6081),
            ttl: Some(3),
        }),
        LinkKind::Other("nlmon".to_owned()),
    ]
    .into_iter()
    .chain(Encapsulation::ALL.into_iter().map(tunnel))
    .collect()
}

fn tunnel(encapsulation: Encapsulation) -> LinkKind {
    let [local, remote] = match encapsulation.name() {
        name if name.contains('6') => ["2001:db8::1", "2001:db8::2"],
        _ => ["192.0.2.1", "192.0.2.2"],
    };
    LinkKind::Tunnel(Tunnel {
        encapsulation,
        local: local.parse().ok(),
        remote: remote.parse().ok(),
        lower: Some(8),
        key: encapsulation.name().contains("gre").then_some(0x0102_0304),
        ttl: Some(64),
    })
}

#[test]
fn links_are_read_as_they_are_written() {
    for kind in kinds() {
        let new = new_link(kind.clone());
        let read = link::parse(&Batch::payload(&new)).unwrap();
        assert_eq!(read.kind, Some(kind));
        assert_eq!(
            (Some(read.index), read.name, read.mac, Some(read.mtu)),
            (new.index, new.name, new.mac, new.mtu)
        );
        assert_eq!((read.lower, read.master, read.group), (new.lower, new.master, new.group));
        assert_eq!((read.up, Some(read.tx_queues)), (true, new.queues));
    }
}

#[test]
fn kinds_survive_json() {
    for kind in kinds() {
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(serde_json::from_str::<LinkKind>(&json).unwrap(), kind, "{json}");
    }
}

#[test]
fn bridge_ports_are_read_as_they_are_written() {
    let port =
        BridgePort { state: 2, isolated: true, hairpin: true, learning: false, ..BridgePort::default() };
    let mut bytes = Batch::payload(&SetBridgePort::all(7, port));
    // A name, without which no link is read.
    bytes.extend([8, 0, 3, 0, b'a', b'b', b'c', 0]);
    assert_eq!(link::parse(&bytes).unwrap().bridge_port, Some(port));
}

#[test]
fn odd_names_are_shown_not_hidden() {
    let mut bytes = Batch::payload(&new_link(LinkKind::Ifb));
    let at = bytes.windows(4).position(|window| window == b"eth0").unwrap();
    bytes[at..at + 4].copy_from_slice(&[0xc3, 0xbc, b'%', b'x']);
    assert_eq!(link::parse(&bytes).unwrap().name, name("???x"));
    bytes[at..at + 4].copy_from_slice(b"\0\0\0\0");
    assert_eq!(link::parse(&bytes).unwrap().name, name("?"));
}

#[test]
fn addresses_are_read_as_they_are_written() {
    for given in ["10.0.0.1/24", "2001:db8::1/64", "fe80::1/128"] {
        let change = ChangeAddress { link: 3, address: net(given), delete: false };
        let read = address::parse(&Batch::payload(&change)).unwrap();
        assert_eq!((read.link, read.address), (3, change.address));
    }
}

#[test]
fn routes_are_read_as_they_are_written() {
    let hop = |via: &str, link, weight, onlink| NextHop { via: via.parse().ok(), link, weight, onlink };
    let several = vec![
        hop("10.0.0.1", Some(1), 1, false),
        hop("-", Some(2), 256, false),
        hop("fe80::1", None, 7, true),
    ];
    let actions = [
        RouteAction::Forward(vec![hop("10.0.0.1", Some(1), 1, true)]),
        RouteAction::Forward(vec![hop("fe80::1", Some(1), 1, false)]),
        RouteAction::Forward(several),
        RouteAction::Local(Some(1)),
        RouteAction::Broadcast(Some(2)),
        RouteAction::Anycast(None),
        RouteAction::Multicast(Some(4)),
        RouteAction::Blackhole,
        RouteAction::Unreachable,
        RouteAction::Prohibit,
        RouteAction::Throw,
        RouteAction::Other(200),
    ];
    for (to, source) in [("10.0.0.0/8", "10.0.0.1"), ("2001:db8::/32", "2001:db8::1")] {
        for action in &actions {
            let route = Route {
                metric: 5,
                table: 1_000_000,
                source: source.parse().ok(),
                mtu: Some(1280),
                protocol: 99,
                scope: Some(253),
                ..Route::new(net(to), action.clone())
            };
            let written = ChangeRoute { route: route.clone(), delete: false };
            assert_eq!(route::parse(&Batch::payload(&written)), Some(route));
        }
    }
}

#[test]
fn what_tells_routes_of_one_prefix_apart_is_read_as_it_is_written() {
    let four = Route { tos: 0x10, ..Route::new(net("10.0.0.0/8"), RouteAction::Blackhole) };
    let six = |preference| Route {
        from: Some(net("2001:db8:1::/48")),
        preference,
        ..Route::new(net("2001:db8::/32"), RouteAction::Blackhole)
    };
    let high = six(route::Preference::High);
    for route in [four, high, six(route::Preference::Low), six(route::Preference::Medium)] {
        let mut route = route;
        route.scope = Some(0);
        let written = ChangeRoute { route: route.clone(), delete: false };
        assert_eq!(route::parse(&Batch::payload(&written)), Some(route));
    }
}

#[test]
fn what_is_not_known_of_routes_and_rules_is_named() {
    let attribute = |bytes: &mut Vec<u8>, kind: u16| {
        bytes.extend(8_u16.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 4]);
    };
    let route = Route::new(net("10.0.0.0/8"), RouteAction::Blackhole);
    let mut bytes = Batch::payload(&ChangeRoute { route, delete: false });
    attribute(&mut bytes, 22); // RTA_ENCAP
    assert_eq!(route::parse(&bytes).unwrap().unknown, [22]);
    let mut bytes = Batch::payload(&ChangeRule { rule: Rule::new(false, 7, RuleAction::Nop), delete: false });
    attribute(&mut bytes, 12); // FRA_TUN_ID
    assert_eq!(rule::parse(&bytes).unwrap().unknown, [12]);
}

#[test]
fn routes_of_other_families_and_cached_ones_are_passed_over() {
    let route = Route::new(net("10.0.0.0/8"), RouteAction::Blackhole);
    let mut bytes = Batch::payload(&ChangeRoute { route, delete: false });
    assert!(route::parse(&bytes).is_some());
    bytes[9] = 0x02; // RTM_F_CLONED
    assert_eq!(route::parse(&bytes), None);
    bytes[9] = 0;
    bytes[0] = 128; // RTNL_FAMILY_IPMR
    assert_eq!(route::parse(&bytes), None);
    bytes[0] = 10; // an IPv6 route to an IPv4 address
    assert_eq!(route::parse(&bytes), None);
}

#[test]
fn rules_are_read_as_they_are_written() {
    let full = Rule {
        invert: true,
        from: Some(net("10.0.0.0/8")),
        to: Some(net("192.0.2.0/24")),
        iif: Some(name("a")),
        oif: Some(name("b")),
        fwmark: Some((1, 0xff)),
        tos: 8,
        dscp: Some((0x2e, 0x3c)),
        ip_protocol: Some(6),
        source_ports: Some((1, 65535)),
        destination_ports: Some((80, 80)),
        users: Some((0, 1000)),
        suppress_prefix_length: Some(0),
        suppress_group: Some(0),
        protocol: 4,
        ..Rule::new(false, 77, RuleAction::Table(1000))
    };
    let actions = [
        RuleAction::Goto(100),
        RuleAction::VrfTable,
        RuleAction::Nop,
        RuleAction::Blackhole,
        RuleAction::Unreachable,
        RuleAction::Prohibit,
        RuleAction::Other(77),
    ];
    let more = actions.map(|action| Rule::new(true, 5, action));
    for rule in more.into_iter().chain([full]) {
        let written = ChangeRule { rule: rule.clone(), delete: false };
        assert_eq!(rule::parse(&Batch::payload(&written)), Some(rule));
    }
}

#[test]
fn neighbours_and_forwarding_entries_are_read_as_they_are_written() {
    let number = MacAddr([2, 0, 0, 0, 0, 1]);
    let mac = Some(number);
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    let read = neighbour::parse(&Batch::payload(&ChangeNeighbour { link: 3, address, mac })).unwrap();
    assert_eq!((read.link, read.address, read.mac, read.state, read.proxy), (3, address, mac, 0x80, false));
    let read = neighbour::parse(&Batch::payload(&ChangeProxy { link: 3, address, delete: false })).unwrap();
    assert!(read.proxy);

    let change =
        ChangeFdb { link: 3, port: true, mac: number, vlan: Some(9), remote: Some(address), delete: false };
    let read = fdb::parse(&Batch::payload(&change)).unwrap();
    assert_eq!((read.link, read.mac, read.vlan, read.remote), (3, change.mac, change.vlan, change.remote));
    assert!(read.fixed && !read.local);
}

#[test]
fn vlans_are_read_as_they_are_written_and_ranges_taken_apart() {
    let one = BridgeVlan { link: 3, vlan: 20, pvid: true, untagged: true };
    let change = ChangeBridgeVlan { vlan: one, own: true, delete: false };
    let bytes = Batch::payload(&change);
    let wanted = [
        [7, 0, 0, 0, 3, 0, 0, 0].as_slice(), // ifinfomsg: AF_BRIDGE, index
        &[0; 8],
        &[20, 0, 26, 0x80],         // IFLA_AF_SPEC, nested
        &[6, 0, 0, 0, 2, 0, 0, 0],  // IFLA_BRIDGE_FLAGS: BRIDGE_FLAGS_SELF
        &[8, 0, 2, 0, 6, 0, 20, 0], // IFLA_BRIDGE_VLAN_INFO: PVID | UNTAGGED, 20
    ];
    assert_eq!(bytes, wanted.concat());
    assert_eq!(vlan::parse(&bytes), Some(vec![one]));
    assert_eq!((change.message_type(), ChangeBridgeVlan { delete: true, ..change }.message_type()), (19, 17));

    let infos = [[8, 0, 2, 0, 8, 0, 10, 0], [8, 0, 2, 0, 0x10, 0, 13, 0], [8, 0, 2, 0, 0x10, 0, 0xff, 0xff]];
    let range = [&bytes[..16], &[28, 0, 26, 0], &infos.concat()].concat();
    let vlans: Vec<u16> = vlan::parse(&range).unwrap().iter().map(|vlan| vlan.vlan).collect();
    assert_eq!(vlans, [10, 11, 12, 13], "and a VLAN that cannot be is passed over");
}

/// Everything that reads what the kernel sent.
fn read_all(bytes: &[u8]) {
    link::parse(bytes);
    address::parse(bytes);
    route::parse(bytes);
    route::parse_nexthop(bytes);
    rule::parse(bytes);
    neighbour::parse(bytes);
    fdb::parse(bytes);
    vlan::parse(bytes);
    qdisc::parse_qdisc(bytes);
    qdisc::parse_class(bytes);
    qdisc::parse_filter(bytes);
}

/// Marsaglia's xorshift: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, longest: u64) -> Vec<u8> {
        (0..self.below(longest + 1)).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// Attributes of likely types, some nested, some with lengths that lie.
    fn attributes(&mut self, depth: u32) -> Vec<u8> {
        let mut all = Vec::new();
        for _ in 0..self.below(8) {
            let nested = depth > 0 && self.below(2) == 0;
            let payload = if nested { self.attributes(depth - 1) } else { self.bytes(20) };
            let lie = if self.below(20) == 0 { self.below(64) } else { payload.len() as u64 + 4 };
            all.extend(u16::try_from(lie).unwrap().to_ne_bytes());
            all.extend(u16::try_from(self.below(56)).unwrap().to_ne_bytes());
            all.extend(payload);
            all.resize(all.len().next_multiple_of(4), 0);
        }
        all
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        read_all(&random.bytes(200));
        let mut message = random.bytes(16);
        message.resize([8, 12, 16, 20][usize::try_from(random.below(4)).unwrap()], 1);
        message[0] = [0, 2, 7, 10, 128][usize::try_from(random.below(5)).unwrap()];
        message.extend(random.attributes(3));
        read_all(&message);
    }
}

#[test]
fn messages_that_are_cut_off_do_not_make_a_reader_panic() {
    let kind = kinds().swap_remove(2);
    let hops = vec![NextHop::via("10.0.0.1".parse().unwrap()), NextHop::via("fe80::1".parse().unwrap())];
    let route = Route::new(net("10.0.0.0/8"), RouteAction::Forward(hops));
    let netem = ChangeQdisc {
        link: 3,
        handle: Handle::qdisc(1),
        parent: Handle::ROOT,
        kind: Some(QdiscKind::Netem(Netem::default())),
    };
    let messages = [
        Batch::payload(&netem),
        Batch::payload(&new_link(kind)),
        Batch::payload(&ChangeRoute { route, delete: false }),
        Batch::payload(&ChangeRule { rule: Rule::new(true, 1, RuleAction::Goto(7)), delete: false }),
    ];
    for message in messages {
        for end in 0..message.len() {
            read_all(&message[..end]);
        }
    }
}
