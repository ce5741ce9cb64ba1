//! One line for each packet, JSON, and what is in tunnels.

use serde_json::Value;

use super::Capturing;
use crate::support::{ROUTED, Run, Session, each_user, keys};

each_user!(ways_through_a_router_with_nat, round_in_a_circle, as_json, in_a_tunnel);

const NAT: &str = "
addressing: {ipv6: none}
nodes:
  red: {}
  fw:
    forward: true
    nat: [{masquerade: wan}]
    firewall: {default: drop, allow: [{from: lan, to: wan, icmp: echo-request}]}
  blue: {}
switches: {br0: {}}
links:
  - [red:eth0 10.0.0.2/24, br0]
  - [br0, fw:lan 10.0.0.1/24]
  - [blue:eth0 10.0.1.2/24, fw:wan 10.0.1.1/24]
";

fn ways_through_a_router_with_nat(session: &Session) {
    let lab = session.up(NAT);
    let red = format!("{lab}/red");
    // Neighbours are known then.
    session.ok(["ping", &red, "blue", "-c1"]);
    let mut command = session.command(["capture", "--lab", &lab, "--follow", "-n", "-t", "-f", "icmp", "--"]);
    command.arg(session.program()).args(["ping", &red, "blue", "-c1"]);
    let captured = Capturing::start(command).end();
    captured.whole(12);
    let ways: Vec<&str> = captured.text().lines().filter(|line| line.contains(" → ")).collect();
    let request = "red:eth0 → br0:red → br0:fw → fw:lan → fw:wan [10.0.1.1 > 10.0.1.2] → blue:eth0 ✓  \
                   IP 10.0.0.2 > 10.0.1.2: ICMP echo request, id ";
    let reply = "blue:eth0 → fw:wan → fw:lan [10.0.1.2 > 10.0.0.2] → br0:fw → br0:red → red:eth0 ✓  \
                 IP 10.0.1.2 > 10.0.1.1: ICMP echo reply, id ";
    assert_eq!(ways.len(), 2, "{captured:#?}");
    assert!(ways[0].starts_with(request) && ways[0].ends_with(" ms)"), "{captured:#?}");
    assert!(ways[1].starts_with(reply), "{captured:#?}");
    // What the firewall drops.
    let udp =
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.0.1.2', 53))";
    let command = session.command(["capture", "--lab", &lab, "--follow", "-n", "-t", "-f", "udp", "-c", "2"]);
    let capturing = Capturing::start(command);
    for _ in 0..3 {
        session.ok(["exec", &red, "--", "python3", "-c", udp]);
    }
    let captured = capturing.end();
    assert_eq!(captured.code, Some(0), "{captured:#?}");
    let lines: Vec<&str> = captured.text().lines().collect();
    assert_eq!(lines.len(), 2, "{captured:#?}");
    assert!(lines[0].starts_with("red:eth0 → br0:red → br0:fw → fw:lan ✗  IP 10.0.0.2."), "{captured:#?}");
    // Where it goes is not looked at.
    let mut command = session.command(["capture", &red, "--follow", "-t", "-f", "icmp", "--"]);
    command.arg(session.program()).args(["ping", &red, "blue", "-c1"]);
    let captured = Capturing::start(command).end();
    assert!(
        captured.text().contains("red:eth0 → ?  IP 10.0.0.2 > 10.0.1.2: ICMP echo request"),
        "{captured:#?}"
    );
}

/// Each of two routers sends it to the other.
fn round_in_a_circle(session: &Session) {
    let lab = session.up("
addressing: {ipv6: none}
routing: none
nodes:
  a: {routes: [default via 10.0.3.1]}
  r: {forward: true, routes: [default via 10.0.0.2]}
  q: {forward: true, routes: [default via 10.0.0.1]}
links:
  - [a:eth0 10.0.3.3/24, r:a 10.0.3.1/24]
  - [r:q 10.0.0.1/24, q:r 10.0.0.2/24]
");
    let a = format!("{lab}/a");
    // Neighbours are known then.
    session.run(["ping", &a, "10.9.9.9", "-c1", "-W0.1"]).status(1);
    let sent = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 2, 9); s.sendto(bytes(SIZE), ('10.9.9.9', 53))";
    for (size, count) in [(30, 18), (2000, 36)] {
        let mut command =
            session.command(["capture", "--lab", &lab, "--follow", "-n", "-t", "-f", "udp", "--"]);
        let sent = sent.replace("SIZE", &size.to_string());
        command.arg(session.program()).args(["exec", &a, "--", "python3", "-c", &sent]);
        let captured = Capturing::start(command).end();
        captured.whole(count);
        let way = "a:eth0 → r:a → r:q → q:r → q:r → r:q → … 12 more, round in a circle ✗  IP 10.0.3.3";
        let lines: Vec<&str> = captured.text().lines().collect();
        assert!(lines.iter().all(|line| line.starts_with(way)), "{captured:#?}");
        assert_eq!(lines.len(), count / 18, "{captured:#?}");
        // The same to whom a trace listens, as predicted.
        let mut command = session.command(["trace", "--lab", &lab, "--listen", "udp", "--"]);
        command.arg(session.program()).args(["exec", &a, "--", "python3", "-c", &sent]);
        let run = Run::of(command).status(0).says("1 packet traced, 0 not as predicted");
        assert!(run.stdout.contains("\ndropped: TTL_EXPIRED at "), "{run:#?}");
        let to = format!("{lab}/a 10.9.9.9:53/udp --ttl 9 --size {}", size + 28);
        let run = session.run(["trace"].into_iter().chain(to.split(' '))).status(1);
        assert!(run.stdout.contains("TTL_EXPIRED at ") && !run.stdout.contains('✗'), "{run:#?}");
    }
    session.ok(["down", &lab]);
}

