//! Interfaces that are no ends of cables: built, used, broken by hand, mended, taken away. What the kernel at hand lacks
//! is said, and that nothing was changed is looked at.

use std::time::Duration;

use nslab_lab::Error;
use nslab_testing::{Oracle, privileged};

use crate::support::{Site, assert_same, reaches_within, wanted};

/// Long, as some of these kernels run under emulation, and WireGuard begins anew only after five seconds where two beginnings cross or
/// one was too slow (`REKEY_TIMEOUT`, `drivers/net/wireguard/messages.h`).
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Builds a lab; none, with the reason said, if this kernel lacks what it needs.
pub(crate) fn build(site: &Site, source: &str) -> Option<nslab_lab::labs::Wanted> {
    let lab = wanted(source);
    match site.labs(|labs| labs.up(&lab)) {
        Ok(_) => Some(lab),
        Err(Error::Machine { what, .. }) => {
            let (_, options) = what.split_once("it lacks ").unwrap_or_else(|| panic!("{what}"));
            assert!(options.starts_with("CONFIG_"), "{what}");
            let planned = site.labs(|labs| labs.plan(&lab));
            assert!(matches!(planned, Err(Error::Machine { .. })), "a plan says so too");
            site.assert_clean();
            nslab_testing::kernel_lacks(options);
            None
        }
        Err(error) => panic!("{error} ({error:?})\n{source}"),
    }
}

/// Builds the lab `k` and connects from one node to the address of another, for each of `ways`; then breaks `what` (a
/// node and words for ip(8)) and lets it be mended.
pub(crate) fn works(source: &str, ways: &[(&str, &str, &str)], breaks: &[(&str, &str)]) {
    let Some(oracle) = Oracle::find() else { return };
    let site = Site::new();
    let Some(lab) = build(&site, source) else { return };
    let try_all = |when: &str| {
        for (from, to, address) in ways {
            let (from_node, to_node) = (site.node("k", from), site.node("k", to));
            assert!(
                reaches_within(&to_node, &from_node, address, LIMIT),
                "{when}: {from} reaches {address} of {to}\n{}\n{}",
                oracle.ip(&from_node, "address"),
                oracle.ip(&to_node, "address"),
            );
        }
    };
    try_all("built");
    let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
    assert!(plan.is_empty(), "{plan:#?}");
    let before = site.shown(&lab);
    for (node, words) in breaks {
        oracle.change(&site.node("k", node), words);
        let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
        assert!(!plan.is_empty(), "{words} is seen");
        site.up(&lab);
        assert_same(&site.shown(&lab), &before, words);
        let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
        assert!(plan.is_empty(), "{words}: {plan:#?}");
    }
    try_all("mended");
    // From nothing but the cables, and back to them.
    let bare = wanted("name: k\nnodes: {a: {}, b: {}}\nlinks: [[a, b]]\n");
    site.up(&bare);
    let plan = site.labs(|labs| labs.plan(&bare)).unwrap();
    assert!(plan.is_empty(), "{plan:#?}");
    site.up(&lab);
    assert_same(&site.shown(&lab), &before, "away and back");
    try_all("back");
    site.down("k");
}

/// Two nodes on one cable, and an interface of each.
fn pair(one: &str, other: &str) -> String {
    format!(
        "name: k\nnodes:\n  a: {{interfaces: {{x: {one}}}}}\n  b: {{interfaces: {{x: {other}}}}}\n\
         links: [[a 192.0.2.1/24 2001:db8::1/64, b 192.0.2.2/24 2001:db8::2/64]]\n"
    )
}

/// A tunnel of this type between the two.
fn tunnel(options: &str) -> String {
    pair(
        &format!("{{{options}, remote: b, addresses: [10.9.0.1/24, \"fd09::1/64\"]}}"),
        &format!("{{{options}, remote: a, addresses: [10.9.0.2/24, \"fd09::2/64\"]}}"),
    )
}

const BOTH: &[(&str, &str, &str)] = &[("a", "b", "10.9.0.2"), ("b", "a", "fd09::1")];

#[test]
fn vxlan_between_two() {
    privileged(|| {
        works(&tunnel("type: vxlan, id: 5"), BOTH, &[("a", "link del x"), ("b", "link set x mtu 1300")]);
    });
}

