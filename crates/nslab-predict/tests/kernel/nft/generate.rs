//! Rulesets and packets by chance. Few addresses and ports, so that rules match often.

#![allow(clippy::format_push_string, reason = "texts grow line by line, none of them in a hurry")]

use nslab_predict::{Ip, Packet, Tcp, Transport};

use crate::chance::Chance;

/// Ports that rules and packets have.
const PORTS: [u16; 6] = [22, 53, 80, 443, 8080, 9000];

/// Which rules a table can have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Inet,
    Ip,
    Ip6,
}

/// Where chains stand that a rule may be in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Raw,
    Hook(&'static str),
    /// A chain that others jump to.
    Anywhere,
}

struct Maker<'a> {
    chance: &'a mut Chance,
    of: Of,
    /// A rule may tell the sender: nothing stands where that would be counted.
    rejects: bool,
}

fn address(chance: &mut Chance, ipv6: bool) -> String {
    let net = *chance.pick(&[0, 2, 5]);
    let host = chance.below(20) + 1;
    if ipv6 { format!("fd00:{net}::{host:x}") } else { format!("10.{net}.0.{host}") }
}

/// An address behind the outer cable.
fn outside(chance: &mut Chance, ipv6: bool) -> String {
    let host = chance.below(20) + 1;
    if ipv6 { format!("fd00:2::{host:x}") } else { format!("10.2.0.{host}") }
}

fn addresses(chance: &mut Chance, ipv6: bool) -> String {
    let net = *chance.pick(&[0, 2, 5]);
    let (first, len) = (chance.below(10), chance.below(9) + 1);
    let prefix = if ipv6 { *chance.pick(&[64, 124, 126]) } else { *chance.pick(&[24, 28, 30]) };
    match (chance.below(3), ipv6) {
        (0, true) => format!("fd00:{net}::{first:x}-fd00:{net}::{:x}", first + len),
        (0, false) => format!("10.{net}.0.{first}-10.{net}.0.{}", first + len),
        (1, true) => format!("fd00:{net}::/{prefix}"),
        (1, false) => format!("10.{net}.0.0/{prefix}"),
        _ => address(chance, ipv6),
    }
}