fn as_json(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let events = |arguments: &[&str]| -> Vec<Value> {
        let mut command = session.command(["capture", "--lab", &lab, "--json", "-f", "icmp"]);
        command.args(arguments);
        let capturing = Capturing::start(command);
        session.ok(["ping", &red, "blue", "-c1"]);
        let captured = capturing.signal(rustix::process::Signal::INT);
        assert_eq!(captured.code, Some(0), "{captured:#?}");
        captured.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = events(&[]);
    assert_eq!(all.len(), 9, "{all:#?}");
    let names = [
        "captured",
        "direction",
        "event",
        "id",
        "interface",
        "length",
        "namespace",
        "packet",
        "text",
        "time_ns",
    ];
    assert_eq!(keys(&all[0]), names);
    assert_eq!((&all[0]["event"], &all[0]["interface"]), (&"packet".into(), &"eth0".into()));
    assert_eq!(all[1]["packet"]["ipv4"]["ttl"], 64);
    assert_eq!(all[3]["packet"]["ipv4"]["ttl"], 63);
    assert!(all[..4].iter().all(|one| one["id"] == all[0]["id"]) && all[4]["id"] != all[0]["id"]);
    assert_eq!(
        (&all[8]["event"], &all[8]["captured"], &all[8]["lost"]),
        (&"summary".into(), &8.into(), &0.into())
    );
    let ways = events(&["--follow"]);
    assert_eq!(ways.len(), 3, "{ways:#?}");
    assert_eq!((&ways[0]["event"], &ways[0]["end"]), (&"way".into(), &"delivered".into()));
    assert_eq!(ways[0]["hops"].as_array().unwrap().len(), 4);
    let summary = events(&["-w", "out.pcapng"]);
    assert_eq!((summary.len(), &summary[0]["captured"]), (1, &8.into()));
    session.json(["schema", "capture"]);
    session.run(["capture", &red, "--json", "-w", "-"]).status(2);
    session.run(["capture", &red, "--follow", "-w", "x.pcapng"]).status(2);
}

fn in_a_tunnel(session: &Session) {
    let lab = session.up(
        "
addressing: {ipv6: none}
nodes:
  a: {}
  b: {}
  r1: {interfaces: {vx: {type: vxlan, id: 42, remote: r2}, br0: {type: bridge, members: [lan, vx], address: none}}}
  r2: {interfaces: {vx: {type: vxlan, id: 42, remote: r1}, br0: {type: bridge, members: [lan, vx], address: none}}}
links:
  - [r1:wan 10.0.0.1/24, r2:wan 10.0.0.2/24]
  - [a:eth0 10.5.0.1/24, r1:lan]
  - [b:eth0 10.5.0.2/24, r2:lan]
",
    );
    let wan = format!("{lab}/r1:wan");
    let mut lines = Vec::new();
    for decap in [&[][..], &["--decap"]] {
        let mut command =
            session.command(["capture", &wan, "-n", "-t", "-w", "out.pcapng", "--print", "-f", "udp"]);
        command.args(decap).arg("--").arg(session.program());
        command.args(["ping", &format!("{lab}/a"), "10.5.0.2", "-c1"]);
        let captured = Capturing::start(command).end();
        assert_eq!(captured.code, Some(0), "{captured:#?}");
        let is_outer = |line: &&str| line.contains(" Out IP 10.0.0.1.");
        let is_inner = |line: &&str| line.contains(" Out IP 10.5.0.1 > 10.5.0.2: ICMP echo request");
        let count =
            |wanted: &dyn Fn(&&str) -> bool| captured.text().lines().filter(|line| wanted(line)).count();
        let file = session.directory().join("out.pcapng");
        let inner = super::fields(session, &file, &["ip.src", "_ws.col.Protocol"]);
        let is_bare = inner.iter().any(|one| one[0] == "10.5.0.1" && one[1] == "ICMP");
        lines.push((count(&is_outer) > 0, count(&is_inner), is_bare));
    }
    assert_eq!(lines, [(true, 0, false), (false, 1, true)]);
}
