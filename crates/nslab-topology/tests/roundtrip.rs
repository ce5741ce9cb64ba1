//! What is written can be read again, and nothing that is read makes nslab panic.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::net::IpAddr;
use std::time::Duration;

use nslab_topology::impairment::{Chance, Distribution, Impairments, Jitter, Rate, Share};
use nslab_topology::lab::{
    Addressing, Destination, End, Endpoint, Family, Gateway, Interface, InterfaceKind, Link, NextHop, Node,
    Path, PathEnd, Program, Remote, Route, RouteAction, Routing, Rule, Switch, SwitchVlan, Via,
    WireguardPeer,
};
use nslab_topology::model::{
    Content, Encapsulation, File, Owner, PortVlan, PrivateDirectory, Processes, Ready, RuleAction, Topology,
    VlanProtocol,
};
use nslab_topology::{Lab, Spanned, load, parse, resolve, to_yaml};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{1,20}".prop_filter("a command", |text| !text.trim().is_empty()),
        Just("echo ${HOME} $${i} {a: b} # no".to_owned()),
        Just("zwölf\n\tBoxkämpfer: \"ja\" \\ 'nein' \u{7} \u{2028}!".to_owned()),
        Just("true".to_owned()),
    ]
}

fn ready() -> impl Strategy<Value = Option<Ready>> {
    prop_oneof![
        Just(None),
        (1..=u16::MAX).prop_map(|port| Some(Ready::Tcp(port))),
        text().prop_map(|path| Some(Ready::File(path))),
        Just(Some(Ready::Exit)),
        prop::collection::vec(text(), 1..3).prop_map(|command| Some(Ready::Command(command))),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let env = prop::collection::btree_map("[A-Z]{1,4}", text(), 0..3);
    let timeout = prop::option::of((1..100_000_u64).prop_map(Duration::from_millis));
    (prop::collection::vec(text(), 1..3), env, prop::option::of(text()), ready(), timeout).prop_map(
        |(command, env, directory, ready, timeout)| Program {
            name: None,
            command,
            env,
            directory,
            ready,
            timeout,
            user: None,
        },
    )
}

fn rule() -> impl Strategy<Value = Rule> {
    (prop::option::of(1..32766_u32), any::<u8>(), any::<bool>(), 1..1000_u32).prop_map(
        |(priority, net, ipv6, table)| {
            let from: IpAddr = if ipv6 { "fd01::".parse().unwrap() } else { [172, 16, net, 0].into() };
            Rule {
                priority,
                family: Family::of(from),
                from: (net % 3 > 0).then(|| ipnet::IpNet::new(from, 24).unwrap()),
                to: None,
                iif: (net.is_multiple_of(2)).then(|| "lo".to_owned().into()),
                oif: None,
                fwmark: (net.is_multiple_of(5)).then_some((1, 0xff)),
                action: if net.is_multiple_of(4) { RuleAction::Prohibit } else { RuleAction::Table(table) },
            }
        },
    )
}

fn node(name: String) -> impl Strategy<Value = Node> {
    let env = prop::collection::btree_map("[A-Z]{1,4}", text(), 0..3);
    let parts = (
        any::<bool>(),
        any::<u8>(),
        prop::collection::vec(program(), 0..3),
        prop::collection::vec(rule(), 0..3),
    );
    (parts, env).prop_map(move |((forward, number, programs, rules), env)| {
        let mut node = Node::new(name.clone());
        node.forward = forward;
        node.programs = programs;
        node.rules = rules.into_iter().map(Into::into).collect();
        node.env = env;
        if number.is_multiple_of(3) {
            node.addresses
                .push(format!("192.0.2.{}/32", number / 3 + 1).parse::<ipnet::IpNet>().unwrap().into());
            node.sysctls.push(("net/ipv4/conf/eth0.1/rp_filter".to_owned().into(), "0".to_owned()));
            node.hosts.insert("www".to_owned(), vec![[10, 0, 0, 1].into(), "fd00::".parse().unwrap()]);
        }
        if number.is_multiple_of(4) {
            node.gateway_ipv6 = Gateway::None;
        }
        if number.is_multiple_of(5) {
            let to = Destination::Net(format!("198.51.{number}.0/24").parse().unwrap());
            let action = RouteAction::Unreachable;
            node.routes.push(
                Route { to, action, metric: Some(7), table: Some(100), source: None, mtu: None }.into(),
            );
        }
        if number.is_multiple_of(7) {
            let owner = Some(Owner { user: "frr".to_owned(), group: Some("7".to_owned()) });
            let path = "/run/frr".to_owned();
            let directory = PrivateDirectory { path, mode: Some(0o1777), owner: owner.clone() };
            node.view.directories.push(directory.into());
            node.view
                .directories
                .push(PrivateDirectory { path: "/var/tmp".to_owned(), mode: None, owner: None }.into());
            let text = "line\n\n  ${not} a $variable: \"\\\n#\n".to_owned();
            for (path, content) in
                [("/etc/a b", Content::Text(text)), ("/etc/c", Content::From("c".to_owned()))]
            {
                let file = File { path: path.to_owned(), content, mode: 0o640, owner: owner.clone() };
                node.view.files.push(file.into());
            }
            node.user = Some("1000".to_owned().into());
            node.view.processes = Some(Processes::Private.into());
        }
        node
    })
}

fn end(device: String, number: usize, choice: u8, side: usize) -> End {
    let mut end = End::new(device);
    if choice.is_multiple_of(3) {
        end.interface = Some(format!("a-rather-long-name-{number}-{side}").into());
    }
    if choice.is_multiple_of(5) {
        end.mac = Some(mac(number, side).into());
    }
    if choice.is_multiple_of(7) {
        end.up = false;
    }
    if choice.is_multiple_of(11) {
        end.mtu = Some(1400.into());
    }
    end
}

fn switch_vlans() -> Vec<SwitchVlan> {
    let subnet: ipnet::IpNet = "172.30.0.0/24".parse().unwrap();
    let vlan = |id, subnets| SwitchVlan { id: Spanned::from(id), subnets };
    vec![vlan(1, Vec::new()), vlan(10, vec![subnet.into()]), vlan(20, Vec::new())]
}

fn port_vlans(choice: u8) -> Option<Spanned<Vec<PortVlan>>> {
    let tagged = |id| PortVlan { id, pvid: false, untagged: false };
    match choice % 5 {
        0 => Some(vec![PortVlan::native(10)].into()),
        1 => Some(vec![tagged(10), tagged(20)].into()),
        2 => Some(vec![PortVlan::native(1), tagged(10)].into()),
        _ => None,
    }
}

/// Interfaces of two nodes that are joined by a link.
fn tunnels(lab: &mut Lab, nodes: [usize; 2], number: usize, choice: u8) {
    let names = nodes.map(|node| lab.nodes[node].name.value.clone());
    for (node, other) in [(nodes[0], names[1].clone()), (nodes[1], names[0].clone())] {
        let mut end = End::new(lab.nodes[node].name.value.clone());
        end.interface = Some(format!("tunnel-with-long-name-{number}").into());
        let remote = || Remote::Node { node: other.clone(), interface: None };
        let id = u32::try_from(number).unwrap();
        let kind = match choice % 4 {
            0 => InterfaceKind::Vxlan {
                id: id.into(),
                port: 4789,
                local: None,
                remotes: vec![remote().into()],
                link: None,
                learning: choice.is_multiple_of(3),
            },
            1 => InterfaceKind::Wireguard {
                port: (5000 + u16::try_from(number).unwrap()).into(),
                peers: vec![
                    WireguardPeer {
                        node: other.clone().into(),
                        interface: end.interface.clone(),
                        endpoint: Endpoint::Auto,
                        allowed: None,
                        keepalive: choice.is_multiple_of(3).then_some(Duration::from_secs(5)),
                    }
                    .into(),
                ],
            },
            2 => InterfaceKind::Tunnel {
                encapsulation: Encapsulation::Gre,
                local: None,
                remote: remote().into(),
                key: Some(id),
                ttl: 64,
                link: None,
            },
            _ => InterfaceKind::Dummy,
        };
        if choice.is_multiple_of(5) {
            end.mtu = Some(1300.into());
        }
        end.impairments = impairments(choice);
        lab.nodes[node].interfaces.push(Interface { end: end.clone(), kind });
        if choice.is_multiple_of(9) {
            let link = end.interface.clone().unwrap();
            if matches!(lab.nodes[node].interfaces.last().unwrap().kind, InterfaceKind::Dummy) {
                end.interface = Some(format!("v{number}").into());
                let id = 5_u16.into();
                let kind = InterfaceKind::Vlan { link, id, protocol: VlanProtocol::Dot1Q };
                // Before what it is on, so that they are to be sorted.
                lab.nodes[node].interfaces.insert(0, Interface { end, kind });
            }
        }
    }
}

fn mac(number: usize, side: usize) -> nslab_types::MacAddr {
    nslab_types::MacAddr::from_seed(&format!("{number}/{side}"))
}

fn lab() -> impl Strategy<Value = Lab> {
    let links = prop::collection::vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), any::<u8>()),
        0..12,
    );
    (1..7_usize, 0..3_usize, links, any::<u8>()).prop_flat_map(|(nodes, switches, links, choice)| {
        let nodes: Vec<_> = (0..nodes).map(|index| node(format!("node-{index}"))).collect();
        nodes.prop_map(move |nodes| {
            let mut lab = Lab::empty("lab.x");
            lab.prefix = (choice.is_multiple_of(2)).then(|| "x-".to_owned().into());
            lab.addressing = if choice.is_multiple_of(3) { Addressing::NONE } else { Addressing::default() };
            lab.routing = match choice % 5 {
                0 => Routing::None,
                1 => Routing::Ecmp,
                _ => Routing::Auto,
            };
            lab.switches = (0..switches)
                .map(|index| Switch {
                    mtu: (choice.is_multiple_of(7)).then(|| 9000.into()),
                    ageing: (choice.is_multiple_of(4)).then_some(Duration::from_secs(30)),
                    vlan_filtering: choice.is_multiple_of(6),
                    vlans: if choice.is_multiple_of(12) { switch_vlans() } else { Vec::new() },
                    stp: choice % 4 == 1,
                    multicast_snooping: choice % 4 != 2,
                    ..Switch::new(format!("a-switch-of-a-long-name-{index}"))
                })
                .collect();
            lab.nodes = nodes;
            let names: Vec<String> = lab.device_names().map(str::to_owned).collect();
            let node_names = lab.nodes.len();
            for (number, (one, two, left, right)) in links.iter().enumerate() {
                let (one, two) = (one.index(node_names), two.index(names.len()));
                if one == two {
                    continue;
                }
                let mut ends =
                    [end(names[one].clone(), number, *left, 0), end(names[two].clone(), number, *right, 1)];
                if two < node_names && left.is_multiple_of(2) {
                    for (side, end) in ends.iter_mut().enumerate() {
                        let net: ipnet::IpNet = format!("172.20.{number}.{}/24", side + 1).parse().unwrap();
                        end.addresses = Some(vec![net.into()]);
                    }
                    // By name or by address; a name that is ambiguous makes the lab an invalid one.
                    let via = if right.is_multiple_of(4) {
                        Via::Node(names[two].clone())
                    } else {
                        Via::Address([172, 20, u8::try_from(number).unwrap(), 2].into())
                    };
                    let hop = NextHop { via: Some(via.into()), ..NextHop::default() };
                    let action = RouteAction::Forward(vec![hop]);
                    let to = Destination::Net(format!("203.0.{number}.0/24").parse().unwrap());
                    lab.nodes[one].routes.push(
                        Route { to, action, metric: None, table: None, source: None, mtu: Some(1400) }.into(),
                    );
                } else if left.is_multiple_of(13) {
                    ends[0].addresses = Some(Vec::new());
                }
                if two >= node_names && choice.is_multiple_of(6) {
                    ends[1].vlans = port_vlans(*right);
                }
                if two >= node_names && left.is_multiple_of(4) {
                    ends[1].isolated = Some(true.into());
                }
                if two < node_names && !left.is_multiple_of(7) && !right.is_multiple_of(7) {
                    tunnels(&mut lab, [one, two], number, *left);
                }
                ends[1].impairments = impairments(*left);
                let impairments = impairments(right.wrapping_mul(3));
                lab.links.push(Link {
                    ends,
                    mtu: (right.is_multiple_of(6)).then(|| 1300.into()),
                    impairments,
                });
                if two >= node_names && left.is_multiple_of(3) {
                    // Where another node is on the switch as well; else the lab is an invalid one.
                    let path = Path {
                        from: path_end(&names[one], right.is_multiple_of(2)),
                        to: path_end("every", false),
                        both: right.is_multiple_of(5),
                        impairments: Impairments {
                            delay: Some(Duration::from_millis(7).into()),
                            ..impairments
                        },
                    };
                    lab.switches[two - node_names].paths.push(path);
                }
            }
            lab
        })
    })
}