impl Maker<'_> {
    fn ipv6(&mut self) -> bool {
        match self.of {
            Of::Inet => self.chance.once_in(2),
            Of::Ip => false,
            Of::Ip6 => true,
        }
    }

    fn port(&mut self) -> u16 {
        *self.chance.pick(&PORTS)
    }

    fn a_match(&mut self, at: At) -> String {
        let ipv6 = self.ipv6();
        let (ip, v) = if ipv6 { ("ip6", "6") } else { ("ip", "4") };
        let end = *self.chance.pick(&["saddr", "daddr"]);
        let not = *self.chance.pick(&["", "", "!= "]);
        let one = address(self.chance, ipv6);
        let several = addresses(self.chance, ipv6);
        let protocol = *self.chance.pick(&["tcp", "udp", "th"]);
        let port = self.port();
        let number = self.chance.below(4);
        let tracked = at != At::Raw;
        match self.chance.below(48) {
            0 | 1 => format!("{ip} {end} {not}{one}"),
            2 | 3 => format!("{ip} {end} {not}{several}"),
            4 => format!("{ip} {end} {not}@net{v}"),
            5 => format!("{ip} {end} {not}@one{v}"),
            6 => format!("{ip} {end} . {protocol} dport {not}@pair{v}"),
            7 | 8 => format!("{protocol} dport {not}{port}"),
            9 => format!("{protocol} dport {not}{{ 53, 80, 8000-8999 }}"),
            10 => format!("{protocol} dport {not}@ports"),
            11 => format!("{protocol} sport {}", *self.chance.pick(&["< 20000", ">= 20000", "1024-30000"])),
            12 => format!("meta l4proto {not}{}", *self.chance.pick(&["tcp", "udp", "icmp", "icmpv6"])),
            13 => format!("meta mark {not}{number}"),
            14 => format!("meta mark & 3 == {number}"),
            15 if ipv6 => format!("ip6 hoplimit {}", *self.chance.pick(&["63", "64", "> 63", "<= 9"])),
            15 => format!("ip ttl {}", *self.chance.pick(&["63", "64", "> 63", "<= 9"])),
            16 => format!("{ip} dscp {not}{}", *self.chance.pick(&["cs0", "cs1", "af11", "ef"])),
            17 => format!("meta length {}", *self.chance.pick(&["> 80", "60-90", "!= 64"])),
            18 => format!("udp length {}", *self.chance.pick(&["> 40", "20-45"])),
            19 => {
                format!("tcp flags {}", *self.chance.pick(&["syn", "& (syn | ack) == syn", "& ack == ack"]))
            }
            20 if ipv6 => format!("icmpv6 type {not}echo-request"),
            20 => format!("icmp type {not}echo-request"),
            21 => format!("iifname {not}\"{}\"", *self.chance.pick(&["in0", "out0", "in*"])),
            22 => format!("oifname {not}\"{}\"", *self.chance.pick(&["in0", "out0"])),
            23 => format!("iifgroup {not}{}", *self.chance.pick(&["0", "7"])),
            24 => format!("meta nfproto {}", if ipv6 { "ipv6" } else { "ipv4" }),
            25 => format!(
                "ct state {}",
                *self.chance.pick(&["new", "established,related", "!= new", "invalid", "untracked"])
            ),
            26 if tracked => format!("ct mark {not}{number}"),
            27 if tracked => format!("ct status {}", *self.chance.pick(&["dnat", "snat", "& dnat == 0"])),
            28 if tracked => format!("ct original {ip} {end} {several}"),
            29 if tracked => format!("ct reply {ip} saddr {one}"),
            30 if tracked => format!("meta l4proto tcp ct original proto-dst {port}"),
            31 if tracked => format!("ct direction {}", *self.chance.pick(&["original", "reply"])),
            32 => format!("fib {end} type {not}{}", *self.chance.pick(&["local", "unicast", "unreachable"])),
            33 => "limit rate 1000/second".into(),
            34 => format!("meta protocol {}", if ipv6 { "ip6" } else { "ip" }),
            35 if !ipv6 => format!("ip frag-off & 0x4000 {}= 0", *self.chance.pick(&["=", "!"])),
            36 => format!("@th,16,16 {not}{port}"),
            37 if ipv6 => format!("ip6 {end} & ::3 == ::{number}"),
            37 => format!("ip {end} & 0.0.0.3 == 0.0.0.{number}"),
            38 => format!("meta iifkind {not}\"{}\"", *self.chance.pick(&["veth", "bridge"])),
            39 => format!("exthdr frag {}", *self.chance.pick(&["exists", "missing"])),
            40 => format!("numgen inc mod 3 {not}{}", number % 3),
            41 if tracked => format!("ct protocol {not}{}", *self.chance.pick(&["tcp", "udp", "icmp"])),
            42 if ipv6 => format!("ip6 nexthdr {not}{}", *self.chance.pick(&["tcp", "udp", "icmpv6"])),
            42 => format!("ip version 4 ip hdrlength {}", number + 4),
            43 => "ip id < 9".into(),
            44 => format!("{protocol} dport . meta mark {not}{{ {port} . {number}, 54 . 0, 81 . 1 }}"),
            45 => {
                format!("meta l4proto . {protocol} dport {{ tcp . 0-100, udp . {port}, udp . 10000-19999 }}")
            }
            46 => format!("tcp option maxseg size {}", *self.chance.pick(&["1460", "!= 9"])),
            47 if tracked => format!("ct state {{ established, new }} ct zone {not}0"),
            _ => format!("meta pkttype {not}host"),
        }
    }

    fn statement(&mut self, at: At, chains: &[usize]) -> String {
        let number = self.chance.below(4);
        let ipv6 = self.ipv6();
        let (ip, v) = if ipv6 { ("ip6", "6") } else { ("ip", "4") };
        let jump = chains.get(self.chance.below(chains.len().max(1))).copied();
        let tracked = at != At::Raw;
        match (self.chance.below(26), jump) {
            (0..=2, _) => "accept".into(),
            (3 | 4, _) => "drop".into(),
            (5 | 6, Some(chain)) => format!("jump r{chain}"),
            (7, Some(chain)) => format!("goto r{chain}"),
            (8, _) => "return".into(),
            (9 | 10, _) => format!("meta mark set {number}"),
            (11, _) => format!("meta mark set meta mark or {number}"),
            (12, _) if tracked => format!("ct mark set {number}"),
            (13, _) if tracked => "ct mark set meta mark".into(),
            (13, _) => "notrack".into(),
            (14, _) if tracked => "meta mark set ct mark".into(),
            (15, _) => format!("meta mark set {} dport map @marks", *self.chance.pick(&["tcp", "udp"])),
            (16, _) if ipv6 => format!("ip6 hoplimit set {}", number + 60),
            (16, _) => format!("ip ttl set {}", number + 60),
            (17, _) if self.chance.once_in(2) => format!("add @dyn{v} {{ {ip} saddr }}"),
            (17, _) => format!("{ip} dscp set {}", *self.chance.pick(&["cs1", "af11"])),
            (18 | 19, _) if !self.rejects => {
                "meta l4proto { tcp, udp, icmp } counter meta l4proto vmap @verdicts".into()
            }
            (18..=20, _) if self.rejects && matches!(at, At::Hook("input" | "forward")) => {
                (*self.chance.pick(&["reject", "meta l4proto tcp counter reject with tcp reset"])).into()
            }
            (21, _) => format!(
                "meta mark set {ip} saddr & {} map {{ {} : 1, {} : 2 }}",
                if ipv6 { "ffff:ffff::" } else { "255.255.0.0" },
                if ipv6 { "fd00:0::" } else { "10.0.0.0" },
                if ipv6 { "fd00:5::" } else { "10.5.0.0" }
            ),
            (22, _) if tracked && !self.rejects => {
                let end = *self.chance.pick(&["saddr", "daddr"]);
                format!("{ip} {end} set {}", outside(self.chance, ipv6))
            }
            (23, _) if tracked => format!("{} dport set 77", *self.chance.pick(&["tcp", "udp"])),
            (24, _) => "meta mark set numgen inc mod 2".into(),
            (25, _) => format!("meta mark set meta mark lshift {number}"),
            _ => String::new(),
        }
    }

    fn rule(&mut self, at: At, chains: &[usize]) -> String {
        let matches: Vec<String> = (0..self.chance.below(3)).map(|_| self.a_match(at)).collect();
        counted(&matches.join(" "), &self.statement(at, chains))
    }

    fn nat_rule(&mut self, hook: &str) -> String {
        let mut matches: Vec<String> =
            (0..self.chance.below(3)).map(|_| self.a_match(At::Hook("nat"))).collect();
        let ipv6 = self.ipv6();
        if self.of == Of::Inet {
            matches.push(format!("meta nfproto {}", if ipv6 { "ipv6" } else { "ipv4" }));
        }
        let family = match (self.of, ipv6) {
            (Of::Inet, false) => " ip",
            (Of::Inet, true) => " ip6",
            _ => "",
        };
        let new = if ipv6 {
            format!("fd00:2::{:x}", self.chance.below(20) + 1)
        } else {
            format!("10.2.0.{}", self.chance.below(20) + 1)
        };
        let last = if ipv6 { "fd00:2::ff" } else { "10.2.0.250" };
        let host = if ipv6 { format!("[{new}]") } else { new.clone() };
        let port = self.port();
        let statement = match (hook, self.chance.below(10)) {
            ("prerouting" | "output", 3) => {
                let net = if ipv6 { "fd00:2::" } else { "10.2.0." };
                format!(
                    "tcp dport {{ 80, 443 }} counter dnat{family} to tcp dport map {{ 80 : {net}5, 443 : {net}6 }}"
                )
            }
            ("prerouting" | "output", 6) if !ipv6 => {
                let map = "ip daddr map { 10.2.0.0/24 : 10.2.7.0/24 }";
                format!("ip daddr 10.2.0.0/24 counter dnat{family} prefix to {map}")
            }
            ("prerouting" | "output", 0..=2) => format!("dnat{family} to {new}"),
            ("prerouting" | "output", 4) => {
                let protocol = *self.chance.pick(&["tcp", "udp"]);
                format!("meta l4proto {protocol} counter dnat{family} to {host}:{port}")
            }
            ("prerouting", 5) => format!("meta l4proto tcp counter redirect to :{port}"),
            ("prerouting" | "output", _) => format!("dnat{family} to {new}-{last}"),
            (_, 0..=2) => format!("snat{family} to {new}"),
            (_, 3) => "masquerade".into(),
            (_, 4) => format!("meta l4proto udp counter snat{family} to {host}:2000-60000"),
            (_, 5) => "masquerade random".into(),
            (_, 6) => "accept".into(),
            _ => "return".into(),
        };
        counted(&matches.join(" "), &statement)
    }
}

