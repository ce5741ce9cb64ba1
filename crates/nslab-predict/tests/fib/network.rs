//! A random namespace, as lines of ip(8) and sysctls.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nslab_kernel::link::settled_carrier;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::state::Select;
use nslab_kernel::{Namespace, NamespaceState};
use nslab_snapshot::{Membership, Settings, State};

use crate::random::Random;

/// A namespace that was made, and what was read of it.
pub(crate) struct Built {
    pub(crate) socket: Socket,
    pub(crate) state: State,
    _namespace: Namespace,
}

impl Built {
    /// Reads it again; whether it has changed.
    pub(crate) fn read_again(&mut self) -> bool {
        let network = NamespaceState::read(&mut self.socket, Select { tables: true }).unwrap();
        let changed = network != self.state.network;
        self.state.network = network;
        changed
    }
}

pub(crate) const LINKS: [&str; 5] = ["lo", "v0", "v1", "v2", "v3"];
const PRIORITIES: [&str; 6] = ["10", "20", "30", "40", "32000", "32800"];

pub(crate) fn v4(random: &mut Random) -> String {
    match random.below(12) {
        0 => format!("192.0.2.{}", random.below(8)),
        1 => format!("127.0.{}.{}", random.below(2), random.below(3)),
        2 => format!("169.254.0.{}", random.below(4)),
        _ => format!("10.{}.{}.{}", random.below(2), random.below(3), random.below(8)),
    }
}

pub(crate) fn v6(random: &mut Random) -> String {
    match random.below(8) {
        0 => format!("fd00::{}", random.below(6)),
        1 => format!("fe80::{}", random.below(6)),
        2 => format!("fec0::{}", random.below(4)),
        3 => format!("2002::{}", random.below(4)),
        _ => format!("2001:db8:{}::{}", random.below(3), random.below(8)),
    }
}

fn address(random: &mut Random, ipv6: bool) -> String {
    if ipv6 { v6(random) } else { v4(random) }
}

/// Host bits are left in: `ip` refuses some of these, which does no harm.
fn prefix(random: &mut Random, ipv6: bool) -> String {
    if ipv6 {
        let length = random.pick(&["0", "16", "32", "48", "64", "64", "126", "128"]);
        let any: std::net::Ipv6Addr = v6(random).parse().unwrap();
        let net = ipnet::Ipv6Net::new(any, length.parse().unwrap()).unwrap();
        return net.trunc().to_string();
    }
    let length = random.pick(&["0", "0", "8", "16", "23", "24", "24", "30", "32"]);
    let any: std::net::Ipv4Addr = v4(random).parse().unwrap();
    ipnet::Ipv4Net::new(any, length.parse().unwrap()).unwrap().trunc().to_string()
}

fn link(random: &mut Random) -> &'static str {
    random.pick(&LINKS[1..])
}

