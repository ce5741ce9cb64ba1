//! Packets watched on their way through rules.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::link::SetLink;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::trace::{
    Checkpoint, TraceEvent, TraceHooks, TraceMonitor, TraceNews, TraceOptions, TracePattern, TraceStep,
    TraceTable,
};
use nslab_kernel::nftables::{CtState, Hook, Policy, Ruleset, Verdict};
use nslab_testing::{Nft, privileged};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::{Lab, name};

const LIMIT: Duration = Duration::from_secs(20);
const RULES: &str = "
table inet fw {
    chain input {
        type filter hook input priority 0; policy drop;
        udp dport 7 counter jump extra
        udp dport 8 accept
        udp dport 9 reject
    }
    chain extra {
        udp dport 7777 drop
        meta l4proto udp mark set 0x17
        udp dport 7 return
    }
    chain output {
        type filter hook output priority -400; policy accept;
        counter
    }
}
";
const PAYLOAD: &[u8] = b"trace me, please";

fn space() -> Lab {
    let mut lab = Lab::new();
    lab.socket.request(&SetLink { name: Some(name("lo")), up: Some(true), ..SetLink::default() }).unwrap();
    lab
}

fn monitor(namespace: &Namespace) -> TraceMonitor {
    namespace.run(TraceMonitor::open).unwrap().unwrap()
}

/// Datagrams that carry [`PAYLOAD`].
fn pattern() -> TracePattern {
    TracePattern { ipv6: false, protocol: 17, bytes: vec![(8, PAYLOAD.to_vec())] }
}

fn install(namespace: &Namespace, options: TraceOptions) -> TraceTable {
    let socket = namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
    TraceTable::install(socket, &[pattern()], options).unwrap_or_else(|error| panic!("{error}"))
}

/// Sends a datagram to this namespace itself.
fn send(namespace: &Namespace, port: u16, payload: &[u8]) {
    let socket = namespace.run(|| UdpSocket::bind("127.0.0.1:0")).unwrap().unwrap();
    socket.send_to(payload, ("127.0.0.1", port)).unwrap();
}

/// What is heard until one is the last.
fn hear(monitor: &TraceMonitor, is_last: impl Fn(&TraceEvent) -> bool) -> Vec<TraceEvent> {
    let (mut events, begun) = (Vec::new(), Instant::now());
    while !events.last().is_some_and(&is_last) {
        assert!(begun.elapsed() < LIMIT, "{events:#?}");
        let mut fds = [PollFd::from_borrowed_fd(monitor.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap();
        monitor
            .read(|news| match news {
                TraceNews::Event(event) => events.push(*event),
                TraceNews::Missed => panic!("some was missed"),
            })
            .unwrap();
    }
    events
}

fn is_dropped(event: &TraceEvent) -> bool {
    matches!(event.step, TraceStep::Policy(Policy::Drop) | TraceStep::Rule { verdict: Verdict::Drop, .. })
}

fn passes(hook: Hook) -> impl Fn(&TraceEvent) -> bool {
    move |event| Checkpoint::of(&event.table, &event.chain) == Some(Checkpoint::Passed(hook))
}

#[test]
fn each_rule_that_a_packet_meets_is_told() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let lab = space();
        nft.apply(&lab.namespace, RULES);
        let monitor = monitor(&lab.namespace);
        let table = install(&lab.namespace, TraceOptions { priority: -500, ..TraceOptions::default() });
        send(&lab.namespace, 7, b"something else that nobody asked for");
        send(&lab.namespace, 7, PAYLOAD);
        let events = hear(&monitor, is_dropped);
        let mut socket = lab.namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        let ruleset = Ruleset::read(&mut socket).unwrap();
        let fw = ruleset.tables.iter().find(|table| table.id.name == "fw").unwrap();
        let handle = |chain: &str, at: usize| fw.chain(chain).unwrap().rules[at].handle;
        let own: Vec<_> = events
            .iter()
            .filter(|event| event.table == fw.id)
            .map(|event| (event.chain.as_str(), event.step.clone(), event.mark))
            .collect();
        let rule = |handle, verdict| TraceStep::Rule { handle, verdict };
        assert_eq!(
            own,
            [
                ("output", rule(handle("output", 0), Verdict::Continue), 0),
                ("output", TraceStep::Policy(Policy::Accept), 0),
                ("input", rule(handle("input", 0), Verdict::Jump("extra".into())), 0),
                ("extra", rule(handle("extra", 1), Verdict::Continue), 0x17),
                ("extra", rule(handle("extra", 2), Verdict::Return), 0x17),
                ("input", TraceStep::Policy(Policy::Drop), 0x17),
            ],
            "{events:#?}"
        );
        // All hooks that it came to, with the interfaces; nothing of the other packet.
        let hooks: Vec<_> =
            events.iter().filter_map(|event| Checkpoint::of(&event.table, &event.chain)).collect();
        let passed = |hook| hooks.contains(&Checkpoint::Passed(hook));
        assert!(hooks.contains(&Checkpoint::Reached(Hook::Output)), "{hooks:?}");
        assert!(passed(Hook::Output) && passed(Hook::Postrouting) && passed(Hook::Prerouting), "{hooks:?}");
        assert!(!passed(Hook::Input) && !passed(Hook::Forward), "{hooks:?}");
        let mut ids: Vec<_> = events.iter().map(|event| event.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 2, "one on its way out, one since it came in again: {events:#?}");
        let first = events.iter().find(|event| event.chain == "input").unwrap().packet.as_ref().unwrap();
        assert_eq!((first.protocol, first.input, first.output), (2, Some(1), None));
        assert_eq!(first.network[12..20], [127, 0, 0, 1, 127, 0, 0, 1]);
        assert_eq!(first.transport[8..], PAYLOAD[..12], "the kernel tells the first twenty bytes");
        if let Some(connection) = first.connection {
            assert_eq!((connection.state, connection.id), (CtState::UNTRACKED, None));
        }
        table.remove().unwrap();
        send(&lab.namespace, 7, PAYLOAD);
        let mut more = 0;
        monitor.read(|_| more += 1).unwrap();
        assert_eq!(more, 0, "nothing is traced any more");
    });
}

