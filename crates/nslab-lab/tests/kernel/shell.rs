//! The plan as a shell script makes the same network.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nslab_testing::{Oracle, privileged};
use rustix::mount::{MountFlags, MountPropagationFlags};
use serde_json::Value;

use crate::support::{Site, wanted};

const LAB: &str = r#"
name: sh
nodes:
  a: {routes: ["blackhole 198.51.100.0/24", "203.0.113.0/24 nexthop via 10.1.0.2 weight 1 nexthop via 10.1.0.3 weight 2"], addresses: [192.0.2.1/32]}
  b:
    forward: true
    sysctl: {net.ipv4.conf.eth0.rp_filter: 1}
    neighbours: [{address: 10.1.0.77, mac: "02:00:00:00:00:77", dev: eth0}]
    firewall:
      default: {input: drop, forward: reject, output: accept}
      log: true
      reject: [{from: [a, 10.7.0.0/16, 10.9.0.0/18], to: c, tcp: [1, 5-7, 9], log: "it's: "}, {from: self, to: [eth0, lan], udp: 5-7}]
      allow: [{icmp: [echo-request, time-exceeded], protocol: [gre, 201]}, {from: sw, comment: "it's ours"}, {icmp: true}]
    nat:
      - {masquerade: lan, from: [a, 10.8.0.0/15]}
      - {forward: {tcp: [80, 90-99], udp: 53, to: a, address: [10.2.0.1, 10.1.0.2]}}
      - {forward: {tcp: 8080, to: "[2001:db8:1::1]:80", address: "2001:db8:1::2"}}
      - {snat: {from: c, to: eth0, address: 10.1.0.2}, family: ipv4}
      - {one_to_one: {outside: "2001:db8:1::2", inside: a}}
    nft: "table ip mine { chain c { counter drop; }; }"
  c: {rules: [{from: 10.2.0.0/24, table: 100, priority: 1000}], routes: ["10.9.0.0/16 via 10.2.0.1 table 100"]}
switches: {sw: {mtu: 1400}}
links:
  - [a:eth0 10.1.0.1/24 2001:db8:1::1/64, b:eth0 10.1.0.2/24 2001:db8:1::2/64, {mtu: 1450}]
  - [b:lan 10.2.0.1/24, sw]
  - [c:a-rather-long-name 10.2.0.2/24, sw]
"#;

/// Every kind of interface and queue, and every option of a bridge, that this project's own machines have.
const KINDS: &str = r#"
name: sh
nodes:
  a:
    interfaces:
      vx0: {type: vxlan, id: 5, remote: b, address: 10.9.0.1/24, rate: 5mbit}
      vx1: {type: vxlan, id: 6, remote: [b, c], port: 8472, link: eth0, learning: false, up: false}
      mv0: {type: macvlan, link: vx0, mode: private, address: 10.8.0.1/24}
      br0: {type: bridge, members: [eth1], stp: true, address: 10.8.1.1/24}
  b: {interfaces: {vx0: {type: vxlan, id: 5, remote: a, address: 10.9.0.2/24}, vx1: {type: vxlan, id: 6, remote: a, port: 8472}}}
  c: {interfaces: {vx1: {type: vxlan, id: 6, remote: a, port: 8472}, mv1: {type: macvlan, link: eth1, mac: "02:00:00:00:00:77"}}}
switches:
  quiet: {multicast_snooping: false, ageing: 7s}
  sw: {stp: true, fdb: [{mac: "02:00:00:00:00:99", port: b}], paths: [a -> b: {rate: 3mbit}, a -> c: {rate: 4mbit}]}
links:
  - [a 10.1.0.1/24, sw]
  - [b 10.1.0.2/24, {switch: sw, isolated: true, rate: 20mbit}, {rate: 10mbit}]
  - [c 10.1.0.3/24, {switch: sw, isolated: true}]
  - [{node: a, addresses: none}, {node: c, addresses: none, rate: 1gbit}]
  - [b 10.2.0.2/24, quiet]
