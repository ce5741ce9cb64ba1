//! What firewalls and address translation mean once zones are interfaces and prefixes.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use nslab_topology::model::{Hook, Match, NatKind, Selector, Topology};
use nslab_topology::{load, to_yaml};

fn topology(source: &str) -> Topology {
    let loaded = load(source, "lab.yaml", &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let warnings = loaded.warnings.iter().filter(|warning| warning.code != "ambiguous-default");
    assert_eq!(warnings.collect::<Vec<_>>(), Vec::<&nslab_topology::Diagnostic>::new());
    loaded.topology
}

fn show(side: &[Selector]) -> String {
    let one = |selector: &Selector| {
        let names: Vec<&str> = selector.interfaces.iter().map(nslab_types::IfName::as_str).collect();
        let prefixes: Vec<String> = selector.prefixes.iter().map(ToString::to_string).collect();
        format!("{}@{}", prefixes.join(","), names.join(","))
    };
    side.iter().map(one).collect::<Vec<_>>().join(" | ")
}

/// `HOOK: FROM > TO` for each place where a rule of `fw` is tried.
fn matches(topology: &Topology, rule: usize) -> Vec<String> {
    let fw = topology.nodes.iter().find(|node| node.name == "fw").unwrap();
    let one = |one: &Match| format!("{:?}: {} > {}", one.hook, show(&one.from), show(&one.to));
    fw.policy.firewall.as_ref().unwrap().rules[rule].matches.iter().map(one).collect()
}

const LAB: &str = r#"
name: lab
addressing: {ipv6: none}
nodes:
  fw:
    forward: true
    firewall:
      default: drop
      allow:
        - {from: web, to: app, tcp: 8080}                # 0
        - {from: outside, to: [web, app]}                # 1
        - {from: lan}                                    # 2
        - {from: lan, to: self, tcp: 22}                 # 3
        - {from: self, to: far}                          # 4
        - {from: 10.9.0.0/16, to: 10.0.0.0/8}            # 5
        - {to: "fw:web"}                                 # 6
        - {from: far, to: [self, two]}                   # 7
        - {tcp: 80}                                      # 8
    nat:
      - {masquerade: outside, from: lan}
      - {forward: {tcp: 8080, to: "far:80"}}
  web: {}
  app: {}
  client: {}
  h: {}
  r: {forward: true}
  far: {}
  two: {}
switches: {lan: {}}
links:
  - [fw:outside 203.0.113.1/24, client 203.0.113.2/24]
  - [fw:web 10.0.1.1/24, web 10.0.1.2/24]
  - [fw:lan0 10.0.2.1/24, lan]
  - [app 10.0.2.2/24, lan]
  - [h 10.0.2.3/24, lan]
  - [r 10.0.2.4/24, lan]
  - [r 10.0.3.1/24, far 10.0.3.2/24]
  - [two 10.0.2.5/24, lan]
  - [two 10.0.1.3/30, fw 10.0.1.130/30]
"#;

#[test]
fn zones_are_interfaces_and_prefixes() {
    let lab = LAB.replace("two 10.0.1.3/30, fw 10.0.1.130/30", "two 10.0.5.2/30, fw:second 10.0.5.1/30");
    let topology = topology(&lab);
    let rule = |number| matches(&topology, number);
    assert_eq!(rule(0), ["Forward: 10.0.1.2/32@web > 10.0.2.2/32@lan0"]);
    assert_eq!(rule(1), ["Forward: @outside > 10.0.1.2/32@web | 10.0.2.2/32@lan0"]);
    // No `to` is everything: the node itself and what is behind it.
    assert_eq!(rule(2), ["Input: 10.0.2.0/24@lan0 > ", "Forward: 10.0.2.0/24@lan0 > "]);
    assert_eq!(rule(3), ["Input: 10.0.2.0/24@lan0 > "]);
    // Behind another router, but behind one interface only.
    assert_eq!(rule(4), ["Output:  > 10.0.3.2/32@lan0"]);
    // The prefix holds addresses of fw itself.
    assert_eq!(rule(5), ["Input: 10.9.0.0/16@ > 10.0.0.0/8@", "Forward: 10.9.0.0/16@ > 10.0.0.0/8@"]);
    assert_eq!(rule(6), ["Forward:  > @web"]);
    // Two interfaces lead there: its addresses alone.
    let two = "10.0.2.5/32,10.0.5.2/32@";
    assert_eq!(
        rule(7),
        ["Input: 10.0.3.2/32@lan0 > ".to_owned(), format!("Forward: 10.0.3.2/32@lan0 > {two}")]
    );
    assert_eq!(rule(8), ["Input:  > ", "Forward:  > "]);
    let fw = &topology.nodes[0];
    let NatKind::Masquerade { interfaces } = &fw.policy.nat[0].kind else { panic!("{:?}", fw.policy.nat) };
    assert_eq!(interfaces[0].as_str(), "outside");
    assert_eq!(show(&fw.policy.nat[0].from), "10.0.2.0/24@lan0");
    let NatKind::Forward { addresses, targets, port, interfaces, .. } = &fw.policy.nat[1].kind else {
        panic!("{:?}", fw.policy.nat)
    };
    assert_eq!(format!("{addresses:?} {targets:?} {port:?}"), "[203.0.113.1] [10.0.3.2] Some(80)");
    assert_eq!(interfaces[0].as_str(), "lan0");
    assert_eq!(fw.policy.nat[1].written.line.0, Some(21));
    assert_eq!(fw.policy.nat[1].written.to_string(), "nat {forward: {tcp: 8080, to: far:80}}");
}

#[test]
fn outside_is_where_the_default_route_leads() {
    let topology = topology(
        "nodes: {fw: {forward: true, gateway: isp, firewall: {default: drop, allow: [{to: outside}]}}, isp: {forward: true}, a: {}}\n\
         links: [[fw:wan, isp], [fw:lan, a]]\n",
    );
    assert_eq!(matches(&topology, 0), ["Forward:  > @wan"]);
}

#[test]
fn neighbours_are_known_by_their_link_local_addresses() {
    let topology = topology(
        "addressing: {ipv4: none}\n\
         nodes: {fw: {forward: true, firewall: {default: drop, allow: [{from: a}, {from: lan, to: self}]}}, a: {}}\n\
         switches: {lan: {}}\n\
         links: [[fw:one, a], [fw:two, lan]]\n",
    );
    let end = &topology.links[0].ends[1];
    let (global, local) = (end.addresses[0].addr(), end.mac.link_local());
    assert_eq!(
        matches(&topology, 0),
        [format!("Input: {global}/128,{local}/128@one > "), format!("Forward: {global}/128@one > ")]
    );
    let lan = topology.segments[1].prefixes[0];
    assert_eq!(matches(&topology, 1), [format!("Input: {lan},fe80::/10@two > ")]);
}

#[test]
fn hosts_have_no_forwarding_rules() {
    let topology = topology(
        "nodes: {fw: {firewall: {default: {input: drop, output: reject}, allow: [{tcp: 80}, {from: self, udp: 53}]}}, a: {}}\n\
         links: [[fw, a]]\n",
    );
    assert_eq!(matches(&topology, 0), ["Input:  > "]);
    assert_eq!(matches(&topology, 1), ["Output:  > "]);
    let hooks: Vec<Hook> = topology.nodes[0]
        .policy
        .firewall
        .iter()
        .flat_map(|firewall| &firewall.rules)
        .flat_map(|rule| rule.matches.iter().map(|one| one.hook))
        .collect();
    assert_eq!(hooks, [Hook::Input, Hook::Output]);
}

#[test]
fn groups_are_their_members() {
    let topology = topology(
        "addressing: {ipv6: none}\n\
         nodes: {fw: {forward: true, firewall: {default: drop, allow: [{from: h, to: lan}]}}, h: {count: 3}}\n\
         switches: {lan: {count: 2}}\n\
         links: [[fw, lan1], [fw, lan2], [h, lan1]]\n",
    );
    assert_eq!(
        matches(&topology, 0),
        ["Forward: 10.0.0.2/32,10.0.0.3/32,10.0.0.4/32@eth0 > 10.0.0.0/24@eth0 | 10.0.1.0/24@eth1"]
    );
}

const EVERYTHING: &str = r#"
name: lab
nodes:
  fw:
    forward: true
    firewall:
      default: {input: reject, forward: drop, output: accept}
      log: "fw says: "
      reject:
        - {tcp: 113, log: true}
      deny:
        - {from: [web, 10.9.0.0/16, "fd01::/16"], to: "fw:web", comment: "no: ${way}, \"said\" he", family: ipv4}
      allow:
        - {from: web, to: [outside, self], tcp: [80, 443, 8000-8010], udp: 53}
        - {icmp: [echo-request, time-exceeded], icmpv6: true, protocol: [ospf, 200]}
        - {icmp: true, protocol: sctp}
    nat:
      - {forward: {udp: 53, tcp: [80, 443], to: web, from: outside}}
      - {forward: {tcp: 8080, to: "[fd00::2]:80", address: "fd00::1"}, family: ipv6}
      - {snat: {from: web, to: outside, address: [203.0.113.1, "fd00::1"]}}
      - {one_to_one: {outside: 203.0.113.1, inside: web}}
      - {masquerade: [outside], from: web, comment: out}
    nft:
      - |
        table inet mine {
          chain c { counter }   # ${not} a variable
        }
      - {file: rules.nft}
  client: {}
  web: {}
links:
  - [fw:outside 203.0.113.1/24 fd00::1/64, client 203.0.113.2/24 fd00::9/64]
  - [fw:web, web 10.0.0.2/24 fd00:1::2/64]
"#;

#[test]
fn what_is_written_can_be_read_again() {
    let source = EVERYTHING.replace("${way}", "$${way}");
    let first = load(&source, "lab.yaml", &[]).unwrap_or_else(|errors| panic!("{errors}"));
    for text in [first.lab.to_yaml(), to_yaml(&first.topology)] {
        let again = load(&text, "lab.yaml", &[]).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!(again.topology.nodes[0].policy, first.topology.nodes[0].policy, "{text}");
    }
    let state = serde_json::to_string(&first.lab).unwrap();
    let again: nslab_topology::Lab = serde_json::from_str(&state).unwrap();
    assert_eq!(again, first.lab);
    let firewall = again.nodes[0].policy.firewall.as_ref().unwrap();
    let lines: Vec<Option<usize>> = firewall.rules.iter().map(|rule| rule.line.0).collect();
    assert_eq!(lines, [Some(10), Some(12), Some(14), Some(15), Some(16)]);
    let nslab_topology::lab::Nft::Text { line, .. } = &again.nodes[0].policy.nft[0] else { panic!() };
    assert_eq!(line.0, Some(25));
}
