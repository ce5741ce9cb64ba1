//! `routing: ecmp`: every shortest way.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::collections::{BTreeMap, BTreeSet};

use nslab_topology::model::{Device, RouteAction, Topology};

fn load(text: &str) -> (Topology, usize) {
    let loaded = nslab_topology::load(text, "t.yaml", &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    (loaded.topology, loaded.warnings.len())
}

/// The next nodes by each of a node's routes.
fn next_nodes(topology: &Topology, node: &str) -> BTreeMap<String, BTreeSet<String>> {
    let owners: BTreeMap<_, _> = topology
        .links
        .iter()
        .flat_map(|link| &link.ends)
        .flat_map(|end| end.addresses.iter().map(|net| (net.addr(), topology.device_name(end.device))))
        .collect();
    let node = topology.nodes.iter().find(|one| one.name == node).unwrap();
    let hops = |action: &RouteAction| match action {
        RouteAction::Forward(hops) => hops.iter().map(|hop| owners[&hop.via.unwrap()].to_owned()).collect(),
        other => panic!("{other:?}"),
    };
    node.routes.iter().map(|route| (route.to.to_string(), hops(&route.action))).collect()
}

const DIAMOND: &str = "
addressing: {ipv4: 10.0.0.0/8, ipv6: fd00::/48}
routing: ecmp
nodes: {a: {}, b: {}, r: {count: 4, forward: true}}
links: [[a, r1], [r1, r2], [r1, r3], [r2, r4], [r3, r4], [b, r4]]
";

#[test]
fn both_sides_of_a_diamond_are_used() {
    let (topology, warnings) = load(DIAMOND);
    assert_eq!(warnings, 0);
    for far in ["10.0.0.20/30", "fd00:0:0:5::/64"] {
        let routes = next_nodes(&topology, "r1");
        let far = &routes[far];
        assert_eq!(far.iter().map(String::as_str).collect::<Vec<_>>(), ["r2", "r3"]);
    }
    let (topology, warnings) = load(&DIAMOND.replace("ecmp", "auto"));
    assert!(warnings > 0, "a tie is told of where only one way is used");
    assert_eq!(next_nodes(&topology, "r1")["10.0.0.20/30"].len(), 1);
}

#[test]
fn a_host_between_two_routers_uses_both() {
    let (topology, warnings) = load(
        "routing: ecmp\nnodes: {a: {}, r: {count: 2, forward: true}}\nswitches: {lan: {}}\nlinks: [[a, lan], [r, lan]]",
    );
    assert_eq!(warnings, 0);
    assert_eq!(next_nodes(&topology, "a")["0.0.0.0/0"].len(), 2);
}

#[test]
fn the_fat_tree_has_all_its_ways() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/fat-tree.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    for k in [2_usize, 4, 8] {
        let set = [("k".to_owned(), k.to_string())];
        let loaded = nslab_topology::load(&text, "fat-tree.yaml", &set).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let topology = loaded.topology;
        let half = k / 2;
        assert_eq!(topology.nodes.len(), k * half * half + 5 * half * half);
        let ports = |name: &str| {
            let node = topology.nodes.iter().position(|node| node.name == name).unwrap();
            topology.ends_of(Device::Node(node)).count()
        };
        for router in topology.nodes.iter().filter(|node| node.forward) {
            assert_eq!(ports(&router.name), k, "{}", router.name);
        }
        // From one edge to a host of the last pod by every aggregation router, and on by every core of its group.
        let last = topology.links[k * half * half - 1].ends[0].addresses[0].trunc().to_string();
        assert_eq!(next_nodes(&topology, "edge1")[&last].len(), half);
        let cores = next_nodes(&topology, "agg1")[&last].clone();
        let group: BTreeSet<String> = (1..=half).map(|i| format!("core{i}")).collect();
        if k > 2 {
            assert_eq!(cores, group);
        }
    }
}
