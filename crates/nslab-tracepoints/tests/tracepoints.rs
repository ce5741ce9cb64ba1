//! Programs at the tracepoints of the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use nslab_kernel::Namespace;
use nslab_kernel::link::SetLink;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_tracepoints::{
    End, Filter, Flow, Hooks, PacketKind, Record, Tracepoints, Tuple, Unavailable, What,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whatever comes later than this does not come.
const LIMIT: Duration = Duration::from_secs(20);

/// A namespace with its loopback interface up, and its number; none for who may not make one, nor put programs at tracepoints.
fn namespace() -> Option<(Namespace, u32)> {
    if !rustix::process::geteuid().is_root() {
        nslab_testing::skip("only root may put programs at tracepoints");
        return None;
    }
    let namespace = Namespace::create().unwrap();
    let up = SetLink { index: 1, up: Some(true), ..SetLink::default() };
    namespace.run(|| Socket::open(Protocol::Route).unwrap().request(&up).unwrap()).unwrap();
    let number = u32::try_from(namespace.id().unwrap().inode).unwrap();
    Some((namespace, number))
}

/// Sends a datagram with that payload to a port that nobody has.
fn send(namespace: &Namespace, to: &str, payload: &[u8]) {
    let to: SocketAddr = to.parse().unwrap();
    let socket = namespace.run(|| UdpSocket::bind(("127.0.0.1", 0)).unwrap()).unwrap();
    socket.send_to(payload, to).unwrap();
}

/// Programs at tracepoints; none where they cannot be, which the test then says.
fn open(filter: &Filter) -> Option<Tracepoints> {
    match Tracepoints::open(filter) {
        Ok(points) => Some(points),
        Err(Unavailable::NotPermitted) => {
            nslab_testing::skip("only root may put programs at tracepoints");
            None
        }
        Err(Unavailable::NoTypes { .. }) => {
            nslab_testing::kernel_lacks("CONFIG_DEBUG_INFO_BTF");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Waits for events until `enough`.
fn gather(points: &mut Tracepoints, mut enough: impl FnMut(&[Record]) -> bool) -> Vec<Record> {
    let begun = Instant::now();
    let mut all = Vec::new();
    loop {
        points.for_each(|event| {
            all.push(event.record());
            ControlFlow::Continue(())
        });
        if enough(&all) {
            return all;
        }
        assert!(begun.elapsed() < LIMIT, "{all:#?}");
        let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        poll(&mut [PollFd::new(points, PollFlags::IN)], Some(&wait)).unwrap();
    }
}

fn has(records: &[Record], payload: &[u8]) -> bool {
    records.iter().any(|record| record.event().bytes.ends_with(payload))
}

fn only(number: u32) -> Filter {
    Filter { namespaces: Some(vec![number]), memory: 1 << 16, ..Filter::default() }
}

#[test]
fn a_drop_is_told_with_everything() {
    let Some((namespace, number)) = namespace() else { return };
    let Some(mut points) = open(&only(number)) else { return };
    let before = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    send(&namespace, "127.0.0.1:9", b"to nobody");
    let all = gather(&mut points, |all| has(all, b"to nobody"));
    let after = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let event = all.iter().find(|record| record.event().bytes.ends_with(b"to nobody")).unwrap().event();
    let What::Dropped { reason, location } = event.what else { panic!("{event:?}") };
    // Nobody listens: so it is numbered since Linux 5.17.
    if let Some(reason) = reason {
        assert_eq!(points.names().reason(reason), "NO_SOCKET");
    } else {
        nslab_testing::kernel_is_older("5.17, which tells reasons");
    }
    assert!(points.symbol(location).unwrap().name.contains("udp"), "{event:?}");
    assert_eq!((event.namespace, event.link, event.link_name), (Some(number), Some(1), Some("lo")));
    assert_eq!((event.came_by, event.protocol, event.hardware), (Some(1), 0x0800, Some(772)));
    assert_eq!((event.packet_type, event.network, event.has_link_header), (PacketKind::Host, Some(14), true));
    assert_eq!((event.length, event.bytes.len()), (14 + 20 + 8 + 9, 14 + 20 + 8 + 9));
    // Clocks are read one after the other.
    let slack = Duration::from_millis(1);
    let time = Duration::from_nanos(event.time);
    assert!((before..after + 2 * slack).contains(&(time + slack)), "{before:?} {time:?} {after:?}");
    assert_eq!(points.lost(), 0);
}

/// Functions with their addresses and modules, as `/proc/kallsyms` has them: the first name of each address.
fn functions() -> Vec<(u64, String, Option<String>)> {
    let text = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let mut all: Vec<(u64, String, Option<String>)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let address = u64::from_str_radix(address, 16).unwrap();
        let module = words.next().map(|one| one.trim_matches(['[', ']']).to_owned());
        // What the kernel makes while it runs comes and goes.
        let is_made = module.as_ref().is_some_and(|one| one == "bpf" || one.starts_with("__builtin__"));
        if matches!(kind, "t" | "T") && address != 0 && !is_made {
            all.push((address, name.to_owned(), module));
        }
    }
    all.sort_by_key(|one| one.0);
    all.dedup_by_key(|one| one.0);
    all
}

#[test]
fn functions_are_called_what_the_kernels_list_calls_them() {
    let Some((_, number)) = namespace() else { return };
    let Some(points) = open(&only(number)) else { return };
    let all = functions();
    // Some of all parts, and of those that packets pass.
    let (net, other): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|one| ["ip", "tcp", "udp", "nf_", "br_"].iter().any(|word| one.1.starts_with(word)));
    let of_modules = all.iter().filter(|one| one.2.is_some()).step_by(97);
    let some = net.into_iter().step_by(43).chain(other.into_iter().step_by(4999)).chain(of_modules);
    let mut count = 0;
    for (address, name, module) in some {
        // Behind the first byte, as if a call of one byte stood there: that is in the function however short it is.
        let symbol = points.symbol(address + 1).unwrap();
        assert_eq!((&*symbol.name, symbol.module.as_deref(), symbol.offset), (&**name, module.as_deref(), 1));
        assert_eq!(points.symbol(address + 1), Some(symbol));
        count += 1;
    }
    assert!(count > 30, "{count} of {}", all.len());
    assert_eq!((points.symbol(0), points.symbol(1), points.symbol(4096)), (None, None, None));
}

#[test]
fn long_packets_are_told_by_their_beginning() {
    let Some((namespace, number)) = namespace() else { return };
    let Some(mut points) = open(&Filter { chooses: false, ..only(number) }) else { return };
    send(&namespace, "127.0.0.1:9", &[b'x'; 1000]);
    let all = gather(&mut points, |all| all.iter().any(|record| record.event().length > 1000));
    let event = all.iter().find(|record| record.event().length > 1000).unwrap().event();
    assert_eq!((event.length, event.bytes.len()), (1042, 128));
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let Some((namespace, number)) = namespace() else { return };
    let Some((other, other_number)) = self::namespace() else { return };
    let Some(mut points) = open(&only(number)) else { return };
    // Two at once: each sees its own.
    let mut beside = open(&only(other_number)).unwrap();
    send(&other, "127.0.0.1:9", b"yonder");
    send(&namespace, "127.0.0.1:9", b"here");
    let all = gather(&mut points, |all| has(all, b"here"));
    assert!(!has(&all, b"yonder"));
    let all = gather(&mut beside, |all| has(all, b"yonder"));
    assert!(!has(&all, b"here"));
    // Others come later, and go.
    points.watch(other_number).unwrap();
    send(&other, "127.0.0.1:9", b"later");
    gather(&mut points, |all| has(all, b"later"));
    points.unwatch(number);
    send(&namespace, "127.0.0.1:9", b"gone");
    send(&other, "127.0.0.1:9", b"still");
    let all = gather(&mut points, |all| has(all, b"still"));
    assert!(!has(&all, b"gone"));
}

#[test]
fn all_of_the_machine_is_seen() {
    let Some((namespace, number)) = namespace() else { return };
    let Some(mut points) = open(&Filter::default()) else { return };
    send(&namespace, "127.0.0.1:9", b"anywhere");
    let all = gather(&mut points, |all| has(all, b"anywhere"));
    let found = all.iter().find(|record| record.event().bytes.ends_with(b"anywhere")).unwrap();
    assert_eq!(found.event().namespace, Some(number));
}

#[test]
fn a_flow_is_told_both_ways_and_no_other() {
    let Some((namespace, number)) = namespace() else { return };
    let end = |address: &str, port| End { address: address.parse::<IpAddr>().ok(), port };
    for (flow, wanted, other) in [
        (Flow { ipv6: false, protocol: Some(17), ends: [end("", None), end("", Some(9))] }, ":9", ":10"),
        (
            Flow { ipv6: false, protocol: None, ends: [end("127.0.0.2", None), end("", None)] },
            "127.0.0.2:9",
            "127.0.0.3:9",
        ),
        (
            Flow {
                ipv6: false,
                protocol: Some(17),
                ends: [end("127.0.0.2", Some(9)), end("127.0.0.1", None)],
            },
            "127.0.0.2:9",
            "127.0.0.2:10",
        ),
    ] {
        let Some(mut points) = open(&Filter { flow: Some(flow), ..only(number) }) else { return };
        let whole = |to: &str| if to.starts_with(':') { format!("127.0.0.1{to}") } else { to.to_owned() };
        send(&namespace, &whole(other), b"other");
        send(&namespace, &whole(wanted), b"wanted");
        let all = gather(&mut points, |all| has(all, b"wanted"));
        assert!(!has(&all, b"other"), "{flow:?}");
    }
    let ipv6 = Flow { ipv6: true, protocol: None, ends: [End::default(); 2] };
    let Some(mut points) = open(&Filter { flow: Some(ipv6), ..only(number) }) else { return };
    send(&namespace, "127.0.0.1:9", b"of IPv4");
    let socket = namespace.run(|| UdpSocket::bind(("::1", 0)).unwrap()).unwrap();
    socket.send_to(b"of IPv6", ("::1", 9)).unwrap();
    let all = gather(&mut points, |all| has(all, b"of IPv6"));
    assert!(!has(&all, b"of IPv4"));
}

#[test]
fn packets_outside_of_what_is_chosen_are_not_told() {
    let Some((namespace, number)) = namespace() else { return };
    let Some(mut points) = open(&only(number)) else { return };
    let net = |text: &str, bits| text.parse::<IpAddr>().ok().map(|address| (address, bits));
    let any = Tuple::default();
    let udp = Tuple { protocol: Some(17), ..any };
    let many = |count: u16| (0..count).map(|port| Tuple { source_port: Some((port, port)), ..udp });
    for (tuples, wanted, other) in [
        (vec![Tuple { destination_port: Some((9, 9)), ..any }], "127.0.0.1:9", "127.0.0.1:10"),
        (vec![Tuple { destination_port: Some((8, 9)), ..udp }], "127.0.0.1:8", "127.0.0.1:10"),
        (vec![Tuple { destination: net("127.0.0.2", 32), ..any }], "127.0.0.2:9", "127.0.0.3:9"),
        (vec![Tuple { destination: net("127.64.0.0", 10), ..udp }], "127.127.0.1:9", "127.128.0.1:9"),
        (
            vec![
                Tuple { protocol: Some(6), ..any },
                Tuple { source: net("127.0.0.1", 32), destination_port: Some((9, 9)), ..any },
            ],
            "127.0.0.1:9",
            "127.0.0.1:10",
        ),
        // The last one of as many as there may be.
        (
            many(15).chain([Tuple { destination_port: Some((7, 7)), ..udp }]).collect(),
            "127.0.0.1:7",
            "127.0.0.1:10",
        ),
    ] {
        points.choose(&tuples).unwrap();
        send(&namespace, other, b"other");
        send(&namespace, wanted, b"wanted");
        let all = gather(&mut points, |all| has(all, b"wanted"));
        assert!(!has(&all, b"other"), "{tuples:?}");
    }
    // Of IPv6 alone, and nothing of IP.
    points.choose(&[Tuple { ipv6: Some(true), destination_port: Some((9, 9)), ..udp }]).unwrap();
    send(&namespace, "127.0.0.1:9", b"of IPv4");
    let socket = namespace.run(|| UdpSocket::bind(("::1", 0)).unwrap()).unwrap();
    socket.send_to(b"yonder", ("::1", 10)).unwrap();
    socket.send_to(b"of IPv6", ("::1", 9)).unwrap();
    let all = gather(&mut points, |all| has(all, b"of IPv6"));
    assert!(!has(&all, b"of IPv4") && !has(&all, b"yonder"));
    points.choose(&[]).unwrap();
    send(&namespace, "127.0.0.1:9", b"none");
    // More than can be compared, and everything again.
    points.choose(&many(17).collect::<Vec<_>>()).unwrap();
    send(&namespace, "127.0.0.1:9", b"all");
    let all = gather(&mut points, |all| has(all, b"all"));
    assert!(!has(&all, b"none"));
}

#[test]
fn pieces_without_ports_are_told_whatever_ports_are_chosen() {
    let Some((namespace, number)) = namespace() else { return };
    let Some(mut points) = open(&only(number)) else { return };
    points.choose(&[Tuple { destination_port: Some((9, 9)), ..Tuple::default() }]).unwrap();
    // There is no room to put pieces together.
    namespace
        .run(|| {
            for name in ["low", "high"] {
                std::fs::write(format!("/proc/sys/net/ipv4/ipfrag_{name}_thresh"), "0").unwrap();
            }
        })
        .unwrap();
    let mut piece = vec![0x45, 0, 0, 28, 0, 7, 0, 100, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    piece.extend(*b"tailtail");
    namespace
        .run(|| {
            use rustix::net::{AddressFamily, SendFlags, SocketAddrV4, SocketType, ipproto, sendto, socket};
            let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW)).unwrap();
            let to = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0);
            sendto(&raw, &piece, SendFlags::empty(), &to).unwrap();
        })
        .unwrap();
    gather(&mut points, |all| has(all, b"tailtail"));
}

