//! A change makes of a snapshot what its commands make of the kernel.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::nftables::build::RuleBuilder;
use nslab_kernel::nftables::print::Names;
use nslab_kernel::nftables::{BaseChain, Chain, ChainKind, Family, Hook, Table, TableId, priority};
use nslab_kernel::qdisc::Handle;
use nslab_kernel::route::{NextHop, Route, RouteAction};
use nslab_kernel::rule::{Rule, RuleAction};
use nslab_snapshot::{Name, Options, Snapshot, State};

use super::change::{Change, End, free_address, free_link};
use super::kernel::settle;
use super::words::Words;
use crate::command::Shell;
use crate::l2::Port;

/// How long the kernel may take for what it does by itself.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Namespaces `a` and `b` on a cable, and `a` on a bridge of `sw` besides.
const NETWORK: &str = "
a ip link set dev lo up
a ip link add name eth0 type veth peer name eth0 netns @b
a ip link add name eth1 type veth peer name a netns @sw
sw ip link add name br0 type bridge
sw ip link set dev a master br0
";

/// Files with the names of the namespaces, in whose order they are in a snapshot.
struct Made(Vec<(&'static str, Namespace)>, tempfile::TempDir);

impl Made {
    fn new(lines: &str) -> Self {
        let spaces = ["a", "b", "sw"].map(|name| (name, Namespace::create().unwrap()));
        let made = Self(spaces.into(), tempfile::tempdir().unwrap());
        for (name, space) in &made.0 {
            let file = format!("/proc/{}/fd/{}", std::process::id(), space.as_fd().as_raw_fd());
            std::os::unix::fs::symlink(file, made.path(name)).unwrap();
        }
        for (_, space) in &made.0 {
            // What comes up has its addresses at once.
            let write = || nslab_kernel::sysctl::write("net.ipv6.conf.default.accept_dad", "0");
            space.run(write).unwrap().unwrap();
        }
        for line in NETWORK.lines().chain(lines.lines()).filter(|line| !line.is_empty()) {
            let (name, command) = line.split_once(' ').unwrap();
            made.shell(&format!("nsenter --net={} {command}", made.path(name)));
            let begun = Instant::now();
            while !is_settled(&made.snapshot()) && begun.elapsed() < LIMIT {
                std::thread::sleep(PAUSE);
            }
        }
        made
    }

    fn path(&self, name: &str) -> String {
        self.1.path().join(name).display().to_string()
    }

    fn shell(&self, command: &str) {
        let command = ["a", "b", "sw"]
            .iter()
            .fold(command.to_owned(), |all, name| all.replace(&format!("@{name}"), &self.path(name)));
        let run = Command::new("sh").args(["-c", &command]).output().unwrap();
        assert!(run.status.success(), "{command}: {}", String::from_utf8_lossy(&run.stderr));
    }

    fn snapshot(&self) -> Snapshot {
        let spaces = self.0.iter();
        let named =
            spaces.map(|(name, space)| (Name::Pinned(self.path(name).into()), space.duplicate().unwrap()));
        Snapshot::of(named.collect(), Options::default()).unwrap()
    }
}

/// Whether the kernel has done all that follows from what was typed.
fn is_settled(snapshot: &Snapshot) -> bool {
    let mut later = snapshot.clone();
    settle(&mut later);
    let is_whole = |state: &State| {
        let running = state.network.links.iter().filter(|link| link.is_running() && !link.loopback);
        let routed = |address: &nslab_kernel::address::Address| {
            let host = address.address.addr().into();
            state.network.routes.iter().any(|route| route.to == host)
        };
        state.network.addresses.iter().all(routed)
            && running
                .map(|link| link.index)
                .all(|link| state.network.addresses.iter().any(|own| own.link == link && own.scope == 253))
    };
    let mut states = snapshot.namespaces.iter().filter_map(nslab_snapshot::Namespace::state);
    words(&later) == words(snapshot) && states.all(is_whole)
}

/// All that decides what becomes of packets, in words: of links that the change makes not their MACs.
fn words(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (place, space) in snapshot.namespaces.iter().enumerate() {
        let state = space.state().unwrap();
        let name = |index: u32| state.link(index).unwrap().name.to_string();
        let mut add = |text: String| all.insert(format!("{place} {text}"));
        for link in &state.network.links {
            let own = &link.name;
            add(format!("{own} up {} carrier {} mtu {}", link.up, link.carrier, link.mtu));
            add(format!("{own} in {:?} {:?}", link.master.map(name), link.bridge_port));
            add(format!("{own} {:?}", link.ipv4));
            add(format!("{own} {:?}", link.ipv6));
            // A bridge takes the least of its ports' MACs.
            let is_made = own.as_str().starts_with("new") || link.as_bridge().is_some();
            add(format!("{own} {:?}", link.mac.filter(|_| !is_made)));
        }
        for own in &state.network.addresses {
            let made = name(own.link).starts_with("new") && own.scope == 253;
            let address = if made { "its own".to_owned() } else { own.address.to_string() };
            add(format!("{} has {address} {} {}", name(own.link), own.scope, own.secondary));
        }
        add_routes(state, &mut add);
        for rule in &state.network.rules {
            add(format!("{rule:?}"));
        }
        for vlan in &state.network.vlans {
            add(format!("{} {} {} {}", name(vlan.link), vlan.vlan, vlan.pvid, vlan.untagged));
        }
        for qdisc in state.network.queues.qdiscs.iter().filter(|qdisc| qdisc.kind.name() != "noqueue") {
            add(format!("{} {} {}", name(qdisc.link), qdisc.kind.name(), qdisc.parent));
        }
        add(format!("{:?}", state.settings));
        for table in &state.nftables.tables {
            add(table.to_nft(Names::default()));
        }
    }
    all
}

fn add_routes(state: &State, add: &mut impl FnMut(String) -> bool) {
    let name = |index: u32| state.link(index).unwrap().name.to_string();
    for route in &state.network.routes {
        let way = match &route.action {
            RouteAction::Forward(hops) => {
                let hops =
                    hops.iter().map(|hop| format!("{:?} {:?} {}", hop.via, hop.link.map(name), hop.onlink));
                hops.collect::<Vec<_>>().join(", ")
            }
            RouteAction::Local(link) => {
                // A new link's own address hangs on its MAC.
                let link = link.map(name).unwrap_or_default();
                if link.starts_with("new") && route.to.to_string().starts_with("fe80") {
                    continue;
                }
                format!("local {link}")
            }
            // For packets to many, which are no part of it.
            RouteAction::Broadcast(_) | RouteAction::Multicast(_) | RouteAction::Anycast(_) => continue,
            other => format!("{other:?}"),
        };
        let Route { to, metric, table, source, protocol, scope, .. } = route;
        add(format!("{to} {way} {metric} {table} {source:?} {protocol} {scope:?}"));
    }
}

fn port(snapshot: &Snapshot, namespace: usize, name: &str) -> Port {
    Port { namespace, link: snapshot.namespaces[namespace].state().unwrap().link_named(name).unwrap().index }
}

const A: usize = 0;
const B: usize = 1;
const SW: usize = 2;

/// What a change is made of, which is looked up in a snapshot.
type Make = fn(&Snapshot) -> Vec<Change>;

const UP: &str = "
a ip link set dev eth0 up
b ip link set dev eth0 up
a ip address add 10.0.0.1/24 dev eth0
a ip address add fd00::1/64 dev eth0
";
const BRIDGED: &str = "
a ip link set dev eth1 up
sw ip link set dev br0 up
sw ip link set dev a up
";

fn route(to: &str, action: RouteAction) -> Route {
    Route::new(to.parse().unwrap(), action)
}

fn via(at: Port, gateway: &str) -> RouteAction {
    RouteAction::Forward(vec![NextHop { link: Some(at.link), ..NextHop::via(gateway.parse().unwrap()) }])
}

/// Each with what is there before.
fn cases() -> Vec<(&'static str, Make)> {
    vec![
        (
            "b ip link set dev eth0 up\na ip address add 10.0.0.1/24 dev eth0\na ip address add 10.0.0.5/24 dev eth0",
            |s| vec![Change::Up(port(s, A, "eth0"))],
        ),
        ("a ip link set dev eth0 up\nb ip address add fd00::2/64 dev eth0", |s| {
            vec![Change::Up(port(s, B, "eth0"))]
        }),
        ("a ip link set dev lo down", |s| vec![Change::Up(port(s, A, "lo"))]),
        ("", |s| vec![Change::Up(port(s, B, "lo"))]),
        ("a ip link set dev eth1 up\nsw ip link set dev br0 up", |s| vec![Change::Up(port(s, SW, "a"))]),
        ("a ip link set dev eth1 up\nsw ip link set dev a up", |s| vec![Change::Up(port(s, SW, "br0"))]),
        (UP, |s| vec![Change::Mtu(port(s, A, "eth0"), 1400), Change::Mtu(port(s, B, "eth0"), 1400)]),
        (UP, |s| vec![Change::Mac(port(s, B, "eth0"), "02:00:00:00:00:07".parse().unwrap())]),
        (UP, |s| {
            vec![Change::AddAddress(
                port(s, A, "eth0"),
                free_address(s, "10.0.0.1/24".parse().unwrap()).unwrap(),
            )]
        }),
        (UP, |s| vec![Change::AddAddress(port(s, B, "eth0"), "192.0.2.1/32".parse().unwrap())]),
        (UP, |s| vec![Change::AddAddress(port(s, B, "eth0"), "fd00::2/64".parse().unwrap())]),
        (UP, |s| vec![Change::AddAddress(port(s, B, "eth0"), "fd00::2/128".parse().unwrap())]),
        (UP, |s| vec![Change::DeleteAddress(port(s, A, "eth0"), "10.0.0.1/24".parse().unwrap())]),
        (UP, |s| vec![Change::DeleteAddress(port(s, A, "eth0"), "fd00::1/64".parse().unwrap())]),
        (UP, |s| vec![Change::AddRoute(A, route("10.9.0.0/16", via(port(s, A, "eth0"), "10.0.0.254")))]),
        (UP, |s| vec![Change::AddRoute(A, route("fd09::/16", via(port(s, A, "eth0"), "fd00::fe")))]),
        (UP, |s| {
            vec![Change::AddRoute(
                A,
                Route {
                    source: Some("10.0.0.1".parse().unwrap()),
                    ..route("10.8.0.1/32", RouteAction::Forward(vec![NextHop::on(port(s, A, "eth0").link)]))
                },
            )]
        }),
        (&*Box::leak(format!("{UP}a ip route add blackhole 10.9.0.0/16\n").into_boxed_str()), |s| {
            let routes = &s.namespaces[A].state().unwrap().network.routes;
            let black = routes.iter().find(|route| route.action == RouteAction::Blackhole).unwrap();
            vec![Change::DeleteRoute(A, black.clone())]
        }),
        (UP, |_| {
            let mut rule = Rule::new(false, 100, RuleAction::Table(254));
            (rule.to, rule.protocol) = (Some("10.9.0.1/32".parse().unwrap()), 0);
            vec![Change::AddRule(A, rule)]
        }),
        ("a ip rule add pref 100 to 10.9.0.0/16 prohibit", |s| {
            let rules = &s.namespaces[A].state().unwrap().network.rules;
            vec![Change::DeleteRule(A, rules.iter().find(|rule| rule.priority == 100).unwrap().clone())]
        }),
        (UP, |_| vec![Change::Sysctl(A, "net.ipv4.ip_forward".to_owned(), 1)]),
        (UP, |_| vec![Change::Sysctl(A, "net.ipv6.conf.all.forwarding".to_owned(), 1)]),
        (UP, |_| vec![Change::Sysctl(A, "net.ipv4.conf.eth0.rp_filter".to_owned(), 2)]),
        (UP, |_| vec![Change::Sysctl(A, "net.ipv4.conf.all.arp_ignore".to_owned(), 1)]),
        (UP, |_| vec![Change::Sysctl(A, "net.ipv4.icmp_echo_ignore_all".to_owned(), 1)]),
        (BRIDGED, |s| vec![Change::Isolated(port(s, SW, "a"), true)]),
        (BRIDGED, |s| vec![Change::PortState(port(s, SW, "a"), 0)]),
        (&*Box::leak(format!("{BRIDGED}sw bridge link set dev a state 0\n").into_boxed_str()), |s| {
            vec![Change::PortState(port(s, SW, "a"), 3)]
        }),
        (
            &*Box::leak(
                format!("{BRIDGED}sw bridge link set dev a flood off mcast_flood off\n").into_boxed_str(),
            ),
            |s| vec![Change::Flood(port(s, SW, "a"))],
        ),
        (BRIDGED, |s| vec![cable(s, B, SW, Some("br0"))]),
        (UP, |s| vec![cable(s, A, B, None)]),
        ("a tc qdisc add dev eth0 root tbf rate 1mbit burst 3000 latency 1s", |s| {
            vec![Change::DeleteQdisc(port(s, A, "eth0"), Handle::ROOT, "root".to_owned())]
        }),
        (
            "a nft 'table inet f { chain input { type filter hook input priority 0; tcp dport 7 drop; }; }'",
            |s| {
                let table = &s.namespaces[A].state().unwrap().nftables.tables[0];
                let rule = RuleBuilder::new(Family::Inet)
                    .source("10.0.0.2".parse::<std::net::IpAddr>().unwrap().into())
                    .l4_protocol(6)
                    .accept();
                let before = Some(table.chains[0].rules[0].handle);
                vec![Change::Insert {
                    namespace: A,
                    table: table.id.clone(),
                    chain: "input".to_owned(),
                    before,
                    rule,
                }]
            },
        ),
        (UP, |_| {
            let mut table = Table::new(Family::Ip, "nat");
            let base = BaseChain {
                kind: ChainKind::Nat,
                priority: priority::SRCNAT,
                ..BaseChain::filter(Hook::Postrouting)
            };
            let mut chain = Chain::base("postrouting", base);
            let rule = RuleBuilder::new(Family::Ip).source("10.0.0.0/24".parse().unwrap());
            chain.rules.push(rule.oif_name("eth0".parse().unwrap()).masquerade());
            table.chains.push(chain);
            assert_eq!(table.id, TableId::new(Family::Ip, "nat"));
            vec![Change::AddTable(A, table)]
        }),
    ]
}

fn cable(snapshot: &Snapshot, one: usize, other: usize, bridge: Option<&str>) -> Change {
    let end = |namespace: usize, bridge: Option<&str>| {
        let (link, name) = free_link(snapshot.namespaces[namespace].state().unwrap(), "new").unwrap();
        End { namespace, name, link, bridge: bridge.map(|bridge| port(snapshot, namespace, bridge).link) }
    };
    Change::Cable(end(one, None), end(other, bridge))
}

/// In what a snapshot that has the change differs from one of the kernel that it was made of.
fn differs(number: usize, lines: &str, make: Make) -> Option<String> {
    let made = Made::new(lines);
    let mut snapshot = made.snapshot();
    let before = words(&snapshot);
    let changes = make(&snapshot);
    for change in &changes {
        change.apply(&mut snapshot).unwrap_or_else(|| panic!("case {number}: {change:?}"));
        let words = Words { snapshot: &snapshot, shell: Shell::Host };
        words.commands(change).iter().for_each(|command| made.shell(command));
    }
    let said = words(&snapshot);
    let begun = Instant::now();
    let is = loop {
        let is = words(&made.snapshot());
        if is == said || begun.elapsed() > LIMIT {
            break is;
        }
        std::thread::sleep(PAUSE);
    };
    assert_ne!(before, is, "case {number} changes nothing");
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).cloned().collect::<Vec<_>>().join("\n  ")
    };
    (said != is).then(|| {
        let (said, is) = (only(&said, &is), only(&is, &said));
        format!("case {number}, {changes:?}\nsaid only:\n  {said}\nis only:\n  {is}")
    })
}

#[test]
fn changes_are_what_the_kernel_makes_of_their_commands() {
    nslab_testing::privileged(|| {
        if nslab_testing::Oracle::find().is_none() || nslab_testing::Nft::find().is_none() {
            return;
        }
        // The kernel takes its time to notice a carrier, so all wait for that together.
        let wrong: Vec<String> = std::thread::scope(|scope| {
            let cases = cases().into_iter().enumerate();
            let threads: Vec<_> = cases
                .map(|(number, (lines, make))| scope.spawn(move || differs(number, lines, make)))
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
