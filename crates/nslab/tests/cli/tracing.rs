//! `trace`: one packet, really sent, beside what was predicted of it.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{PAIR, Run, Running, Session, each_user, each_user_alone, keys};

each_user_alone!(
    each_step_is_seen,
    as_text,
    nat_bridges_and_ipv6,
    fragments_and_path_mtu,
    what_was_not_predicted_is_a_finding,
    wrong_words,
    as_a_file,
    a_tunnel_is_looked_into,
);

// Without a world of its own, as a signal is to get to the program itself.
each_user!(nothing_is_left_of_one_that_is_killed);

const LIMIT: Duration = Duration::from_secs(30);

/// A client behind a home router, a switch with two servers outside, and a firewall.
const HOME: &str = r#"
nodes:
  client: {}
  router:
    forward: true
    firewall: {default: drop, allow: [{from: client, to: outside, tcp: 80}, {icmp: echo-request}]}
    nat: [{masquerade: outside}]
  web:
    run: [{command: "python3 -m http.server 80 --bind ::", ready: {tcp: 80}, timeout: 100s}]
    routes: ["fd00:1::/64 via fd00:2::1"]
  other: {}
switches: {net: {}}
links:
  - [client:eth0 192.168.1.2/24 fd00:1::2/64, router:lan 192.168.1.1/24 fd00:1::1/64]
  - [router:outside 203.0.113.1/24 fd00:2::1/64, net]
  - [web:eth0 203.0.113.80/24 fd00:2::80/64, net]
  - [other:eth0 203.0.113.9/24 fd00:2::9/64, net]
"#;

/// Two sites on one segment.
const TUNNEL: &str = "
addressing: {ipv6: none}
nodes:
  h1: {}
  h2: {}
  r1: {forward: true, interfaces: {vx: {type: vxlan, id: 42, remote: r2}, br0: {type: bridge, members: [lan, vx], address: none}}}
  r2: {forward: true, interfaces: {vx: {type: vxlan, id: 42, remote: r1}, br0: {type: bridge, members: [lan, vx], address: none}}}
  isp: {forward: true}
links:
  - [h1 10.9.0.1/24, r1:lan]
  - [h2 10.9.0.2/24, r2:lan]
  - [r1:wan, isp, {mtu: 1550}]
  - [r2:wan, isp, {mtu: 1550}]
";

fn trace(session: &Session, words: &str) -> Run {
    session.run(["trace", "--json"].into_iter().chain(words.split(' ')))
}

/// Fails unless it says this and agrees with the prediction.
fn agrees(run: &Run, verdict: &str, code: Option<&str>) -> Value {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    assert_eq!(
        (report["verdict"].as_str(), report["cause"]["code"].as_str(), report["agrees"].as_bool()),
        (Some(verdict), code, Some(true)),
        "{report:#}"
    );
    assert_eq!(run.code, Some(i32::from(verdict != "delivered")), "{run:#?}");
    assert_eq!((report["lost"].as_u64(), report["missed"].as_bool()), (Some(0), Some(false)));
    assert_eq!(report["untraced"].as_array().map(Vec::len), Some(0), "{report:#}");
    report
}

/// Whose, where and what of all steps with this sight.
fn steps(report: &Value, sight: &str) -> Vec<String> {
    let all = report["steps"].as_array().unwrap().iter().filter(|step| step["sight"] == sight);
    all.map(|step| {
        let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
        let node = text("ns").rsplit_once('/').map_or_else(|| text("ns"), |(_, node)| node.to_owned());
        let link = step["link"].as_str().map_or_else(String::new, |link| format!(":{link}"));
        format!("{} {node}{link} {}", text("of"), text("action"))
    })
    .collect()
}

