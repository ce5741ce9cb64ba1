//! Networks made by hand, described, built again and compared.

mod compare;
mod lines;
mod random;
mod words;
mod world;

use self::world::again;
use crate::support::{Session, each_user};

each_user!(
    a_cable_is_built_again,
    hosts_on_a_bridge,
    a_router_with_tables_and_rules,
    a_firewall_with_sets_and_maps,
    a_vxlan_over_an_underlay,
    what_lies_on_others,
    sysctls_that_differ,
    the_guides_network,
    what_has_no_words_is_said,
);

fn a_cable_is_built_again(session: &Session) {
    let script = "
ns red blue
cable red eth0 blue eth7
ip -n red addr add 10.0.0.1/24 dev eth0
ip -n red addr add 10.0.0.9/24 dev eth0
ip -n red addr add 10.0.1.1/24 dev eth0
ip -n red addr add 2001:db8::1/64 dev eth0
ip -n blue addr add 10.0.0.2/24 dev eth7
ip -n blue addr add 192.0.2.7/32 dev lo
ip -n blue addr add 2001:db8:7::7/128 dev lo
ip -n blue route add default via 10.0.0.1
ip -n red link set eth0 mtu 1400
ip -n blue link set eth7 mtu 1400 address 02:00:00:00:00:77
ip -n blue neigh add 10.0.0.99 lladdr 02:00:00:00:00:99 dev eth7 nud permanent
";
    let again = again(session, script, "--host");
    again.assert_whole();
    assert!(again.file.contains("blue:eth7 10.0.0.2/24 "), "{}", again.file);
    assert!(again.file.contains("{mtu: 1400}"), "{}", again.file);
}

fn hosts_on_a_bridge(session: &Session) {
    let script = "
ns sw a b c
ip -n sw link add br0 type bridge
ip -n sw link set br0 up
for host in a b c; do
    cable $host eth0 sw port-$host
    ip -n sw link set port-$host master br0
done
ip -n a addr add 10.1.0.1/24 dev eth0
ip -n b addr add 10.1.0.2/24 dev eth0
ip -n c addr add 10.1.0.3/24 dev eth0
ip -n sw addr add 10.1.0.254/24 dev br0
ip -n c link set eth0 down
";
    let again = again(session, script, "--host");
    again.assert_same(|_| false);
    let members = "netns:sw: br0 port-a, port-b, port-c: members have link-local addresses";
    assert!(
        again.said.contains("; one thing is not in the lab file:") && again.said.contains(members),
        "{}",
        again.said
    );
}

fn a_router_with_tables_and_rules(session: &Session) {
    let script = "
ns a r b
cable a eth0 r left
cable r right b eth0
cable r third b eth1
ip -n a addr add 10.0.1.2/24 dev eth0
ip -n r addr add 10.0.1.1/24 dev left
ip -n r addr add 10.0.2.1/24 dev right
ip -n r addr add 10.0.3.1/24 dev third
ip -n b addr add 10.0.2.2/24 dev eth0
ip -n b addr add 10.0.3.2/24 dev eth1
ip -n a addr add 2001:db8:1::2/64 dev eth0
ip -n r addr add 2001:db8:1::1/64 dev left
ip -n r addr add 2001:db8:2::1/64 dev right
ip -n b addr add 2001:db8:2::2/64 dev eth0
sysctl_in r net/ipv4/ip_forward 1
sysctl_in r net/ipv6/conf/all/forwarding 1
sysctl_in b net/ipv4/ip_forward 1
ip -n a route add default via 10.0.1.1
ip -n a route add default via 10.0.1.1 metric 50 src 10.0.1.2
ip -n a -6 route add default via 2001:db8:1::1
ip -n a -6 route add 2001:db8:9::/48 via fe80::1 dev eth0 metric 7
ip -n b route add 10.0.1.0/24 via 10.0.2.1 mtu 1300
ip -n b route add blackhole 10.66.0.0/16
ip -n b route add unreachable 10.67.0.0/16 metric 9
ip -n b route add prohibit 10.68.0.0/16 table 500
ip -n b route add throw 10.69.0.0/16 table 500
ip -n b -6 route add blackhole 2001:db8:66::/48
ip -n r route add 10.9.0.0/16 nexthop via 10.0.2.2 weight 3 nexthop via 10.0.3.2
ip -n r -6 route add 2001:db8:b::/48 nexthop via 2001:db8:2::2 weight 2 nexthop via fe80::99 dev third
ip -n r route add 10.8.0.0/16 dev third
ip -n r route add 10.7.0.0/16 via 172.31.0.1 dev third onlink
ip -n r route add default via 10.0.3.2 table 100
ip -n r rule add from 10.0.1.0/24 lookup 100 priority 1000
ip -n r rule add iif left fwmark 0x7/0xff lookup 100 priority 1001
ip -n r rule add oif right to 10.66.0.0/16 blackhole priority 1002
ip -n r rule add from 10.1.1.1 prohibit priority 1003
ip -n r -6 rule add to 2001:db8:66::/48 unreachable priority 1004
";
    let again = again(session, script, "--host");
    again.assert_whole();
}

