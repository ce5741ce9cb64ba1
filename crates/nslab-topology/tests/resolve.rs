//! What resolving chooses, and how fast.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write;
use std::time::{Duration, Instant};

use nslab_topology::model::{Device, InterfaceKind, RouteAction, Topology};
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

fn segments(topology: &Topology) -> Vec<String> {
    topology
        .segments
        .iter()
        .map(|segment| {
            let prefixes: Vec<String> = segment.prefixes.iter().map(ToString::to_string).collect();
            format!("{}: {}", segment.name, prefixes.join(" "))
        })
        .collect()
}

fn interfaces(topology: &Topology) -> Vec<String> {
    let all = topology.nodes.iter().flat_map(|node| {
        node.interfaces.iter().map(move |interface| {
            let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
            let name = interface.kind.name();
            format!("{}:{} {name} {} {}", node.name, interface.name, interface.mtu, addresses.join(" "))
        })
    });
    all.collect()
}

#[test]
fn vlans_of_one_switch_are_segments_of_their_own() {
    let topology = resolved(
        "addressing: {ipv4: 10.0.0.0/8, ipv6: none}
nodes: {a: {}, b: {}, c: {}, d: {}, r: {forward: true, interfaces: {eth0.10: {type: vlan, link: eth0, id: 10}, eth0.20: {type: vlan, link: eth0, id: 20}}}}
switches: {s: {vlans: [10, {id: 20, subnet: 172.16.0.0/24}]}, t: {vlan_filtering: true}, plain: {}}
links:
  - [a, s, {vlan: 10}]
  - [b, s, {vlan: 20}]
  - [c, t, {vlan: 10}]
  - [d, t, {vlan: 20}]
  - [s, plain, {vlans: [10, 20]}]
  - [plain, t, {vlans: [10, 20]}]
  - [r, s, {vlans: [10, 20]}]
",
    );
    assert_eq!(addresses(&topology), ["10.0.0.1/24", "172.16.0.1/24", "10.0.0.2/24", "172.16.0.2/24", ""]);
    assert_eq!(
        interfaces(&topology),
        ["r:eth0.10 vlan 1500 10.0.0.3/24", "r:eth0.20 vlan 1500 172.16.0.3/24"]
    );
    assert_eq!(routes(&topology, "a"), ["0.0.0.0/0 via 10.0.0.3 dev eth0"]);
    assert_eq!(routes(&topology, "d"), ["0.0.0.0/0 via 172.16.0.3 dev eth0"]);
    assert!(
        segments(&topology).contains(&"s+t+plain VLAN 10: 10.0.0.0/24".to_owned()),
        "{:#?}",
        segments(&topology)
    );
    let trunk = &topology.links[6].ends[1];
    assert!(trunk.vlans.iter().all(|vlan| !vlan.pvid && !vlan.untagged) && trunk.vlans.len() == 2);
}

#[test]
fn a_native_vlan_is_untagged() {
    let topology = resolved(
        "addressing: {ipv4: 10.0.0.0/8, ipv6: none}
nodes: {a: {}, b: {interfaces: {v: {type: vlan, link: eth0, id: 7}}}, c: {}}
switches: {s: {vlan_filtering: true}}
links:
  - [a, s]
  - [b, s, {vlans: [1, 7], native: 1}]
  - [c, {switch: s, vlans: [{id: 7, pvid: true, untagged: true}]}]
",
    );
    assert_eq!(addresses(&topology), ["10.0.0.1/24", "10.0.0.2/24", "10.0.1.1/24"]);
    assert_eq!(interfaces(&topology), ["b:v vlan 1500 10.0.1.2/24"]);
}

