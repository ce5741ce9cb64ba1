//! Labs built and changed step by step.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use nslab_topology::model::{Device, Topology};
use nslab_topology::{EditError, Lab, LinkOptions, load, resolve};

fn topology(lab: &Lab) -> Topology {
    resolve(lab).unwrap_or_else(|errors| panic!("{errors}")).topology
}

fn interfaces(lab: &Lab) -> Vec<String> {
    let topology = topology(lab);
    let ends = topology.links.iter().flat_map(|link| &link.ends);
    ends.map(|end| format!("{}:{}", topology.device_name(end.device), end.name)).collect()
}

fn plain(lab: &mut Lab, one: &str, two: &str) -> Result<(), EditError> {
    lab.add_link(one, two, &LinkOptions::default())
}

/// The guide's steps.
fn guide() -> Lab {
    let mut lab = Lab::empty("guide");
    lab.add_node("red", false).unwrap();
    lab.add_node("blue", false).unwrap();
    plain(&mut lab, "red:veth-red", "blue:veth-blue").unwrap();
    lab.add_address("red:veth-red", "10.0.0.1/24").unwrap();
    lab.add_address("blue:veth-blue", "10.0.0.2/24").unwrap();
    lab.add_switch("br0").unwrap();
    lab.add_node("green", false).unwrap();
    plain(&mut lab, "br0:veth-br-green", "green:veth-green 10.0.0.3/24").unwrap();
    lab
}

#[test]
fn the_guide_step_by_step_is_its_file() {
    let mut by_steps = topology(&guide());
    let file =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/guide.yaml")).unwrap();
    let loaded = load(&file, "guide.yaml", &[]).unwrap();
    for (node, other) in by_steps.nodes.iter_mut().zip(&loaded.topology.nodes) {
        node.namespace.clone_from(&other.namespace);
    }
    by_steps.switches[0].namespace.clone_from(&loaded.topology.switches[0].namespace);
    assert_eq!(by_steps, loaded.topology);
}

#[test]
fn names_stay_when_links_go() {
    let mut lab = load(
        "nodes: {a: {}, b: {}, c: {}}\nswitches: {s: {}}\nlinks: [[a, b], [a, c], [a, s]]\n",
        "l.yaml",
        &[],
    )
    .unwrap()
    .lab;
    lab.remove_link("a", "b").unwrap();
    assert_eq!(interfaces(&lab), ["a:eth1", "c:eth0", "a:eth2", "s:a"]);
    plain(&mut lab, "a", "s").unwrap();
    assert_eq!(interfaces(&lab)[4..], ["a:eth0", "s:a-eth0"]);
    lab.remove_node("c").unwrap();
    assert_eq!(interfaces(&lab), ["a:eth2", "s:a", "a:eth0", "s:a-eth0"]);
    lab.remove_switch("s").unwrap();
    assert!(topology(&lab).links.is_empty());
}