fn a_firewall_with_sets_and_maps(session: &Session) {
    if nslab_testing::Nft::find().is_none() {
        return;
    }
    let script = r#"
ns lan fw wan
cable lan eth0 fw lan
cable wan eth0 fw wan
ip -n lan addr add 192.168.7.2/24 dev eth0
ip -n fw addr add 192.168.7.1/24 dev lan
ip -n fw addr add 203.0.113.1/24 dev wan
ip -n wan addr add 203.0.113.2/24 dev eth0
ip -n lan route add default via 192.168.7.1
sysctl_in fw net/ipv4/ip_forward 1
ip netns exec fw nft -f - <<'END'
table inet filter {
    counter seen { packets 7 bytes 700 }
    set friends { type ipv4_addr; flags interval; elements = { 192.168.7.0/28, 203.0.113.7-203.0.113.9 } }
    set pairs { type ipv4_addr . inet_service; elements = { 192.168.7.2 . 80, 192.168.7.3 . 443 } }
    set late { type ipv4_addr; flags dynamic,timeout; timeout 5m; }
    map doors { type inet_service : verdict; elements = { 22 : accept, 23 : jump slow, 24 : drop } }
    chain slow {
        limit rate 5/second burst 9 packets accept
        log prefix "slow: " level info drop
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iif "lan" oifname "wan" ip saddr @friends counter packets 5 bytes 500 accept comment "out: all"
        ip saddr . tcp dport @pairs accept
        tcp dport vmap @doors
        tcp flags syn / syn,ack add @late { ip saddr timeout 1m } counter name "seen"
        meta l4proto { icmp, ipv6-icmp } accept
        reject with icmpx type admin-prohibited
    }
}
table ip nat {
    map to { type inet_service : ipv4_addr . inet_service; elements = { 8080 : 192.168.7.2 . 80 } }
    chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "wan" dnat ip to tcp dport map @to
        iifname "wan" tcp dport 2222 dnat to 192.168.7.2:22
    }
    chain postrouting {
        type nat hook postrouting priority srcnat + 5; policy accept;
        oifname "wan" ip saddr 192.168.7.0/24 masquerade random
    }
}
END
"#;
    let again = again(session, script, "--host");
    again.assert_whole();
    assert!(again.file.contains("counter packets 0 bytes 0 accept comment"), "{}", again.file);
}

fn a_vxlan_over_an_underlay(session: &Session) {
    let script = "
ns one mid two
cable one under mid left
cable two under mid right
sysctl_in mid net/ipv4/ip_forward 1
ip -n one addr add 10.0.1.2/24 dev under
ip -n mid addr add 10.0.1.1/24 dev left
ip -n mid addr add 10.0.2.1/24 dev right
ip -n two addr add 10.0.2.2/24 dev under
ip -n one route add 10.0.2.0/24 via 10.0.1.1
ip -n two route add 10.0.1.0/24 via 10.0.2.1
ip -n one link add vx type vxlan id 42 remote 10.0.2.2 local 10.0.1.2 dstport 4789 dev under
ip -n two link add vx type vxlan id 42 local 10.0.2.2 dstport 4789 nolearning
bridge -n two fdb append 00:00:00:00:00:00 dst 10.0.1.2 dev vx
bridge -n two fdb append 00:00:00:00:00:00 dst 10.0.1.1 dev vx
ip -n two link add sw0 type bridge
ip -n two link set vx master sw0
ip -n one addr add 172.20.0.1/24 dev vx
ip -n two addr add 172.20.0.2/24 dev sw0
ip -n one link set vx up
ip -n two link set vx up
ip -n two link set sw0 up
";
    let again = again(session, script, "--host");
    again.assert_same(|_| false);
    assert!(
        again.said.contains("one thing is not in the lab file:\n  netns:two: sw0 vx: members"),
        "{}",
        again.said
    );
}