/// The lines that make a namespace; `sysctl KEY VALUE` are not for ip(8).
pub(crate) fn lines(random: &mut Random) -> Vec<String> {
    let mut lines = vec![
        "sysctl net.ipv6.conf.default.addr_gen_mode 1".to_owned(),
        "sysctl net.ipv6.conf.default.accept_dad 0".to_owned(),
    ];
    let count = 2 + random.below(3);
    for n in 0..count {
        lines.push(format!("link add v{n} type veth peer name p{n}"));
        if random.percent(25) {
            lines.push(format!("link set v{n} group {}", random.below(3)));
        }
    }
    if random.percent(80) {
        lines.push("link set lo up".into());
    }
    for n in 0..count {
        lines.push(format!("link set p{n} up"));
        lines.push(format!("link set v{n} up"));
    }
    for _ in 0..2 + random.below(8) {
        lines.push(own_address(random));
    }
    if random.percent(25) {
        lines.push("sysctl net.ipv4.conf.all.rp_filter 1".into());
        lines.push(format!("sysctl net.ipv4.conf.all.src_valid_mark {}", random.below(2)));
    }
    if random.percent(60) {
        lines.push("sysctl net.ipv4.conf.all.forwarding 1".into());
        lines.push("sysctl net.ipv6.conf.all.forwarding 1".into());
    }
    for _ in 0..random.below(10) {
        lines.push(sysctl(random));
    }
    for ipv6 in [false, true] {
        for id in 1..=random.below(4) {
            let id = if ipv6 { id + 100 } else { id };
            let via =
                if random.percent(60) { format!("via {} ", address(random, ipv6)) } else { String::new() };
            let family = if ipv6 { "-6 " } else { "" };
            lines.push(format!("{family}nexthop add id {id} {via}dev {} onlink", link(random)));
        }
        let base = if ipv6 { 100 } else { 0 };
        if random.percent(30) {
            lines.push(format!("nexthop add id {} group {}/{}", base + 9, base + 1, base + 2));
        }
        let known: Vec<String> = (0..3).map(|_| prefix(random, ipv6)).collect();
        for _ in 0..random.below(16) {
            lines.push(route(random, ipv6, &known));
        }
        if random.percent(60) {
            for _ in 0..random.below(6) {
                lines.push(rule(random, ipv6));
            }
        }
        for _ in 0..random.below(3) {
            lines.push(format!("neigh add {} dev {} nud failed", address(random, ipv6), link(random)));
        }
    }
    // Changes after the fact: ends that go down, and lose what hung on them.
    for n in 0..count {
        match random.below(8) {
            0 => lines.push(format!("link set v{n} down")),
            1 | 2 => lines.push(format!("link set p{n} down")),
            _ => {}
        }
    }
    lines
}

fn own_address(random: &mut Random) -> String {
    let link = if random.percent(10) { "lo" } else { link(random) };
    if random.percent(50) {
        let length = random.pick(&["64", "64", "48", "128"]);
        let more = random.pick(&["", "", "", "preferred_lft 0"]);
        return format!("addr add {}/{length} dev {link} nodad {more}", v6(random));
    }
    if random.percent(10) {
        return format!("addr add {} peer {}/32 dev {link}", v4(random), v4(random));
    }
    let length = random.pick(&["24", "24", "24", "16", "30", "32", "8"]);
    let scope = random.pick(&["", "", "", "scope link", "scope host"]);
    format!("addr add {}/{length} dev {link} {scope}", v4(random))
}

fn sysctl(random: &mut Random) -> String {
    let link = random.pick(&["all", "v0", "v1", "v2"]);
    let bit = random.below(2);
    let key = random.pick(&[
        "ipv4.conf.LINK.forwarding",
        "ipv4.conf.LINK.forwarding",
        "ipv4.conf.LINK.rp_filter",
        "ipv4.conf.LINK.rp_filter",
        "ipv4.conf.LINK.accept_local",
        "ipv4.conf.LINK.src_valid_mark",
        "ipv4.conf.LINK.route_localnet",
        "ipv4.conf.LINK.send_redirects",
        "ipv4.conf.LINK.ignore_routes_with_linkdown",
        "ipv4.conf.LINK.bc_forwarding",
        "ipv6.conf.all.forwarding",
        "ipv6.conf.LINK.ignore_routes_with_linkdown",
        "ipv6.conf.LINK.use_oif_addrs_only",
    ]);
    let value = if key.ends_with("rp_filter") { random.below(3) } else { bit };
    format!("sysctl net.{} {value}", key.replace("LINK", link))
}

fn hop(random: &mut Random, ipv6: bool) -> String {
    let other = !ipv6 && random.percent(8);
    let via = match random.below(10) {
        0..5 if other => format!("via inet6 {} ", v6(random)),
        0..5 => format!("via {} ", address(random, ipv6)),
        _ => String::new(),
    };
    let onlink = if random.percent(60) && !via.is_empty() { " onlink" } else { "" };
    format!("{via}dev {}{onlink}", link(random))
}