#[test]
fn addresses_routes_and_states() {
    let mut lab = guide();
    lab.add_address("red:lo", "192.0.2.1/32").unwrap();
    lab.add_route("red", "default via 10.0.0.2").unwrap();
    lab.add_route("red", "10.9.0.0/16 via blue metric 5").unwrap();
    lab.set_up("red:veth-red", false).unwrap();
    lab.set_mtu("blue:veth-blue", 1400).unwrap();
    let now = topology(&lab);
    assert_eq!(now.nodes[0].loopback.len(), 1);
    assert_eq!(now.nodes[0].routes.len(), 2);
    assert!(!now.links[0].ends[0].up);
    assert_eq!(now.links[0].ends[1].mtu, 1400);
    // What a route needs stays while the route does.
    let error = lab.remove_address("red:veth-red", "10.0.0.1/24").unwrap_err();
    assert!(error.to_string().contains("on no subnet of red"), "{error}");
    lab.remove_route("red", "default").unwrap();
    lab.remove_route("red", "10.9.0.0/16").unwrap();
    lab.remove_address("red:veth-red", "10.0.0.1").unwrap();
    lab.remove_address("red:lo", "192.0.2.1/32").unwrap();
    let now = topology(&lab);
    assert!(now.nodes[0].routes.is_empty() && now.nodes[0].loopback.is_empty());
    assert_eq!(now.ends_of(Device::Node(0)).map(|(_, end)| end.addresses.len()).sum::<usize>(), 0);
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let lab = guide();
    let refused = |change: &dyn Fn(&mut Lab) -> Result<(), EditError>| {
        let mut copy = lab.clone();
        let error = change(&mut copy).unwrap_err();
        assert_eq!(copy, lab);
        error.to_string()
    };
    for (error, wanted) in [
        (refused(&|lab| lab.add_node("red", false)), "there is a node or switch `red` already"),
        (refused(&|lab| lab.add_node("a b", false)), "it contains a space"),
        (refused(&|lab| lab.add_switch("host")), "`host` cannot be used as a name"),
        (refused(&|lab| lab.remove_node("gren")), "there is no node `gren`: did you mean `green`?"),
        (refused(&|lab| lab.remove_switch("red")), "there is no switch `red`"),
        (refused(&|lab| plain(lab, "red", "blu")), "did you mean `blue`?"),
        (refused(&|lab| plain(lab, "red", "red")), "joins `red` to itself"),
        (refused(&|lab| plain(lab, "red:veth-red", "blue")), "two interfaces called `veth-red`"),
        (refused(&|lab| plain(lab, "red 10.0.0.1", "blue")), "write 10.0.0.1/24"),
        (refused(&|lab| lab.remove_link("red", "green")), "there is no link between `red` and `green`"),
        (refused(&|lab| lab.add_address("red:veth-re", "10.0.0.9/24")), "did you mean `red:veth-red`?"),
        (refused(&|lab| lab.add_address("red", "10.0.0.9/24")), "write NODE:INTERFACE"),
        (refused(&|lab| lab.add_address("red:veth-red", "10.0.0.2/24")), "red and blue both have it"),
        (refused(&|lab| lab.add_address("br0:veth-br-green", "10.0.0.9/24")), "cannot have an address"),
        (
            refused(&|lab| lab.remove_address("red:veth-red", "10.0.0.9/24")),
            "red:veth-red has no address 10.0.0.9/24",
        ),
        (refused(&|lab| lab.add_route("red", "default via 10.9.9.9")), "on no subnet of red"),
        (refused(&|lab| lab.remove_route("red", "default")), "red has no route default"),
        (refused(&|lab| lab.set_up("red:eth9", true)), "there is no interface `red:eth9`"),
        (refused(&|lab| lab.set_mtu("red:veth-red", 7)), "from 68 to 65535"),
    ] {
        assert!(error.contains(wanted), "{error:?} lacks {wanted:?}");
    }
    let mut double = lab.clone();
    plain(&mut double, "red", "blue").unwrap();
    let error = double.remove_link("blue", "red").unwrap_err().to_string();
    assert!(error.contains("`blue:veth-blue`"), "{error}");
    double.remove_link("blue:eth0", "red").unwrap();
}

#[test]
fn a_resolved_lab_can_be_edited_without_surprise() {
    let file =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/routers.yaml")).unwrap();
    let before = load(&file, "routers.yaml", &[]).unwrap().topology;
    let mut lab = Lab::from_topology(&before);
    lab.add_node("new", false).unwrap();
    plain(&mut lab, "new 10.0.0.9/24", "lan1").unwrap();
    let after = topology(&lab);
    assert_eq!(after.links[..before.links.len()], before.links);
}

const SITES: &str = "\
name: sites
nodes:
  a: {interfaces: {wg0: {type: wireguard, address: 10.9.0.1/24, peers: [b]}, eth1.10: {type: vlan, link: eth1, id: 10}}}
  b: {interfaces: {wg0: {type: wireguard, address: 10.9.0.2/24, peers: [a]}}}
  c: {}