#[test]
fn tunnels_go_by_the_network_below_and_routes_by_tunnels() {
    let source = "
nodes:
  h1: {}
  h2: {}
  a: {forward: true, interfaces: {wg0: {type: wireguard, peers: [b]}, gre1: {type: gre, remote: b, key: 5}}}
  b: {forward: true, interfaces: {wg0: {type: wireguard, port: 1234, peers: [{node: a, keepalive: 25s}]}, gre1: {type: gre, remote: a, key: 5}}}
  i1: {forward: true}
  i2: {forward: true}
switches: {one: {}, two: {}}
links:
  - [h1, one]
  - [a, one]
  - [h2, two]
  - [b, two]
  - [a, i1]
  - [i1, i2]
  - [i2, b, {mtu: 1400}]
";
    let loaded = with_warnings(source);
    let topology = loaded.topology;
    assert_eq!(
        interfaces(&topology),
        [
            "a:wg0 wireguard 1420 10.0.2.13/30 fd00:6e73:6c61:5::1/64",
            "a:gre1 gre 1472 10.0.2.17/30 fd00:6e73:6c61:6::1/64",
            "b:wg0 wireguard 1320 10.0.2.14/30 fd00:6e73:6c61:5::2/64",
            "b:gre1 gre 1372 10.0.2.18/30 fd00:6e73:6c61:6::2/64",
        ]
    );
    // The far network by the tunnel, the tunnel's own packets by the routers.
    let of_a = routes(&topology, "a");
    assert!(of_a.contains(&"10.0.1.0/24 via 10.0.2.14 dev wg0".to_owned()), "{of_a:#?}");
    assert!(of_a.contains(&"10.0.2.8/30 via 10.0.2.2 dev eth1".to_owned()), "{of_a:#?}");
    let node = topology.nodes.iter().find(|node| node.name == "a").unwrap();
    let nslab_topology::model::InterfaceKind::Wireguard { peers, .. } = &node.interfaces[0].kind else {
        panic!()
    };
    assert_eq!(peers[0].endpoint.unwrap().to_string(), "10.0.2.10:1234");
    let allowed: Vec<String> = peers[0].allowed.iter().map(ToString::to_string).collect();
    assert_eq!(
        allowed,
        [
            "10.0.2.14/32",
            "fd00:6e73:6c61:5::2/128",
            "10.0.1.0/24",
            "fd00:6e73:6c61:1::/64",
            "fd00:6e73:6c61:4::/64"
        ]
    );
    let nslab_topology::model::InterfaceKind::Tunnel { local, remote, .. } = &node.interfaces[1].kind else {
        panic!()
    };
    assert_eq!(
        (local.unwrap().to_string(), remote.to_string()),
        ("10.0.2.1".to_owned(), "10.0.2.10".to_owned())
    );
}

#[test]
fn vrfs_are_routers_of_their_own() {
    let topology = resolved(
        "addressing: {ipv4: 10.0.0.0/8, ipv6: none}
nodes:
  r: {forward: true, interfaces: {red: {type: vrf, table: 10, members: [eth0, eth1]}, blue: {type: vrf, table: 20, members: [eth2]}}}
  s: {forward: true}
  a: {}
  b: {}
  c: {}
links: [[r, a], [r, s], [r, b], [s, c]]
",
    );
    assert_eq!(routes(&topology, "a"), ["0.0.0.0/0 via 10.0.0.1 dev eth0"]);
    let r = topology.nodes.iter().find(|node| node.name == "r").unwrap();
    let tables: Vec<String> = r.routes.iter().map(|route| format!("{} {}", route.to, route.table)).collect();
    assert_eq!(tables, ["10.0.0.12/30 10"]);
    assert_eq!(routes(&topology, "s"), ["10.0.0.0/30 via 10.0.0.5 dev eth0"], "and not what is in blue");
}