fn route(random: &mut Random, ipv6: bool, known: &[String]) -> String {
    let family = if ipv6 { "-6 " } else { "" };
    let kind = match random.below(20) {
        0 => "blackhole ",
        1 => "unreachable ",
        2 => "prohibit ",
        3 | 4 => "throw ",
        5 if !ipv6 => "local ",
        6 if !ipv6 => "broadcast ",
        7 if !ipv6 => "multicast ",
        5 => "local ",
        6 => "anycast ",
        _ => "",
    };
    // Several routes to one place are what metrics and the like are for.
    let to = if random.percent(50) { known[random.below(known.len())].clone() } else { prefix(random, ipv6) };
    let verb = if random.percent(50) { "append" } else { "add" };
    let mut line = format!("{family}route {verb} {kind}{to}");
    if ipv6 && random.percent(12) {
        line += &format!(" from {}", prefix(random, true));
    }
    match kind {
        "" if random.percent(8) => {
            line += &format!(" nhid {}", random.pick(&["1", "2", "9", "101", "102", "109"]));
        }
        "" if random.percent(15) => {
            for _ in 0..2 + random.below(2) {
                line += &format!(" nexthop {} weight {}", hop(random, ipv6), 1 + random.below(3));
            }
        }
        "" => line += &format!(" {}", hop(random, ipv6)),
        "local " | "broadcast " | "multicast " | "anycast " => line += &format!(" dev {}", link(random)),
        _ => {}
    }
    if random.percent(45) {
        line += &format!(" table {}", random.pick(&["100", "200", "local", "default", "1000"]));
    }
    if random.percent(40) {
        line += &format!(" metric {}", 1 + random.below(3));
    }
    if !ipv6 && random.percent(12) {
        line += &format!(" tos {}", random.pick(&["0x04", "0x08", "0x10"]));
    }
    if !ipv6 && random.percent(8) {
        line += &format!(" scope {}", random.pick(&["global", "link", "host"]));
    }
    if ipv6 && random.percent(15) {
        line += &format!(" pref {}", random.pick(&["low", "medium", "high"]));
    }
    if random.percent(15) {
        line += &format!(" src {}", address(random, ipv6));
    }
    line
}

fn rule(random: &mut Random, ipv6: bool) -> String {
    let family = if ipv6 { "-6 " } else { "" };
    let mut line = format!("{family}rule add pref {}", random.pick(&PRIORITIES));
    if random.percent(15) {
        line += " not";
    }
    for _ in 0..random.below(3) {
        line += &match random.below(11) {
            0 | 1 => format!(" from {}", prefix(random, ipv6)),
            2 => format!(" to {}", prefix(random, ipv6)),
            3 => format!(" iif {}", random.pick(&LINKS)),
            4 => format!(" oif {}", random.pick(&LINKS)),
            5 | 10 => format!(" fwmark {}/{}", random.below(4), random.pick(&["0x1", "0x3", "0xff"])),
            6 => format!(" tos {}", random.pick(&["0x04", "0x08", "0x10"])),
            7 => format!(" ipproto {}", random.pick(&["tcp", "udp"])),
            8 => format!(" {} {}", random.pick(&["sport", "dport"]), random.pick(&["80", "1-1000"])),
            _ => format!(" uidrange {}", random.pick(&["0-0", "1000-2000"])),
        };
    }
    line += &match random.below(14) {
        0 => " blackhole".to_owned(),
        1 => " unreachable".to_owned(),
        2 => " prohibit".to_owned(),
        3 => " nop".to_owned(),
        4 => format!(" goto {}", random.pick(&PRIORITIES)),
        _ => format!(" table {}", random.pick(&["100", "200", "main", "local", "1000", "1001"])),
    };
    if line.contains(" table ") {
        if random.percent(15) {
            line += &format!(" suppress_prefixlength {}", random.pick(&["0", "8", "24", "32"]));
        }
        if random.percent(10) {
            line += &format!(" suppress_ifgroup {}", random.below(3));
        }
    }
    line
}