#[test]
fn vxlan_between_three_over_routers() {
    privileged(|| {
        works(
            "name: k
addressing: {ipv6: none}
nodes:
  r: {forward: true}
  a: {interfaces: {vx: {type: vxlan, id: 9, remote: [b, c], address: 10.9.0.1/24}}}
  b: {interfaces: {vx: {type: vxlan, id: 9, remote: [c, a], address: 10.9.0.2/24}}}
  c: {interfaces: {vx: {type: vxlan, id: 9, remote: [a, b], address: 10.9.0.3/24}}}
links: [[a, r], [b, r], [c, r]]
",
            &[("a", "b", "10.9.0.2"), ("a", "c", "10.9.0.3"), ("b", "c", "10.9.0.3"), ("c", "a", "10.9.0.1")],
            &[("a", "link set vx down")],
        );
    });
}

#[test]
fn a_bridge_in_a_node_joins_a_cable_and_a_vxlan() {
    privileged(|| {
        works(
            "name: k
addressing: {ipv4: 10.9.0.0/16, ipv6: none}
nodes:
  h: {}
  a: {interfaces: {j0: {type: bridge, members: [eth0, vx]}, vx: {type: vxlan, id: 3, remote: b}}}
  b: {interfaces: {j0: {type: bridge, members: [eth1, vx]}, vx: {type: vxlan, id: 3, remote: a}}}
  i: {}
links:
  - [h, a]
  - [a 192.0.2.1/24, b 192.0.2.2/24, {mtu: 1550}]
  - [b, i]
",
            &[("h", "i", "10.9.0.2"), ("a", "i", "10.9.0.2"), ("i", "h", "10.9.0.1")],
            &[("a", "link set vx nomaster"), ("b", "link del j0"), ("a", "link del vx")],
        );
    });
}

#[test]
fn macvlan() {
    privileged(|| {
        works(
            &pair(
                "{type: macvlan, link: eth0, addresses: [10.9.0.1/24, \"fd09::1/64\"]}",
                "{type: macvlan, link: eth0, mode: private, addresses: [10.9.0.2/24, \"fd09::2/64\"]}",
            ),
            BOTH,
            &[("a", "link del x"), ("b", "address del 10.9.0.2/24 dev x")],
        );
    });
}

#[test]
fn tun_and_tap() {
    privileged(|| {
        if let Err(error) = nslab_kernel::tun::open() {
            return nslab_testing::skip(&error.to_string());
        }
        works(
            &pair(
                "{type: tun, addresses: [10.9.0.1/24], mtu: 1300}",
                "{type: tap, owner: 0, mac: \"02:00:00:00:00:07\"}",
            ),
            &[("a", "b", "192.0.2.2")],
            &[("a", "link del x"), ("b", "link set x down"), ("a", "link set x mtu 1200")],
        );
    });
}

#[test]
fn full_kernel_vlan() {
    privileged(|| {
        works(
            &pair(
                "{type: vlan, link: eth0, id: 10, addresses: [10.9.0.1/24, \"fd09::1/64\"]}",
                "{type: vlan, link: eth0, id: 10, addresses: [10.9.0.2/24, \"fd09::2/64\"]}",
            ),
            BOTH,
            &[("a", "link del x"), ("b", "link set eth0 down")],
        );
    });
}

#[test]
fn full_kernel_vlans_in_vlans() {
    privileged(|| {
        works(
            "name: k
addressing: {ipv4: 10.9.0.0/16, ipv6: none}
nodes:
  a: {interfaces: {s: {type: vlan, link: eth0, id: 100, protocol: 802.1ad}, c: {type: vlan, link: s, id: 7}}}
  b: {interfaces: {s: {type: vlan, link: eth0, id: 100, protocol: 802.1ad}, c: {type: vlan, link: s, id: 7}}}
links: [[a, b, {mtu: 1508}]]
",
            &[("a", "b", "10.9.0.10"), ("b", "a", "10.9.0.9")],
            &[("a", "link del s")],
        );
    });
}

#[test]
fn full_kernel_ipvlan() {
    privileged(|| {
        works(
            &pair(
                "{type: ipvlan, link: eth0, addresses: [10.9.0.1/24, \"fd09::1/64\"]}",
                "{type: ipvlan, link: eth0, mode: l2, addresses: [10.9.0.2/24, \"fd09::2/64\"]}",
            ),
            BOTH,
            &[("a", "link del x")],
        );
    });
}

#[test]
fn full_kernel_dummy() {
    privileged(|| {
        works(
            &pair("{type: dummy, addresses: [10.9.0.1/24]}", "dummy"),
            &[("b", "a", "192.0.2.1")],
            &[("a", "link del x"), ("b", "link set x down")],
        );
    });
}