/// A rule that counts exactly the packets that it matches: nothing but verdicts comes after its counter.
fn counted(matches: &str, statement: &str) -> String {
    let verdicts = ["accept", "drop", "return", "jump", "goto", "reject", "dnat", "snat", "masquerade"];
    let first = statement.split(' ').next().unwrap_or_default();
    if statement.contains("counter") {
        format!("\t\t{matches} {statement}\n")
    } else if verdicts.contains(&first) {
        format!("\t\t{matches} counter {statement}\n")
    } else {
        format!("\t\t{matches} {statement} counter\n")
    }
}

/// A ruleset for nft.
pub(super) fn ruleset(chance: &mut Chance) -> String {
    let mut text = String::new();
    let rejects = chance.once_in(3);
    for table in 0..=chance.below(2) {
        let of = *chance.pick(&[Of::Inet, Of::Inet, Of::Ip, Of::Ip6]);
        let mut maker = Maker { chance, of, rejects };
        let family = match of {
            Of::Inet => "inet",
            Of::Ip => "ip",
            Of::Ip6 => "ip6",
        };
        text += &format!("table {family} t{table} {{\n");
        for (ipv6, v) in [(false, "4"), (true, "6")] {
            let kind = if ipv6 { "ipv6_addr" } else { "ipv4_addr" };
            let list = |maker: &mut Maker<'_>| {
                let net = *maker.chance.pick(&[0, 2, 5]);
                let range = if ipv6 {
                    format!("fd00:{net}::3-fd00:{net}::9")
                } else {
                    format!("10.{net}.0.3-10.{net}.0.9")
                };
                let other = if ipv6 { "fd00:7::/64" } else { "10.7.0.0/16" };
                format!("{range}, {other}")
            };
            let nets = list(&mut maker);
            let ones: Vec<String> = (1..6).map(|_| address(maker.chance, ipv6)).collect();
            let (a, b) = (addresses(maker.chance, ipv6), address(maker.chance, ipv6));
            text += &format!("\tset net{v} {{ type {kind}; flags interval; elements = {{ {nets} }} }}\n");
            text += &format!("\tset one{v} {{ type {kind}; elements = {{ {} }} }}\n", ones.join(", "));
            text += &format!(
                "\tset pair{v} {{ type {kind} . inet_service; flags interval; elements = {{ {a} . 50-99, {b} . 443 }} }}\n"
            );
            text += &format!("\tset dyn{v} {{ type {kind}; size 65535; flags dynamic; }}\n");
        }
        text += "\tset ports { type inet_service; flags interval; elements = { 22, 80-90, 9000-9010 } }\n";
        text += "\tmap marks { type inet_service : mark; elements = { 53 : 1, 80 : 2, 443 : 3 } }\n";
        text += "\tmap verdicts { type inet_proto : verdict; elements = { tcp : jump r3, udp : continue, icmp : return } }\n";
        for chain in (0..4).rev() {
            let later: Vec<usize> = (chain + 1..4).collect();
            // The map leads to the last, which must not use it.
            let rules: String = (0..=maker.chance.below(3))
                .map(|_| {
                    loop {
                        let rule = maker.rule(At::Anywhere, &later);
                        // What is only for some hooks stands in none that all reach.
                        if !rule.contains("notrack") && (chain != 3 || !rule.contains("verdicts")) {
                            return rule;
                        }
                    }
                })
                .collect();
            text += &format!("\tchain r{chain} {{\n{rules}\t}}\n");
        }
        for base in 0..=maker.chance.below(4) {
            let hook =
                *maker.chance.pick(&["prerouting", "input", "forward", "forward", "postrouting", "output"]);
            if rejects && matches!(hook, "postrouting" | "output") {
                continue;
            }
            let raw = matches!(hook, "prerouting" | "output") && maker.chance.once_in(3);
            let priority = if raw { -300 } else { *maker.chance.pick(&[-150, -50, 0, 0, 10, 120]) };
            let policy = *maker.chance.pick(&["accept", "accept", "accept", "drop"]);
            let at = if raw { At::Raw } else { At::Hook(hook) };
            let rules: String = (0..=maker.chance.below(6)).map(|_| maker.rule(at, &[0, 1, 2, 3])).collect();
            text += &format!(
                "\tchain b{base} {{\n\t\ttype filter hook {hook} priority {priority}; policy {policy};\n{rules}\t}}\n"
            );
        }
        for (hook, priority) in
            [("prerouting", -100), ("postrouting", 100), ("postrouting", 90), ("output", -100)]
        {
            // A reset is related to what it answers, and so asked of these.
            if maker.chance.once_in(3) && (!rejects || hook == "prerouting") {
                let priority = priority + i32::try_from(maker.chance.below(3)).unwrap() * 30;
                let rules: String = (0..=maker.chance.below(3)).map(|_| maker.nat_rule(hook)).collect();
                text += &format!(
                    "\tchain {hook}{} {{\n\t\ttype nat hook {hook} priority {priority};\n{rules}\t}}\n",
                    priority + 200
                );
            }
        }
        text += "}\n";
    }
    text
}