fn what_lies_on_others(session: &Session) {
    let script = "
ns one two
cable one eth0 two eth0
ip -n one addr add 10.0.0.1/24 dev eth0
ip -n two addr add 10.0.0.2/24 dev eth0
ip -n two link add mac0 link eth0 type macvlan mode private
ip -n two link add mac1 link eth0 mtu 1300 type macvlan mode bridge
ip -n two addr add 10.0.0.3/24 dev mac0
ip -n two link set mac0 up
ip -n two link set mac1 up
";
    let again = again(session, script, "--host");
    again.assert_whole();
    assert!(again.file.contains("mac1: {type: macvlan, link: eth0, mode: bridge"), "{}", again.file);
}

fn sysctls_that_differ(session: &Session) {
    let script = "
ns r a
cable r eth0 a eth0
cable r eth0.7 a eth1
cable r eth2 a eth2
ip -n r addr add 10.0.0.1/24 dev eth0
ip -n a addr add 10.0.0.2/24 dev eth0
sysctl_in r net/ipv4/ip_forward 1
sysctl_in r net/ipv4/conf/all/rp_filter 2
sysctl_in r net/ipv4/conf/eth0.7/rp_filter 1
sysctl_in r net/ipv4/conf/eth0/proxy_arp 1
sysctl_in r net/ipv4/conf/eth2/forwarding 0
sysctl_in r net/ipv4/conf/lo/arp_ignore 3
for link in eth0 eth0.7 eth2; do sysctl_in r net/ipv4/conf/$link/arp_announce 2; done
sysctl_in r net/ipv4/ip_default_ttl 77
sysctl_in r net/ipv4/icmp_echo_ignore_all 1
sysctl_in r net/ipv4/ip_local_port_range '20000 30000'
sysctl_in r net/ipv6/icmp/ratelimit 7
sysctl_in r net/ipv6/fib_multipath_hash_policy 1
sysctl_in r net/ipv6/conf/eth0/accept_ra 2
sysctl_in a net/ipv6/conf/all/disable_ipv6 1
sysctl_in a net/ipv6/conf/eth1/disable_ipv6 0
";
    let again = again(session, script, "--host");
    again.assert_whole();
    for line in ["net.ipv4.conf.default.arp_announce: 2", "net/ipv4/conf/eth0.7/rp_filter: 1"] {
        assert!(again.file.contains(line), "{line}: {}", again.file);
    }
}

/// As the guide types it: red and blue on a cable, green on a bridge that is in the host's own namespace.
fn the_guides_network(session: &Session) {
    let script = "
for name in red blue green; do
    ip netns add $name
    ip netns exec $name sh -c 'for on in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $on; done'
done
ip link add veth-red type veth peer name veth-blue
ip link set veth-red netns red
ip link set veth-blue netns blue
ip netns exec red ip addr add 10.0.0.1/24 dev veth-red
ip netns exec red ip link set veth-red up
ip netns exec red ip link set lo up
ip netns exec blue ip addr add 10.0.0.2/24 dev veth-blue
ip netns exec blue ip link set veth-blue up
ip netns exec blue ip link set lo up
ip link add br0 type bridge
ip link set br0 up
ip link add veth-green type veth peer name veth-br-green
ip link set veth-green netns green
ip link set veth-br-green master br0
ip netns exec green ip addr add 10.0.0.3/24 dev veth-green
ip netns exec green ip link set veth-green up
ip link set veth-br-green up
";
    let again = again(session, script, "--host");
    // The guide never brings green's up.
    again.assert_same(|line| {
        line.starts_with("link lo ")
            || line.contains("dev Some(\"lo\")")
            || line.contains(" lo ")
            || line.contains("local Some(\"lo\")")
    });
    for said in ["netns:green: lo: is down; in a lab it is up", "host: br0: it becomes a switch"] {
        assert!(again.said.contains(said), "{}", again.said);
    }
    assert!(again.said.contains("3 nodes, 1 switch, 2 links; 2 things"), "{}", again.said);
    assert!(again.file.contains("switches:\n  br0: {}\n"), "{}", again.file);
    assert!(again.file.contains("br0:veth-br-green"), "{}", again.file);
}

