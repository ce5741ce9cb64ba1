//! Networks made by hand, described, built again and compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use nslab_kernel::link::{Link, LinkKind};
use nslab_kernel::nftables::print::Names;
use nslab_kernel::route::{NextHop, RouteAction};
use nslab_snapshot::{Name, Namespace, Snapshot, State, Where};

use crate::support::{Run, Session, each_user};

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
    targets_are_found_or_not,
    a_users_own_namespaces,
    what_cannot_be_read_is_said,
);

/// What scripts make networks with: namespaces with `lo` up, and without two seconds of waiting for each address.
const WORDS: &str = r#"
set -e
ns() {
    for name; do
        ip netns add $name
        ip netns exec $name sh -c 'for on in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 > $on; done'
        ip -n $name link set lo up
    done
}
cable() { # NAMESPACE INTERFACE NAMESPACE INTERFACE
    ip -n $1 link add $2 type veth peer name $4 netns $3
    ip -n $1 link set $2 up
    ip -n $3 link set $4 up
}
sysctl_in() { ip netns exec $1 sh -c "echo '$3' > /proc/sys/$2"; }
# The kernel makes link-local addresses a moment after the carrier is there.
settled() {
    for name in $(ls /run/netns); do
        for link in $(ip -n $name -br link show up | grep LOWER_UP | cut -d' ' -f1 | cut -d@ -f1); do
            [ "$(ip netns exec $name cat /proc/sys/net/ipv6/conf/$link/disable_ipv6 2>/dev/null)" = 0 ] || continue
            [ $link = lo ] || ip -n $name -6 addr show dev $link | grep -q fe80 || return 1
            ! ip -n $name -6 addr show dev $link tentative | grep -q inet6 || return 1
        done
    done
}
settle() {
    rounds=0
    until settled; do
        rounds=$((rounds + 1))
        [ $rounds -lt 600 ] || { echo "link-local addresses are missing" >&2; ip -all netns exec ip a >&2; exit 1; }
        sleep 0.02
    done
}
"#;

/// A host of its own, in which nobody else is seen: runs a script there, with `nslab` in its path.
fn world(session: &Session, script: &str) -> Run {
    let mut command = session.other("unshare");
    // Who is root already keeps the numbers of users.
    command.args(if session.is_root { &["-mnpf"][..] } else { &["-Urmnpf"] });
    let path = session.directory().join("world.sh");
    session.file("world.sh", format!("mount -t tmpfs tmpfs /run\nmkdir /run/netns\n{WORDS}\n{script}"));
    command.args(["--mount-proc", "--kill-child", "sh"]).arg(&path);
    let programs = session.program().parent().unwrap().display().to_string();
    command.env("PATH", format!("{programs}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"));
    Run::of(command)
}

/// What came of describing a network and building it again.
struct Again {
    /// The lab file.
    file: String,
    /// What the description said on standard error.
    said: String,
    /// The network before.
    before: Snapshot,
    /// With the lab beside it.
    after: Snapshot,
}

/// The lab that networks are built as.
const COPY: &str = "copy";

/// Makes a network by a script, describes it, builds it again beside itself, and reads both.
fn again(session: &Session, script: &str, arguments: &str) -> Again {
    let script = format!(
        "{script}
settle
nslab snapshot save before.nslab -q
nslab export --snapshot before.nslab {arguments} > net.yaml 2> said.txt
nslab up net.yaml --name {COPY} -q 2> up.txt || {{ cat net.yaml up.txt >&2; exit 1; }}
nslab snapshot save after.nslab -q
nslab plan net.yaml --name {COPY} > plan.txt 2>> up.txt
nslab down {COPY} -q
"
    );
    world(session, &script).ok();
    let read = |name: &str| std::fs::read_to_string(session.directory().join(name)).unwrap();
    let load = |name: &str| Snapshot::load(&session.directory().join(name)).unwrap();
    let plan = read("plan.txt");
    assert!(plan.contains("there is nothing to do"), "{plan}");
    Again {
        file: read("net.yaml"),
        said: read("said.txt"),
        before: load("before.nslab"),
        after: load("after.nslab"),
    }
}

