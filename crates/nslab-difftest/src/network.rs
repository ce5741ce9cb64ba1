//! A network as data: lines that make it, each of which can be left out.

use std::fmt::Write as _;
use std::net::IpAddr;

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// How many namespaces it has. They are called n0, n1 and so on.
    pub spaces: usize,
    /// What makes it, in the order in which it is done within each [`Stage`].
    pub lines: Vec<Line>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// In which namespace.
    pub space: usize,
    /// What.
    pub what: What,
}

/// What a line does. What it names may be missing, in a network that was shrunk: then it does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `ip …`; `@3` stands for the namespace n3.
    Ip(String),
    /// `bridge …`.
    Bridge(String),
    /// `tc …`.
    Tc(String),
    /// A sysctl's key and value.
    Sysctl(String, String),
    /// A line for `nft`.
    Nft(String),
    /// A program listens.
    Listen(Listener),
}

/// When a line is done: first what others name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Links that hang on no others.
    Links,
    /// Links on top of links, which may be for other namespaces.
    Uppers,
    /// All else, namespace by namespace.
    Rest,
    /// What holds only while there is carrier.
    Last,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Links, Self::Uppers, Self::Rest, Self::Last];
}

/// A program that takes packets, and answers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What it takes.
    pub service: Service,
    /// At which address.
    pub address: IpAddr,
    /// At `::`, those of IPv4 too.
    pub dual: bool,
}

/// What a program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// UDP at a port. It sends back what it gets.
    Udp(u16),
    /// TCP at a port.
    Tcp(u16),
    /// A protocol, by its number. It answers nothing.
    Raw(u8),
}

impl Line {
    /// When it is done.
    pub fn stage(&self) -> Stage {
        match &self.what {
            What::Ip(text) if text.starts_with("link add link ") => Stage::Uppers,
            What::Ip(text)
                if text.starts_with("link add ")
                    && ["type veth", "type bridge"].iter().any(|kind| text.contains(kind)) =>
            {
                Stage::Links
            }
            What::Bridge(text) if text.contains(" state ") => Stage::Last,
            _ => Stage::Rest,
        }
    }

    /// Whether it makes a bridge.
    pub(crate) fn is_bridge(&self) -> bool {
        matches!(&self.what, What::Ip(text) if text.ends_with("type bridge"))
    }

    /// Whether it names a namespace, besides the one in which it is done.
    pub fn names(&self, space: usize) -> bool {
        let name = format!("@{space}");
        match &self.what {
            What::Ip(text) => text.split(' ').any(|word| word == name),
            _ => false,
        }
    }
}

/// What is done first in each namespace, so that outcomes show soon and nothing but the network decides them: no limits of
/// rates, no addresses of the kernel's own, no waiting for duplicates, no learning from redirects.
pub const BASE: &[(&str, &str)] = &[
    ("net.ipv4.icmp_ratemask", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
    ("net.ipv4.conf.all.accept_redirects", "0"),
    ("net.ipv4.conf.default.accept_redirects", "0"),
    ("net.ipv6.conf.all.accept_redirects", "0"),
    ("net.ipv6.conf.default.accept_redirects", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.dad_transmits", "0"),
    ("net.ipv6.conf.default.addr_gen_mode", "1"),
];

/// What is written for each interface, below `net.ipv4.neigh` and `net.ipv6.neigh`: who does not answer is given up soon.
pub const NEIGHBOURS: &[(&str, &str)] =
    &[("mcast_solicit", "2"), ("ucast_solicit", "1"), ("app_solicit", "0"), ("retrans_time_ms", "40")];

impl Network {
    /// The lines of a stage.
    pub fn stage(&self, stage: Stage) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.stage() == stage)
    }

    /// The namespaces that any line is about.
    pub fn used(&self) -> Vec<usize> {
        let is_used =
            |space: &usize| self.lines.iter().any(|line| line.space == *space || line.names(*space));
        (0..self.spaces).filter(is_used).collect()
    }

    /// A shell script that makes it, for root.
    pub fn script(&self, also: &[usize]) -> String {
        let mut spaces = self.used();
        spaces.extend(also);
        spaces.sort_unstable();
        spaces.dedup();
        let names: Vec<String> = spaces.iter().map(|space| format!("n{space}")).collect();
        let mut text = format!("for n in {}; do\n  ip netns add $n\n", names.join(" "));
        let base: Vec<String> = BASE.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let _ = writeln!(text, "  ip netns exec $n sysctl -qw {}\ndone", base.join(" "));
        for stage in Stage::ALL {
            let lines: Vec<&Line> = self.stage(stage).collect();
            let in_order =
                spaces.iter().flat_map(|&space| lines.iter().filter(move |line| line.space == space));
            for line in in_order {
                let _ = writeln!(text, "{}", line.shell());
            }
        }
        text
    }
}

impl Line {
    /// As a command of a shell.
    fn shell(&self) -> String {
        let space = self.space;
        match &self.what {
            What::Ip(line) => {
                let words = line
                    .split(' ')
                    .map(|word| word.strip_prefix('@').map_or_else(|| word.into(), |n| format!("n{n}")));
                format!("ip -n n{space} {}", words.collect::<Vec<String>>().join(" "))
            }
            What::Bridge(line) => format!("bridge -n n{space} {line}"),
            What::Tc(line) => format!("tc -n n{space} {line}"),
            What::Sysctl(key, value) => format!("ip netns exec n{space} sysctl -qw {key}={value}"),
            What::Nft(line) => format!("ip netns exec n{space} nft '{line}'"),
            What::Listen(Listener { service, address, dual }) => {
                let only = if address.is_ipv6() && !dual { ",ipv6only" } else { "" };
                let shown = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
                let family = if address.is_ipv6() { 6 } else { 4 };
                let what = match service {
                    Service::Udp(port) => {
                        format!("UDP{family}-RECVFROM:{port},bind={shown}{only},fork EXEC:cat")
                    }
                    Service::Tcp(port) => {
                        format!("TCP{family}-LISTEN:{port},bind={shown}{only},fork EXEC:cat")
                    }
                    Service::Raw(number) => format!("IP{family}-RECV:{number},bind={shown} -"),
                };
                format!("ip netns exec n{space} socat {what} &")
            }
        }
    }
}
