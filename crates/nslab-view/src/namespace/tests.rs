//! Namespaces as they shall look.

use std::net::IpAddr;

use nslab_kernel::address::Address;
use nslab_kernel::link::{Bridge, BridgePort, LinkKind};
use nslab_kernel::qdisc::{Fifo, Handle, Qdisc, QdiscKind, Queues, Statistics};
use nslab_kernel::route::{NextHop, Route, RouteAction};
use nslab_kernel::rule::{Rule, RuleAction};
use nslab_types::{IfName, MacAddr};

use super::*;

fn link(index: u32, name: &str, kind: Option<LinkKind>) -> Link {
    Link {
        index,
        name: IfName::new(name).unwrap(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, index.try_into().unwrap()])),
        kind,
        loopback: name == "lo",
        mtu: if name == "lo" { 65_536 } else { 1500 },
        up: true,
        carrier: true,
        master: None,
        lower: None,
        lower_nsid: None,
        group: 0,
        alias: None,
        alt_names: Vec::new(),
        address_generation: None,
        tx_queues: 1,
        bridge_port: None,
        bond_port: None,
        qdisc: "noqueue".to_owned(),
        ipv4: None,
        ipv6: None,
        xdp: None,
    }
}

fn address(link: u32, address: &str, scope: u8) -> Address {
    let address = address.parse().unwrap();
    let (permanent, tentative, duplicate, secondary, kernel) = (true, false, false, false, false);
    Address {
        link,
        address,
        scope,
        permanent,
        tentative,
        duplicate,
        secondary,
        kernel,
        peer: None,
        deprecated: false,
        optimistic: false,
        temporary: false,
        home: false,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn forward(to: &str, hops: Vec<NextHop>) -> Route {
    Route::new(to.parse().unwrap(), RouteAction::Forward(hops))
}

fn qdisc(link: u32, handle: Handle, kind: QdiscKind, statistics: Statistics) -> Qdisc {
    Qdisc { link, handle, parent: Handle::ROOT, kind, statistics }
}

#[test]
fn a_router_with_everything() {
    let veth = || Some(LinkKind::Veth(None));
    let mut eth0 = link(2, "eth0", veth());
    (eth0.lower, eth0.lower_nsid) = (Some(7), Some(0));
    let mut eth1 = link(3, "eth1", veth());
    (eth1.carrier, eth1.mtu) = (false, 1400);
    let connected = Route {
        protocol: 2,
        scope: Some(253),
        source: Some(ip("10.0.0.1")),
        ..forward("10.0.0.0/24", vec![NextHop::on(2)])
    };
    let two_ways = vec![NextHop::via(ip("10.0.0.3")), NextHop { weight: 2, ..NextHop::via(ip("10.0.0.4")) }];
    let state = NamespaceState {
        links: vec![link(1, "lo", None), eth0, eth1],
        addresses: vec![
            address(1, "127.0.0.1/8", 254),
            address(2, "10.0.0.1/24", 0),
            address(2, "fe80::1/64", 253),
        ],
        routes: vec![
            forward("0.0.0.0/0", vec![NextHop { link: Some(2), ..NextHop::via(ip("10.0.0.254")) }]),
            connected,
            forward("10.9.0.0/16", two_ways),
            Route { table: 100, ..Route::new("192.0.2.1/32".parse().unwrap(), RouteAction::Prohibit) },
            Route { table: 255, ..forward("10.0.0.1/32", vec![NextHop::on(2)]) },
        ],
        rules: vec![
            Rule::new(false, 0, RuleAction::Table(255)),
            Rule {
                from: Some("10.0.0.0/8".parse().unwrap()),
                ..Rule::new(false, 100, RuleAction::Table(100))
            },
            Rule::new(false, 32_766, RuleAction::Table(254)),
            Rule::new(false, 32_767, RuleAction::Table(253)),
            Rule::new(true, 0, RuleAction::Table(255)),
            Rule { fwmark: Some((1, 0xff)), ..Rule::new(true, 50, RuleAction::Unreachable) },
        ],
        neighbours: vec![
            Neighbour {
                link: 2,
                address: ip("10.0.0.2"),
                mac: Some(MacAddr([2, 0, 0, 0, 1, 2])),
                state: 2,
                proxy: false,
            },
            Neighbour { link: 2, address: ip("10.0.0.9"), mac: None, state: 0x20, proxy: false },
        ],
        queues: Queues {
            qdiscs: vec![
                qdisc(1, Handle::NONE, QdiscKind::Noqueue, Statistics::default()),
                qdisc(
                    2,
                    Handle::qdisc(0x6e73),
                    QdiscKind::Blackhole,
                    Statistics { drops: 3, ..Statistics::default() },
                ),
                qdisc(
                    3,
                    Handle::qdisc(0x6e73),
                    QdiscKind::Bfifo(Fifo { limit: 9000 }),
                    Statistics {
                        packets: 7,
                        bytes: 420,
                        queue_packets: 1,
                        queue_bytes: 60,
                        ..Statistics::default()
                    },
                ),
            ],
            ..Queues::default()
        },
        ..NamespaceState::default()
    };
    let peer = |link: &Link| (link.index == 3).then(|| "blue:eth0".to_owned());
    let expected = "\
links
  1  lo    UP          mtu 65536                     loopback
  2  eth0  UP          mtu 1500   02:00:00:00:00:02  veth peer if7 in nsid 0
  3  eth1  NO-CARRIER  mtu 1400   02:00:00:00:00:03  veth peer blue:eth0

addresses
  lo    127.0.0.1/8  scope host
  eth0  10.0.0.1/24
  eth0  fe80::1/64   scope link

routes
  default      via 10.0.0.254 dev eth0
  10.0.0.0/24  dev eth0 proto kernel scope link src 10.0.0.1
  10.9.0.0/16
               nexthop via 10.0.0.3 weight 1
               nexthop via 10.0.0.4 weight 2

routes of table 100
  prohibit 192.0.2.1

rules
  100:  inet   from 10.0.0.0/8 lookup 100
  50:   inet6  from all fwmark 0x1/0xff unreachable

neighbours
  10.0.0.2  dev eth0  lladdr 02:00:00:00:01:02  REACHABLE
  10.0.0.9  dev eth0                            FAILED

queues
  eth0  root  blackhole         sent 0 (0 bytes)    dropped 3
  eth1  root  bfifo limit 9000  sent 7 (420 bytes)  waiting 1 (60 bytes)
";
    assert_eq!(namespace_state(&state, &peer, &Style::default()), expected);
}

#[test]
fn a_switch_with_its_ports() {
    let bridge = Bridge {
        stp: Some(false),
        vlan_filtering: Some(true),
        ageing_time: Some(30_000),
        ..Bridge::default()
    };
    let mut port = link(3, "p1", Some(LinkKind::Veth(None)));
    port.master = Some(2);
    port.bridge_port = Some(BridgePort { isolated: true, ..BridgePort::default() });
    let entry = |last, fixed| FdbEntry {
        external: false,
        sticky: false,
        link: 3,
        master: Some(2),
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        vlan: Some(1),
        remote: None,
        fixed,
        local: false,
    };
    let state = NamespaceState {
        links: vec![link(2, "br0", Some(LinkKind::Bridge(bridge))), port],
        fdb: vec![entry(9, false), entry(10, true)],
        vlans: vec![BridgeVlan { link: 3, vlan: 1, pvid: true, untagged: true }],
        ..NamespaceState::default()
    };
    let expected = "\
links
  2  br0  UP  mtu 1500  02:00:00:00:00:02  bridge vlan_filtering 1
  3  p1   UP  mtu 1500  02:00:00:00:00:03  veth master br0 isolated on

forwarding
  02:00:00:00:00:09  dev p1  vlan 1  master br0
  02:00:00:00:00:0a  dev p1  vlan 1  master br0  static

vlans
  p1  1  PVID Egress Untagged
";
    assert_eq!(namespace_state(&state, &|_| None, &Style::default()), expected);
    assert_eq!(namespace_state(&NamespaceState::default(), &|_| None, &Style::default()), "");
}