#[test]
fn full_kernel_vrf() {
    privileged(|| {
        works(
            "name: k
addressing: {ipv4: 10.9.0.0/16}
nodes:
  r: {forward: true, interfaces: {red: {type: vrf, table: 10, members: [eth0, eth1]}, blue: {type: vrf, table: 20, members: [eth2]}}}
  a: {}
  b: {}
  c: {}
links: [[r, a], [r, b], [r, c]]
",
            &[("a", "b", "10.9.0.6"), ("b", "a", "10.9.0.2")],
            &[("r", "link set eth1 nomaster"), ("r", "link del red")],
        );
    });
}

#[test]
fn full_kernel_gre_and_gretap() {
    privileged(|| {
        works(&tunnel("type: gre, key: 7"), BOTH, &[("a", "link del x")]);
        works(&tunnel("type: gretap"), BOTH, &[("a", "link del x")]);
    });
}

#[test]
fn full_kernel_gre_over_ipv6() {
    privileged(|| {
        works(&tunnel("type: ip6gre"), BOTH, &[("a", "link del x")]);
        works(&tunnel("type: ip6gretap, key: 1"), BOTH, &[]);
    });
}

#[test]
fn full_kernel_ipip() {
    privileged(|| {
        works(
            &pair(
                "{type: ipip, remote: b, address: 10.9.0.1/24}",
                "{type: ipip, remote: a, address: 10.9.0.2/24}",
            ),
            &[("a", "b", "10.9.0.2")],
            &[("a", "link del x")],
        );
    });
}

#[test]
fn full_kernel_sit() {
    privileged(|| {
        works(
            &pair(
                "{type: sit, remote: b, address: \"fd09::1/64\"}",
                "{type: sit, remote: a, address: \"fd09::2/64\"}",
            ),
            &[("a", "b", "fd09::2")],
            &[("a", "link del x")],
        );
    });
}

#[test]
fn full_kernel_ip6tnl() {
    privileged(|| works(&tunnel("type: ip6tnl"), BOTH, &[("a", "link del x")]));
}

#[test]
fn full_kernel_geneve() {
    privileged(|| works(&tunnel("type: geneve, id: 5"), BOTH, &[("a", "link del x")]));
}

#[test]
fn full_kernel_wireguard_between_sites() {
    privileged(|| {
        works(
            "name: k
addressing: {ipv4: 10.9.0.0/16, ipv6: none}
nodes:
  h: {}
  a: {forward: true, interfaces: {wg0: {type: wireguard, peers: [b]}}}
  isp: {forward: true}
  b: {forward: true, interfaces: {wg0: {type: wireguard, peers: [{node: a, keepalive: 25s}]}}}
  i: {}
links: [[h, a], [a, isp], [isp, b], [b, i]]
",
            &[("h", "i", "10.9.0.14"), ("i", "h", "10.9.0.1")],
            &[("a", "link del wg0"), ("b", "link set wg0 mtu 1300")],
        );
    });
}

#[test]
fn wireguards_keys_stay_and_are_nobody_elses() {
    use std::os::unix::fs::PermissionsExt as _;
    privileged(|| {
        let site = Site::new();
        let source = "name: k
nodes: {a: {interfaces: {wg0: {type: wireguard, peers: [b]}}}, b: {interfaces: {wg0: {type: wireguard, peers: [a]}}}}
links: [[a, b]]
";
        let Some(lab) = build(&site, source) else { return };
        let keys = site.paths.lab("k").keys();
        let first = std::fs::read(&keys).unwrap();
        assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
        let wider = wanted(&source.replace("nodes: {", "nodes: {more: {}, "));
        site.up(&wider);
        assert_eq!(std::fs::read(&keys).unwrap(), first, "stable from `up` to `up`");
        let kept: Vec<serde_json::Value> = serde_json::from_slice(&first).unwrap();
        let bytes: Vec<u8> = serde_json::from_value(kept[0]["key"].clone()).unwrap();
        let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
        let state = std::fs::read_to_string(site.paths.lab("k").state()).unwrap();
        let journal = std::fs::read_to_string(site.paths.lab("k").journal()).unwrap();
        let array = format!("{bytes:?}").replace(' ', "");
        for text in [serde_json::to_string(&plan).unwrap(), plan.shell(), state, journal] {
            assert!(!text.contains(&array));
        }
        site.down("k");
    });
}
