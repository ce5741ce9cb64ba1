//! Pictures as they shall look.

use std::collections::BTreeMap;

use nslab_topology::impairment::Impairment;
use nslab_topology::model::{Link, Node, Switch};
use nslab_types::{IfName, MacAddr};

use super::*;

fn node(name: &str, forward: bool) -> Node {
    Node {
        interfaces: Vec::new(),
        name: name.to_owned(),
        namespace: name.to_owned(),
        existing: None,
        uplink: None,
        dns: Vec::new(),
        forward,
        sysctls: BTreeMap::new(),
        loopback: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        neighbours: Vec::new(),
        programs: Vec::new(),
        env: BTreeMap::new(),
        hosts: BTreeMap::new(),
        policy: nslab_topology::model::Policy::default(),
        view: nslab_topology::model::View::default(),
        user: None,
    }
}

fn switch(name: &str) -> Switch {
    Switch {
        vlan_filtering: false,
        vlans: Vec::new(),
        fdb: Vec::new(),
        name: name.to_owned(),
        namespace: name.to_owned(),
        bridge: IfName::new(name).unwrap(),
        mac: MacAddr::from_seed(name),
        mtu: 1500,
        stp: false,
        multicast_snooping: false,
        ageing: None,
    }
}

fn end(device: Device, name: &str, addresses: &[&str]) -> End {
    End {
        master: None,
        vlans: Vec::new(),
        isolated: false,
        device,
        name: IfName::new(name).unwrap(),
        full_name: None,
        mac: MacAddr::from_seed(name),
        mtu: 1500,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        up: true,
        impairment: Impairment::default(),
        paths: Vec::new(),
    }
}

fn link(from: End, to: End) -> Link {
    Link { ends: [from, to], segment: 0 }
}

fn lab(name: &str, nodes: Vec<Node>, switches: Vec<Switch>, links: Vec<Link>) -> Topology {
    Topology { name: name.to_owned(), nodes, switches, links, segments: Vec::new(), seed: None }
}

fn shown(topology: &Topology) -> String {
    picture(topology, &Style::default())
}

use Device::{Node as N, Switch as S};

#[test]
fn the_guides_network() {
    let topology = lab(
        "guide",
        ["red", "blue", "green"].map(|name| node(name, false)).into(),
        vec![switch("br0")],
        vec![
            link(end(N(0), "veth-red", &["10.0.0.1/24"]), end(N(1), "veth-blue", &["10.0.0.2/24"])),
            link(end(N(2), "veth-green", &["10.0.0.3/24"]), end(S(0), "veth-br", &[])),
        ],
    );
    let expected = "\
guide: 3 nodes, 1 switch, 2 links

br0 ─── green  veth-green  10.0.0.3/24

red:veth-red 10.0.0.1/24 ───── 10.0.0.2/24 veth-blue:blue
";
    assert_eq!(shown(&topology), expected);
}

#[test]
fn a_switch_is_a_tree() {
    let mut blue = end(N(1), "eth0", &["10.0.0.2/24", "fd00::2/64"]);
    blue.mtu = 1400;
    let mut green = end(N(2), "eth0", &["10.0.0.3/24"]);
    green.up = false;
    let topology = lab(
        "star",
        ["red", "blue", "green", "lost"].map(|name| node(name, false)).into(),
        vec![switch("br0"), switch("br1"), switch("empty")],
        vec![
            link(end(N(0), "eth0", &["10.0.0.1/24"]), end(S(0), "p1", &[])),
            link(blue, end(S(0), "p2", &[])),
            link(green, end(S(0), "p3", &[])),
            link(end(S(0), "up", &[]), end(S(1), "down", &[])),
        ],
    );
    let expected = "\
star: 4 nodes, 3 switches, 4 links

br0 ─┬─ red    eth0    10.0.0.1/24
     ├─ blue   eth0    10.0.0.2/24, fd00::2/64  mtu 1400
     ├─ green  eth0    10.0.0.3/24              down
     └─ br1    (down)

br1 ─── br0  (up)

empty (nothing is plugged in)

without a cable: lost
";
    assert_eq!(shown(&topology), expected);
    let ascii = picture(&topology, &Style { unicode: false, ..Style::default() });
    assert!(ascii.is_ascii() && ascii.contains("br0 -+- red"), "{ascii}");
    let color = picture(&topology, &Style { color: true, ..Style::default() });
    assert!(color.contains("\x1b[1;36mbr0\x1b[0m \x1b[2m─┬─\x1b[0m \x1b[1mred\x1b[0m    eth0"), "{color}");
}

#[test]
fn a_thousand_nodes_are_one_line() {
    let address = |host: u32| {
        let [_, _, high, low] = (host + 1).to_be_bytes();
        format!("10.0.{high}.{low}/22")
    };
    let mut nodes: Vec<Node> = (1..=1000).map(|number| node(&format!("h{number}"), false)).collect();
    nodes.push(node("db", false));
    let links = (0..=1000).map(|host| {
        link(end(N(host as usize), "eth0", &[&address(host)]), end(S(0), &format!("p{host}"), &[]))
    });
    let topology = lab("big", nodes, vec![switch("lan")], links.collect());
    let expected = "\
big: 1001 nodes, 1 switch, 1001 links

lan ─┬─ h1 … h1000  eth0  10.0.0.1/22 … 10.0.3.232/22
     └─ db          eth0  10.0.3.233/22
";
    assert_eq!(shown(&topology), expected);
}

#[test]
fn routers_tell_where_they_lead() {
    let mut fw = node("fw", true);
    fw.loopback = vec!["192.0.2.1/32".parse().unwrap()];
    let mut narrow = [end(N(2), "eth0", &["10.0.1.2/24"]), end(N(1), "web", &["10.0.1.1/24"])];
    for end in &mut narrow {
        end.mtu = 1400;
    }
    let [web, fw_web] = narrow;
    let topology = lab(
        "three-tier",
        vec![node("client", false), fw, node("web", false), node("app", false)],
        vec![switch("lan")],
        vec![
            link(end(N(0), "eth0", &["203.0.113.10/24"]), end(N(1), "outside", &["203.0.113.1/24"])),
            link(web, fw_web),
            link(end(N(3), "eth0", &["10.0.2.2/24"]), end(S(0), "app", &[])),
            link(end(N(1), "lan", &["10.0.2.1/24"]), end(S(0), "fw", &[])),
        ],
    );
    let expected = "\
three-tier: 4 nodes, 1 switch, 4 links

lan ─┬─ app  eth0  10.0.2.2/24
     └─ fw   lan   10.0.2.1/24

client:eth0 203.0.113.10/24 ───── 203.0.113.1/24 outside:fw
web:eth0 10.0.1.2/24        ───── 10.0.1.1/24 web:fw  mtu 1400

fw (router)
  outside  203.0.113.1/24  → client
  web      10.0.1.1/24     → web     mtu 1400
  lan      10.0.2.1/24     → lan
  lo       192.0.2.1/32
";
    assert_eq!(shown(&topology), expected);
}

#[test]
fn an_empty_lab_says_so() {
    assert_eq!(shown(&lab("nothing", Vec::new(), Vec::new(), Vec::new())), "nothing: empty\n");
}