/// Each line of what a description says that it lacks, and the lab is built without it.
fn what_has_no_words_is_said(session: &Session) {
    let script = "
ns odd far third
cable odd inner third outer
cable odd eth0 far eth0
cable odd one odd two
cable odd gone far gone
ip -n odd link add br0 type bridge forward_delay 300
ip -n odd link set two master br0
ip -n odd link set br0 up
bridge -n odd link set dev two hairpin on
ip -n far link set eth0 mtu 1300
ip -n odd addr add 10.0.0.1/24 dev eth0
ip -n odd addr add 10.5.0.1 peer 10.5.0.2/32 dev eth0
ip -n odd addr add 10.6.0.1/24 dev eth0 scope link
ip -n far addr add 10.0.0.2/24 dev eth0
ip -n odd addr add 10.7.0.1/24 dev inner
ip -n odd link add mac0 link eth0 type macvlan
ip -n odd link set mac0 netns far
ip -n odd route add 10.8.0.0/16 via 10.7.0.9
ip -n odd route add 10.4.0.0/24 dev eth0
ip -n odd route add 10.3.0.0/24 via 10.4.0.4
ip -n odd route add local 10.11.0.0/16 dev lo table 9
ip -n odd rule add from 10.0.0.0/8 ipproto tcp lookup 9 priority 9
ip -n odd rule add to 10.9.9.9 goto 32766 priority 10
ip -n odd neigh add proxy 10.0.0.50 dev eth0
ip -n odd link property add dev eth0 altname other
ip -n odd link set lo down
sysctl_in odd net/ipv6/conf/eth0/mtu 1290
ip netns exec far ip rule del priority 32767
";
    let again = again(session, script, "netns:odd far");
    let mut rest = again.said.clone();
    for (namespace, object, why) in [
        ("odd", "lo", "is down"),
        ("odd", "sysctl net.ipv6.conf.eth0.mtu 1290", "the kernel takes it back"),
        ("odd", "eth0 altname other", "a lab file gives no other names"),
        ("odd", "eth0 10.5.0.1/32", "the far end's address"),
        ("odd", "eth0 10.6.0.1/24 scope 253", "the scope is lost"),
        ("odd", "inner (10.7.0.1/24)", "its other end is netns:third:outer, which is not described"),
        ("odd", "one", "both of its ends are in this namespace"),
        ("odd", "two", "both of its ends are in this namespace"),
        ("odd", "two master br0", "a lab file does not allow it"),
        ("odd", "br0", "a bridge in a node of a lab file cannot have a forward delay of 3 s"),
        ("odd", "br0 two", "members have link-local addresses"),
        ("odd", "route 10.8.0.0/16 via 10.7.0.9 dev inner", "a lab file does not allow it"),
        ("odd", "route 10.3.0.0/24 via 10.4.0.4 dev eth0", "in the lab file it is `onlink`"),
        ("odd", "route 10.11.0.0/16 table 9", "no routes of type local"),
        ("odd", "rule 9: from 10.0.0.0/8 lookup 9", "no words for `ipproto`"),
        ("odd", "rule 10: to 10.9.9.9/32", "no words for `goto`"),
        ("odd", "neigh 10.0.0.50 dev eth0 proxy", "no proxied neighbours"),
        ("far", "mac0", "lies on a link of netns:odd"),
        ("far", "rule 32767: from all lookup 253", "the kernel's own rule is gone"),
    ] {
        let line = rest
            .lines()
            .find(|line| line.starts_with(&format!("  netns:{namespace}: {object}: ")) && line.contains(why));
        let line = line.unwrap_or_else(|| panic!("{object}: {why}: {rest}")).to_owned();
        rest = rest.replace(&format!("{line}\n"), "").replace(&format!("\n{line}"), "");
    }
    assert_eq!(rest.lines().count(), 1, "{rest}");
}