switches: {lan: {vlans: [10, 20]}}
links: [[a, b], [a, lan, {vlans: [10, 20]}], [b, lan, {vlan: 10}], [c, lan, {vlan: 20}]]
";

#[test]
fn interfaces_that_are_no_ends_of_links_are_changed_alike() {
    let mut lab = load(SITES, "sites.yaml", &[]).unwrap().lab;
    lab.add_address("a:wg0", "10.9.1.1/24").unwrap();
    lab.set_mtu("a:wg0", 1300).unwrap();
    lab.set_up("b:wg0", false).unwrap();
    lab.set_impairments("a:wg0", said("loss", "5%")).unwrap();
    lab.set_impairments("a:wg0", said("rate", "1mbit")).unwrap();
    let now = topology(&lab);
    let wg = &now.nodes[0].interfaces.iter().find(|one| one.name.as_str() == "wg0").unwrap();
    assert_eq!(
        (wg.mtu, wg.addresses.len(), wg.impairment.to_string().as_str()),
        (1300, 2, "loss 5%, rate 1mbit")
    );
    assert!(!now.nodes[1].interfaces[0].up);
    lab.clear_impairments("a:wg0").unwrap();
    lab.remove_address("a:wg0", "10.9.1.1").unwrap();
    let now = topology(&lab);
    assert!(now.sent()["a:wg0"].impairment.is_none());
    assert_eq!(now.addresses_of(0).filter(|(_, net)| net.to_string().starts_with("10.9.")).count(), 1);
    let error = lab.set_mtu("a:wg1", 1300).unwrap_err().to_string();
    assert!(error.contains("did you mean `a:wg0`?"), "{error}");
    let error = lab.set_up("a:lo", false).unwrap_err().to_string();
    assert!(error.contains("`a:lo` is always as it is"), "{error}");
}

#[test]
fn one_way_over_a_switch_is_changed() {
    let mut lab = load(SITES, "sites.yaml", &[]).unwrap().lab;
    let now = topology(&lab);
    let means = |text: &str| nslab_topology::lab::interfaces(text, &now);
    assert_eq!(means("a -> b").unwrap(), ["a:eth0"], "a link is meant where there is one");
    let over = ["a:eth1.10 -> b:eth1", "b:eth1 -> a:eth1.10"];
    assert_eq!(means("a:eth1.10 -- b").unwrap(), over);
    assert_eq!(means("b <- a:eth1.10").unwrap(), over[..1]);
    assert_eq!(means("a:wg0").unwrap(), ["a:wg0"]);
    for (text, says) in [("b -- c", "there is no b -- c"), ("a:eth1 -> b", "there is no a:eth1 -> b")] {
        assert!(means(text).unwrap_err().to_string().contains(says), "{text}");
    }
    lab.set_impairments("a:eth1.10", said("loss", "2%")).unwrap();
    // It begins as what happens to all else, and is then its own.
    lab.set_impairments(over[0], said("rate", "1mbit")).unwrap();
    lab.set_impairments(over[0], said("rate", "2mbit")).unwrap();
    lab.set_impairments("a:eth1.10", said("loss", "3%")).unwrap();
    let now = topology(&lab).sent();
    assert_eq!(now[over[0]].impairment.to_string(), "loss 2%, rate 2mbit");
    assert!(!now.contains_key(over[1]));
    // A lab that was resolved and written down is the same.
    let written = Lab::from_topology(&topology(&lab)).to_yaml();
    assert_eq!(load(&written, "sites.yaml", &[]).unwrap().topology.sent(), now, "{written}");
    lab.clear_impairments(over[0]).unwrap();
    assert!(topology(&lab).sent()[over[0]].impairment.is_none());
    lab.remove_path(over[0]).unwrap();
    assert!(!topology(&lab).sent().contains_key(over[0]));
}

fn said(key: &str, value: &str) -> nslab_topology::impairment::Impairments {
    let mut said = nslab_topology::impairment::Impairments::default();
    said.set(key, nslab_topology::Spanned::from(value)).unwrap();
    said
}
