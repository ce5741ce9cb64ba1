//! Random firewalls: what becomes of real connections is what a plain reading of the rules says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ipnet::IpNet;
use nslab_kernel::Namespace;
use nslab_lab::netfilter;
use nslab_testing::privileged;
use nslab_topology::model::Device;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Site, wanted};

const PORTS: [u16; 3] = [1001, 1002, 1003];
const NODES: [&str; 5] = ["fw", "a", "b", "c", "d"];
/// What a zone can be in these rules.
const ZONES: [&str; 12] = [
    "a",
    "b",
    "c",
    "d",
    "lan",
    "fw:west",
    "outside",
    "10.0.0.0/16",
    "10.0.2.0/24",
    "fd00:2::/64",
    "self",
    "10.0.1.1",
];
/// No answer within this time is none, unless one was to come.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long to wait for what is to come, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Accept,
    Drop,
    Reject,
}

#[derive(Debug, Clone)]
struct Rule {
    from: Vec<&'static str>,
    to: Vec<&'static str>,
    ports: Vec<u16>,
    range: bool,
    family: Option<bool>,
}

/// Which list comes first, and its rules.
#[derive(Debug, Clone)]
struct Policy {
    defaults: [Fate; 3],
    lists: Vec<(Fate, Vec<Rule>)>,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::Accept), Just(Fate::Drop), Just(Fate::Reject)]
}