fn impairments(choice: u8) -> Impairments {
    let has = |bit: u8| choice & 1 << bit != 0;
    let mut all = Impairments::default();
    if choice.is_multiple_of(4) {
        return all;
    }
    all.delay = Some(Duration::from_micros(u64::from(choice) * 100).into());
    all.jitter = has(3).then(|| {
        let correlation = if has(5) { Share::new(0.1) } else { Share::NONE };
        Jitter::new(Duration::from_micros(u64::from(choice) * 10), correlation).into()
    });
    if all.jitter.is_some() {
        let distributions = [Distribution::Uniform, Distribution::Normal, Distribution::ParetoNormal];
        all.distribution = has(4).then(|| distributions[usize::from(choice % 3)].into());
    }
    let correlation = if has(7) { Share::new(0.25) } else { Share::NONE };
    all.loss = has(4).then(|| Chance::new(Share::new(f64::from(choice) / 300.0), correlation).into());
    all.reorder = has(5).then(|| Chance::new(Share::new(0.25), correlation).into());
    all.corrupt = has(6).then(|| Chance::from(Share::ALL).into());
    all.rate = has(7).then(|| has(3).then(|| Rate::new(u64::from(choice) * 12_345)).into());
    all
}

fn path_end(node: &str, named: bool) -> PathEnd {
    let interface = named.then(|| "eth0".to_owned().into());
    PathEnd { node: node.to_owned().into(), interface }
}