impl Again {
    /// Holds every namespace of the network against the lab's; `but` says which lines may differ.
    fn assert_same(&self, but: impl Fn(&str) -> bool) {
        let mut compared = 0;
        for (place, before) in self.before.namespaces.iter().enumerate() {
            let Some(name) = netns(before) else { continue };
            let is_it = |space: &&Namespace| space.names.iter().any(|own| is_node(own, &name));
            let Some(after) = self.after.namespaces.iter().find(is_it) else {
                panic!("there is no {name} in\n{}", self.file)
            };
            let [is, was] = [(&self.after, after), (&self.before, before)].map(|(snapshot, space)| {
                let lines = lines(snapshot, space.state().unwrap());
                lines.into_iter().filter(|line| !but(line)).collect::<BTreeSet<String>>()
            });
            let mut text = String::new();
            for line in was.difference(&is) {
                writeln!(text, "  - {line}").unwrap();
            }
            for line in is.difference(&was) {
                writeln!(text, "  + {line}").unwrap();
            }
            assert!(
                text.is_empty(),
                "{name} (number {place}) differs:\n{text}\n{}\n{}",
                self.file,
                self.said
            );
            compared += 1;
        }
        assert!(compared > 0, "there is nothing to compare");
    }

    /// Holds it against the lab, and fails if something could not be expressed.
    fn assert_whole(&self) {
        self.assert_same(|_| false);
        assert!(self.said.contains("; all of it is in the lab file"), "{}\n{}", self.said, self.file);
    }
}

fn netns(space: &Namespace) -> Option<String> {
    space.names.iter().find_map(|name| match name {
        Name::Netns(name) => Some(name.clone()),
        _ => None,
    })
}

fn is_node(name: &Name, wanted: &str) -> bool {
    matches!(name, Name::Node { lab, node } if lab == COPY && node == wanted)
}

/// What people call a namespace, for both networks alike.
fn common_name(space: &Namespace) -> String {
    let node = space.names.iter().find_map(|name| match name {
        Name::Node { lab, node } if lab == COPY => Some(node.clone()),
        _ => None,
    });
    // The host's bridge becomes a switch.
    node.or_else(|| netns(space)).unwrap_or_else(|| "br0".to_owned())
}