fn each_step_is_seen(session: &Session) {
    let lab = session.up(PAIR);
    let run = trace(session, &format!("{lab}/red {lab}/blue"));
    let report = agrees(&run, "delivered", None);
    assert_eq!(
        steps(&report, "seen"),
        [
            "request red make",
            "request red route",
            "request red:eth0 resolve",
            "request red:eth0 send",
            "request blue:eth0 receive",
            "request blue route",
            "request blue deliver",
            "answer blue make",
            "answer blue route",
            "answer blue:eth0 send",
            "answer red:eth0 receive",
            "answer red route",
            "answer red deliver",
        ],
        "{report:#}"
    );
    assert_eq!(steps(&report, "missing").len() + steps(&report, "unforeseen").len(), 0);
    let times: Vec<f64> =
        report["steps"].as_array().unwrap().iter().filter_map(|step| step["time"].as_f64()).collect();
    assert!(times.is_sorted() && times.len() >= 5, "{times:?}");
    let evidence: Vec<&str> =
        report["evidence"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for level in ["nft trace", "packet sockets", "the sender's socket"] {
        assert!(evidence.contains(&level), "{evidence:?}");
    }
    assert_eq!(
        report["heard"],
        serde_json::json!([{"from": "10.0.0.2", "what": "answer", "kind": null, "code": null, "mtu": null}])
    );
    assert_eq!(report["prediction"]["verdict"], "delivered");
    // As the schema says.
    let schema: Value = serde_json::from_str(&session.ok(["schema", "trace"])).unwrap();
    assert_eq!(keys(&schema["properties"]), keys(&report));
    // To itself, by lo.
    agrees(&trace(session, &format!("{lab}/red 10.0.0.1")), "delivered", None);
    agrees(&trace(session, &format!("{lab}/red 127.0.0.1")), "delivered", None);
    // Nobody there, nobody who listens, no way.
    agrees(&trace(session, &format!("{lab}/red 10.0.0.77")), "dropped", Some("NEIGHBOUR_FAILED"));
    agrees(&trace(session, &format!("{lab}/red {lab}/blue:7/tcp")), "rejected", Some("NO_LISTENER"));
    agrees(&trace(session, &format!("{lab}/red {lab}/blue:7/udp")), "rejected", Some("NO_LISTENER"));
    agrees(&trace(session, &format!("{lab}/red 192.0.2.1")), "dropped", Some("NO_ROUTE"));
    // Nothing of rules is made, so less is seen.
    let run = trace(session, &format!("{lab}/red {lab}/blue --no-rules"));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, report["agrees"].as_bool()), (Some(0), Some(true)), "{report:#}");
    assert_eq!(report["untraced"].as_array().map(Vec::len), Some(2), "{report:#}");
    session.ok(["down", &lab]);
}

fn as_text(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    let said = session.ok(["trace", &red, &blue]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("{red} 10.0.0.1 → 10.0.0.2: ICMP echo request, 84 bytes, TTL 64"));
    let sends = format!("  {red}:eth0   send");
    assert!(lines.iter().any(|line| line.starts_with('✓') && line.contains(&sends)), "{said}");
    for line in ["the answer", &format!("delivered to {blue}, and the answer comes back")] {
        assert!(lines.contains(&line), "{line}: {said}");
    }
    assert!(said.contains("\nas predicted; the answer came after "), "{said}");
    assert!(
        said.ends_with("evidence: nft trace, packet sockets, the sender's socket (2 namespaces)\n"),
        "{said}"
    );
    let run = session.run(["trace", &red, "10.0.0.77"]).status(1);
    assert!(run.stdout.contains("10.0.0.77: asked for, and nobody answers"), "{run:#?}");
    assert!(run.stdout.contains(&format!("dropped: NEIGHBOUR_FAILED at {red}:eth0")), "{run:#?}");
    session.ok(["down", &lab]);
}