fn without_derived(mut topology: Topology) -> Topology {
    for route in topology.nodes.iter_mut().flat_map(|node| &mut node.routes) {
        route.derived = false;
    }
    topology
}

fn reread(yaml: &str) -> Topology {
    match load(yaml, "other.yaml", &[]) {
        Ok(loaded) => loaded.topology,
        Err(errors) => panic!("{errors}\n{yaml}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn labs_and_topologies_read_back(lab in lab()) {
        let resolved = resolve(&lab);
        prop_assume!(resolved.is_ok());
        let topology = resolved.unwrap().topology;
        prop_assert_eq!(&resolve(&lab).unwrap().topology, &topology, "the same in every run");
        prop_assert_eq!(&reread(&lab.to_yaml()), &topology);
        let topology = without_derived(topology);
        prop_assert_eq!(&reread(&to_yaml(&topology)), &topology);
        let json = serde_json::to_string(&lab).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Lab>(&json).unwrap(), &lab);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let source = String::from_utf8_lossy(&bytes);
        let _ = load(&source, "lab.yaml", &[]);
    }

    #[test]
    fn arbitrary_yaml_never_panics(source in "([a-z]{1,3}|[\\[\\]{}:,&*!|>'\"%@`#?<~$-]|\n|  |\\$\\{|[0-9./]{1,4}|ü|nodes:|links:|\t){0,60}") {
        let _ = load(&source, "lab.yaml", &[]);
    }

    #[test]
    fn damaged_files_never_panic(which in 0..EXAMPLES.len(), from in any::<prop::sample::Index>(), length in 0..40_usize, with in "[ -~\n\u{e4}]{0,8}") {
        let characters: Vec<char> = EXAMPLES[which].chars().collect();
        let from = from.index(characters.len());
        let to = (from + length).min(characters.len());
        let damaged: String = characters[..from].iter().copied().chain(with.chars()).chain(characters[to..].iter().copied()).collect();
        for problem in load(&damaged, "lab.yaml", &[]).err().into_iter().flat_map(|errors| errors.list) {
            for label in problem.labels {
                prop_assert!(damaged.get(label.span.start..label.span.end).is_some(), "{label:?}");
                let line = damaged.split('\n').nth(label.span.line - 1);
                prop_assert!(line.is_some_and(|line| label.span.column <= line.chars().count() + 1), "{label:?}");
            }
        }
    }
}