fn rule() -> impl Strategy<Value = Rule> {
    let zones = || prop::collection::vec(prop::sample::select(&ZONES[..]), 0..3);
    let ports = prop::sample::subsequence(&PORTS[..], 0..=3);
    let family = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    (zones(), zones(), ports, any::<bool>(), family).prop_map(|(from, to, ports, range, family)| Rule {
        from,
        to,
        ports,
        range,
        family,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let lists = prop::collection::vec(prop::collection::vec(rule(), 0..4), 3);
    let order = Just([Fate::Accept, Fate::Drop, Fate::Reject]).prop_shuffle();
    let output = prop_oneof![3 => Just(Fate::Accept), 1 => fate()];
    ((fate(), fate(), output), order, lists).prop_map(|((input, forward, output), order, lists)| Policy {
        defaults: [input, forward, output],
        lists: order.into_iter().zip(lists).collect(),
    })
}

impl Policy {
    fn source(&self) -> String {
        let word = |fate: Fate| match fate {
            Fate::Accept => "accept",
            Fate::Drop => "drop",
            Fate::Reject => "reject",
        };
        let list = |fate: Fate| match fate {
            Fate::Accept => "allow",
            Fate::Drop => "deny",
            Fate::Reject => "reject",
        };
        let quoted =
            |zones: &[&str]| zones.iter().map(|zone| format!("{zone:?}")).collect::<Vec<_>>().join(", ");
        let mut lists = String::new();
        for (fate, rules) in &self.lists {
            let rules: Vec<String> = rules
                .iter()
                .map(|rule| {
                    let mut entries = Vec::new();
                    if !rule.from.is_empty() {
                        entries.push(format!("from: [{}]", quoted(&rule.from)));
                    }
                    if !rule.to.is_empty() {
                        entries.push(format!("to: [{}]", quoted(&rule.to)));
                    }
                    if let Some(ipv6) = rule.family {
                        entries.push(format!("family: {}", if ipv6 { "ipv6" } else { "ipv4" }));
                    }
                    match &rule.ports[..] {
                        [] => entries.push("protocol: [tcp, 132]".to_owned()),
                        [first, .., last] if rule.range => entries.push(format!("tcp: {first}-{last}")),
                        ports => entries.push(format!("tcp: {ports:?}")),
                    }
                    format!("{{{}}}", entries.join(", "))
                })
                .collect();
            let _ = writeln!(lists, "      {}: [{}]", list(*fate), rules.join(", "));
        }
        let [input, forward, output] = self.defaults.map(word);
        format!(
            "name: policy\nnodes:\n  fw:\n    forward: true\n    firewall:\n      \
             default: {{input: {input}, forward: {forward}, output: {output}}}\n{lists}  \
             a: {{}}\n  b: {{}}\n  c: {{}}\n  d: {{}}\nswitches: {{lan: {{}}}}\nlinks:\n  \
             - [fw:outside 10.0.0.254/24 fd00::fe/64, a 10.0.0.1/24 fd00::1/64]\n  \
             - [fw:west 10.0.1.254/24 fd00:1::fe/64, b 10.0.1.1/24 fd00:1::1/64]\n  \
             - [fw:lan 10.0.2.254/24 fd00:2::fe/64, lan]\n  \
             - [c 10.0.2.1/24 fd00:2::1/64, lan]\n  - [d 10.0.2.2/24 fd00:2::2/64, lan]\n"
        )
    }

    /// What becomes of a connection, read off the rules. Knows nothing of nftables.
    fn fate(&self, from: &str, to: &str, source: IpAddr, destination: IpAddr, port: u16) -> Fate {
        let on_lan = |node: &str| matches!(node, "c" | "d");
        if on_lan(from) && on_lan(to) {
            return Fate::Accept;
        }
        let is = |zone: &str, node: &str, address: IpAddr, is_source: bool| match zone {
            "self" => node == "fw",
            "lan" => on_lan(node),
            "fw:west" => node == "b",
            "outside" => node == "a",
            "a" | "b" | "c" | "d" => node == zone,
            // Of the firewall's own addresses only the destination is asked for.
            prefix => {
                let prefix: IpNet =
                    prefix.parse().unwrap_or_else(|_| IpNet::from(prefix.parse::<IpAddr>().unwrap()));
                !(is_source && node == "fw") && prefix.contains(&address)
            }
        };
        for (fate, rules) in &self.lists {
            for rule in rules {
                let sources = match &rule.from[..] {
                    [] => from != "fw",
                    zones => zones.iter().any(|zone| is(zone, from, source, true)),
                };
                let destinations =
                    rule.to.is_empty() || rule.to.iter().any(|zone| is(zone, to, destination, false));
                let ports = match &rule.ports[..] {
                    [] => true,
                    [first, .., last] if rule.range => (*first..=*last).contains(&port),
                    ports => ports.contains(&port),
                };
                let family = rule.family.is_none_or(|ipv6| ipv6 == source.is_ipv6());
                if sources && destinations && ports && family {
                    return *fate;
                }
            }
        }
        self.defaults[if to == "fw" {
            0
        } else if from == "fw" {
            2
        } else {
            1
        }]
    }
}

/// What became of a connection.
fn probe(destination: IpAddr, port: u16, patience: Duration) -> Fate {
    match TcpStream::connect_timeout(&SocketAddr::new(destination, port), patience) {
        Ok(_) => Fate::Accept,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Fate::Reject,
        Err(_) => Fate::Drop,
    }
}

#[test]
fn real_connections_meet_the_fate_that_is_written() {
    privileged(|| {
        let site = Site::new();
        let mut runner = TestRunner::new(Config { cases: 1, ..Config::default() });
        let mut listeners: Vec<TcpListener> = Vec::new();
        for _ in 0..10 {
            let policy = policy().new_tree(&mut runner).unwrap().current();
            let lab = wanted(&policy.source());
            site.up(&lab);
            assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty(), "{}", policy.source());
            let spaces: BTreeMap<&str, Namespace> =
                NODES.iter().map(|node| (*node, site.node("policy", node))).collect();
            if listeners.is_empty() {
                for space in spaces.values() {
                    let bind = |port| TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, port)).unwrap();
                    listeners.extend(space.run(|| PORTS.map(bind)).unwrap());
                }
            }
            let mut addresses: BTreeMap<&str, Vec<IpAddr>> = BTreeMap::new();
            for (place, node) in lab.topology.nodes.iter().enumerate() {
                let ends = lab.topology.ends_of(Device::Node(place));
                let own = ends.flat_map(|(_, end)| end.addresses.iter().map(IpNet::addr));
                addresses.insert(&node.name, own.collect());
            }
            let probes: Vec<_> = NODES
                .iter()
                .flat_map(|from| NODES.iter().filter(move |to| *to != from).map(move |to| (*from, *to)))
                .flat_map(|(from, to)| {
                    let all = addresses[to].iter().copied();
                    all.flat_map(move |address| PORTS.map(|port| (from, to, address, port)))
                })
                // Of the firewall's addresses those on the prober's own link will do.
                .filter(|(from, to, address, _)| {
                    *to != "fw" || addresses[from].iter().any(|own| near(*own, *address))
                })
                .collect();
            let (policy, addresses) = (&policy, &addresses);
            std::thread::scope(|scope| {
                for (from, to, address, port) in probes {
                    let space = spaces[from].duplicate().unwrap();
                    scope.spawn(move || {
                        let source =
                            addresses[from].iter().copied().filter(|own| own.is_ipv6() == address.is_ipv6());
                        // The firewall has several: that of the link to the other.
                        let near = source.clone().find(|own| near(*own, address));
                        let source = near.or(source.clone().next()).unwrap();
                        let wanted = policy.fate(from, to, source, address, port);
                        let patience = if wanted == Fate::Drop { PATIENCE } else { LIMIT };
                        let is = space.run(|| probe(address, port, patience)).unwrap();
                        assert_eq!(is, wanted, "{from} -> {to} {address} port {port}\n{}", policy.source());
                    });
                }
            });
        }
        drop(listeners);
        site.down("policy");
    });
}

/// Whether two addresses are on one link of the lab.
fn near(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.octets()[..8] == other.octets()[..8],
        _ => false,
    }
}

#[test]
fn what_is_loaded_is_read_back_the_same() {
    privileged(|| {
        let space = Namespace::create().unwrap();
        let mut runner = TestRunner::new(Config { cases: 100, ..Config::default() });
        runner
            .run(&policy(), |policy| {
                let lab = wanted(&policy.source());
                let Some(table) = netfilter::compile(&lab.topology.nodes[0]) else { return Ok(()) };
                space.run(|| netfilter::replace(Some(&table))).unwrap().unwrap();
                let read = space.run(netfilter::read).unwrap().unwrap().unwrap();
                prop_assert_eq!(netfilter::differences(&table, &read), vec![], "{}", policy.source());
                Ok(())
            })
            .unwrap();
        space.run(|| netfilter::replace(None)).unwrap().unwrap();
        assert_eq!(space.run(netfilter::read).unwrap().unwrap(), None);
    });
}
