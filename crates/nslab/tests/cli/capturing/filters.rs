//! Filters that the kernel applies, held against what tcpdump finds in the same traffic.

use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::{Capturing, Tcpdump};
use crate::support::{ROUTED, Session, as_root, each_user};

as_root!(as_tcpdump_filters);
each_user!(hosts_by_their_names);

const PAIR: &str = "
nodes: {red: {}, blue: {}}
links: [[red:eth0 10.0.0.1/24 fd00::1/64, blue:eth0 10.0.0.2/24 fd00::2/64]]
";

const FILTERS: [&str; 46] = [
    "arp",
    "ip",
    "ip6",
    "icmp",
    "icmp6",
    "tcp",
    "udp",
    "vlan",
    "vlan 7",
    "vlan and ip",
    "not vlan",
    "ether broadcast",
    "ether multicast",
    "ip multicast",
    "host 10.0.0.2",
    "src host 10.0.0.2",
    "dst host fd00::2",
    "host 10.0.0.2 and tcp",
    "net 10.0.0.0/24",
    "net 10.0.0.0/30 and udp",
    "src net fd00::/64",
    "port 80",
    "dst port 80",
    "src port 80",
    "tcp port 80",
    "udp port 53",
    "portrange 50-60",
    "udp dst portrange 1-100",
    "greater 500",
    "less 100",
    "len > 200",
    "tcp[tcpflags] & tcp-syn != 0",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
    "tcp[13] = 0x14",
    "icmp[icmptype] = icmp-echo",
    "icmp[icmptype] == icmp-echoreply or arp",
    "ip[8] < 64",
    "ip[6:2] & 0x1fff != 0",
    "ip proto 1",
    "ip proto \\udp",
    "ip6 proto 58",
    "ether proto 0x0806",
    "ether[0] & 1 = 1",
    "not (tcp or udp) and not arp",
    "udp[4:2] > 100",
    "arp or (icmp and greater 500) or tcp dst port 80",
];

/// Frames with tags and without, fragments, TCP, UDP, ARP, ICMP of both families.
const TRAFFIC: &str = r#"
import socket, struct
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0))
ip = bytes.fromhex("450000240001000001110000" + "0a000001" + "0a000002") + struct.pack("!HHHH", 1000, 53, 16, 0) + b"12345678"
for tag in (7, 9): raw.send(b"\xff" * 6 + b"\x02\0\0\0\0\x01" + struct.pack("!HHH", 0x8100, tag, 0x0800) + ip)
raw.send(b"\x01\0\x5e\0\0\x01" + b"\x02\0\0\0\0\x01" + struct.pack("!H", 0x0800) + ip[:16] + b"\xe0\0\0\x01" + ip[20:])
for family, to in ((socket.AF_INET, "10.0.0.2"), (socket.AF_INET6, "fd00::2")):
    udp = socket.socket(family, socket.SOCK_DGRAM)
    for port, size in ((53, 10), (53, 300), (9, 4000), (60, 1)):
        try: udp.sendto(b"x" * size, (to, port))
        except OSError: pass
    for port in (80, 81):
        tcp = socket.socket(family)
        tcp.settimeout(2)
        try: tcp.connect((to, port))
        except OSError: pass
"#;

fn as_tcpdump_filters(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    let start = |number: usize| {
        let (ours, theirs) = (format!("{number}.ours"), format!("{number}.theirs"));
        // As much of each packet, and as many blocks, as tcpdump has.
        let few = ["capture", &blue, "-B", "1024", "-s", "8192", "-w", &ours, "-f", FILTERS[number]];
        let command = session.command(few);
        let arguments = ["-i", "eth0", "-w", &theirs, FILTERS[number]];
        (Capturing::start(command), Tcpdump::start(session, &format!("{lab}-blue"), &arguments))
    };
    // Each spends most of its time waiting for the kernel.
    let numbers: Vec<usize> = (0..FILTERS.len()).collect();
    let all: Vec<_> = std::thread::scope(|scope| {
        let parts = numbers
            .chunks(4)
            .map(|part| scope.spawn(move || part.iter().copied().map(start).collect::<Vec<_>>()));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    // What neighbours say by themselves comes at any time; what counts is in between.
    let began = SystemTime::now();
    session.file("traffic.py", TRAFFIC);
    session.ok(["exec", &red, "--", "python3", "traffic.py"]);
    session.ok(["ping", &red, "10.0.0.2", "-c3", "-i0", "-s", "600"]);
    session.ok(["ping", &red, "fd00::2", "-c2", "-i0"]);
    let ended = SystemTime::now();
    let mut without = Vec::new();
    // tcpdump reads nothing any more once it is told to end: it has as long as all of ours take to end.
    let all: Vec<_> = all.into_iter().map(|(ours, theirs)| (ours.signal(Signal::INT), theirs)).collect();
    for (filter, (captured, theirs)) in FILTERS.iter().zip(all) {
        assert_eq!(captured.code, Some(0), "{filter}: {captured:#?}");
        assert!(captured.stderr.contains("\n0 packets lost"), "{filter}: {captured:#?}");
        if theirs.end().min(captured.packets()) == 0 {
            without.push(filter);
        }
    }
    // A filter that finds nothing here shows nothing.
    assert!(without.is_empty(), "{without:?}");
    let lines = |file: String| -> Vec<String> {
        let mut output = Command::new("tcpdump");
        output.args(["-n", "-tt", "-q", "-r"]).arg(session.directory().join(file));
        let text = String::from_utf8(output.output().unwrap().stdout).unwrap();
        let is_between = |line: &&str| {
            let seconds = line.split(' ').next().unwrap().parse().unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds);
            (began..ended).contains(&time)
        };
        let packets = text.lines().filter(is_between).map(|line| line.split_once(' ').unwrap().1.to_owned());
        let mut packets: Vec<String> = packets.collect();
        packets.sort();
        packets
    };
    for (number, filter) in FILTERS.iter().enumerate() {
        let ours = lines(format!("{number}.ours"));
        assert_eq!(ours, lines(format!("{number}.theirs")), "{filter}");
        assert!(!ours.is_empty(), "{filter}");
    }
}

fn hosts_by_their_names(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let ping = session.program();
    let mut command =
        session.command(["capture", "--lab", &lab, "-f", "icmp and src host blue and not host fw", "--"]);
    command.arg(ping).args(["ping", &red, "blue", "-c1"]);
    let captured = Capturing::start(command).end();
    // The answer, at four interfaces.
    captured.whole(4);
    let replies = captured.text().matches("IP 10.0.1.2 > 10.0.0.2: ICMP echo reply").count();
    assert_eq!(replies, 4, "{captured:#?}");
    session.run(["capture", "--lab", &lab, "-f", "host bleu"]).status(2).says("\"bleu\" is no address");
}
