//! `trace`: what the kernel counts beside what became of the packet.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::support::{PAIR, Running, Session, each_user_alone};

each_user_alone!(a_counter_backs_the_cause, a_counter_hints_at_what_is_not_foreseen);

/// A router between two, of whom one is no router though routes say so.
const ROUTED: &str = r#"
nodes:
  a: {routes: ["default via 10.0.0.254", "default via fd00::ff"]}
  r:
    forward: true
    sysctl: {net.ipv4.conf.all.rp_filter: 1, net.ipv4.conf.a.rp_filter: 1}
    routes: ["10.9.0.0/16 via 10.0.1.2", "fd09::/16 via fd01::2"]
  b: {routes: ["default via 10.0.1.254", "default via fd01::ff"]}
links:
  - [a:eth0 10.0.0.1/24 fd00::1/64, r:a 10.0.0.254/24 fd00::ff/64]
  - [r:b 10.0.1.254/24 fd01::ff/64, b:eth0 10.0.1.2/24 fd01::2/64, {mtu: 1300}]
"#;

fn trace(session: &Session, lab: &str, words: &str) -> Value {
    let words = words.replace("LAB", lab);
    let run = session.run(["trace", "--json"].into_iter().chain(words.split(' ')));
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
}

/// The counters that back the cause, as `node counter`; or those that do not.
fn counters(report: &Value, backs: bool) -> Vec<String> {
    let all = report["counters"].as_array().unwrap().iter().filter(|one| one["backs"] == backs);
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    all.map(|one| {
        assert!(one["by"].as_u64().unwrap() > 0, "{one}");
        format!("{} {}", text(one, "ns").rsplit_once('/').unwrap().1, text(one, "counter"))
    })
    .collect()
}

