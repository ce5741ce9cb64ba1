//! The plan as a shell script makes the same network.

use std::collections::BTreeMap;
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

/// What ip(8) is asked of each namespace.
const QUESTIONS: [&str; 6] = [
    "link",
    "address",
    "route show table all",
    "-6 route show table all",
    "rule",
    "neighbour show nud permanent",
];

#[test]
fn makes_the_same_network() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        // The lab has text for it.
        let Some(nft) = nslab_testing::Nft::find() else { return };
        let site = Site::new();
        let lab = wanted(LAB);
        let script = site.labs(|labs| labs.plan(&lab)).unwrap().shell();
        site.up(&lab);
        let names: Vec<&str> = lab
            .topology
            .nodes
            .iter()
            .map(|node| &node.name[..])
            .chain(lab.topology.switches.iter().map(|switch| &switch.name[..]))
            .collect();
        let (by_hand, rules) = run_by_hand(&script, &names);
        let ours = nft.run(&site.node("sh", "b"), &["list", "ruleset"], "").unwrap();
        assert!(ours.contains("table inet nslab") && ours.contains("table ip mine"), "{ours}");
        assert_eq!(ours.trim(), rules.trim(), "{script}");
        for name in names {
            for (question, answer) in QUESTIONS.iter().zip(&by_hand[name]) {
                let ours = oracle.ip(&site.node("sh", name), question);
                let (ours, theirs) = (tidy(&ours), tidy(answer));
                let more: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
                let less: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
                assert!(
                    more.is_empty() && less.is_empty(),
                    "{name}: ip {question}\n nslab: {more:#?}\n script: {less:#?}"
                );
            }
        }
        site.down("sh");
    });
}

/// Runs the script where `/run` is empty and asks of the result.
fn run_by_hand(script: &str, names: &[&str]) -> (BTreeMap<String, Vec<Value>>, String) {
    let mut program = script.to_owned();
    program.push_str("echo; echo RULES; ip netns exec sh-b nft list ruleset\n");
    for name in names {
        for question in QUESTIONS {
            program.extend(["echo; echo ANSWER; ip -j -d -n sh-", name, " ", question, "\n"]);
        }
    }
    let mut command = Command::new("sh");
    command.args(["-c", &program]);
    // SAFETY: between fork and exec the closure makes system calls only.
    unsafe { command.pre_exec(private_run) };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{program}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (rules, text) = text.split_once("RULES\n").unwrap().1.split_once("\nANSWER\n").unwrap();
    let mut answers = text.split("ANSWER\n");
    let mut next = || match answers.next().unwrap_or_default().trim() {
        "" => Value::Array(Vec::new()),
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
    };
    let answers = names.iter().map(|name| ((*name).to_owned(), QUESTIONS.map(|_| next()).to_vec())).collect();
    (answers, rules.to_owned())
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
fn tidy(answer: &Value) -> Vec<String> {
    let mut lines: Vec<String> =
        answer.as_array().into_iter().flatten().map(|one| clean(one).to_string()).collect();
    lines.sort();
    lines
}

fn clean(value: &Value) -> Value {
    const VOLATILE: [&str; 6] = ["ifindex", "link_index", "link_netnsid", "link", "link_netns", "operstate"];
    match value {
        Value::Object(map) => map
            .iter()
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
