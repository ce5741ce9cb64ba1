//! Switches: VLANs, isolated ports, static forwarding entries, bridge netfilter.

use std::time::Duration;

use nslab_lab::Error;
use nslab_testing::{Oracle, privileged};

use crate::support::{Site, assert_same, reaches_within, wanted};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn isolated_ports_reach_only_others() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let site = Site::new();
        let lab = wanted(
            "name: s\naddressing: {ipv4: 10.9.0.0/16, ipv6: none}\nnodes: {a: {}, b: {}, r: {}}\nswitches: {lan: {}}\n\
             links:\n  - [a, {switch: lan, isolated: true}]\n  - [b, lan, {isolated: true}]\n  - [r, lan]\n",
        );
        site.up(&lab);
        let [a, b, r] = ["a", "b", "r"].map(|node| site.node("s", node));
        let check = || {
            assert!(reaches_within(&r, &a, "10.9.0.3", LONG) && reaches_within(&b, &r, "10.9.0.2", LONG));
            assert!(!reaches_within(&b, &a, "10.9.0.2", SHORT), "both are isolated");
        };
        check();
        let switch = site.node("s", "lan");
        assert_eq!(oracle.link(&switch, "a")["linkinfo"]["info_slave_data"]["isolated"], true);
        oracle.change_bridge(&switch, "link set dev a isolated off");
        let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
        assert_eq!(plan.len(), 1, "{plan:#?}");
        site.up(&lab);
        check();
        site.down("s");
    });
}

#[test]
fn static_entries_say_where_a_mac_is() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let site = Site::new();
        let source = "name: s\naddressing: {ipv4: 10.9.0.0/16, ipv6: none}\nnodes: {a: {}, b: {}}\n\
             switches: {lan: {fdb: [{mac: \"02:00:00:00:00:77\", port: b}, {mac: \"02:00:00:00:00:78\", port: to-a}]}}\n\
             links: [[a, lan:to-a], [b, lan]]\n";
        let lab = wanted(source);
        site.up(&lab);
        let switch = site.node("s", "lan");
        let entries = || -> Vec<String> {
            let shown = oracle.bridge(&switch, "fdb show br lan");
            let fixed = shown.as_array().unwrap().iter().filter(|one| one["state"] == "static");
            let mut all: Vec<String> = fixed
                .map(|one| format!("{} {}", one["mac"].as_str().unwrap(), one["ifname"].as_str().unwrap()))
                .collect();
            all.sort();
            // A kernel with VLAN filtering shows them for the VLAN that ports have anyway, too.
            all.dedup();
            all
        };
        let wanted_entries = ["02:00:00:00:00:77 b", "02:00:00:00:00:78 to-a"];
        assert_eq!(entries(), wanted_entries);
        oracle.change_bridge(&switch, "fdb del 02:00:00:00:00:77 dev b master");
        oracle.change_bridge(&switch, "fdb add 02:00:00:00:00:79 dev b master static");
        let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
        assert_eq!(plan.len(), 2, "{plan:#?}");
        site.up(&lab);
        assert_eq!(entries(), wanted_entries);
        let less = wanted(&source.replace("{mac: \"02:00:00:00:00:77\", port: b}, ", ""));
        site.up(&less);
        assert_eq!(entries(), wanted_entries[1..]);
        site.down("s");
    });
}

#[test]
fn bridged_packets_are_not_for_the_rules_of_routed_ones() {
    privileged(|| {
        let key = "net.bridge.bridge-nf-call-iptables";
        // Nothing asks for this module by itself. Without the program, or the privilege, it may be there already.
        let _ = std::process::Command::new("modprobe").args(["-q", "br_netfilter"]).status();
        if nslab_kernel::sysctl::read(key).is_err() {
            return nslab_testing::kernel_lacks("CONFIG_BRIDGE_NETFILTER, or br_netfilter is not loaded");
        }
        let site = Site::new();
        let lab = wanted("name: s\nnodes: {a: {}}\nswitches: {lan: {}}\nlinks: [[a, lan]]\n");
        site.up(&lab);
        let switch = site.node("s", "lan");
        for family in ["iptables", "ip6tables", "arptables"] {
            let key = format!("net.bridge.bridge-nf-call-{family}");
            assert_eq!(switch.run(|| nslab_kernel::sysctl::read(&key)).unwrap().unwrap(), "0");
        }
        switch.run(|| nslab_kernel::sysctl::write(key, "1")).unwrap().unwrap();
        assert_eq!(site.labs(|labs| labs.plan(&lab)).unwrap().len(), 1);
        site.down("s");
    });
}

