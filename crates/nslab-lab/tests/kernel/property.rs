//! Random labs: what is built is what was planned, and changing one into another is the same as building the other.

use std::fmt::Write as _;

use nslab_testing::privileged;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Site, assert_same, wanted};

/// A lab file to be: nodes (router, sysctl, loopback address), switches, links.
#[derive(Debug, Clone)]
struct Draft {
    nodes: Vec<(bool, bool, bool)>,
    switches: Vec<bool>,
    cables: Vec<(usize, usize, Option<u32>)>,
    ports: Vec<(usize, usize, Option<u32>)>,
    ipv6: bool,
}

impl Draft {
    fn source(&self) -> String {
        let mut text = format!(
            "name: p\naddressing: {{ipv4: 10.0.0.0/8, ipv6: {}}}\nnodes:\n",
            if self.ipv6 { "\"fd00::/48\"" } else { "none" }
        );
        for (number, (router, sysctl, loopback)) in self.nodes.iter().enumerate() {
            let mut options = vec![format!("forward: {router}")];
            if *sysctl {
                options
                    .push("sysctl: {net.ipv4.conf.all.rp_filter: 2, net.ipv4.tcp_syn_retries: 3}".to_owned());
            }
            if *loopback {
                options.push(format!("addresses: [192.0.2.{}/32]", number + 1));
            }
            let _ = writeln!(text, "  n{number}: {{{}}}", options.join(", "));
        }
        text.push_str("switches:\n  spare: {}\n");
        for (number, snooping) in self.switches.iter().enumerate() {
            let _ = writeln!(text, "  s{number}: {{multicast_snooping: {snooping}}}");
        }
        let mut links = String::new();
        let mtu = |mtu: &Option<u32>| mtu.map_or_else(String::new, |mtu| format!(", {{mtu: {mtu}}}"));
        for (one, other, size) in &self.cables {
            let (one, other) = (one % self.nodes.len(), other % self.nodes.len());
            if one != other {
                let _ = writeln!(links, "  - [n{one}, n{other}{}]", mtu(size));
            }
        }
        for (node, switch, size) in &self.ports {
            if !self.switches.is_empty() {
                let _ = writeln!(
                    links,
                    "  - [n{}, s{}{}]",
                    node % self.nodes.len(),
                    switch % self.switches.len(),
                    mtu(size)
                );
            }
        }
        if links.is_empty() { text } else { text + "links:\n" + &links }
    }
}

fn drafts() -> impl Strategy<Value = Draft> {
    let mtu = || proptest::option::weighted(0.2, prop_oneof![Just(1280_u32), Just(1400), Just(9000)]);
    (
        proptest::collection::vec(any::<(bool, bool, bool)>(), 1..6),
        proptest::collection::vec(any::<bool>(), 0..3),
        proptest::collection::vec((0..6_usize, 0..6_usize, mtu()), 0..5),
        proptest::collection::vec((0..6_usize, 0..3_usize, mtu()), 0..7),
        any::<bool>(),
    )
        .prop_map(|(nodes, switches, cables, ports, ipv6)| Draft {
            nodes,
            switches,
            cables,
            ports,
            ipv6,
        })
}

#[test]
fn any_lab_becomes_any_other() {
    privileged(|| {
        // PROPTEST_CASES asks for more.
        let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40);
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&(drafts(), drafts(), drafts()), |(one, two, three)| {
                let site = Site::new();
                for draft in [one, two, three] {
                    let lab = wanted(&draft.source());
                    site.up(&lab);
                    let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
                    prop_assert!(plan.is_empty(), "{:#?}\n{}", plan, draft.source());
                    let fresh = Site::new();
                    fresh.up(&lab);
                    assert_same(&site.shown(&lab), &fresh.shown(&lab), &draft.source());
                    fresh.down("p");
                }
                site.down("p");
                Ok(())
            })
            .unwrap();
    });
}
