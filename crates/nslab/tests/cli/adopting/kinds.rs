//! Interfaces that a working kernel often lacks.

use super::world::{again, world};
use crate::support::{Session, each_user};

each_user!(full_kernel_kinds, full_kernel_lines, full_kernel_switches);

/// Whether this kernel has a kind of interface.
fn has(session: &Session, kind: &str, option: &str) -> bool {
    let has = world(session, &format!("ip link add probe type {kind}")).code == Some(0);
    if !has {
        nslab_testing::kernel_lacks(option);
    }
    has
}

fn full_kernel_kinds(session: &Session) {
    let kinds = [
        ("dummy", "CONFIG_DUMMY"),
        ("vrf table 5", "CONFIG_NET_VRF"),
        ("bond", "CONFIG_BONDING"),
        ("gre local 10.0.0.1 remote 10.0.0.2", "CONFIG_NET_IPGRE"),
        ("ipip local 10.0.0.1 remote 10.0.0.3", "CONFIG_NET_IPIP"),
    ];
    if kinds.iter().any(|(kind, option)| !has(session, kind, option)) {
        return;
    }
    let script = "
ns a b
cable a eth0 b eth0
cable a one b one
cable a two b two
ip -n a addr add 10.0.0.1/24 dev eth0
ip -n b addr add 10.0.0.2/24 dev eth0
ip -n a link add d0 type dummy
ip -n a addr add 10.3.0.1/24 dev d0
ip -n a link set d0 up
ip -n a link add link eth0 name eth0.7 type vlan id 7
ip -n a addr add 10.7.0.1/24 dev eth0.7
ip -n a link set eth0.7 up
ip -n a link add link one name q type vlan id 9 protocol 802.1ad
ip -n a link add ip0 link two type ipvlan mode l3
ip -n a addr add 10.8.0.1/24 dev ip0
ip -n a link set ip0 up
ip -n a link add red type vrf table 10
ip -n a link set red up
ip -n a link set one master red
ip -n a addr add 10.1.0.1/24 dev one
ip -n b addr add 10.1.0.2/24 dev one
ip -n a route add 10.99.0.0/16 via 10.1.0.2 table 10
for side in a:1:2 b:2:1; do
    name=${side%%:*}; rest=${side#*:}; own=${rest%:*}; far=${rest#*:}
    ip -n $name link add gre1 type gre local 10.0.0.$own remote 10.0.0.$far key 77 ttl 64
    ip -n $name link add tap1 type gretap local 10.0.0.$own remote 10.0.0.$far key 78 ttl 64
    ip -n $name link add ipip1 type ipip local 10.0.0.$own remote 10.0.0.$far ttl 64
    ip -n $name link add sit1 type sit local 10.0.0.$own remote 10.0.0.$far ttl 64
    ip -n $name link add gen1 type geneve id 5 remote 10.0.0.$far
    ip -n $name addr add 10.20.0.$own/24 dev gre1
    ip -n $name addr add 10.21.0.$own/24 dev tap1
    for link in gre1 tap1 ipip1 sit1; do ip -n $name link set $link up; done
done
";
    let again = again(session, script, "--host");
    again.assert_same(|_| false);
    assert!(again.said.contains("all of it is in the lab file"), "{}", again.said);
}

fn full_kernel_lines(session: &Session) {
    let script = "
ns a b
cable a eth0 b eth0
cable a eth1 b eth1
ip -n a addr add 10.0.0.1/24 dev eth0
ip -n b addr add 10.0.0.2/24 dev eth0
tc -n a qdisc add dev eth0 root netem delay 10ms 2ms 25% loss 1% duplicate 0.5% rate 10mbit
tc -n b qdisc add dev eth0 root tbf rate 5mbit burst 20kb latency 50ms
tc -n b qdisc add dev eth1 root sfq
";
    let probe = format!("{script}\ntrue");
    if world(session, &probe).code != Some(0) {
        nslab_testing::kernel_lacks("CONFIG_NET_SCH_NETEM");
        return;
    }
    let again = again(session, script, "--host");
    again.assert_same(|_| false);
    for words in
        ["delay: 10ms", "jitter: 2ms 25%", "loss: 1%", "duplicate: 0.5%", "rate: 10mbit", "rate: 5mbit"]
    {
        assert!(again.file.contains(words), "{words}: {}", again.file);
    }
    for said in ["netns:a: eth0 qdisc netem", "netns:b: eth0 qdisc tbf", "netns:b: eth1 qdisc sfq"] {
        assert!(again.said.contains(said), "{said}: {}", again.said);
    }
}

/// What only a switch of a lab has, in a namespace that is nothing but a bridge.
fn full_kernel_switches(session: &Session) {
    if !has(session, "bridge vlan_filtering 1", "CONFIG_BRIDGE_VLAN_FILTERING") {
        return;
    }
    let script = "
ns br0 a b
ip -n br0 link add br0 type bridge vlan_filtering 1 ageing_time 1000 mcast_snooping 0
cable a eth0 br0 one
cable b eth0 br0 two
ip -n br0 link set one master br0
ip -n br0 link set two master br0
bridge -n br0 link set dev two isolated on
bridge -n br0 vlan add vid 10 dev one pvid untagged
bridge -n br0 vlan del vid 1 dev one
bridge -n br0 vlan add vid 10-12 dev two
bridge -n br0 fdb add 02:00:00:00:00:07 dev one master static vlan 10
ip -n br0 link set br0 up
ip -n a addr add 10.0.0.1/24 dev eth0
";
    let again = again(session, script, "--host");
    // A switch's own MAC is nslab's choice, and it has IPv6 off.
    again.assert_same(|line| {
        let of_ipv6 = line.contains("fe80::") || line.contains("ff00::");
        of_ipv6
            || line.starts_with("link br0 ")
            || line.contains(" local")
            || line.starts_with("Settings")
            || line.starts_with("link one ")
            || line.starts_with("link two ")
            || line.starts_with("link lo ")
            || line.contains(" lo ")
            || line.contains("\"lo\"")
    });
    for words in
        ["vlan_filtering: true", "ageing: 10s", "multicast_snooping: false", "isolated: true", "fdb: [{mac: "]
    {
        assert!(again.file.contains(words), "{words}: {}", again.file);
    }
}