fn a_counter_backs_the_cause(session: &Session) {
    let lab = session.up(ROUTED);
    let ip = |words: &str| session.ok(["exec"].into_iter().chain(words.replace("LAB", &lab).split(' ')));
    // An address that nobody knows the way to, and a route that says so.
    ip("LAB/a -- ip address add 10.77.0.1/32 dev lo");
    session.file(
        "out.nft",
        "table ip t { chain out { type filter hook output priority 0; ip daddr 10.0.1.77 drop; }; }",
    );
    ip("LAB/r -- nft -f out.nft");
    let cases = [
        ("LAB/a 192.0.2.1", "NO_ROUTE", "r IpExtInNoRoutes"),
        ("LAB/a 10.0.1.2 --from 10.77.0.1", "RP_FILTER", "r TcpExtIPReversePathFilter"),
        ("LAB/a [fd01::2]:7/udp", "NO_LISTENER", "b Udp6NoPorts"),
        ("LAB/a 2001:db8::1", "NO_ROUTE", "r Ip6InNoRoutes"),
        ("LAB/r 192.0.2.1:9/udp", "NO_ROUTE", "r IpOutNoRoutes"),
        ("LAB/a 10.0.1.2 --ttl 1", "TTL_EXPIRED", "r IpInHdrErrors"),
        ("LAB/a fd01::2 --ttl 1", "TTL_EXPIRED", "r Ip6InHdrErrors"),
        ("LAB/a 10.0.1.2 --df --size 1400", "MTU_EXCEEDED", "r IpFragFails"),
        ("LAB/a fd01::2 --size 1400", "MTU_EXCEEDED", "r Ip6InTooBigErrors"),
        ("LAB/a 10.9.0.1", "FORWARDING_OFF", "b IpInAddrErrors"),
        ("LAB/a fd09::1", "FORWARDING_OFF", "b Ip6InAddrErrors"),
        ("LAB/a 10.0.1.2:7/tcp", "NO_LISTENER", "b TcpOutRsts"),
        ("LAB/a 10.0.1.2:7/udp", "NO_LISTENER", "b UdpNoPorts"),
        ("LAB/r 10.0.1.77:7/udp", "FIREWALL_DROP", "r IpOutDiscards"),
    ];
    // What is counted hangs on the kernel, not on the user.
    let count = if session.is_root { cases.len() } else { 3 };
    for (words, code, counter) in &cases[..count] {
        let report = trace(session, &lab, words);
        assert_eq!(
            (report["cause"]["code"].as_str(), report["agrees"].as_bool()),
            (Some(*code), Some(true)),
            "{report:#}"
        );
        let backing = counters(&report, true);
        assert!(backing.contains(&(*counter).to_owned()), "{words}: {report:#}");
        let steps = report["steps"].as_array().unwrap();
        let step =
            steps.iter().position(|step| step["by"] == "counters").unwrap_or_else(|| panic!("{report:#}"));
        let name = counter.rsplit_once(' ').unwrap().1;
        assert!(steps[step]["detail"].as_str().unwrap().contains(&format!("{name} +")), "{report:#}");
        assert_eq!(
            (steps[step]["sight"].as_str(), steps[step + 1]["action"].as_str()),
            (Some("detail"), Some("stop"))
        );
        assert!(report["evidence"].as_array().unwrap().contains(&"counters".into()), "{report:#}");
    }
    // What no counter tells of.
    let report = trace(session, &lab, "LAB/a 10.0.0.77");
    assert_eq!(
        (report["cause"]["code"].as_str(), counters(&report, true)),
        (Some("NEIGHBOUR_FAILED"), Vec::new())
    );
    assert!(!report["evidence"].as_array().unwrap().contains(&"counters".into()), "{report:#}");
    // Both ends of a cable count what does not get through.
    ip("LAB/b -- ip link set dev eth0 mtu 1280");
    let report = trace(session, &lab, "LAB/r 10.0.1.2 --size 1272 --df");
    assert_eq!(report["cause"]["code"].as_str(), Some("MTU_MISMATCH"), "{report:#}");
    let backing = counters(&report, true);
    for counter in ["b rx_dropped", "r tx_dropped"] {
        assert!(backing.contains(&counter.to_owned()), "{counter}: {report:#}");
    }
    // An answer makes all others superfluous.
    assert_eq!(trace(session, &lab, "LAB/a 10.0.1.2")["counters"], serde_json::json!([]));
    let text = session.run(["trace", &format!("{lab}/a"), "192.0.2.1"]).status(1).stdout;
    assert!(text.contains("  stop     counters: IpExtInNoRoutes +1\n"), "{text}");
    session.ok(["down", &lab]);
}

/// Listens on a port, and accepts nobody: one connection waits, and there is no room for a second.
const BUSY: &str = r#"
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(("0.0.0.0", 80))
server.listen(0)
client = socket.create_connection(("127.0.0.1", 80))
print("busy", flush=True)
sys.stdin.read()
"#;

fn a_counter_hints_at_what_is_not_foreseen(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    session.file("busy.py", BUSY);
    let mut command = session.command(["exec", &blue, "--", "python3", "busy.py"]);
    command.stdin(std::process::Stdio::piped());
    let mut server = Running::start(command);
    let mut line = String::new();
    BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "busy\n");
    let report = trace(session, &lab, "LAB/red LAB/blue:80/tcp");
    assert_eq!(
        (report["verdict"].as_str(), report["agrees"].as_bool()),
        (Some("dropped"), Some(false)),
        "{report:#}"
    );
    let hints = counters(&report, false);
    assert!(hints.contains(&"blue TcpExtListenOverflows".to_owned()), "{report:#}");
    // It is no more than a hint.
    assert_eq!((report["cause"]["code"].as_str(), counters(&report, true)), (Some("UNMODELLED"), Vec::new()));
    let text = session.run(["trace", &red, &format!("{blue}:80/tcp")]).status(1).stdout;
    let expected = format!("counters in {blue} that grew, by this packet or others: TcpExtListenOverflows +");
    assert!(text.contains(&expected), "{text}");
    drop(server);
    session.ok(["down", &lab]);
}