fn nat_bridges_and_ipv6(session: &Session) {
    let lab = session.up(HOME);
    let client = format!("{lab}/client");
    let report = agrees(&trace(session, &format!("{client} 203.0.113.80:80/tcp")), "delivered", None);
    let seen = steps(&report, "seen");
    // The masquerading, there and back; the switch; the rules.
    for step in [
        "request router change",
        "request router filter",
        "request router:outside send",
        "request net:net bridge",
        "request web:eth0 receive",
        "request web deliver",
        "answer router filter",
        "answer router change",
        "answer client:eth0 receive",
        "answer client deliver",
    ] {
        let step = step.to_owned();
        let is_it = |seen: &&String| **seen == step || step.contains("bridge") && seen.ends_with("bridge");
        assert!(seen.iter().any(|one| is_it(&one)), "{step}: {report:#}");
    }
    let hop = report["steps"].as_array().unwrap().iter().find(|step| step["action"] == "change").unwrap();
    assert!(hop["detail"].as_str().unwrap().starts_with("source 192.168.1.2:"), "{hop}");
    agrees(&trace(session, &format!("{client} 203.0.113.9")), "delivered", None);
    agrees(&trace(session, &format!("{client} [fd00:2::80]:80/tcp")), "delivered", None);
    agrees(&trace(session, &format!("{client} fd00:2::80")), "delivered", None);
    // What the rules do not let pass ends at the rule.
    for destination in ["203.0.113.9:22/tcp", "[fd00:2::80]:22/tcp", "203.0.113.9:53/udp"] {
        let report =
            agrees(&trace(session, &format!("{client} {destination}")), "dropped", Some("FIREWALL_DROP"));
        assert_eq!(report["cause"]["where"]["ns"], format!("{lab}/router"), "{report:#}");
        let end = report["steps"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (end["action"].as_str(), end["by"].as_str()),
            (Some("stop"), Some("nft trace")),
            "{report:#}"
        );
    }
    session.ok(["down", &lab]);
}

fn fragments_and_path_mtu(session: &Session) {
    let lab = session.up("
nodes:
  a: {}
  r: {forward: true, nft: \"table inet t { chain out { type filter hook output priority 0; meta mark 1 counter; }; }\"}
  b: {}
links:
  - [a:eth0 10.0.0.1/24 fd00::1/64, r:a 10.0.0.254/24 fd00::ff/64]
  - [r:b 10.0.1.254/24 fd01::ff/64, b:eth0 10.0.1.2/24 fd01::2/64, {mtu: 1300}]
");
    let report = agrees(&trace(session, &format!("{lab}/a {lab}/b --size 1400")), "delivered", None);
    assert!(steps(&report, "seen").contains(&"request r:b fragment".to_owned()), "{report:#}");
    let report = agrees(
        &trace(session, &format!("{lab}/a {lab}/b --size 1400 --df")),
        "rejected",
        Some("MTU_EXCEEDED"),
    );
    assert_eq!(
        (report["heard"][0]["what"].as_str(), report["heard"][0]["mtu"].as_u64()),
        (Some("icmp"), Some(1300))
    );
    assert!(steps(&report, "seen").contains(&"error a deliver".to_owned()), "{report:#}");
    agrees(&trace(session, &format!("{lab}/a fd01::2 --size 1400")), "rejected", Some("MTU_EXCEEDED"));
    // The error quotes the first fragment, with the header that says so.
    let report =
        agrees(&trace(session, &format!("{lab}/a fd09::9 --size 2000")), "rejected", Some("NO_ROUTE"));
    assert!(steps(&report, "seen").contains(&"error r filter".to_owned()), "{report:#}");
    // Where the kernel says so itself, that is told, too.
    let report = agrees(&trace(session, &format!("{lab}/a 10.9.9.9")), "rejected", Some("NO_ROUTE"));
    if report["no_tracepoints"].is_null() {
        let steps = report["steps"].as_array().unwrap();
        let by_kernel =
            steps.iter().find(|step| step["by"] == "kernel tracepoints" && step["object"] == "the kernel");
        let detail = by_kernel.unwrap_or_else(|| panic!("{report:#}"))["detail"].as_str().unwrap();
        assert!(detail.ends_with(" in ip_error"), "{detail}");
        errors_that_are_not_sent(session, &lab, report["took"].as_f64().unwrap());
    } else if session.is_root {
        nslab_testing::kernel_lacks("CONFIG_DEBUG_INFO_BTF");
    }
    session.ok(["down", &lab]);
}

/// The router tells a sender of some packets without a route, and then of one each second. `usual` is how many seconds it takes to see one.
fn errors_that_are_not_sent(session: &Session, lab: &str, usual: f64) {
    let many = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); [s.sendto(b'', ('10.9.9.9', 9)) for _ in range(12)]";
    // What is left of the sender's share is by far too little for these, however long it takes (`inet_peer_xrlim_allow`).
    session.ok(["exec", &format!("{lab}/r"), "--", "sysctl", "-qw", "net.ipv4.icmp_ratelimit=60000"]);
    // It may be that something else keeps the processor just then.
    for _ in 0..10 {
        session.ok(["exec", &format!("{lab}/a"), "--", "python3", "-c", many]);
        let run = trace(session, &format!("{lab}/a 10.9.9.9 --strict"));
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        assert_eq!(text(&report["cause"]["code"]).as_deref(), Some("NO_ROUTE"), "{report:#}");
        assert_eq!(report["differences"].as_array().map(Vec::len), Some(0), "{report:#}");
        if report["verdict"] == "dropped" {
            assert!(report["agrees"].is_null() && report["cause"]["predicted"] == true, "{report:#}");
            // Nothing is waited for that cannot come (`nslab_observe::trace::Options::quiet` is 250 ms).
            if report["took"].as_f64().unwrap() < usual + 0.2 {
                return;
            }
            continue;
        }
        assert_eq!(report["verdict"], "rejected", "{report:#}");
    }
    panic!("all errors were sent, or waited for");
}

/// Listens on a port, and has a filter of BPF throw away all that comes, which no snapshot tells of.
const DEAF: &str = r#"
import ctypes, socket, struct, sys
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(("0.0.0.0", 80))
server.listen()
code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
server.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(code)))
print("deaf", flush=True)
sys.stdin.read()
"#;

