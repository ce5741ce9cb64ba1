//! The example lab files do what their comments say.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use nslab_topology::model::{RouteAction, Topology};
use nslab_topology::{Loaded, load};

fn example(name: &str) -> Loaded {
    let path = format!("{}/../../examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    assert!(source.starts_with('#'), "{name} says what it shows");
    let loaded =
        load(&source, &format!("examples/{name}.yaml"), &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.topology.name, name);
    loaded
}

fn routes(topology: &Topology, node: &str) -> Vec<String> {
    let node = topology.nodes.iter().find(|other| other.name == node).unwrap();
    node.routes
        .iter()
        .map(|route| match &route.action {
            RouteAction::Forward(hops) => {
                assert!(route.derived && hops.len() == 1);
                format!("{} via {} dev {}", route.to, hops[0].via.unwrap(), hops[0].dev.unwrap())
            }
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn guide_is_silent_and_nslab_says_why() {
    let Loaded { topology, warnings, .. } = example("guide");
    let namespaces: Vec<_> = topology.nodes.iter().map(|node| node.namespace.as_str()).collect();
    assert_eq!(namespaces, ["red", "blue", "green"]);
    assert_eq!(topology.switches[0].namespace, "br0");
    assert_eq!(topology.links[1].ends[1].name.as_str(), "veth-br-green");
    let names: Vec<_> = topology.segments.iter().map(|segment| segment.name.as_str()).collect();
    assert_eq!(names, ["red–blue", "br0"]);
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!(warning.code, "overlapping-subnets");
    assert_eq!(
        warning.message,
        "10.0.0.0/24 is on two separate segments: the cable red–blue and the switch br0 (green)"
    );
    assert_eq!(
        warning.notes,
        ["red looks for 10.0.0.3 on its own cable, where nobody answers, so red and blue cannot reach green"]
    );
    assert_eq!(
        warning.help,
        ["put all of them on one switch, or give each segment its own subnet with a router between"]
    );
    assert_eq!(warning.labels.len(), 2);
}

#[test]
fn red_blue_green_is_mended() {
    let Loaded { topology, warnings, .. } = example("red-blue-green");
    assert_eq!(warnings, []);
    assert_eq!(topology.segments.len(), 1);
    assert_eq!(topology.nodes[0].namespace, "red-blue-green-red");
    let ports: Vec<_> = topology.links.iter().map(|link| link.ends[1].name.to_string()).collect();
    assert_eq!(ports, ["red", "blue", "green"]);
}

#[test]
fn routers_know_every_subnet() {
    let Loaded { topology, warnings, .. } = example("routers");
    assert_eq!(warnings, []);
    // Three LANs and three cables of the ring.
    assert_eq!(topology.segments.len(), 6);
    assert_eq!(
        routes(&topology, "h1"),
        ["0.0.0.0/0 via 10.0.0.1 dev eth0", "::/0 via fd00:6e73:6c61::1 dev eth0"]
    );
    // Four remote subnets in each family: two LANs and the far cable, which two routes lead to.
    let of_r1 = routes(&topology, "r1");
    assert_eq!(of_r1.len(), 6, "{of_r1:#?}");
    assert!(of_r1.contains(&"10.0.1.0/24 via 10.0.3.2 dev eth1".to_owned()), "{of_r1:#?}");
    assert!(of_r1.contains(&"10.0.2.0/24 via 10.0.3.9 dev eth2".to_owned()), "{of_r1:#?}");
}

#[test]
fn star_of_a_thousand() {
    let Loaded { topology, warnings, .. } = example("star-1000");
    assert_eq!(warnings, []);
    assert_eq!((topology.nodes.len(), topology.links.len()), (1000, 1000));
    assert_eq!(topology.segments[0].prefixes[0].to_string(), "10.0.0.0/22");
    assert_eq!(topology.links[999].ends[0].addresses[0].to_string(), "10.0.3.232/22");
    assert_eq!(topology.links[999].ends[1].name.as_str(), "h1000");
}

#[test]
fn services_have_readiness() {
    let Loaded { topology, warnings, .. } = example("services");
    assert_eq!(warnings, []);
    let programs: Vec<_> = topology.nodes.iter().flat_map(|node| &node.programs).collect();
    assert_eq!(programs.len(), 4);
    assert!(programs.iter().all(|program| program.ready.is_some()));
}

#[test]
fn three_tiers_have_one_firewall() {
    let Loaded { topology, warnings, .. } = example("three-tier");
    assert_eq!(warnings, []);
    let firewall = topology.nodes[1].policy.firewall.as_ref().unwrap();
    let hooks: Vec<usize> = firewall.rules.iter().map(|rule| rule.matches.len()).collect();
    // Only the last is about the firewall itself as well as about what it forwards.
    assert_eq!(hooks, [1, 1, 1, 1, 2]);
}

#[test]
fn the_home_router_translates() {
    let Loaded { topology, warnings, .. } = example("home-nat");
    assert_eq!(warnings, []);
    let router = &topology.nodes[1];
    assert_eq!(router.policy.nat.len(), 2);
    assert!(topology.nodes[0].routes.is_empty(), "the internet knows no way back");
}

#[test]
fn routing_daemons_have_files_of_their_own() {
    for (name, directory) in [("ospf-ring", "/run/frr"), ("bgp", "/run/bird")] {
        let Loaded { topology, warnings, .. } = example(name);
        assert_eq!(warnings, []);
        let routers: Vec<_> = topology.nodes.iter().filter(|node| node.forward).collect();
        assert_eq!(routers.len(), 4);
        for router in routers {
            assert!(router.routes.is_empty(), "{name}: {:?}", router.routes);
            assert!(router.view.directories.iter().any(|one| one.path == directory));
            assert!(
                router.programs.iter().all(|program| program.command.len() > 1),
                "{name}: checked beforehand"
            );
        }
    }
}

#[test]
fn vlans_are_two_networks() {
    let Loaded { topology, warnings, .. } = example("vlans");
    assert_eq!(warnings, []);
    let names: Vec<_> = topology.segments.iter().map(|segment| segment.name.as_str()).collect();
    assert!(
        names.contains(&"floor1+floor2 VLAN 10") && names.contains(&"floor1+floor2 VLAN 20"),
        "{names:?}"
    );
    assert_eq!(
        routes(&topology, "guest2"),
        ["0.0.0.0/0 via 10.0.20.3 dev eth0", "::/0 via fd00:6e73:6c61:1::3 dev eth0"]
    );
    assert_eq!(routes(&topology, "printer1")[0], "0.0.0.0/0 via 10.0.10.5 dev eth0");
}

#[test]
fn sites_are_joined_by_a_tunnel() {
    let Loaded { topology, warnings, .. } = example("site-to-site");
    assert_eq!(warnings, []);
    let of_rome = routes(&topology, "rome");
    assert!(of_rome.contains(&"10.2.0.0/24 via 10.255.0.2 dev wg0".to_owned()), "{of_rome:#?}");
    assert!(of_rome.contains(&"203.0.113.0/30 via 198.51.100.1 dev wan".to_owned()), "{of_rome:#?}");
}

#[test]
fn the_three_tiers_of_the_manual_are_read() {
    let source = "\
name: three-tier
nodes:
  client: {}
  fw:
    forward: true                     # a router: IPv4 and IPv6 forwarding on
    firewall:                         # becomes nftables, stateful, default as given
      default: drop
      allow:
        - {from: web,    to: app, tcp: 8080}
        - {from: app,    to: db,  tcp: 5432}
        - {from: outside, to: web, tcp: [80, 443]}
    nat: [{masquerade: outside}]
  web: {run: [\"python3 -m http.server 80\"]}
  app: {}
  db:  {sysctl: {net.ipv4.icmp_echo_ignore_all: 1}}
switches:
  lan: {vlan_filtering: false}
links:
  - [client:eth0 203.0.113.10/24, fw:outside 203.0.113.1/24]
  - [web:eth0 10.0.1.2/24, fw:web 10.0.1.1/24, {mtu: 1400, delay: 5ms}]
  - [app, lan]                        # names and addresses are chosen, stable from run to run
expect:
  - client -> web tcp/80: ok
  - client -> db tcp/5432: drop
  - every -> every icmp: ok
";
    let loaded = load(source, "three-tier.yaml", &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["db has no address by which fw could know it"]);
    let expected: Vec<_> = loaded.lab.expectations.iter().map(ToString::to_string).collect();
    assert_eq!(expected, ["client -> web tcp/80", "client -> db tcp/5432", "every -> every icmp"]);
    assert_eq!(routes(&loaded.topology, "client"), ["0.0.0.0/0 via 203.0.113.1 dev eth0"]);
}