"#;

/// Programs' interfaces, of which each takes opening `/dev/net/tun`.
const TUNS: &str = r"
name: sh
nodes:
  a:
    interfaces:
      br0: {type: bridge, members: [tap0]}
      tap0: {type: tap, owner: 1000}
      tun0: {type: tun, address: 10.7.0.1/24, mtu: 1280}
";

/// What only distributions' kernels have; `WireGuard` with keys of its own is left out.
const MORE_KINDS: &str = r#"
name: sh
nodes:
  a:
    addresses: [192.0.2.1/32]
    interfaces:
      eth1.10: {type: vlan, link: eth1, id: 10}
      iv0: {type: ipvlan, link: eth0, mode: l3, address: 10.6.0.1/24}
      d0: dummy
      b0: {type: bond, members: [eth2, eth3], mode: active-backup, address: 10.5.0.1/24}
      v0: {type: vrf, table: 100, members: [d0]}
      gn: {type: geneve, id: 7, remote: b, address: 10.9.1.1/24}
      gr: {type: gre, remote: b, key: 9, address: 10.9.2.1/24}
      gt: {type: gretap, remote: b, address: 10.9.3.1/24}
      ii: {type: ipip, remote: b, ttl: 9, address: 10.9.4.1/24}
      si: {type: sit, remote: b, address: "fd01::1/64"}
      i6: {type: ip6tnl, remote: b, address: 10.9.5.1/24}
      g6: {type: ip6gre, remote: b, address: 10.9.6.1/24}
  b:
    interfaces:
      eth1.10: {type: vlan, link: eth1, id: 10}
      gn: {type: geneve, id: 7, remote: a}
      gr: {type: gre, remote: a, key: 9}
      gt: {type: gretap, remote: a}
      ii: {type: ipip, remote: a}
      si: {type: sit, remote: a}
      i6: {type: ip6tnl, remote: a}
      g6: {type: ip6gre, remote: a}
      b0: {type: bond, members: [eth2, eth3], mode: active-backup, address: 10.5.0.2/24}
switches: {sw: {vlans: [10, 20]}}
links:
  - [a 10.1.0.1/24 fd02::1/64, b 10.1.0.2/24 fd02::2/64, {delay: 10ms, jitter: 2ms 25%, distribution: pareto, loss: 30% 10%, rate: 9mbit}]
  - [a, sw, {vlans: [10, 20]}]
  - [b, sw, {vlans: [10], native: 20}]
  - [a, b]
  - [a, b]
"#;

/// What is asked of each namespace.
const QUESTIONS: [&str; 10] = [
    "ip -j -d link",
    "ip -j -d address",
    "ip -j -d route show table all",
    "ip -j -d -6 route show table all",
    "ip -j -d rule",
    "ip -j -d neighbour show nud permanent",
    "tc -j qdisc show",
    "bridge -j fdb show",
    "bridge -j -d link",
    "bridge -j vlan",
];

#[test]
fn makes_the_same_network() {
    privileged(|| same_network(LAB, &[]));
}

#[test]
fn makes_the_same_network_of_every_kind() {
    privileged(|| {
        same_network(
            KINDS,
            &[("a", "tc class show dev eth0"), ("a", "tc filter show dev eth0 parent 6e73:")],
        );
    });
}

#[test]
fn makes_the_same_interfaces_of_programs() {
    privileged(|| {
        // It may be root's own.
        let device = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
        match device {
            Ok(_) => same_network(TUNS, &[]),
            Err(error) => nslab_testing::skip(&format!("/dev/net/tun: {error}")),
        }
    });
}

#[test]
fn full_kernel_makes_the_same_network_of_every_kind() {
    privileged(|| {
        let site = Site::new();
        // What this kernel lacks is told of before anything is touched.
        if let Err(error) = site.labs(|labs| labs.plan(&wanted(MORE_KINDS))) {
            assert!(matches!(error, nslab_lab::Error::Machine { .. }), "{error}");
            return nslab_testing::kernel_lacks(&error.to_string());
        }
        same_network(MORE_KINDS, &[]);
    });
}