fn what_was_not_predicted_is_a_finding(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    session.file("deaf.py", DEAF);
    let mut command = session.command(["exec", &blue, "--", "python3", "deaf.py"]);
    command.stdin(std::process::Stdio::piped());
    let mut server = Running::start(command);
    let mut line = String::new();
    BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "deaf\n");
    let run = trace(session, &format!("{red} {blue}:80/tcp"));
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    assert_eq!((run.code, report["verdict"].as_str()), (Some(1), Some("dropped")), "{report:#}");
    assert_eq!(
        (report["agrees"].as_bool(), report["prediction"]["verdict"].as_str()),
        (Some(false), Some("delivered"))
    );
    let cause = &report["cause"];
    assert_eq!((cause["code"].as_str(), cause["predicted"].as_bool()), (Some("UNMODELLED"), Some(false)));
    assert_eq!(cause["where"]["ns"].as_str(), Some(&*blue), "{cause}");
    // With the kernel's tracepoints it is told what threw it away.
    let by_tracepoints = report["no_tracepoints"].is_null();
    let expected = if by_tracepoints { "is thrown away by the kernel" } else { "is seen nowhere after that" };
    assert!(cause["text"].as_str().unwrap().contains(expected), "{report:#}");
    assert!(!by_tracepoints || session.is_root, "{report:#}");
    let differences: Vec<&str> =
        report["differences"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(differences[0], "it was predicted to be delivered, and was dropped");
    let said = session.run(["trace", &red, &format!("{blue}:80/tcp")]).status(1).stdout;
    assert!(said.contains("not as predicted (delivered):"), "{said}");
    drop(server);
    session.ok(["down", &lab]);
}

