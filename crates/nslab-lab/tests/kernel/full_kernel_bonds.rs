//! Bonds: in each mode they carry traffic as soon as they are up, and where one member is preferred, both ends use it.

use std::time::{Duration, Instant};

use nslab_testing::{Oracle, privileged};

use crate::kinds::{LIMIT, build, works};
use crate::support::{Site, assert_same, reaches_within};

/// Two nodes with a bond each, of two interfaces.
fn lab(options: &str, links: &str) -> String {
    let bond = format!("{{type: bond, {options}, members: [eth0, eth1], miimon: 50ms}}");
    format!(
        "name: k\naddressing: {{ipv4: 10.9.0.0/16, ipv6: none}}\nnodes:\n  a: {{interfaces: {{bond0: {bond}}}}}\n  \
         b: {{interfaces: {{bond0: {bond}}}}}\n{links}\n"
    )
}

const CABLES: &str = "links: [[a, b], [a, b]]";
const SWITCH: &str = "switches: {s: {}}\nlinks: [[a, s], [a, s], [b, s], [b, s]]";
const BOTH: &[(&str, &str, &str)] = &[("a", "b", "10.9.0.2"), ("b", "a", "10.9.0.1")];
/// A member taken out by hand, and a whole bond.
const BREAKS: &[(&str, &str)] = &[("a", "link set eth1 nomaster"), ("b", "link del bond0")];

#[test]
fn balance_rr() {
    privileged(|| works(&lab("mode: balance-rr", CABLES), BOTH, BREAKS));
}

#[test]
fn lacp() {
    // Agreeing takes seconds each time.
    privileged(|| works(&lab("mode: 802.3ad", CABLES), BOTH, &[("b", "link del bond0")]));
}

#[test]
fn balancing_by_load_on_a_switch() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        for mode in ["balance-tlb", "balance-alb"] {
            let site = Site::new();
            let Some(lab) = build(&site, &lab(&format!("mode: {mode}"), SWITCH)) else { return };
            let reach = |when: &str| {
                for (from, to, address) in BOTH {
                    let (from, to) = (site.node("k", from), site.node("k", to));
                    assert!(reaches_within(&to, &from, address, LIMIT), "{mode}, {when}: {address}");
                }
            };
            reach("built");
            // The kernel moves MACs among the members, which is no deviation.
            oracle.change(&site.node("k", "a"), "link set eth0 down");
            site.up(&lab);
            for (node, words) in BREAKS {
                assert!(site.labs(|labs| labs.plan(&lab)).unwrap().is_empty(), "{mode}, before {words}");
                oracle.change(&site.node("k", node), words);
                assert!(!site.labs(|labs| labs.plan(&lab)).unwrap().is_empty(), "{mode}: {words}");
                site.up(&lab);
                reach(words);
            }
            site.down("k");
        }
    });
}

#[test]
fn active_backup_on_a_switch() {
    privileged(|| works(&lab("mode: active-backup", SWITCH), BOTH, BREAKS));
}

/// Which member a node's bond sends by.
fn used(oracle: Oracle, node: &nslab_kernel::Namespace) -> String {
    let bond = oracle.link(node, "bond0");
    bond["linkinfo"]["info_data"]["active_slave"].as_str().unwrap_or_default().to_owned()
}

fn await_used(oracle: Oracle, nodes: [&nslab_kernel::Namespace; 2], wanted: &str) {
    let end = Instant::now() + LIMIT;
    while nodes.iter().any(|node| used(oracle, node) != wanted) {
        assert!(Instant::now() < end, "{wanted} is not used by both");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn active_backup_fails_over_and_back() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        for (options, first, second) in
            [("mode: active-backup", "eth0", "eth1"), ("mode: active-backup, primary: eth1", "eth1", "eth0")]
        {
            let site = Site::new();
            let Some(lab) = build(&site, &lab(options, CABLES)) else { return };
            let [a, b] = ["a", "b"].map(|node| site.node("k", node));
            // At once: `up` has waited.
            assert_eq!([&a, &b].map(|node| used(oracle, node)), [first; 2], "{options}");
            let before = site.shown(&lab);
            assert!(reaches_within(&b, &a, "10.9.0.2", LIMIT), "{options}");
            oracle.change(&b, &format!("link set {first} down"));
            await_used(oracle, [&a, &b], second);
            assert!(reaches_within(&b, &a, "10.9.0.2", LIMIT), "{options}: by the other one");
            site.up(&lab);
            await_used(oracle, [&a, &b], first);
            assert!(reaches_within(&a, &b, "10.9.0.1", LIMIT), "{options}: back");
            // A bond without its primary is mended by giving it back, not made anew.
            let number = oracle.link(&a, "bond0")["ifindex"].clone();
            oracle.change(&a, &format!("link set {first} nomaster"));
            site.up(&lab);
            assert_eq!(oracle.link(&a, "bond0")["ifindex"], number, "{options}");
            assert_eq!([&a, &b].map(|node| used(oracle, node)), [first; 2], "{options}");
            assert_same(&site.shown(&lab), &before, options);
            // Another preference by hand is seen.
            oracle.change(&a, &format!("link set bond0 type bond primary {second}"));
            assert!(!site.labs(|labs| labs.plan(&lab)).unwrap().is_empty());
            site.up(&lab);
            assert_same(&site.shown(&lab), &before, options);
            site.down("k");
        }
    });
}