/// All that a namespace has, a line each, with names for numbers. Left out is what a lab has in another way than
/// anybody else (docs/guide.md, "Make a lab file of what is there"): the group and queues of interfaces, who made a route
/// or a rule, how link-local addresses come about, and those of ports.
fn lines(snapshot: &Snapshot, state: &State) -> BTreeSet<String> {
    let network = &state.network;
    let names: HashMap<u32, String> =
        network.links.iter().map(|link| (link.index, link.name.to_string())).collect();
    let name = |index: u32| names.get(&index).cloned().unwrap_or_else(|| format!("number {index}"));
    let is_port = |index: u32| {
        let master = network.links.iter().find(|link| link.index == index).and_then(|link| link.master);
        let master = network.links.iter().find(|link| Some(link.index) == master);
        master.is_some_and(|master| matches!(master.kind, Some(LinkKind::Bridge(_) | LinkKind::Bond(_))))
    };
    let is_local = |address: std::net::IpAddr| address.to_string().starts_with("fe80");
    let mut lines = BTreeSet::new();
    for link in &network.links {
        if nslab_testing::FALLBACK_TUNNELS.contains(&link.name.as_str()) {
            continue;
        }
        lines.insert(link_line(snapshot, state, link, &name));
    }
    let mut order: BTreeMap<u32, usize> = BTreeMap::new();
    for own in network.addresses.iter().filter(|own| !(is_port(own.link) && is_local(own.address.addr()))) {
        // Which is the primary one depends on the order.
        let place = order.entry(own.link).or_default();
        *place += usize::from(own.address.addr().is_ipv4());
        let place = if own.address.addr().is_ipv4() { *place } else { 0 };
        lines.insert(format!(
            "address {} {} scope {} permanent {} secondary {} peer {:?} number {place}",
            name(own.link),
            own.address,
            own.scope,
            own.permanent,
            own.secondary,
            own.peer
        ));
    }
    for route in &network.routes {
        let hop = |hop: &NextHop| {
            let (link, via) = (hop.link.map(name), hop.via);
            format!("via {via:?} dev {link:?} weight {} onlink {}", hop.weight, hop.onlink)
        };
        let action = match &route.action {
            RouteAction::Forward(hops) => hops.iter().map(hop).collect::<Vec<_>>().join(", "),
            RouteAction::Local(link) | RouteAction::Broadcast(link) => format!("local {:?}", link.map(name)),
            RouteAction::Anycast(link) | RouteAction::Multicast(link) => {
                format!("for all {:?}", link.map(name))
            }
            other => format!("{other:?}"),
        };
        let by_port = match &route.action {
            RouteAction::Forward(hops) => hops.iter().any(|hop| hop.link.is_some_and(is_port)),
            RouteAction::Local(link) | RouteAction::Anycast(link) => link.is_some_and(is_port),
            _ => false,
        };
        if by_port && is_local(route.to.addr()) {
            continue;
        }
        // It comes with the carrier, and does not go with it.
        let has_carrier = |link: u32| state.link(link).is_some_and(|link| link.carrier);
        if let RouteAction::Multicast(Some(link)) = route.action
            && !has_carrier(link)
        {
            continue;
        }
        let by_kernel = route.protocol == nslab_kernel::route::PROTOCOL_KERNEL;
        lines.insert(format!(
            "route {} {action} metric {} table {} src {:?} mtu {:?} scope {:?} tos {} from {:?} {:?} kernel's {by_kernel}",
            route.to, route.metric, route.table, route.source, route.mtu, route.scope, route.tos, route.from,
            route.preference
        ));
    }
    for rule in &network.rules {
        let rule = nslab_kernel::rule::Rule { protocol: 0, ..rule.clone() };
        lines.insert(format!("{rule:?}"));
    }
    for one in network.neighbours.iter().filter(|one| one.state & 0x80 != 0) {
        lines.insert(format!(
            "neighbour {} dev {} {:?} proxy {}",
            one.address,
            name(one.link),
            one.mac,
            one.proxy
        ));
    }
    for entry in network.fdb.iter().filter(|entry| entry.fixed) {
        if entry.local {
            // Of a MAC that a bridge has in common with a port it depends on which of the two had it first whose it is.
            lines.insert(format!("fdb {} vlan {:?} local", entry.mac, entry.vlan));
            continue;
        }
        lines.insert(format!(
            "fdb {} dev {} vlan {:?} dst {:?} external {}",
            entry.mac,
            name(entry.link),
            entry.vlan,
            entry.remote,
            entry.external
        ));
    }
    for vlan in &network.vlans {
        lines.insert(format!(
            "vlan {} dev {} pvid {} untagged {}",
            vlan.vlan,
            name(vlan.link),
            vlan.pvid,
            vlan.untagged
        ));
    }
    let numbered = Names { interfaces: Some(&names) };
    let rules = state.nftables.to_nft(numbered);
    lines.extend(
        rules.lines().enumerate().map(|(number, line)| format!("nft {number:4} {}", uncounted(line))),
    );
    lines.insert(format!("{:?}", state.settings));
    lines.extend(state.gaps.iter().map(|gap| format!("{gap:?}")));
    lines
}

fn link_line(snapshot: &Snapshot, state: &State, link: &Link, name: &dyn Fn(u32) -> String) -> String {
    let peer = state.peer(link.index).map(|peer| match peer.namespace {
        Where::Unseen => "somewhere".to_owned(),
        Where::Namespace(place) => {
            let far = &snapshot.namespaces[place];
            let end = far.state().and_then(|state| state.link(peer.lower));
            format!("{}:{}", common_name(far), end.map_or("?", |end| end.name.as_str()))
        }
    });
    let mut kind = link.kind.clone();
    if let Some(LinkKind::Vxlan(vxlan)) = &mut kind {
        vxlan.lower = None;
    }
    let lower = link.lower.filter(|_| !link.is_veth()).map(name);
    format!(
        "link {} {kind:?} on {lower:?} to {peer:?} mac {:?} mtu {} up {} carrier {} master {:?} names {:?} port {:?} xdp {:?} {:?} {:?}",
        link.name,
        link.mac,
        link.mtu,
        link.up,
        link.carrier,
        link.master.map(name),
        link.alt_names,
        link.bridge_port,
        link.xdp,
        link.ipv4,
        link.ipv6,
    )
}

