//! Whatever a topology file or a lab says, the lab file that is made of it loads without errors.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::fmt::Write as _;

use nslab_import::kathara::Files;
use nslab_import::{Nowhere, Options, Source, containerlab, kathara};
use proptest::prelude::*;

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..4_u8, 1..6_u8, 8..33_u8).prop_map(|(net, host, length)| format!("10.0.{net}.{host}/{length}")),
        (0..4_u8, 1..6_u8).prop_map(|(net, host)| format!("10.0.{net}.{host}")),
        (0..3_u8, 1..6_u8).prop_map(|(net, host)| format!("2001:db8:{net}::{host}/64")),
        Just("fe80::1/64".to_owned()),
        Just("127.0.0.1/8".to_owned()),
        Just("10.0.0.300/24".to_owned()),
    ]
}

fn interface() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..4_u8).prop_map(|number| format!("eth{number}")),
        1 => Just("lo".to_owned()),
        1 => Just("br0".to_owned()),
        1 => Just("a-very-long-interface-name".to_owned()),
    ]
}

fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (address(), interface()).prop_map(|(net, dev)| format!("ip addr add {net} dev {dev}")),
        1 => (address(), interface()).prop_map(|(net, dev)| format!("ip a del {net} dev {dev}")),
        1 => (address(), interface()).prop_map(|(net, dev)| format!("ifconfig {dev} {net} up")),
        1 => interface().prop_map(|dev| format!("ip address flush dev {dev}")),
        2 => (address(), address()).prop_map(|(to, via)| format!("ip route add {to} via {}", bare(&via))),
        2 => address().prop_map(|via| format!("ip route replace default via {}", bare(&via))),
        1 => (address(), interface()).prop_map(|(to, dev)| format!("ip route add {to} dev {dev} metric 5 table 100")),
        1 => (address(), address(), interface()).prop_map(|(to, via, dev)| {
            format!("ip route add {to} nexthop via {} nexthop via 10.0.1.1 dev {dev} weight 3", bare(&via))
        }),
        1 => (address(), address()).prop_map(|(to, via)| format!("route add -net {to} gw {}", bare(&via))),
        1 => address().prop_map(|from| format!("ip rule add from {from} table 100 pref 7")),
        1 => (address(), interface()).prop_map(|(to, dev)| {
            format!("ip neigh add {} lladdr 02:00:00:00:00:0a dev {dev}", bare(&to))
        }),
        1 => (interface(), 0..70_000_u32).prop_map(|(dev, mtu)| format!("ip link set {dev} mtu {mtu}")),
        1 => interface().prop_map(|dev| format!("ip link set dev {dev} down")),
        1 => interface().prop_map(|dev| format!("ip link set {dev} address 02:00:00:00:00:01")),
        1 => interface().prop_map(|dev| format!("sysctl -w net.ipv4.conf.{dev}.rp_filter=0")),
        1 => Just("sysctl -w net.ipv4.ip_forward=0".to_owned()),
        1 => Just("ip link add br0 type bridge".to_owned()),
        1 => Just("ip addr add 10.0.3.9/24 dev br0".to_owned()),
        1 => Just("sh -c 'echo ${HOME} > /tmp/x; nft add table inet t'".to_owned()),
        1 => Just("ip route add blackhole 10.9.0.0/16".to_owned()),
        1 => "[a-z $\"'{};|&<>()\\\\]{0,24}",
    ]
}

fn bare(net: &str) -> &str {
    net.split('/').next().unwrap_or_default()
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0..5_u8).prop_map(|number| format!("n{number}")),
        1 => Just("every".to_owned()),
        1 => Just("_x".to_owned()),
    ]
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn topology_files(
        nodes in prop::collection::btree_map(
            name(), (0..6_u8, prop::collection::vec(command(), 0..8), any::<bool>()), 1..6),
        links in prop::collection::vec((name(), interface(), name(), interface(), address(), 0..2_usize), 0..8),
        run_all in any::<bool>(),
        stand_ins in any::<bool>(),
    ) {
        let mut text = "name: generated\ntopology:\n  nodes:\n".to_owned();
        for (name, (kind, commands, sysctl)) in &nodes {
            let kind = ["linux", "linux", "linux", "bridge", "nokia_srlinux", "host"][usize::from(*kind)];
            writeln!(text, "    {name}:\n      kind: {kind}\n      env: {{A: 'x ${{B}}', '': y}}").unwrap();
            if *sysctl {
                writeln!(text, "      sysctls: {{net.ipv4.conf.eth1.forwarding: 1, net.bad..x: 2, kernel.x: 1}}").unwrap();
            }
            writeln!(text, "      exec:").unwrap();
            for command in commands {
                writeln!(text, "        - {}", quoted(command)).unwrap();
            }
        }
        text.push_str("  links:\n");
        let mut used = std::collections::HashSet::new();
        for (one, first, other, second, address, format) in &links {
            let known = nodes.contains_key(one) && nodes.contains_key(other);
            if !known || !used.insert((one, first)) || !used.insert((other, second)) {
                continue;
            }
            if *format == 0 || address.parse::<ipnet::IpNet>().is_err() {
                writeln!(text, "    - endpoints: [\"{one}:{first}\", \"{other}:{second}\"]").unwrap();
            } else {
                writeln!(text, "    - {{type: veth, endpoints: [{{node: {one}, interface: {first}, ipv4: {address}}}, {{node: {other}, interface: {second}}}]}}").unwrap();
            }
        }
        let source = Source { name: "g.clab.yml", text: &text };
        let options = Options { run_all, stand_ins };
        match containerlab::import(&source, &options, &Nowhere) {
            Ok(imported) => {
                let loaded = nslab_topology::load(&imported.lab_file, "g.yaml", &[]);
                prop_assert!(loaded.is_ok(), "{}\n{}\n{}", text, imported.lab_file, loaded.unwrap_err());
                // The same in every run.
                prop_assert_eq!(containerlab::import(&source, &options, &Nowhere).unwrap(), imported);
            }
            Err(wrong) => prop_assert!(false, "{}\n{}\n{}", text, wrong.text, wrong),
        }
    }

    #[test]
    fn labs(
        plugs in prop::collection::btree_map((0..5_u8, 0..4_u8), 0..4_u8, 1..10),
        scripts in prop::collection::vec(prop::collection::vec(command(), 0..8), 5),
        run_all in any::<bool>(),
    ) {
        let mut conf = String::new();
        for ((device, interface), domain) in &plugs {
            writeln!(conf, "n{device}[{interface}]=\"{}\"", ["A", "B", "n1", "every"][usize::from(*domain)]).unwrap();
        }
        let scripts: Vec<(String, String)> = scripts
            .iter()
            .enumerate()
            .map(|(device, commands)| (format!("n{device}.startup"), commands.join("\n")))
            .collect();
        let mut files = Files { directory: "g", ..Files::default() };
        files.take(Source { name: "lab.conf", text: &conf });
        for (name, text) in &scripts {
            files.take(Source { name, text });
        }
        let imported = kathara::import(&files, &Options { run_all, stand_ins: false }, &Nowhere);
        let imported = imported.unwrap_or_else(|wrong| panic!("{conf}{scripts:?}\n{}\n{wrong}", wrong.text));
        let loaded = nslab_topology::load(&imported.lab_file, "g.yaml", &[]);
        prop_assert!(loaded.is_ok(), "{}{:?}\n{}\n{}", conf, scripts, imported.lab_file, loaded.unwrap_err());
    }
}