/// Holds what nslab makes of a lab against what its script does.
fn same_network(source: &str, more: &[(&str, &str)]) {
    let source = &if is_alone() { source.replace("owner: 1000", "owner: 0") } else { source.to_owned() }[..];
    let Some(_) = Oracle::find() else { return };
    let has_nft_text = source.contains("nft:");
    if has_nft_text && nslab_testing::Nft::find().is_none() {
        return;
    }
    let site = Site::new();
    let lab = wanted(source);
    let script = site.labs(|labs| labs.plan(&lab)).unwrap().shell();
    site.up(&lab);
    let switches = lab.topology.switches.iter().map(|switch| &switch.name[..]);
    let names: Vec<&str> = lab.topology.nodes.iter().map(|node| &node.name[..]).chain(switches).collect();
    let everywhere = names.iter().flat_map(|name| QUESTIONS.map(|question| (*name, question)));
    let rules = has_nft_text.then_some(("b", "nft --stateless list ruleset"));
    let questions: Vec<(&str, &str)> = everywhere.chain(more.iter().copied()).chain(rules).collect();
    let by_hand = run_by_hand(&script, &questions);
    for ((name, question), theirs) in questions.iter().zip(by_hand) {
        let mut words = question.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        let answer = site.node("sh", name).run(|| command.output()).unwrap().unwrap();
        let ours = String::from_utf8(answer.stdout).unwrap();
        if question.starts_with("nft") {
            assert!(ours.contains("table inet nslab") && ours.contains("table ip mine"), "{ours}");
        }
        let (ours, theirs) = (tidy(&ours), tidy(&theirs));
        let more: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
        let less: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{name}: {question}\n nslab: {more:#?}\n script: {less:#?}\n{script}"
        );
    }
    site.down("sh");
}

const VIEWS: &str = r#"
name: sh
nodes:
  v:
    private: [/run, {path: /var/tmp/nslab-no-such/dir, owner: "1:2", mode: 0750}]
    files:
      /etc/nslab-no-such/a.conf: "it's\n$HOME\nEOF\n"
      /etc/passwd: {content: no line end, mode: 0600, owner: "3:4"}
      /run/deep/er: {content: "in memory\n", mode: 0755}
    run: ["cat /run/deep/er > /run/seen"]
"#;

/// What is asked of the view.
const LOOK: &str = r#"nsenter --mount=/run/netns-views/sh-v sh -ec '
ls -I mount -I seen /run; stat -c "%a %u:%g" /var/tmp/nslab-no-such/dir /etc/passwd /run/deep/er
cat /etc/nslab-no-such/a.conf /etc/passwd; echo; cat /run/deep/er; test -e /etc/hostname -o -e /etc/hosts
'
test ! -e /etc/nslab-no-such; test ! -e /var/tmp/nslab-no-such; grep -q root /etc/passwd; wait
nsenter --mount=/run/netns-views/sh-v cat /run/seen
"#;

#[test]
fn makes_files_and_directories_of_a_nodes_own() {
    privileged(|| {
        let Some(_) = Oracle::find() else { return };
        let overlay = std::fs::read_to_string("/proc/filesystems").unwrap();
        if !overlay.contains("overlay") {
            nslab_testing::kernel_lacks("CONFIG_OVERLAY_FS");
            return;
        }
        if is_alone() {
            return nslab_testing::skip(
                "the script of a view is for root: a layer over files of users whom a user namespace does not know cannot be written to",
            );
        }
        let site = Site::new();
        let script = site.labs(|labs| labs.plan(&wanted(VIEWS))).unwrap().shell();
        let said = in_private_run(&format!("{script}\necho LOOK\n{LOOK}"));
        let seen = said.split_once("LOOK\n").unwrap().1;
        assert_eq!(
            seen, "deep\n750 1:2\n600 3:4\n755 0:0\nit's\n$HOME\nEOF\nno line end\nin memory\nin memory\n",
            "{script}"
        );
    });
}

