//! `nslab test`, and `nslab up --test`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::examples::example;
use crate::support::{Run, Running, Session, as_root, each_user, keys};

each_user!(
    three_tiers,
    broken_in_ten_ways,
    who_refuses,
    networks_that_converge,
    bounds,
    forms,
    wrong_use,
    ends_early,
    translated,
    interrupted,
);
as_root!(a_thousand_expectations);

/// Three hosts and a router between them.
const ROUTED: &str = "
nodes:
  a: {}
  r: {forward: true}
  b: {}
links:
  - [a 10.1.0.2/24, r 10.1.0.1/24]
  - [b 10.2.0.2/24, r 10.2.0.1/24]
";

/// A program that takes datagrams and answers none, and one that answers them.
const SINK: &str = "python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
                    s.bind((\"\", 5000)); exec(\"while True: s.recv(9999)\")'";
const ECHO: &str = "python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
                    s.bind((\"\", 5001)); exec(\"while True: s.sendto(*s.recvfrom(9999))\")'";

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
}

/// Runs a test with `--json`; returns its report.
fn tested(session: &Session, arguments: &[&str]) -> Value {
    let run = session.run(["test", "--json"].iter().chain(arguments));
    assert!(matches!(run.code, Some(0 | 1)), "{run:#?}");
    let report = report(&run);
    assert_eq!(run.code == Some(1), report["failed"] != 0, "{report:#}");
    report
}

/// The test with this name.
fn one<'r>(report: &'r Value, name: &str) -> &'r Value {
    let all = report["tests"].as_array().unwrap();
    all.iter().find(|test| test["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

/// Name, observed and status of each.
fn statuses(report: &Value) -> Vec<String> {
    let all = report["tests"].as_array().unwrap().iter();
    let word = |test: &Value, key: &str| test[key].as_str().unwrap_or("-").to_owned();
    all.map(|test| format!("{}: {} {}", word(test, "name"), word(test, "observed"), word(test, "status")))
        .collect()
}

fn three_tiers(session: &Session) {
    // A lab that does not run is built for the test, and taken away.
    let (lab, file) = example(session, "three-tier");
    let run = session.run(["test", &file, "--name", &lab]).status(0);
    assert!(run.stdout.starts_with("29 passed, 0 failed in "), "{run:#?}");
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
    // It runs on if that is wanted, and is then tested as it is.
    session.ok(["test", &file, "--name", &lab, "--keep", "-q"]);
    let report = tested(session, &[&lab, "-v"]);
    assert_eq!((&report["passed"], &report["file"]), (&json!(29), &json!("three-tier.yaml")));
    let first = one(&report, "client -> web tcp/80");
    assert_eq!(first["path"], json!(["client", "fw", "web"]), "{first:#}");
    // What is expected may change: that is no change of the network.
    let text = std::fs::read_to_string(session.directory().join(&file)).unwrap();
    session.file(&file, text.replace("client -> web tcp/80: {via: fw}", "client -> web tcp/80: drop"));
    let run = session.run(["up", &file, "--name", &lab, "--test"]).status(1);
    assert!(run.stderr.contains("nothing was changed"), "{run:#?}");
    let says = "client -> web tcp/80: expected drop, observed ok: answered in ";
    assert!(run.stdout.contains(&format!("FAIL three-tier.yaml:37: {says}")), "{run:#?}");
    assert!(run.stdout.contains("     it goes client → fw → web\n"), "{run:#?}");
    assert!(run.stdout.contains("28 passed, 1 failed in "), "{run:#?}");
    // The lab knows.
    assert_eq!(tested(session, &[&lab])["failed"], 1);
    assert!(session.ok(["export", &lab]).contains("\"client -> web tcp/80\": {is: drop, within: 5s}"));
    session.ok(["down", &lab]);
}

/// Each names its cause.
fn broken_in_ten_ways(session: &Session) {
    let (lab, file) = example(session, "three-tier");
    // What stays broken is waited for until the end.
    let text = std::fs::read_to_string(session.directory().join(&file)).unwrap();
    session.file(&file, text.replace("within: 5s", "within: 500ms"));
    session.ok(["up", &file, "--name", &lab, "-q"]);
    let run = |node: &str, command: &str| {
        let node = format!("{lab}/{node}");
        let words = ["exec", &node, "--", "sh", "-c", command];
        session.ok(words);
    };
    let default = "ip route del default && ip -6 route del default";
    let ways: [(&str, &str, &str, &str, &str); 10] = [
        ("web", "ip link set eth0 down", "ip link set eth0 up", "client -> web tcp/80", "NO_CARRIER"),
        ("client", default, "", "client -> web tcp/80", "NO_ROUTE"),
        (
            "fw",
            "sysctl -qw net.ipv4.ip_forward=0",
            "sysctl -qw net.ipv4.ip_forward=1",
            "web -> app tcp/8080",
            "FORWARDING_OFF",
        ),
        (
            "app",
            "nft 'add table inet x; add chain inet x i { type filter hook input priority 0; }; \
             add rule inet x i tcp dport 8080 drop'",
            "nft delete table inet x",
            "web -> app tcp/8080",
            "FIREWALL_DROP",
        ),
        (
            "app",
            "nft 'add table inet x; add chain inet x i { type filter hook input priority 0; }; \
             add rule inet x i tcp dport 8080 reject with tcp reset'",
            "nft delete table inet x",
            "web -> app tcp/8080",
            "FIREWALL_REJECT",
        ),
        ("db", default, "", "app -> db tcp/5432", "NO_RETURN_ROUTE"),
        (
            "fw",
            "ip route add blackhole $T/32",
            "ip route del $T/32",
            "client -> web tcp/80",
            "ROUTE_BLACKHOLE",
        ),
        ("fw", "ip route add prohibit $T/32", "ip route del $T/32", "client -> web tcp/80", "ROUTE_PROHIBIT"),
        (
            "fw",
            "ip route add unreachable $T/32",
            "ip route del $T/32",
            "client -> web tcp/80",
            "ROUTE_UNREACHABLE",
        ),
        (
            "web",
            "ip addr del $(ip -o -4 addr show eth0 | awk '{print $4}') dev eth0",
            "",
            "client -> web tcp/80",
            "NEIGHBOUR_FAILED",
        ),
    ];
    let web = session.ok(["exec", &format!("{lab}/web"), "--", "ip", "-o", "-4", "addr", "show", "eth0"]);
    let web = web.split_whitespace().find(|word| word.contains('/')).unwrap().split('/').next().unwrap();
    for (node, broken, mended, name, code) in ways {
        run(node, &broken.replace("$T", web));
        // `up` mends what is broken; the test does not wait for that.
        let run_test = session.run(["test", &lab, "--json", "-4", "-k", name, "--fail-fast"]);
        let report = report(&run_test.status(1));
        let test = one(&report, name);
        assert_eq!(test["status"], "failed", "{code}: {report:#}");
        assert_eq!(test["cause"]["code"], code, "{report:#}");
        if mended.is_empty() {
            session.ok(["up", &file, "--name", &lab, "-q"]);
        } else {
            run(node, &mended.replace("$T", web));
        }
    }
    assert_eq!(tested(session, &[&lab])["failed"], 0);
    session.ok(["down", &lab]);
}

fn who_refuses(session: &Session) {
    let expect = format!(
        "nodes:
  a: {{}}
  r:
    forward: true
    nft: |
      table inet r {{
        chain forward {{
          type filter hook forward priority 0;
          tcp dport 1001 reject with tcp reset
          tcp dport 1002 reject with icmpx admin-prohibited
          tcp dport 1003 drop
          udp dport 1001 reject
          udp dport 1002 drop
        }}
      }}
  b:
    run: [{SINK:?}, {ECHO:?}]
    nft: |
      table inet b {{
        chain input {{
          type filter hook input priority 0;
          tcp dport 2001 reject with tcp reset
          udp dport {{ 2001, 5000 }} ip saddr 10.3.0.0/24 drop
          udp dport 2002 reject
        }}
      }}
  c: {{}}
links:
  - [a 10.1.0.2/24, r 10.1.0.1/24]
  - [b 10.2.0.2/24, r 10.2.0.1/24]
  - [c 10.3.0.2/24, r 10.3.0.1/24]
expect:
  - within: 10s
  - a -> b tcp/1001: reject
  - a -> b tcp/1002: reject
  - a -> b tcp/1003: drop
  - a -> b tcp/9: refused
  - a -> b tcp/10: reject
  - a -> b tcp/2001: reject
  - a -> b udp/1001: reject
  - a -> b udp/1002: drop
  - a -> b udp/2002: reject
  - a -> b udp/9: refused
  - a -> b udp/5000: ok
  - a -> b udp/5001: ok
  # The firewall of the destination itself: to get there is not enough.
  - c -> b udp/5000: drop
  - c -> b udp/2001: drop
  - c -> 10.2.0.2 udp/5001: ok
"
    );
    let (lab, file) = session.lab_file(&expect);
    session.ok(["up", &file, "-q"]);
    let found = tested(session, &[&file]);
    assert_eq!(found["failed"], 0, "{found:#}");
    let observed = |name: &str| one(&found, name)["observed"].as_str().unwrap().to_owned();
    for (name, word) in [
        ("a -> b tcp/1001", "reject"),
        ("a -> b tcp/10", "refused"),
        ("a -> b tcp/2001", "reject"),
        ("a -> b udp/2002", "reject"),
        ("a -> b udp/9", "refused"),
    ] {
        assert_eq!(observed(name), word, "{name}");
    }
    // What only the host itself does.
    let text = expect.replace("tcp/1001: reject", "tcp/1001: refused").replace("within: 10s", "within: 0s");
    session.file(&file, format!("name: {lab}\n{text}"));
    let run = session.run(["test", &file]).status(1);
    assert!(
        run.stdout.contains("a -> b tcp/1001: expected refused, observed reject: a reset came"),
        "{run:#?}"
    );
    assert!(run.stdout.contains("FIREWALL_REJECT at r: "), "{run:#?}");
    // What is predicted is the same.
    session.file(&file, format!("name: {lab}\n{expect}"));
    let run = session.run(["reach", "--expect", &file]).status(0);
    assert!(run.stdout.contains("15 of 15 as expected"), "{run:#?}");
    session.ok(["down", &lab]);
}

/// The server is there once somebody was refused (`OutRsts`), and nobody waits for it before the test.
fn networks_that_converge(session: &Session) {
    let text = "
nodes:
  a: {}
  b: {run: [\"until [ $(awk '/^Tcp:/ {n = $15} END {print n}' /proc/net/snmp) != 0 ]; do sleep 0.05; done; exec python3 -m http.server 80\"]}
links: [[a 10.0.0.1/24, b 10.0.0.2/24]]
expect:
  - a -> b tcp/80: {within: 30s}
";
    let (lab, file) = session.lab_file(text);
    let found = tested(session, &[&file]);
    let test = &found["tests"][0];
    assert_eq!((&test["status"], &test["observed"]), (&json!("passed"), &json!("ok")), "{found:#}");
    assert!(test["tries"].as_u64().unwrap() > 1, "{found:#}");
    session.assert_nothing_of(&lab);
    // Without time it does not hold; with a little neither.
    let write =
        |text: &str| session.file(&file, format!("name: {lab}\n{}", text.replace("{within: 30s}", "ok")));
    write(&text.replace("exec python3 -m http.server 80", "exec sleep 1000"));
    assert_eq!(statuses(&tested(session, &[&file])), ["a -> b tcp/80: refused failed"]);
    let found = tested(session, &[&file, "--within", "300ms"]);
    assert_eq!(statuses(&found), ["a -> b tcp/80: refused failed"]);
    assert!(found["tests"][0]["tries"].as_u64().unwrap() > 1, "{found:#}");
    assert_eq!(found["tests"][0]["cause"]["code"], "NO_LISTENER", "{found:#}");
    assert!(found["tests"][0]["fix"].is_null(), "{found:#}");
    write(text);
    assert_eq!(tested(session, &[&file, "--within", "30s"])["failed"], 0);
}

fn bounds(session: &Session) {
    let text = "
nodes:
  a: {}
  r: {forward: true}
  s: {forward: true}
  b: {run: [{command: \"python3 -m http.server 80 --bind ::\", ready: {tcp: 80}, timeout: 100s}]}
  c: {}
links:
  - [a, r, {rate: 20mbit}]
  - [r, s]
  - [s, b, {mtu: 1400}]
  - [c, s, {loss: 15%}]
expect:
  - a -> b icmp: {via: [r, s], latency: <500ms, mtu: 1400, bandwidth: 5mbit}
  - a -> b tcp/80: {latency: <500ms, bandwidth: \">=5mbit\", via: s}
  - a -> r icmp: {mtu: 1500, loss: 0%}
  - b -> s udp/9: refused
  - r -> s icmp: {mtu: \">=1000\", loss: <1%}
  # None of these holds.
  - a -> b icmp: {via: [s, r]}
  - a -> b icmp: {latency: <1us}
  - a -> b icmp: {mtu: 1500}
  - a -> b icmp: {mtu: \">=1401\"}
  - a -> b icmp: {bandwidth: 200mbit}
  - c -> s icmp: {loss: <5%, within: 8s}
  - a -> b tcp/80: {via: c}
";
    let (lab, file) = session.lab_file(text);
    session.ok(["up", &file, "-q"]);
    let run = session.run(["test", &file, "-4"]).status(1);
    let lines: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("FAIL")).collect();
    let expected = [
        "a -> b icmp: the way via s, r expected, but a → r → s → b",
        "a -> b icmp: latency below 1 µs expected, but it is ",
        "a -> b icmp: 1500 bytes expected as the largest that pass unfragmented, but it is 1400",
        "a -> b icmp: 1401 bytes or more expected as the largest that pass unfragmented, but it is 1400",
        "a -> b icmp: a bandwidth of 200 Mbit/s expected, but it is ",
        "c -> s icmp: loss below 5% expected, but ",
        "a -> b tcp/80: the way via c expected, but a → r → s → b",
    ];
    assert_eq!(lines.len(), expected.len(), "{run:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected:?} was expected: {run:#?}");
    }
    assert!(run.stdout.contains("MTU_EXCEEDED at s: "), "{run:#?}");
    let found = tested(session, &[&file, "-4", "-k", "a -> b icmp"]);
    let test = &found["tests"][0];
    assert_eq!((&test["mtu"], &test["path"]), (&json!(1400), &json!(["a", "r", "s", "b"])), "{test:#}");
    assert!(test["bandwidth"].as_u64().unwrap() > 5_000_000, "{test:#}");
    assert!(test["latency_ms"].as_f64().unwrap() < 500.0, "{test:#}");
    // The bottleneck is 20 Mbit/s; a machine with other things to do may not get there.
    let rate = found["tests"][5]["bandwidth"].as_u64().unwrap();
    assert!((4_000_000..30_000_000).contains(&rate), "{found:#}");
    let found = tested(session, &[&file, "-6", "-k", "a -> r icmp"]);
    assert_eq!(statuses(&found), ["a -> r icmp: ok passed"]);
    session.ok(["down", &lab]);
}

/// What others read is read by others.
fn forms(session: &Session) {
    let text = format!(
        "{ROUTED}expect:
  - a -> b icmp: ok
  - a -> b tcp/80: ok
  - every -> r icmp: ok
  - b -> a udp/1: drop
"
    );
    let (lab, file) = session.lab_file(&text);
    let run = session.run(["test", &file, "--junit", "report.xml", "--tap"]).status(1);
    let python = |script: &str, input: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", script]).current_dir(session.directory());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Run::with_input(command, input.as_bytes()).ok()
    };
    let xml = python(
        "import xml.etree.ElementTree as e
root = e.parse('report.xml').getroot()
print(root.tag, root.get('tests'), root.get('failures'), root.get('errors'))
for case in root.iter('testcase'):
    failure = case.find('failure')
    print(case.get('name'), case.get('classname'), case.get('line'),
          failure is not None and (failure.get('type'), 'expected' in failure.get('message'), len(failure.text) > 20))",
        "",
    );
    let expected = format!(
        "testsuites 5 2 0
a -> b icmp {lab} 11 False
a -> b tcp/80 {lab} 12 ('NO_LISTENER', True, True)
a -> r icmp {lab} 13 False
b -> r icmp {lab} 13 False
b -> a udp/1 {lab} 14 ('NO_LISTENER', True, True)
"
    );
    assert_eq!(xml, expected);
    let tap = python(
        "import sys, json, re
lines = sys.stdin.read().splitlines()
assert lines[0] == 'TAP version 14' and lines[1] == '1..5', lines
facts = None
for line in lines[2:]:
    point = re.fullmatch(r'(not )?ok (\\d+) - (.*)', line)
    if point:
        print(point[2], 'failed' if point[1] else 'passed', point[3])
    elif line == '  ---':
        facts = {}
    elif line == '  ...':
        print(facts['at']['line'], facts['expected'], facts['observed'], facts['cause']['code'])
    else:
        key, value = line.strip().split(': ', 1)
        facts[key] = json.loads(value)",
        &run.stdout,
    );
    let expected = "1 passed a -> b icmp
2 failed a -> b tcp/80
12 ok refused NO_LISTENER
3 passed a -> r icmp
4 passed b -> r icmp
5 failed b -> a udp/1
14 drop refused NO_LISTENER
";
    assert_eq!(tap, expected);
    let run = session.run(["test", &file, "--junit", "-"]).status(1);
    assert!(run.stdout.starts_with("<?xml"), "{run:#?}");
    // What is printed is what the schema says.
    let found = tested(session, &[&file]);
    let schema: Value = serde_json::from_str(&session.ok(["schema", "test"])).unwrap();
    assert_eq!(keys(&found), keys(&schema["properties"]));
    let known = keys(&schema["$defs"]["Test"]["properties"]);
    for test in found["tests"].as_array().unwrap() {
        assert!(keys(test).iter().all(|key| known.contains(key)), "{test:#}: {known:?}");
    }
    session.assert_nothing_of(&lab);
}

fn wrong_use(session: &Session) {
    let says = |arguments: &[&str], text: &str| {
        let run = session.run(["test"].iter().chain(arguments)).status(2);
        assert!(run.stderr.contains(text), "{text:?} was expected: {run:#?}");
        assert_eq!(run.stdout, "");
    };
    // One lab alone need not be named, and root's may be any other test's.
    if !session.is_root {
        says(&[], "no lab is running");
    }
    says(&["nosuch.yaml"], "cannot read nosuch.yaml");
    says(&["nosuch"], "nosuch");
    let (lab, file) = session.lab_file(ROUTED);
    says(&[&file], "expects nothing");
    session.run(["up", &file, "--test"]).status(2).says("expects nothing");
    session.assert_nothing_of(&lab);
    session.file(&file, format!("name: {lab}\n{ROUTED}expect:\n  - a -> b icmp: ok\n  - a -> b tcp: ok\n"));
    says(&[&file], "tcp needs a port");
    session.file(&file, format!("name: {lab}\n{ROUTED}expect: [a -> b icmp: ok]\n"));
    says(&[&file, "-k", "nothing"], "no expectation contains \"nothing\"");
    session.file(&file, format!("name: {lab}\n{ROUTED}expect: [every -> every icmp: ok]\n"));
    says(&[&file, "-6"], "no pair of nodes with IPv6 addresses");
    session.file(&file, format!("name: {lab}\n{ROUTED}expect: [a -> b icmp: ok]\n"));
    says(&[&file, "--junit", "missing/report.xml"], "cannot write missing/report.xml");
    says(&[&file, "--junit", "-", "--tap"], "standard output");
    says(&["lab", "--set", "n=1"], "no variables");
    says(&[&file, "--within", "soon"], "a time is wanted");
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
    // A node without an address, and one that does not run.
    session.ok(["up", &file, "-q"]);
    let more = ROUTED.replace("b: {}", "b: {}\n  lone: {}");
    session.file(&file, format!("name: {lab}\n{more}expect: [a -> lone icmp: ok]\n"));
    let run = session.run(["test", &file]).status(2);
    assert!(run.stderr.contains("but not as the file says"), "{run:#?}");
    assert!(run.stderr.contains("line 11: the lab that runs has no node or switch \"lone\""), "{run:#?}");
    session.ok(["up", &file, "-q"]);
    says(&[&file], "line 11: lone has no address");
    session.ok(["down", &lab]);
}

fn ends_early(session: &Session) {
    // What would take long is not waited for once something failed.
    let text = format!(
        "{ROUTED}expect:
  - a -> b tcp/80: ok
  - a -> 10.2.0.99 icmp: {{is: ok, within: 100s}}
  - a -> 10.2.0.98 tcp/80: {{within: 100s}}
"
    );
    let (lab, file) = session.lab_file(&text);
    let run = session.run(["test", &file, "--fail-fast"]).status(1);
    assert!(
        run.stdout.contains("0 passed, 1 failed, 2 not run in ")
            || run.stdout.contains("0 passed, 3 failed in "),
        "{run:#?}"
    );
    let line = run.stdout.lines().last().unwrap();
    let seconds: f64 = line.split(" in ").nth(1).unwrap().trim_end_matches(" s").parse().unwrap();
    assert!(seconds < 20.0, "{line}");
    session.assert_nothing_of(&lab);
}

/// On fifty nodes, by all protocols, in a second or so.
fn a_thousand_expectations(session: &Session) {
    use std::fmt::Write as _;
    let mut text =
        "nodes: {h: {count: 50}}\nswitches: {lan: {subnet: 10.0.0.0/24}}\nlinks: [[h, lan]]\nexpect:\n"
            .to_owned();
    for number in 0..1000 {
        let (from, to) = (number % 50 + 1, (number * 7 + number / 50 + 1) % 50 + 1);
        let to = if to == from { to % 50 + 1 } else { to };
        let what = ["icmp: ok", "tcp/80: refused", "udp/9: reject", "tcp/81: reject"][number % 4];
        writeln!(text, "  - h{from} -> h{to} {what}").unwrap();
    }
    let (lab, file) = session.lab_file(&text);
    session.ok(["up", &file, "-q"]);
    // All are answered, in so long.
    let found = tested(session, &[&file, "-W", "30s"]);
    assert_eq!(
        (&found["passed"], &found["failed"]),
        (&json!(1000), &json!(0)),
        "{:#?}",
        statuses(&found).iter().filter(|one| one.ends_with("failed")).collect::<Vec<_>>()
    );
    let took = found["milliseconds"].as_f64().unwrap();
    // A second or two where nothing else is done.
    assert!(took < 60_000.0, "{took} ms");
    // It takes longer than that to send all, and what has come meanwhile is read before it is given up. All know each other's MAC
    // now; the kernel may still put an answer off.
    let end = Instant::now() + Duration::from_secs(60);
    while tested(session, &[&file, "-W", "1ms"])["failed"] != 0 {
        assert!(Instant::now() < end, "answers are given up unread");
    }
    session.ok(["down", &lab]);
}

/// Behind address translation packets are known by what it leaves as it is.
fn translated(session: &Session) {
    let text = format!(
        "nodes:
  out: {{}}
  fw:
    forward: true
    nat: [{{masquerade: out}}]
    nft: |
      table ip dn {{
        chain pre {{
          type nat hook prerouting priority -100;
          ip daddr 203.0.113.1 udp dport 53 dnat to 10.0.0.2:5000
          ip daddr 203.0.113.1 tcp dport 80 dnat to 10.0.0.2:8080
          ip daddr 203.0.113.1 tcp dport 81 dnat to 10.0.0.2:9
        }}
      }}
  in: {{run: [{SINK:?}, {{command: python3 -m http.server 8080, ready: {{tcp: 8080}}, timeout: 100s}}]}}
links:
  - [out 203.0.113.10/24, fw:out 203.0.113.1/24]
  - [in 10.0.0.2/24, fw 10.0.0.1/24]
expect:
  - within: 10s
  - out -> 203.0.113.1 udp/53: {{via: [fw, in]}}
  - out -> 203.0.113.1 tcp/80: {{via: [fw, in]}}
  - out -> 203.0.113.1 tcp/81: refused
  - out -> 203.0.113.1 tcp/82: refused
  - in -> out icmp: {{via: [in, fw, out]}}
  - in -> out tcp/9: refused
  - in -> out udp/9: refused
"
    );
    let (lab, file) = session.lab_file(&text);
    let found = tested(session, &[&file]);
    assert_eq!(found["failed"], 0, "{found:#}");
    session.assert_nothing_of(&lab);
}

/// A lab that was built for the test goes with it.
fn interrupted(session: &Session) {
    let fifo = session.fifo("came");
    let program = format!(
        "python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"\", 7000)); \
         s.recv(9); print(1, file=open(\"{}\", \"w\"), flush=True); s.recv(9); exec(\"while True: s.recv(9)\")'",
        fifo.display()
    );
    let text = format!(
        "nodes: {{a: {{}}, b: {{run: [{program:?}]}}}}
links: [[a 10.0.0.1/24, b 10.0.0.2/24]]
expect:
  - a -> b udp/7000: {{is: drop, within: 1000s}}
"
    );
    let (lab, file) = session.lab_file(&text);
    let mut running = Running::start(session.command(["test", &file]));
    assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "1\n");
    running.send(Signal::INT);
    assert_eq!(running.end().code(), Some(130));
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
}