fn nothing_is_left_of_one_that_is_killed(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    let rules = || session.json(["show", &red])["nftables"].to_string();
    let tables = || session.run(["exec", &red, "--", "nft", "list", "tables"]);
    if tables().code != Some(0) {
        return nslab_testing::skip("there is no nft");
    }
    for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
        // It waits for somebody who does not answer.
        let mut running = Running::start(session.command(["trace", &red, "10.0.0.77", "--wait", "60"]));
        let begun = Instant::now();
        // Others may trace in all namespaces.
        let own = format!("nslab-trace-{}-", running.child.id());
        while !tables().stdout.contains(&own) {
            assert!(begun.elapsed() < LIMIT, "nothing is traced");
        }
        let is_owned = session.ok(["exec", &red, "--", "nft", "list", "ruleset"]).contains("flags owner");
        // Another one beside it is not disturbed, and does not take it for a rule of anybody's.
        agrees(&trace(session, &format!("{red} {lab}/blue")), "delivered", None);
        running.send(signal);
        running.end();
        let mut left = tables().stdout;
        if !is_owned && left.contains(&own) {
            // Where tables have no owners (before Linux 5.12) the next one takes it away.
            agrees(&trace(session, &format!("{red} {lab}/blue")), "delivered", None);
            left = tables().stdout;
        }
        assert!(!left.contains(&own), "after {signal:?}: {left}");
        assert!(!rules().contains(&own));
    }
    session.ok(["down", &lab]);
}

fn wrong_words(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    for (words, problem) in [
        (vec![&red[..], "10.0.0.2:7/udp", "--size", "7"], "at least 8"),
        (vec![&red[..], "10.0.0.2:7/tcp", "--size", "100"], "not for TCP"),
        (vec![&red[..], "10.0.0.2", "--sport", "7"], "--sport"),
        (vec![&red[..], "10.0.0.2:0/tcp"], "1 to 65535"),
        (vec![&red[..], "netns:nonesuch-at-all"], "nonesuch-at-all"),
        (vec![&red[..], "10.0.0.2", "--wait", "x"], "seconds"),
        (vec![&red[..], "10.0.0.2", "--pcapng", "nonesuch/x.pcapng"], "nonesuch"),
        (vec![&red[..]], "DST"),
    ] {
        session.run(std::iter::once("trace").chain(words)).status(2).says(problem);
    }
    session.ok(["down", &lab]);
    if !session.is_root {
        // What an ordinary user may not do is said, and what to do.
        let run = session.run(["trace", "host", "127.0.0.1"]).status(3);
        run.says("Operation not permitted");
    }
}

fn as_a_file(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    session.ok(["trace", &red, &blue, "--pcapng", "way.pcapng"]);
    let bytes = std::fs::read(session.directory().join("way.pcapng")).unwrap();
    assert_eq!(bytes[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    if std::process::Command::new("tshark").arg("--version").output().is_err() {
        return nslab_testing::skip("there is no tshark");
    }
    let mut tshark = session.other("tshark");
    tshark.args(["-r", "way.pcapng", "-T", "fields", "-e", "frame.interface_name", "-e", "icmp.type"]);
    tshark.args(["-e", "frame.packet_id"]);
    let said = Run::of(tshark).ok();
    let rows: Vec<Vec<&str>> = said.lines().map(|line| line.split('\t').collect()).collect();
    let at = |node: &str| format!("eth0@{lab}/{node}");
    let places: Vec<(&str, &str)> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(
        places,
        [(&*at("red"), "8"), (&*at("blue"), "8"), (&*at("blue"), "0"), (&*at("red"), "0")],
        "{said}"
    );
    assert!(rows[0][2] == rows[1][2] && rows[0][2] != rows[2][2], "{said}");
    session.ok(["down", &lab]);
}

fn a_tunnel_is_looked_into(session: &Session) {
    let (lab, file) = session.lab_file(TUNNEL);
    let up = session.run(["up", &file]);
    if up.code == Some(3) {
        return nslab_testing::kernel_lacks("CONFIG_VXLAN");
    }
    up.ok();
    let report = agrees(&trace(session, &format!("{lab}/h1 {lab}/h2")), "delivered", None);
    let seen = steps(&report, "seen");
    for step in ["request r1:vx encapsulate", "request r2:vx decapsulate", "answer r1:vx decapsulate"] {
        assert!(seen.contains(&step.to_owned()), "{step}: {report:#}");
    }
    session.ok(["down", &lab]);
}