const VLANS: &str = "name: s
addressing: {ipv4: 10.9.0.0/16, ipv6: none}
nodes:
  a: {}
  b: {}
  c: {}
  d: {}
  plain: {}
  r: {forward: true, interfaces: {eth0.10: {type: vlan, link: eth0, id: 10}, eth0.20: {type: vlan, link: eth0, id: 20}}}
switches: {s: {vlans: [1, {id: 10, subnet: 10.9.10.0/24}, {id: 20, subnet: 10.9.20.0/24}]}, t: {vlan_filtering: true}}
links:
  - [a, s, {vlan: 10}]
  - [b, t, {vlan: 10}]
  - [c, s, {vlan: 20}]
  - [d, t, {vlan: 20}]
  - [s, t, {vlans: [10, 20]}]
  - [r, s, {vlans: [10, 20], native: 1}]
  - [plain, s]
";

#[test]
fn full_kernel_vlans_are_apart_and_a_router_joins_them() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let site = Site::new();
        let lab = wanted(VLANS);
        match site.labs(|labs| labs.up(&lab)) {
            Ok(_) => {}
            Err(Error::Machine { what, .. }) => {
                assert!(
                    what.contains("CONFIG_BRIDGE_VLAN_FILTERING (VLAN filtering, for the switch s)"),
                    "{what}"
                );
                assert!(matches!(site.labs(|labs| labs.plan(&lab)), Err(Error::Machine { .. })));
                site.assert_clean();
                return nslab_testing::kernel_lacks("CONFIG_BRIDGE_VLAN_FILTERING");
            }
            Err(error) => panic!("{error} ({error:?})"),
        }
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|node| site.node("s", node));
        let check = || {
            assert!(reaches_within(&b, &a, "10.9.10.2", LONG), "over the trunk");
            assert!(reaches_within(&d, &a, "10.9.20.2", LONG), "by the router");
            assert!(
                reaches_within(&site.node("s", "plain"), &site.node("s", "r"), "10.9.0.2", LONG),
                "native"
            );
            // Addresses of the same subnet in another VLAN are nobody's.
            oracle.change(&c, "address add 10.9.10.77/24 dev eth0");
            assert!(!reaches_within(&c, &a, "10.9.10.77", SHORT), "in another VLAN");
            oracle.change(&c, "address del 10.9.10.77/24 dev eth0");
        };
        check();
        let plan = site.labs(|labs| labs.plan(&lab)).unwrap();
        assert!(plan.is_empty(), "{plan:#?}");
        let before = site.shown(&lab);
        let switch = site.node("s", "s");
        let shown = |node: &nslab_kernel::Namespace| {
            let mut ports = oracle.bridge(node, "vlan show");
            // They stand in the order in which they last joined.
            let name = |port: &serde_json::Value| port["ifname"].as_str().unwrap_or_default().to_owned();
            ports.as_array_mut().unwrap().sort_by_key(name);
            ports
        };
        let vlans = shown(&switch);
        for change in
            ["vlan del dev a vid 10", "vlan add dev c vid 10", "vlan add dev r vid 20 pvid untagged"]
        {
            oracle.change_bridge(&switch, change);
            assert!(!site.labs(|labs| labs.plan(&lab)).unwrap().is_empty(), "{change}");
            site.up(&lab);
            assert_eq!(shown(&switch), vlans, "{change}");
        }
        oracle.change(&switch, "link set s type bridge vlan_filtering 0");
        site.up(&lab);
        assert_same(&site.shown(&lab), &before, "filtering again");
        check();
        // To a switch that knows no VLANs, and back.
        let flat = wanted(
            "name: s\naddressing: {ipv4: 10.9.0.0/16, ipv6: none}\nnodes: {a: {}, c: {}}\nswitches: {s: {}}\nlinks: [[a, s], [c, s]]\n",
        );
        site.up(&flat);
        assert!(site.labs(|labs| labs.plan(&flat)).unwrap().is_empty());
        assert!(reaches_within(&site.node("s", "c"), &site.node("s", "a"), "10.9.0.2", LONG));
        site.up(&lab);
        assert_eq!(shown(&site.node("s", "s")), vlans);
        site.down("s");
    });
}
