//! What resolving chooses, and how fast.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write;
use std::time::{Duration, Instant};

use nslab_topology::model::{Device, RouteAction, Topology};
use nslab_topology::{Loaded, load};

fn resolved(source: &str) -> Topology {
    let Loaded { topology, warnings, .. } = with_warnings(source);
    assert_eq!(warnings, []);
    topology
}

fn with_warnings(source: &str) -> Loaded {
    load(source, "lab.yaml", &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn addresses(topology: &Topology) -> Vec<String> {
    let ends = topology.links.iter().flat_map(|link| &link.ends);
    ends.filter(|end| matches!(end.device, Device::Node(_)))
        .map(|end| end.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        .collect()
}

fn routes(topology: &Topology, name: &str) -> Vec<String> {
    let node = topology.nodes.iter().find(|node| node.name == name).unwrap();
    let hop = |action: &RouteAction| match action {
        RouteAction::Forward(hops) => hops
            .iter()
            .map(|hop| {
                let via = hop.via.map_or_else(String::new, |via| format!(" via {via}"));
                format!("{via} dev {}", hop.dev.unwrap())
            })
            .collect::<Vec<_>>()
            .concat(),
        other => format!(" {other:?}"),
    };
    node.routes.iter().map(|route| format!("{}{}", route.to, hop(&route.action))).collect()
}

#[test]
fn pools_are_used_in_order_and_skip_what_is_written() {
    let topology = resolved(
        "addressing: {ipv4: 10.0.0.0/8, ipv6: none}\nnodes: {a: {}, b: {}, c: {}, d: {}}\nswitches: {lan: {}}\n\
         links:\n  - [a, b]\n  - [a, lan]\n  - [b 10.0.2.1/24, c 10.0.2.2/24]\n  - [c, d]\n  - [b, lan]\n  - [c, lan]\n",
    );
    assert_eq!(
        addresses(&topology),
        [
            "10.0.0.1/30",
            "10.0.0.2/30",
            "10.0.1.1/24",
            "10.0.2.1/24",
            "10.0.2.2/24",
            "10.0.3.1/30",
            "10.0.3.2/30",
            "10.0.1.2/24",
            "10.0.1.3/24"
        ]
    );
}

#[test]
fn open_ends_join_the_subnet_that_is_written() {
    let topology = resolved(
        "nodes: {a: {}, b: {}, c: {}, d: {}}\nswitches: {lan: {}}\n\
         links:\n  - [a, lan]\n  - [b 192.168.1.1/24, lan]\n  - [c, lan]\n  - [{node: d, address: none}, lan]\n",
    );
    assert_eq!(addresses(&topology), ["192.168.1.2/24", "192.168.1.1/24", "192.168.1.3/24", ""]);
}

#[test]
fn a_switchs_subnets_are_used() {
    let topology = resolved(
        "nodes: {h: {count: 2}}\nswitches: {lan: {subnets: [172.16.5.0/24, \"fd00:5::/64\"]}}\nlinks: [[h, lan]]\n",
    );
    assert_eq!(addresses(&topology), ["172.16.5.1/24 fd00:5::1/64", "172.16.5.2/24 fd00:5::2/64"]);
}

#[test]
fn switches_that_hang_together_are_one_segment() {
    let topology =
        resolved("nodes: {a: {}, b: {}}\nswitches: {s: {}, t: {}, u: {}}\nlinks: [[a, s], [s, t], [t, b]]\n");
    let names: Vec<_> = topology.segments.iter().map(|segment| segment.name.as_str()).collect();
    assert_eq!(names, ["s+t", "u"]);
    // A node's end comes first.
    assert_eq!(
        topology.links[2].ends.clone().map(|end| topology.device_name(end.device).to_owned()),
        ["b", "t"]
    );
    assert_eq!(topology.links[1].ends.clone().map(|end| end.name.to_string()), ["t", "s"]);
}

#[test]
fn interfaces_get_names() {
    let topology = resolved(
        "addressing: none\nnodes: {a: {}, a-node-with-a-long-name: {}, lo: {}}\nswitches: {s: {}}\n\
         links:\n  - [a, s]\n  - [a:eth0, s]\n  - [a, lo]\n  - [a-node-with-a-long-name, s]\n  - [lo, s]\n",
    );
    let names: Vec<_> = topology
        .links
        .iter()
        .flat_map(|link| &link.ends)
        .map(|end| (end.name.to_string(), end.full_name.clone()))
        .collect();
    let short = |name: &str| (name.to_owned(), None);
    assert_eq!(names[..6], ["eth1", "a-eth1", "eth0", "a-eth0", "eth2", "eth0"].map(short));
    assert_eq!(names[7].1.as_deref(), Some("a-node-with-a-long-name"));
    assert_eq!(names[7].0.len(), 15);
    assert_eq!(names[9], short("lo-eth1"));
}

#[test]
fn hosts_and_routers_get_routes() {
    let topology = resolved(
        "addressing: {ipv6: none}\nnodes:\n  a: {}\n  r1: {forward: true, addresses: [192.0.2.1/32]}\n  r2: {forward: true}\n\
         \x20 b: {addresses: [192.0.2.9/32], routes: [blackhole 10.66.0.0/16]}\nlinks:\n  - [a, r1]\n  - [r1, r2]\n  - [r2, b]\n",
    );
    assert_eq!(routes(&topology, "a"), ["0.0.0.0/0 via 10.0.0.2 dev eth0"]);
    assert_eq!(
        routes(&topology, "r1"),
        ["10.0.0.8/30 via 10.0.0.6 dev eth1", "192.0.2.9/32 via 10.0.0.6 dev eth1"]
    );
    assert_eq!(
        routes(&topology, "r2"),
        [
            "10.0.0.0/30 via 10.0.0.5 dev eth0",
            "192.0.2.1/32 via 10.0.0.5 dev eth0",
            "192.0.2.9/32 via 10.0.0.10 dev eth1"
        ]
    );
    assert_eq!(routes(&topology, "b"), ["10.66.0.0/16 Blackhole", "0.0.0.0/0 via 10.0.0.9 dev eth0"]);
}

#[test]
fn written_routes_come_before_derived_ones() {
    let topology = resolved(
        "addressing: {ipv6: none}\nnodes:\n  a: {gateway: r2}\n  b: {routes: [default via r1]}\n  c: {gateway: none}\n\
         \x20 r1: {forward: true}\n  r2: {forward: true}\nswitches: {lan: {}}\n\
         links: [[a, lan], [b, lan], [c, lan], [r1, lan], [r2, lan]]\n",
    );
    assert_eq!(routes(&topology, "a"), ["0.0.0.0/0 via 10.0.0.5 dev eth0"]);
    assert_eq!(routes(&topology, "b"), ["0.0.0.0/0 via 10.0.0.4 dev eth0"]);
    assert!(routes(&topology, "c").is_empty());
}

#[test]
fn a_nodes_name_as_gateway_serves_both_families() {
    let topology = resolved("routing: none\nnodes: {a: {routes: [default via b]}, b: {}}\nlinks: [[a, b]]\n");
    assert_eq!(
        routes(&topology, "a"),
        ["0.0.0.0/0 via 10.0.0.2 dev eth0", "::/0 via fd00:6e73:6c61::2 dev eth0"]
    );
}

#[test]
fn rules_and_programs_get_what_they_lack() {
    let topology = resolved(
        "nodes:\n  a:\n    rules: [from 10.0.0.0/24 lookup 5, {table: 6, priority: 10000}, lookup 7]\n\
         \x20   run: [\"python3 -m x\", \"exec /usr/bin/python3 y\", [/bin/sh, -c, z], \"A=1 B=2 ./run\"]\n",
    );
    let node = &topology.nodes[0];
    assert_eq!(node.rules.iter().map(|rule| rule.priority).collect::<Vec<_>>(), [10001, 10000, 10002]);
    let names: Vec<_> = node.programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(names, ["python3", "python3-2", "sh", "run"]);
    assert!(node.programs.iter().all(|program| program.timeout == Duration::from_secs(10)));
}

#[test]
fn overrides_change_variables() {
    let source = "vars: {n: 3}\nnodes: {h: {count: \"${n}\"}}\n";
    let overrides = [("n".to_owned(), "7".to_owned())];
    assert_eq!(load(source, "dir/some.nslab.yaml", &overrides).unwrap().topology.nodes.len(), 7);
    assert_eq!(load(source, "dir/some.nslab.yaml", &[]).unwrap().topology.name, "some");
}

#[test]
fn overlaps_are_capped() {
    let mut source = "nodes: {a: {count: 300}, b: {count: 300}}\nlinks:\n".to_owned();
    writeln!(source, "  - [a 10.0.0.1/24, b 10.0.0.2/24]").unwrap();
    let warnings = with_warnings(&source).warnings;
    // All stand in one place of the file.
    assert_eq!(warnings.iter().filter(|warning| warning.code == "overlapping-subnets").count(), 2);
}

#[test]
fn equal_labs_are_equal() {
    let source =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/routers.yaml")).unwrap();
    assert_eq!(resolved(&source), resolved(&source));
}

/// Time to load, with room for machines that are busy and builds that are not optimised.
fn timed(name: &str, source: &str, nodes: usize) -> Topology {
    let start = Instant::now();
    let topology = with_warnings(source).topology;
    let took = start.elapsed();
    println!(
        "{name}: {took:?}, {} routes",
        topology.nodes.iter().map(|node| node.routes.len()).sum::<usize>()
    );
    assert!(took < Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 }), "{name} took {took:?}");
    assert_eq!(topology.nodes.len(), nodes);
    topology
}

#[test]
fn large_labs() {
    timed(
        "5000 nodes on 5 switches",
        "nodes: {h: {count: 5000}, r: {forward: true}}\nswitches: {s: {count: 5}}\nlinks:\n  - [\"h${i}\", \"s${(i - 1) / 1000 + 1}\", {count: 5000}]\n  - [\"r\", \"s${i}\", {count: 5}]\n",
        5001,
    );
    timed(
        "1000 hosts and a router",
        "nodes: {h: {count: 1000}, r: {forward: true}}\nswitches: {s: {}}\nlinks: [[h, s], [r, s]]\n",
        1001,
    );
    let mut mesh = "nodes: {r: {count: 60, forward: true}}\nlinks:\n".to_owned();
    for one in 1..=60 {
        for two in one + 1..=60 {
            writeln!(mesh, "  - [r{one}, r{two}]").unwrap();
        }
    }
    assert_eq!(
        timed("mesh, written routes only", &format!("routing: none\n{mesh}"), 60).segments.len(),
        1770
    );
    timed("mesh, derived routes", &mesh, 60);
    // A fat tree of 8-port switches (Al-Fares et al.), all of them routers.
    let mut tree = "nodes: {core: {count: 16, forward: true}, agg: {count: 32, forward: true}, edge: {count: 32, forward: true}, h: {count: 128}}\nlinks:\n".to_owned();
    for pod in 0..8 {
        for agg in 0..4 {
            for port in 0..4 {
                writeln!(tree, "  - [agg{}, core{}]", pod * 4 + agg + 1, agg * 4 + port + 1).unwrap();
                writeln!(tree, "  - [agg{}, edge{}]", pod * 4 + agg + 1, pod * 4 + port + 1).unwrap();
                writeln!(tree, "  - [edge{}, h{}]", pod * 4 + agg + 1, pod * 16 + agg * 4 + port + 1)
                    .unwrap();
            }
        }
    }
    timed("fat tree", &tree, 208);
}