/// Whether there is no user but root, as in an ordinary user's own namespace.
fn is_alone() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    map.split_whitespace().nth(2) == Some("1")
}

fn in_private_run(program: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-ec", program]);
    // SAFETY: between fork and exec the closure makes system calls only.
    unsafe { command.pre_exec(private_run) };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{program}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the script where `/run` is empty and asks of the result, each question of one node.
fn run_by_hand(script: &str, questions: &[(&str, &str)]) -> Vec<String> {
    let mut program = script.to_owned();
    for (name, question) in questions {
        program.extend(["echo; echo ANSWER; ip netns exec sh-", name, " ", question, "\n"]);
    }
    in_private_run(&program).split("\nANSWER\n").skip(1).map(str::to_owned).collect()
}

/// A mount namespace with an empty `/run`, which takes the namespaces away when the last process leaves it.
fn private_run() -> std::io::Result<()> {
    // SAFETY: descriptors stay shared; this process is about to become another program.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }?;
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    rustix::mount::mount("none", "/run", "tmpfs", MountFlags::empty(), None)?;
    Ok(())
}

/// The answer without numbers that differ, in a fixed order.
fn tidy(answer: &str) -> Vec<String> {
    let mut lines: Vec<String> = match serde_json::from_str::<Value>(answer) {
        Ok(value) => value
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| !is_learned(one) && !comes_with_carrier(one) && !is_fallback(one))
            .map(|one| clean(one).to_string())
            .collect(),
        // What counts is what is counted, not how much of it there was.
        Err(_) => answer
            .lines()
            .map(|line| line.split(' ').map(|word| if word.parse::<u64>().is_ok() { "N" } else { word }))
            .map(|words| words.collect::<Vec<_>>().join(" "))
            .collect(),
    };
    lines.sort();
    lines
}

/// A bridge's forwarding entry that nobody set.
fn is_learned(one: &Value) -> bool {
    let set = matches!(one["state"].as_str(), Some("permanent" | "static"));
    one["mac"].is_string() && one["flags"].is_array() && !set
}

/// An interface that the kernel put there for a module, or what is of it.
fn is_fallback(one: &Value) -> bool {
    [&one["ifname"], &one["dev"]]
        .iter()
        .any(|name| name.as_str().is_some_and(|name| nslab_testing::FALLBACK_TUNNELS.contains(&name)))
}

/// A route that the kernel makes once it has noticed that an interface has a carrier.
fn comes_with_carrier(one: &Value) -> bool {
    one["dst"] == "ff00::/8" && one["protocol"] == "kernel"
}

fn clean(value: &Value) -> Value {
    // Those of a bucket tc(8) counts in whole microseconds.
    const VOLATILE: [&str; 14] = [
        "topology_change",
        "topology_change_detected",
        "permaddr",
        "ifindex",
        "link_index",
        "link_netnsid",
        "link",
        "link_netns",
        "operstate",
        "state",
        "carrier_changes",
        "seed",
        "burst",
        "lat",
    ];
    match value {
        // A spanning tree that changes has entries age faster for a while (`br_topology_change_detection`).
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "ageing_time" || map.get("stp_state") == Some(&Value::from(0)))
            .filter(|(key, _)| !VOLATILE.contains(&&key[..]) && !key.ends_with("_timer"))
            .map(|(key, value)| (key.clone(), clean(value)))
            .collect(),
        Value::Array(values) => values.iter().filter(|value| !is_passing(value)).map(clean).collect(),
        other => other.clone(),
    }
}

/// Flags that a link has only until the kernel has got round to it.
fn is_passing(value: &Value) -> bool {
    value.as_str().is_some_and(|flag| matches!(flag, "NO-CARRIER" | "LOWER_UP" | "linkdown"))
}
