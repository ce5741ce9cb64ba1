//! What was built, in the eyes of ip(8).

use std::collections::BTreeSet;

use nslab_testing::{Oracle, privileged};
use serde_json::Value;

use crate::support::{Site, wanted};

const LAB: &str = r#"
name: o
nodes:
  a: {routes: ["203.0.113.0/24 via 10.1.0.2 metric 7", "blackhole 198.51.100.0/24"], addresses: [192.0.2.1/32]}
  b: {forward: true, sysctl: {net.ipv4.conf.eth0.rp_filter: 1}, neighbours: [{address: 10.1.0.77, mac: "02:00:00:00:00:77", dev: eth0}]}
  c: {rules: [{from: 10.2.0.0/24, table: 100, priority: 1000}], routes: ["10.9.0.0/16 via 10.2.0.1 table 100"]}
switches: {sw: {mtu: 1400, stp: false}}
links:
  - [a:eth0 10.1.0.1/24 2001:db8:1::1/64, b:eth0 10.1.0.2/24 2001:db8:1::2/64, {mtu: 1450}]
  - [b:lan 10.2.0.1/24, sw]
  - [c:a-rather-long-name 10.2.0.2/24, sw]
"#;

#[test]
fn is_what_the_file_says() {
    privileged(|| {
        let Some(oracle) = Oracle::find() else { return };
        let site = Site::new();
        let lab = wanted(LAB);
        site.up(&lab);
        for (node, kept) in lab.topology.nodes.iter().zip(0..) {
            let namespace = site.node("o", &node.name);
            let device = nslab_topology::model::Device::Node(kept);
            for (_, end) in lab.topology.ends_of(device) {
                let shown = oracle.link(&namespace, end.name.as_str());
                assert_eq!(shown["mtu"], u64::from(end.mtu));
                assert_eq!(shown["address"], end.mac.to_string());
                assert_eq!(shown["operstate"], "UP", "{shown}");
                assert_eq!(shown["linkinfo"]["info_kind"], "veth");
                if let Some(full) = &end.full_name {
                    assert_eq!(shown["altnames"][0], full.as_str());
                }
                let addresses = oracle.ip(&namespace, &format!("address show dev {}", end.name));
                let shown: BTreeSet<String> = entries(&addresses[0]["addr_info"])
                    .filter(|one| one["scope"] == "global")
                    .map(|one| format!("{}/{}", text(&one["local"]), one["prefixlen"]))
                    .collect();
                assert_eq!(shown, end.addresses.iter().map(ToString::to_string).collect());
            }
        }
        let a = site.node("o", "a");
        let routes = oracle.ip(&a, "route show");
        assert!(
            entries(&routes).any(|one| one["dst"] == "203.0.113.0/24"
                && one["gateway"] == "10.1.0.2"
                && one["metric"] == 7)
        );
        assert!(entries(&routes).any(|one| one["dst"] == "198.51.100.0/24" && one["type"] == "blackhole"));
        assert!(
            entries(&routes).any(|one| one["dst"] == "default" && one["gateway"] == "10.1.0.2"),
            "{routes}"
        );
        let routes = oracle.ip(&a, "-6 route show default");
        assert!(entries(&routes).any(|one| one["gateway"] == "2001:db8:1::2"), "{routes}");
        let rules = oracle.ip(&site.node("o", "c"), "rule show");
        assert!(entries(&rules).any(|one| one["priority"] == 1000 && one["table"] == "100"), "{rules}");
        let neighbours = oracle.ip(&site.node("o", "b"), "neighbour show nud permanent");
        assert!(
            entries(&neighbours).any(|one| one["dst"] == "10.1.0.77" && one["lladdr"] == "02:00:00:00:00:77")
        );
        let ports = oracle.bridge(&site.node("o", "sw"), "link show");
        let ports: BTreeSet<String> =
            entries(&ports).filter(|one| one["master"] == "sw").map(|one| text(&one["ifname"])).collect();
        assert_eq!(ports, ["b", "c"].map(str::to_owned).into());
        assert_eq!(oracle.link(&site.node("o", "sw"), "sw")["mtu"], 1400);
        site.down("o");
    });
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