#[test]
fn what_passes_is_told_if_asked_for() {
    let Some((namespace, number)) = namespace() else { return };
    let hooks = Hooks::DROPS | Hooks::RECEIVED | Hooks::SENT | Hooks::CONSUMED;
    let Some(mut points) = open(&Filter { hooks, ..only(number) }) else { return };
    let receiver = namespace.run(|| UdpSocket::bind(("127.0.0.1", 0)).unwrap()).unwrap();
    send(&namespace, &receiver.local_addr().unwrap().to_string(), b"taken");
    receiver.recv_from(&mut [0; 16]).unwrap();
    // What tells that nobody listens is read by the kernel itself, and freed when it is done.
    send(&namespace, "127.0.0.1:9", b"to nobody");
    let is_consumed = |record: &Record| matches!(record.event().what, What::Consumed { .. });
    let all = gather(&mut points, |all| all.iter().any(is_consumed));
    let taken = all.iter().map(Record::event).filter(|event| event.bytes.ends_with(b"taken"));
    let taken: Vec<_> = taken.map(|event| (event.what, event.identity.0)).collect();
    assert_eq!((taken[0].0, taken[1].0), (What::Sent, What::Received), "{all:?}");
    assert!(taken.iter().all(|(_, one)| *one == taken[0].1), "{all:?}");
}