const EXAMPLES: [&str; 4] = [
    include_str!("../../../examples/guide.yaml"),
    include_str!("../../../examples/routers.yaml"),
    include_str!("../../../examples/services.yaml"),
    "name: three-tier\nvars: {n: 3}\nnodes:\n  fw: {forward: true, sysctl: {net: {ipv4: {ip_forward: 1}}}, rules: [from all lookup 5],\n    routes: [default via 10.0.0.2, {to: 10.9.0.0/16, via: 10.0.0.2}], firewall: {default: drop}}\n  web: {count: ${n}, env: {ü: \"é${i}\"}}\nswitches: {lan: {subnet: 10.1.0.0/24}}\nlinks:\n  - [web, lan]\n  - [fw 10.0.0.1/24, web1 10.0.0.2/24, {mtu: 1400}]\nexpect:\n  - web1 -> fw tcp/80: ok\n",
];

#[test]
fn empty_labs_read_back() {
    let lab = Lab::empty("nothing");
    assert_eq!(parse(&lab.to_yaml(), "x.yaml", &[]).unwrap(), lab);
    assert_eq!(reread(&lab.to_yaml()).name, "nothing");
}

#[test]
fn places_count_characters_and_bytes() {
    let source = "nodes: {a: {env: {ä: \"é\"}, zebra: 1}}\n";
    let errors = load(source, "lab.yaml", &[]).unwrap_err();
    let span = errors.list[0].span().unwrap();
    assert_eq!(&source[span.start..span.end], "zebra");
    assert_eq!((span.line, span.column), (1, 28));
    let with_mark = format!("\u{feff}{source}");
    let span = load(&with_mark, "lab.yaml", &[]).unwrap_err().list[0].span().unwrap();
    assert_eq!(&with_mark[span.start..span.end], "zebra");
    let crlf = "nodes:\r\n  a: {zebra: 1}\r\n";
    let span = load(crlf, "lab.yaml", &[]).unwrap_err().list[0].span().unwrap();
    assert_eq!((&crlf[span.start..span.end], span.line, span.column), ("zebra", 2, 7));
}