/// What nft says of the same packet.
#[test]
fn nft_tells_the_same() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let lab = space();
        nft.apply(&lab.namespace, RULES);
        let table = install(&lab.namespace, TraceOptions { priority: -500, ..TraceOptions::default() });
        let monitor = monitor(&lab.namespace);
        let child = lab.namespace.run(|| {
            let mut command = Command::new("nft");
            command.args(["monitor", "trace"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
        });
        let mut child = child.unwrap().unwrap();
        let begun = Instant::now();
        // The groups that its sockets have joined: the ninth is that of traces.
        let listens = |pid: u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/net/netlink")).unwrap_or_default();
            text.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let groups = words.get(3).and_then(|groups| u32::from_str_radix(groups, 16).ok());
                words.get(2) == Some(&&*pid.to_string()) && groups.is_some_and(|groups| groups & 0x100 != 0)
            })
        };
        while !listens(child.id()) {
            assert!(begun.elapsed() < LIMIT, "nft does not listen");
            std::thread::yield_now();
        }
        send(&lab.namespace, 8, PAYLOAD);
        let events = hear(&monitor, passes(Hook::Input));
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // `trace id 5f3c1b0a inet fw input rule udp dport 8 accept (verdict accept)`, or `… policy accept`.
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, _, id, family, table, chain, kind, ..] = words[..] else { continue };
            if kind == "packet:" {
                continue;
            }
            let end = line.rsplit_once("(verdict ").map(|(_, verdict)| verdict.trim_end_matches(')'));
            let end = end.or(words.last().copied()).unwrap_or_default().to_owned();
            said.push((id.to_owned(), format!("{family} {table} {chain}"), end));
            if chain == "passed-input" {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let told: Vec<_> = events
            .iter()
            .map(|event| {
                let end = match &event.step {
                    TraceStep::Rule { verdict: Verdict::Continue, .. } => "continue",
                    TraceStep::Rule { verdict: Verdict::Accept, .. } | TraceStep::Policy(Policy::Accept) => {
                        "accept"
                    }
                    other => panic!("{other:?}"),
                };
                (format!("{:08x}", event.id), format!("{} {}", event.table, event.chain), end.to_owned())
            })
            .collect();
        assert_eq!(told, said);
        drop(table);
    });
}

#[test]
fn the_rules_are_afterwards_as_they_were() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let lab = space();
        nft.apply(&lab.namespace, RULES);
        let before = nft.list(&lab.namespace);
        for owned in [true, false] {
            let options = TraceOptions { owned, bridge: TraceHooks::ALL, ..TraceOptions::default() };
            let table = install(&lab.namespace, options);
            let during = nft.list(&lab.namespace);
            assert!(during.contains("nslab-trace-") && during.contains("meta nftrace set 1"), "{during}");
            assert_eq!(during.contains("flags owner"), owned && table.is_owned(), "{during}");
            // As if the process were killed, where the kernel owns it; in good order, where it does not.
            drop(table);
            // A process that another test is starting may hold the socket until it is what it is to be.
            let limit = Instant::now() + Duration::from_secs(20);
            while nft.list(&lab.namespace) != before && Instant::now() < limit {}
            assert_eq!(nft.list(&lab.namespace), before);
        }
    });
}

#[test]
fn what_is_left_over_is_found_and_taken_away() {
    privileged(|| {
        let Some(nft) = Nft::find() else { return };
        let lab = space();
        nft.apply(&lab.namespace, RULES);
        let before = nft.list(&lab.namespace);
        // Of a process that is long gone, on a kernel that knows no owners.
        let left = "table inet nslab-trace-4194305-0 {
            chain reached-output {
                type filter hook output priority -350;
            }
        }";
        nft.apply(&lab.namespace, left);
        let mut socket = lab.namespace.run(|| Socket::open(Protocol::Netfilter)).unwrap().unwrap();
        let ruleset = Ruleset::read(&mut socket).unwrap();
        let left: Vec<_> = ruleset
            .tables
            .iter()
            .filter(|table| TraceTable::is_left_over(table))
            .map(|table| table.id.clone())
            .collect();
        assert_eq!(left.len(), 1);
        TraceTable::clean(&mut socket, &left).unwrap();
        assert_eq!(nft.list(&lab.namespace), before);
        // Somebody else was faster.
        TraceTable::clean(&mut socket, &left).unwrap();
    });
}