#[test]
fn a_bond_prefers_the_first_member_unless_told() {
    let topology = resolved(
        "addressing: {ipv6: none}
nodes:
  a: {interfaces: {x: {type: bond, mode: active-backup, members: [eth0, eth1]}, y: {type: bond, members: [eth2, eth3]}}}
  b: {interfaces: {x: {type: bond, mode: balance-alb, members: [eth0, eth1], primary: eth1}, y: {type: bond, mode: balance-tlb}}}
links: [[a, b], [a, b], [a, b], [a, b]]
",
    );
    let kinds = topology.nodes.iter().flat_map(|node| &node.interfaces).map(|one| &one.kind);
    let primaries: Vec<_> = kinds
        .map(|kind| match kind {
            InterfaceKind::Bond { primary, .. } => primary.map(|primary| primary.to_string()),
            kind => panic!("{kind:?}"),
        })
        .collect();
    assert_eq!(
        primaries.iter().map(Option::as_deref).collect::<Vec<_>>(),
        [Some("eth0"), None, Some("eth1"), None]
    );
}

#[test]
fn a_bond_and_a_bridge_have_their_members_addresses() {
    let topology = resolved(
        "addressing: {ipv4: 10.0.0.0/8, ipv6: none}
nodes:
  a: {interfaces: {bond0: {type: bond, members: [eth0, eth1], mode: active-backup}}}
  b: {interfaces: {br0: {type: bridge, members: [eth0, eth1, vx]}, vx: {type: vxlan, id: 5, remote: c}}}
  c: {interfaces: {vx: {type: vxlan, id: 5, remote: b}}}
links: [[a, b], [a, b], [b 192.0.2.1/24, c 192.0.2.2/24, {mtu: 1550}]]
",
    );
    assert_eq!(addresses(&topology), ["", "", "", "", "192.0.2.1/24", "192.0.2.2/24"]);
    assert_eq!(
        interfaces(&topology),
        [
            "a:bond0 bond 1500 10.0.0.1/24",
            "b:vx vxlan 1500 ",
            "b:br0 bridge 1500 10.0.0.2/24",
            "c:vx vxlan 1500 10.0.0.3/24",
        ]
    );
    assert_eq!(topology.links[0].ends[0].mac, topology.links[1].ends[0].mac, "a bond's members have its MAC");
}

#[test]
fn a_tunnel_in_a_bridge_does_not_go_by_the_bridge() {
    let source = "\
nodes:
  h1: {}
  h2: {}
  r1: {forward: true, interfaces: {vx: {type: vxlan, id: 42, remote: r2}, br0: {type: bridge, members: [lan, vx]}}}
  r2: {forward: true, interfaces: {vx: {type: vxlan, id: 42, remote: r1}, br0: {type: bridge, members: [lan, vx]}}}
  isp: {count: 2, forward: true}
links:
  - [h1 10.9.0.1/24, r1:lan]
  - [h2 10.9.0.2/24, r2:lan]
  - [r1:wan 10.1.0.1/24, isp1 10.1.0.2/24, {mtu: 1550}]
  - [isp1 10.2.0.1/24, isp2 10.2.0.2/24, {mtu: 1550}]
  - [r2:wan 10.3.0.1/24, isp2 10.3.0.2/24, {mtu: 1550}]
";
    let topology = load(source, "t.yaml", &[]).unwrap().topology;
    let vxlan = |node: usize| match &topology.nodes[node]
        .interfaces
        .iter()
        .find(|one| one.name.as_str() == "vx")
        .unwrap()
        .kind
    {
        nslab_topology::model::InterfaceKind::Vxlan { local, remotes, .. } => {
            (local.unwrap().to_string(), remotes[0].to_string())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(vxlan(2), ("10.1.0.1".to_owned(), "10.3.0.1".to_owned()));
    assert_eq!(vxlan(3), ("10.3.0.1".to_owned(), "10.1.0.1".to_owned()));
    // The way to the other end does not lead over the bridge, though that is shorter.
    let route = topology.nodes[2].routes.iter().find(|route| route.to.to_string() == "10.3.0.0/24").unwrap();
    let nslab_topology::model::RouteAction::Forward(hops) = &route.action else { panic!("{route:?}") };
    assert_eq!(hops[0].via.unwrap().to_string(), "10.1.0.2");
}