/// A rule without what was counted.
fn uncounted(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for place in 1..words.len() {
        if matches!(words[place - 1].trim(), "packets" | "bytes") {
            words[place] = "0";
        }
    }
    words.join(" ")
}

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

/// Words for namespaces, on the command line of a host of its own.
fn targets_are_found_or_not(session: &Session) {
    let script = "
ns red blue other
cable red eth0 blue eth0
ip -n red addr add 10.0.0.1/24 dev eth0
ip netns exec other sleep 1000 &
until ip netns pids other | grep -q .; do sleep 0.01; done
pid=$(ip netns pids other)
settle
nslab up --empty lab -q
nslab node add a b --lab lab -q
nslab link add a:eth0 b:eth0 --lab lab -q
say() { echo \"== $*\"; \"$@\" 2>&1 || echo \"status $?\"; }
say nslab export lab
say nslab export lab other -q
say nslab export pid:$pid -q --name of-a-process
say nslab export red blue -q --resolved
say nslab export netns:rde
say nslab export lab/c
say nslab export netns:red nothing-like-it
say nslab export red --name host
say nslab export lab --name other
say nslab export red --host
say nslab export --host --topo tree
say nslab export --snapshot missing.nslab
say nslab export red blue -q --shell
nslab snapshot save a.nslab -q
say nslab export --snapshot a.nslab nobody
say nslab export --snapshot a.nslab lab -q
say nslab export host -q
nslab down lab -q
for name in red blue other; do ip netns del $name; done
kill $pid
until ! nslab scan | grep -q -e other -e pid; do sleep 0.01; done
say nslab export --host
";
    let shown = world(session, script).ok();
    let of = |command: &str| {
        let begin = format!("== nslab export {command}\n");
        let at = shown.find(&begin).unwrap_or_else(|| panic!("{command}: {shown}")) + begin.len();
        shown[at..].split("\n== ").next().unwrap().to_owned()
    };
    // A running lab is written down as ever.
    assert!(of("lab").starts_with("name: lab\naddressing: none\n"), "{}", of("lab"));
    let both = of("lab other -q");
    assert!(both.contains("# a: lab/a\n") && both.contains("  other: {}"), "{both}");
    let pid = shown.split("nslab export pid:").nth(1).unwrap().split(' ').next().unwrap();
    let process = of(&format!("pid:{pid} -q --name of-a-process"));
    assert!(process.contains("name: of-a-process\n") && process.contains("  other: {}"), "{process}");
    let resolved = of("red blue -q --resolved");
    assert!(resolved.starts_with("name: ") && resolved.contains(", red:eth0 10.0.0.1/24 "), "{resolved}");
    let script = of("red blue -q --shell");
    assert!(script.starts_with("#!/bin/sh\n") && script.contains(" type veth peer name eth0 "), "{script}");
    for (command, said) in [
        ("netns:rde", "did you mean \"netns:red\"?"),
        ("lab/c", "did you mean \"lab/a\"?"),
        ("netns:red nothing-like-it", "there is no lab and no namespace \"nothing-like-it\" on this host"),
        ("red --name host", "`host` cannot be used as a name"),
        ("lab --name other", "a running lab has its name"),
        ("red --host", "cannot be used with"),
        ("--host --topo tree", "cannot be used with"),
        ("--snapshot missing.nslab", "missing.nslab"),
        ("--snapshot a.nslab nobody", "there is no lab and no namespace \"nobody\" in this snapshot"),
        ("--host", "there is no namespace to describe besides the host's own"),
    ] {
        let said_there = of(command);
        assert!(said_there.contains(said) && said_there.contains("status 2"), "{command}: {said_there}");
    }
    let saved = of("--snapshot a.nslab lab -q");
    assert!(saved.contains("- [a:eth0 ") && !saved.contains("red"), "{saved}");
    // Alone and asked for it is a node like any other.
    assert!(of("host -q").contains("addressing: none\nrouting: none\nnodes:\n"), "{}", of("host -q"));
}

/// As an ordinary user beside the user's labs, as root on the host: namespaces that only processes keep.
fn a_users_own_namespaces(session: &Session) {
    let lab = session.up("nodes: {anchor: {}}\n");
    let pids = session.ok([
        "exec",
        "host",
        "--",
        "sh",
        "-ec",
        "unshare -n sleep 1000 > /dev/null 2>&1 & one=$!
        unshare -n sleep 1000 > /dev/null 2>&1 & two=$!
        for pid in $one $two; do
            until [ $(cat /proc/$pid/comm) = sleep ]; do :; done
            nsenter -t $pid -n sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set lo up'
        done
        at() { pid=$1; shift; nsenter -t $pid -n ip \"$@\"; }
        at $one link add cable type veth peer name cable netns $two
        at $one addr add 10.0.0.1/24 dev cable
        at $one link set cable up
        at $two link set cable up
        echo $one $two",
    ]);
    let (one, two) = pids.trim().split_once(' ').unwrap();
    let json = session.json(["export", &format!("pid:{one}"), &format!("pid:{two}")]);
    let alone = session.run(["export", &format!("pid:{one}")]);
    session.ok(["exec", "host", "--", "sh", "-c", &format!("kill {one} {two}")]);
    let found = serde_json::json!([
        {"node": format!("sleep-{one}"), "namespace": format!("pid {one} (sleep)")},
        {"node": format!("sleep-{two}"), "namespace": format!("pid {two} (sleep)")},
    ]);
    assert_eq!((&json["nodes"], &json["skipped"]), (&found, &serde_json::json!([])), "{json:#}");
    assert_eq!(json["links"], 1);
    let cut = format!("its other end is pid {two} (sleep):cable, which is not described");
    alone.says(&format!("pid {one} (sleep): cable (10.0.0.1/24): {cut}")).ok();
    session.run(["export", &format!("pid:{one}")]).status(2);
    let copy = session.lab("copy");
    session.file("copy.yaml", json["lab_file"].as_str().unwrap());
    session.ok(["up", "copy.yaml", "--name", &copy, "-q"]);
    let shown =
        session.ok(["exec", &format!("{copy}/sleep-{one}"), "--", "ip", "-br", "addr", "show", "cable"]);
    assert!(shown.contains(" 10.0.0.1/24 "), "{shown}");
    session.ok(["down", &copy]);
    session.ok(["down", &lab]);
}

/// A snapshot in which a namespace could not be entered.
fn what_cannot_be_read_is_said(session: &Session) {
    let script = "
ns red blue
settle
nslab snapshot save whole.nslab -q
";
    world(session, script).ok();
    let text = std::fs::read_to_string(session.directory().join("whole.nslab")).unwrap();
    let mut snapshot: serde_json::Value = serde_json::from_str(&text).unwrap();
    let spaces = snapshot["namespaces"].as_array_mut().unwrap();
    let blue = spaces.iter_mut().find(|space| space["names"][0]["netns"] == "blue").unwrap();
    blue["contents"] = serde_json::json!({"unreadable": {"why": "it belongs to somebody else"}});
    session.file("part.nslab", snapshot.to_string());
    let all = session.run(["export", "--snapshot", "part.nslab"]);
    let all = all.says("netns:blue: the whole namespace: it could not be read: it belongs to somebody else");
    assert!(all.ok().contains("#   netns:blue: the whole namespace: it could not be read"));
    session
        .run(["export", "--snapshot", "part.nslab", "blue"])
        .status(3)
        .says("netns:blue could not be read: it belongs to somebody else")
        .says("take the snapshot as root");
}
