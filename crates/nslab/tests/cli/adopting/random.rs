//! Networks made by chance, described and built again.

use std::fmt::Write as _;

use super::world::again;
use crate::support::{Session, each_user};

each_user!(networks_made_by_chance);

/// Numbers by chance, the same under a seed (`xorshift64*`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The end of a cable.
struct End {
    space: usize,
    name: String,
    /// The number of its subnet, and its own in there.
    subnet: (usize, usize),
    bridged: bool,
    mtu: usize,
}

/// A script that makes a network.
fn network(chance: &mut Chance) -> String {
    let spaces = 2 + chance.below(5);
    let mut script = String::from("ns");
    for space in 0..spaces {
        write!(script, " n{space}").unwrap();
    }
    script.push('\n');
    let mut line = |text: String| {
        script.push_str(&text);
        script.push('\n');
    };
    let with_bridge: Vec<bool> = (0..spaces).map(|_| chance.one_in(3)).collect();
    for space in (0..spaces).filter(|&space| with_bridge[space]) {
        let stp = chance.below(2);
        line(format!(
            "ip -n n{space} link add br0 type bridge stp_state {stp}; ip -n n{space} link set br0 up"
        ));
        if chance.one_in(2) {
            line(format!("ip -n n{space} addr add 10.200.{space}.1/24 dev br0"));
        }
    }
    let mut ends: Vec<End> = Vec::new();
    let mut number = 0;
    for space in 1..spaces {
        for _ in 0..=usize::from(chance.one_in(3)) {
            let far = chance.below(space);
            let mtu = chance.of(&[1500, 1500, 1500, 9000, 1400, 1280, 1000]);
            let names = [format!("eth{number}"), format!("eth{number}")];
            line(format!("cable n{space} {} n{far} {}", names[0], names[1]));
            for (side, (space, name)) in [space, far].into_iter().zip(names).enumerate() {
                let bridged = with_bridge[space] && !chance.one_in(3);
                // Both ends alike, or not.
                let mtu = if chance.one_in(6) { 1500 } else { mtu };
                if mtu != 1500 {
                    line(format!("ip -n n{space} link set {name} mtu {mtu}"));
                }
                if bridged {
                    line(format!("ip -n n{space} link set {name} master br0"));
                }
                ends.push(End { space, name, subnet: (number, side + 1), bridged, mtu });
            }
            number += 1;
        }
    }
    let mut macvlans = Vec::new();
    for (place, end) in ends.iter().enumerate().filter(|(_, end)| !end.bridged) {
        let (space, name, (subnet, host)) = (end.space, &end.name, end.subnet);
        if !chance.one_in(8) {
            line(format!("ip -n n{space} addr add 10.0.{subnet}.{host}/24 dev {name}"));
            if chance.one_in(4) {
                line(format!("ip -n n{space} addr add 10.0.{subnet}.{}/24 dev {name}", host + 10));
            }
            let peer = 3 - host;
            if chance.one_in(2) {
                let metric = chance.of(&["", " metric 7", " mtu 1300", " table 300", " metric 9 table 301"]);
                line(format!(
                    "ip -n n{space} route add 10.{}.0.0/16 via 10.0.{subnet}.{peer}{metric}",
                    100 + place
                ));
            }
            if chance.one_in(4) {
                let mac = format!("02:00:00:00:{subnet:02x}:{host:02x}");
                line(format!(
                    "ip -n n{space} neigh add 10.0.{subnet}.77 lladdr {mac} dev {name} nud permanent"
                ));
            }
        }
        if end.mtu >= 1280 && chance.one_in(2) {
            line(format!("ip -n n{space} addr add 2001:db8:{subnet}::{host}/64 dev {name}"));
            if chance.one_in(2) {
                let peer =
                    chance.of(&["2001:db8:PLACE::99", "fe80::99"]).replace("PLACE", &subnet.to_string());
                line(format!(
                    "ip -n n{space} -6 route add 2001:db8:{}::/48 via {peer} dev {name}",
                    1000 + place
                ));
            }
        }
        if chance.one_in(4) {
            macvlans.push(place);
            let mode = chance.of(&["bridge", "private", "vepa"]);
            line(format!("ip -n n{space} link add mac{place} link {name} type macvlan mode {mode}"));
            if chance.one_in(2) {
                line(format!("ip -n n{space} addr add 10.0.{subnet}.{}/24 dev mac{place}", host + 20));
            }
            if !chance.one_in(4) {
                line(format!("ip -n n{space} link set mac{place} up"));
            }
        }
    }
    for space in 0..spaces {
        if chance.one_in(3) {
            line(format!("ip -n n{space} addr add 192.0.2.{}/32 dev lo", space + 1));
        }
        for (count, kind) in ["blackhole", "unreachable", "prohibit", "throw"].into_iter().enumerate() {
            if chance.one_in(6) {
                let table = chance.of(&["", " table 300"]);
                line(format!("ip -n n{space} route add {kind} 10.250.{count}.0/24{table}"));
            }
        }
        let rules = [
            "from 10.0.0.0/8 lookup 300 priority 100",
            "to 10.1.0.0/16 fwmark 0x3 lookup 301 priority 101",
            "iif lo blackhole priority 102",
            "from 203.0.113.0/24 to 10.0.0.0/8 prohibit priority 103",
        ];
        for rule in rules {
            if chance.one_in(5) {
                line(format!("ip -n n{space} rule add {rule}"));
            }
        }
        if chance.one_in(5) {
            line(format!("ip -n n{space} -6 rule add from 2001:db8::/32 lookup 300 priority 200"));
        }
        let sysctls = [
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv6/conf/all/forwarding", "1"),
            ("net/ipv4/conf/all/rp_filter", "1"),
            ("net/ipv4/conf/lo/rp_filter", "2"),
            ("net/ipv4/ip_default_ttl", "33"),
            ("net/ipv4/conf/all/send_redirects", "0"),
            ("net/ipv4/ip_nonlocal_bind", "1"),
            ("net/ipv4/fib_multipath_hash_policy", "1"),
        ];
        for (key, value) in sysctls {
            if chance.one_in(6) {
                line(format!("sysctl_in n{space} {key} {value}"));
            }
        }
        if chance.one_in(3) {
            let policy = chance.of(&["accept", "drop"]);
            let rule = chance.of(&[
                "ip saddr { 10.0.0.1, 10.0.1.0/24 } counter accept",
                "meta mark 0x7 tcp dport 1-1023 reject",
                "ct state established,related accept",
                "ip6 nexthdr udp udp sport 53 meta mark set 0x9",
            ]);
            line(format!(
                "ip netns exec n{space} nft 'table inet t {{ chain c {{ type filter hook forward priority 5; policy \
                 {policy}; {rule}; }}; }}'"
            ));
        }
    }
    for (place, end) in ends.iter().enumerate() {
        // What lies on it would stay up, which a lab's does not.
        if chance.one_in(10) && !macvlans.contains(&place) {
            line(format!("ip -n n{} link set {} down", end.space, end.name));
        } else if chance.one_in(8) {
            let (key, value) =
                chance.of(&[("proxy_arp", 1), ("arp_ignore", 2), ("forwarding", 0), ("rp_filter", 2)]);
            line(format!("sysctl_in n{} net/ipv4/conf/{}/{key} {value}", end.space, end.name));
        }
    }
    script
}

fn networks_made_by_chance(session: &Session) {
    if nslab_testing::Nft::find().is_none() {
        return;
    }
    for number in 0..nslab_testing::times(6) {
        // As root others than as an ordinary user.
        let seed = 1 + 2 * u64::try_from(number).unwrap() + u64::from(session.is_root);
        let network = network(&mut Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let script = format!("# seed {seed}\n{network}");
        let again = again(session, &script, "--host");
        again.assert_same(|_| false);
        let untold =
            again.said.lines().skip(1).find(|line| !line.contains(": members have link-local addresses"));
        assert_eq!(untold, None, "{}", again.said);
    }
}