#[test]
fn what_does_not_fit_is_counted() {
    let Some((namespace, number)) = namespace() else { return };
    let Some(mut points) = open(&only(number)) else { return };
    let socket = namespace.run(|| UdpSocket::bind(("127.0.0.1", 0)).unwrap()).unwrap();
    // The ring has room for 65536 / 232.
    let count: u64 = 1000;
    for _ in 0..count {
        socket.send_to(b"many", ("127.0.0.1", 9)).unwrap();
    }
    let told = gather(&mut points, |all| !all.is_empty());
    let told = told.iter().filter(|record| record.event().bytes.ends_with(b"many")).count() as u64;
    assert!((200..300).contains(&told) && told + points.lost() >= count, "{told} and {}", points.lost());
}

#[test]
fn nothing_stays() {
    let Some((_, number)) = namespace() else { return };
    let Some(points) = open(&only(number)) else { return };
    let own = |fd: std::fs::DirEntry| {
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.file_name().to_str()?)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok())
    };
    // Other tests have programs of their own here, which go meanwhile.
    let mut before: Vec<u32> =
        std::fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(own).collect();
    assert!(!before.is_empty());
    drop(points);
    let begun = Instant::now();
    loop {
        let still: Vec<u32> = std::fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(own).collect();
        let programs = nslab_kernel::bpf::programs().unwrap();
        before.retain(|number| programs.iter().any(|program| program.number == *number));
        // What is left is somebody's who still has it.
        if before.iter().all(|number| still.contains(number)) {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "{before:?} are still there");
        std::thread::yield_now();
    }
}

#[test]
fn without_privilege_it_says_so() {
    use std::os::unix::process::CommandExt as _;
    if !rustix::process::geteuid().is_root() {
        let refused = Tracepoints::open(&Filter::default()).unwrap_err();
        assert!(matches!(refused, Unavailable::NotPermitted | Unavailable::NoTypes { .. }), "{refused:?}");
        assert!(refused.hint().is_some());
        return;
    }
    // Once more, as somebody else.
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["without_privilege_it_says_so", "--exact", "--nocapture"]).uid(65534).gid(65534);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return nslab_testing::skip(&format!("nobody cannot run this test: {error}")),
    };
    assert!(output.status.success(), "{output:?}");
}