/// Makes the namespace and reads it.
pub(crate) fn build(lines: &[String]) -> Built {
    let namespace = Namespace::create().unwrap();
    let state = namespace.run(|| {
        let mut rest = lines;
        while !rest.is_empty() {
            let sysctls = rest.iter().take_while(|line| line.starts_with("sysctl ")).count();
            for line in &rest[..sysctls] {
                let mut words = line.split(' ').skip(1);
                let (key, value) = (words.next().unwrap(), words.next().unwrap());
                // A link that a shrunk case no longer has.
                let _ = nslab_kernel::sysctl::write(key, value);
            }
            rest = &rest[sysctls..];
            let commands = rest.iter().take_while(|line| !line.starts_with("sysctl ")).count();
            batch(&rest[..commands]);
            rest = &rest[commands..];
        }
        let mut socket = Socket::open(Protocol::Route).unwrap();
        for link in nslab_kernel::link::list(&mut socket).unwrap() {
            settled_carrier(&socket, link.name).unwrap();
        }
        let state = settled(&mut socket);
        (socket, state)
    });
    let (socket, state) = state.unwrap();
    Built { socket, state, _namespace: namespace }
}

/// Lets `ip` carry out lines. In a batch it takes no option before an object, so that those of each family are a batch.
fn batch(lines: &[String]) {
    for same in lines.chunk_by(|one, other| one.starts_with("-6 ") == other.starts_with("-6 ")) {
        let family = same[0].starts_with("-6 ").then_some("-6");
        let mut child = Command::new("ip")
            .args(family)
            .args(["-force", "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ip of iproute2 is installed");
        let lines: Vec<&str> = same.iter().map(|line| line.trim_start_matches("-6 ")).collect();
        let text = lines.join("\n") + "\n";
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait().unwrap();
    }
}

/// Reads until the kernel's work queues have made the local routes of all addresses of IPv6.
fn settled(socket: &mut Socket) -> State {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let network = NamespaceState::read(socket, Select { tables: true }).unwrap();
        let pending = network.addresses.iter().any(|address| {
            let own = address.address.addr();
            let link = network.links.iter().find(|link| link.index == address.link);
            let ready = link.is_some_and(|link| link.up && link.carrier);
            own.is_ipv6()
                && ready
                && (address.tentative
                    || !network.routes.iter().any(|route| {
                        route.table == 255 && route.to.addr() == own && route.to.prefix_len() == 128
                    }))
        });
        if !pending {
            let (settings, _) = Settings::read(socket, &nslab_kernel::sysctl::Tree::shared());
            return State {
                network,
                settings,
                nftables: nslab_kernel::nftables::Ruleset::default(),
                xtables: Vec::new(),
                sockets: Vec::new(),
                programs: Vec::new(),
                groups: Membership::list().ok(),
                connections: None,
                peers: Vec::new(),
                gaps: Vec::new(),
            };
        }
        assert!(Instant::now() < limit, "addresses of IPv6 are not ready: {network:#?}");
        std::thread::yield_now();
    }
}

/// The fewest lines for which something still holds.
pub(crate) fn shrink(lines: &[String], mut holds: impl FnMut(&[String]) -> bool) -> Vec<String> {
    let mut lines = lines.to_vec();
    let mut step = lines.len().div_ceil(2);
    loop {
        let mut place = 0;
        while place < lines.len() {
            let mut fewer = lines.clone();
            fewer.drain(place..(place + step).min(lines.len()));
            if holds(&fewer) {
                lines = fewer;
            } else {
                place += step;
            }
        }
        if step == 1 {
            return lines;
        }
        step = step.div_ceil(2);
    }
}

/// The lines as a script.
pub(crate) fn script(lines: &[String]) -> String {
    let command = |line: &String| match line.strip_prefix("sysctl ") {
        Some(setting) => format!("sysctl -w {}", setting.replace(' ', "=")),
        None => format!("ip {line}"),
    };
    lines.iter().map(command).collect::<Vec<_>>().join("\n")
}