/// A packet that has no like: `number` is its source port or identifier.
pub(super) fn packet(chance: &mut Chance, number: u16) -> Packet {
    let ipv6 = chance.once_in(2);
    let local = chance.once_in(4);
    let host = |chance: &mut Chance, net: usize| -> std::net::IpAddr {
        let host = chance.below(20) + 1;
        let text = if ipv6 { format!("fd00:{net}::{host:x}") } else { format!("10.{net}.0.{host}") };
        text.parse().unwrap()
    };
    // What is for the router itself comes from where no answer can go.
    let net = if local || chance.once_in(2) { 5 } else { 0 };
    let source = host(chance, net);
    let destination = match (local, ipv6) {
        (false, _) => host(chance, 2),
        (true, true) => "fd00:1::fe".parse().unwrap(),
        (true, false) => "10.1.0.254".parse().unwrap(),
    };
    let port = *chance.pick(&PORTS);
    let transport = match chance.below(5) {
        0 | 1 => Transport::Tcp(Tcp {
            source: number,
            destination: port,
            flags: if chance.once_in(4) { Tcp::ACK } else { Tcp::SYN },
        }),
        2 | 3 => Transport::Udp { source: number, destination: port },
        _ => Transport::Icmp { kind: if ipv6 { 128 } else { 8 }, code: 0, id: number },
    };
    let size = 60 + u32::try_from(chance.below(50)).unwrap();
    let ip = Ip {
        source,
        destination,
        ttl: *chance.pick(&[9, 64, 64, 65]),
        tos: *chance.pick(&[0, 0, 0x20, 0x28]),
        dont_fragment: !ipv6 && chance.once_in(2),
        size,
    };
    Packet { ip, transport, mark: 0 }
}

/// The packet, for somewhere behind the outer cable, from the router.
pub(super) fn to_outside(chance: &mut Chance, packet: &Packet) -> Packet {
    let ipv6 = packet.is_ipv6();
    let source = if ipv6 { "fd00:1::fe" } else { "10.1.0.254" }.parse().unwrap();
    let destination = outside(chance, ipv6).parse().unwrap();
    let ip = Ip { source, destination, ..packet.ip.clone() };
    Packet { ip, ..packet.clone() }
}
