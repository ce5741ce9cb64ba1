//! What the kernel leaves out before it tells of a packet.

use serde_json::Value;

use super::can;
use crate::support::{Run, Session, as_root_alone};

as_root_alone!(the_same_is_told_as_without_it);

/// Two hosts with a router between them, over both versions of IP.
const ROUTED: &str = "
nodes: {a: {}, r: {forward: true}, b: {}}
links:
  - [a:eth0 10.0.0.1/24 fd00::1/64, r:a 10.0.0.254/24 fd00::254/64]
  - [b:eth0 10.0.1.2/24 fd00:1::2/64, r:b 10.0.1.254/24 fd00:1::254/64]
";

/// All on one processor, so that the answer from the router comes when all else is dropped.
const SENDS: &str = r#"
import os, socket, struct, subprocess
os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})

def meet(family, address):
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.settimeout(10)
    one.connect((address, 4711))
    one.send(b"")
    try:
        one.recv(1)
    except ConnectionRefusedError:
        pass

for family, router, to in [(socket.AF_INET, "10.0.0.254", "10.0.1.2"), (socket.AF_INET6, "fd00::254", "fd00:1::2")]:
    meet(family, router)
    # To a port, from a port, and neither; whole and in pieces.
    for source, port, size in [(1000, 7, 10), (7, 1001, 10), (1001, 1001, 10), (1002, 7, 3000), (1003, 10, 3000)]:
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.bind(("", source))
        one.sendto(bytes(size), (to, port))
    for port in [7, 8]:
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setblocking(False)
        one.connect_ex((to, port))

# An IPv6 header between.
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
one.sendto(bytes(11), ("fd00:1::2", 7))

# Behind a VLAN's tag.
udp = struct.pack("!HHHH", 1004, 7, 8, 0)
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 1, 2]))
total = sum(struct.unpack("!10H", ip))
ip = ip[:10] + struct.pack("!H", 0xffff ^ (total + (total >> 16)) & 0xffff) + ip[12:]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0))
frame = bytes([255] * 6 + [2, 0, 0, 0, 0, 1]) + struct.pack("!HHH", 0x8100, 5, 0x0800) + ip + udp
# The router's kernel takes the tag off before it drops it, a queue does not.
raw.send(frame)
meet(socket.AF_INET, "10.0.0.254")
subprocess.run(["tc", "qdisc", "replace", "dev", "eth0", "root", "blackhole"], check=True)
raw.send(frame)
"#;

/// With how many drops each takes at least.
const FILTERS: [(&str, usize); 6] = [
    ("udp port 7", 6),
    ("portrange 7-8 and dst net fd00:1::/64", 4),
    ("host 10.0.1.2 and tcp[tcpflags] & tcp-syn != 0", 2),
    ("ip[6:2] & 0x1fff != 0 or ip6[6] = 44 or tcp dst port 8", 8),
    ("vlan and udp port 7", 1),
    ("arp or ip6 host fd00:1::2 or src port 1001", 11),
];

fn the_same_is_told_as_without_it(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    let drop = "table inet f { chain c { type filter hook forward priority 0; policy drop; }; }";
    if session.run(["exec", &format!("{lab}/r"), "--", "nft", drop]).code != Some(0) {
        return nslab_testing::skip("there is no nft");
    }
    // Neighbours that ask again whether the other is still there do so whenever they like.
    for (node, link) in [("a", "eth0"), ("r", "a"), ("r", "b"), ("b", "eth0")] {
        let still = ["ipv4", "ipv6"].map(|ip| format!("net.{ip}.neigh.{link}.delay_first_probe_time=600"));
        session.ok(["exec", &format!("{lab}/{node}"), "--", "sysctl", "-qw", &still[0], &still[1]]);
    }
    session.file("send.py", SENDS);
    let program = session.program().display().to_string();
    // Each runs the next one, so that all see the same packets.
    let mut script = session.file("send.sh", format!("exec {program} exec {lab}/a -- python3 send.py\n"));
    // Of what is denied twice the kernel is told nothing.
    let both = |filter: &str| [filter.to_owned(), format!("not (not ({filter}))")];
    let all: Vec<[String; 2]> = FILTERS.iter().map(|(filter, _)| both(filter)).collect();
    for (number, filter) in all.iter().flatten().enumerate() {
        let line = format!(
            "exec {program} drops --json --all --lab {lab} -f '{filter}' -- sh {} >{number}.json\n",
            script.display()
        );
        script = session.file(&format!("{number}.sh"), line);
    }
    let mut command = session.other("sh");
    command.arg(script);
    Run::of(command).status(0);
    let told = |number: usize| -> Vec<String> {
        let text = std::fs::read_to_string(session.directory().join(format!("{number}.json"))).unwrap();
        let mut events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let summary = events.pop().unwrap();
        assert_eq!((&summary["event"], &summary["lost"]), (&"summary".into(), &0.into()));
        // Each finds out for itself what time it is.
        for event in &mut events {
            event["time_ns"] = Value::Null;
        }
        let mut lines: Vec<String> = events.iter().map(Value::to_string).collect();
        lines.sort_unstable();
        lines
    };
    for (number, (filter, least)) in FILTERS.iter().enumerate() {
        let (with, without) = (told(2 * number), told(2 * number + 1));
        assert_eq!(with, without, "{filter}");
        assert!(with.len() >= *least, "{filter}: {with:#?}");
    }
    session.ok(["down", &lab]);
}
