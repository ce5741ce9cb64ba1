//! What is written, read by Wireshark's programs and held against tcpdump's own capture.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Capturing, Tcpdump, count, fields, tool};
use crate::support::{ROUTED, Running, Session, as_root, each_user};

each_user!(interfaces_and_directions, a_pipe, by_size, by_age);
as_root!(as_tcpdump_does);

fn interfaces_and_directions(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let file = session.directory().join("out.pcapng");
    let mut command =
        session.command(["capture", "--lab", &lab, "-w", "out.pcapng", "-f", "icmp", "--print", "--"]);
    command.arg(session.program()).args(["ping", &red, "blue", "-c2", "-i0.05"]);
    let captured = Capturing::start(command).end();
    captured.whole(16);
    assert_eq!(captured.text().lines().filter(|line| line.contains(" IP ")).count(), 16);
    let all = fields(session, &file, &["frame.interface_name", "frame.packet_flags_direction", "ip.ttl"]);
    let expected = [
        ["eth0@red", "0x00000002", "64"],
        ["lan@fw", "0x00000001", "64"],
        ["wan@fw", "0x00000002", "63"],
        ["eth0@blue", "0x00000001", "63"],
        ["eth0@blue", "0x00000002", "64"],
        ["wan@fw", "0x00000001", "64"],
        ["lan@fw", "0x00000002", "63"],
        ["eth0@red", "0x00000001", "63"],
    ];
    assert_eq!(all, [expected, expected].concat());
    let about = tool(session, "capinfos", &["out.pcapng"]);
    for said in [
        "Strict time order:   True",
        "Number of interfaces in file: 4",
        "Time precision = nanoseconds (9)",
        "Filter string = icmp",
        "Name = lan@fw",
        "Number of stat entries = 1",
        "Number of packets = 4",
    ] {
        assert!(about.contains(said), "{said}:\n{about}");
    }
}

fn a_pipe(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let mut command = session.command(["capture", "--lab", &lab, "-w", "-", "-f", "icmp", "--"]);
    command.arg(session.program()).args(["ping", &red, "blue", "-c1"]);
    let captured = Capturing::start(command).end();
    captured.whole(8);
    // What the program prints is not among the packets.
    assert!(captured.stderr.contains("1 received"), "{captured:#?}");
    let file = session.file("piped.pcapng", &captured.stdout);
    assert_eq!(count(session, &file), 8);
    // Packets go down the pipe while it runs.
    let shell =
        format!("{} capture {red} -w - -f icmp | tshark -n -l -r - -c 2", session.program().display());
    let mut command = session.other("sh");
    command.args(["-c", &shell]);
    let capturing = Capturing::start(command);
    session.ok(["ping", &red, "blue", "-c1"]);
    let start = Instant::now();
    while !capturing.stdout.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(60));
        // So that it finds out that nobody reads.
        session.ok(["ping", &red, "blue", "-c1"]);
    }
    assert_eq!(capturing.end().text().lines().count(), 2);
}

fn by_size(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let command =
        session.command(["capture", "--lab", &lab, "-w", "ring.pcapng", "-C", "1", "-W", "3", "-f", "icmp"]);
    let capturing = Capturing::start(command);
    // 8 × 8000 bytes each.
    session.ok(["ping", &red, "blue", "-c80", "-i0", "-s", "8000"]);
    let captured = capturing.signal(Signal::INT);
    assert_eq!(captured.code, Some(0), "{captured:#?}");
    let sizes: Vec<u64> = (0..4)
        .map(|number| session.directory().join(format!("ring.pcapng{number}")))
        .map(|path| std::fs::metadata(path).map_or(0, |about| about.len()))
        .collect();
    assert!(
        sizes[..3].iter().filter(|size| (1_000_000..1_010_000).contains(*size)).count() >= 2,
        "{sizes:?}"
    );
    assert_eq!(sizes[3], 0, "{sizes:?}");
    for number in 0..3 {
        let path = session.directory().join(format!("ring.pcapng{number}"));
        let seen = fields(session, &path, &["frame.interface_name"]);
        assert!(seen.iter().any(|name| name[0] == "lan@fw"));
    }
}

fn by_age(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    // It is at work before, as on a slow machine one would begin when all is over.
    let mut pinging = Running::start(session.command(["ping", &red, "blue", "-c10000", "-i0.1"]));
    let mut lines = BufReader::new(pinging.child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("icmp_seq=1 ")));
    let command = session.command(["capture", &red, "-w", "%s.pcapng", "-G", "1", "-W", "2", "-f", "icmp"]);
    // It ends by itself.
    let captured = Capturing::start(command).end();
    captured.whole(captured.packets());
    let names = std::fs::read_dir(session.directory()).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = names.filter(|path| path.extension().is_some_and(|end| end == "pcapng")).collect();
    let counts: Vec<usize> = files.iter().map(|file| count(session, file)).collect();
    assert!(counts.len() == 2 && !counts.contains(&0), "{files:?} {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), captured.packets());
}

/// tcpdump beside it, in the same namespace: the same packets.
fn as_tcpdump_does(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    // What IPv6 and neighbours say by themselves may come when only one of them is ready.
    let tcpdump = Tcpdump::start(session, &format!("{lab}-fw"), &["-i", "any", "-w", "theirs.pcap", "ip"]);
    let capturing =
        Capturing::start(session.command(["capture", &format!("{lab}/fw"), "-w", "ours.pcapng", "-f", "ip"]));
    session.ok(["ping", &red, "blue", "-c20", "-i0.001", "-s", "1400"]);
    // A connection that is refused.
    let connect = "import socket\ntry: socket.create_connection(('10.0.1.2', 80))\nexcept OSError: pass";
    session.ok(["exec", &red, "--", "python3", "-c", connect]);
    let captured = capturing.signal(Signal::INT);
    assert_eq!(captured.code, Some(0), "{captured:#?}");
    assert!(captured.stderr.contains("\n0 packets lost"), "{captured:#?}");
    assert_eq!(tcpdump.end(), captured.packets());
    let what = ["frame.len", "ip.src", "ip.id", "icmp.seq", "tcp.flags"];
    let sorted = |file: &str| {
        let mut all = fields(session, &session.directory().join(file), &what);
        for one in &mut all {
            // tcpdump's are in a header of its own, six bytes longer than Ethernet's.
            one.remove(0);
        }
        all.sort();
        all
    };
    let (ours, theirs) = (sorted("ours.pcapng"), sorted("theirs.pcap"));
    assert!(ours.len() > 80, "{}", ours.len());
    assert_eq!(ours, theirs);
}
