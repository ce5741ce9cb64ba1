//! `trace --listen`: packets of others.

mod growing;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{PAIR, Run, Session, Talking, each_user, each_user_alone, keys};

each_user_alone!(
    a_connection_through_nat,
    rules_that_drop_and_those_that_come,
    nobody_answers_for_it,
    counts_text_and_file,
    without_rules,
    wrong_words,
);

// Without a world of its own, as a signal is to get to the program itself.
each_user!(nothing_is_left_of_one_that_is_killed);

/// A client behind a home router, and a server outside.
const HOME: &str = r#"
addressing: {ipv6: none}
nodes:
  client: {}
  router:
    forward: true
    firewall: {default: drop, allow: [{from: client, to: outside, tcp: 80}, {icmp: echo-request}]}
    nat: [{masquerade: outside}]
  web: {run: [{command: "python3 -m http.server 80 --bind 0.0.0.0", ready: {tcp: 80}, timeout: 100s}]}
switches: {net: {}}
links:
  - [client:eth0 192.168.1.2/24, router:lan 192.168.1.1/24]
  - [router:outside 203.0.113.1/24, net]
  - [web:eth0 203.0.113.80/24, net]
"#;

/// Traces what `script` does, which a shell runs with the program as `$0` and the lab as `$1`; what is printed, line by line.
fn during(session: &Session, lab: &str, words: &[&str], script: &str) -> (Run, Vec<Value>) {
    let mut command = session.command(["trace", "--json"]);
    command.args(words).args(["--", "sh", "-c", script]).arg(session.program()).arg(lab);
    let run = Run::of(command);
    let lines = run.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    (run, lines)
}

fn packets(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["event"] == "packet").collect()
}

/// Where and what of all steps of a packet with this sight.
fn steps(packet: &Value, sight: &str) -> Vec<String> {
    let all = packet["steps"].as_array().unwrap().iter().filter(|step| step["sight"] == sight);
    all.map(|step| {
        let ns = step["ns"].as_str().unwrap_or_default();
        let node = ns.rsplit_once('/').map_or(ns, |(_, node)| node);
        let link = step["link"].as_str().map_or_else(String::new, |link| format!(":{link}"));
        format!("{node}{link} {}", step["action"].as_str().unwrap_or_default())
    })
    .collect()
}

/// Fails unless nothing was lost.
fn is_whole(lines: &[Value]) {
    let summary = lines.last().unwrap();
    assert_eq!(
        (
            &summary["event"],
            summary["lost"].as_u64(),
            summary["skipped"].as_u64(),
            summary["missed"].as_bool()
        ),
        (&Value::from("summary"), Some(0), Some(0), Some(false)),
        "{summary:#}"
    );
}

fn a_connection_through_nat(session: &Session) {
    let lab = session.up(HOME);
    session.file("get.py", "import urllib.request\nurllib.request.urlopen('http://203.0.113.80/').read()\n");
    let filter = "tcp port 80 and host client";
    let script = "$0 -q exec $1/client -- python3 get.py";
    let (run, lines) = during(session, &lab, &["--lab", &lab, "--listen", filter, "--strict"], script);
    let run = run.status(0);
    is_whole(&lines);
    let packets = packets(&lines);
    // Three to begin with, the question, the answer, and the end.
    assert!(packets.len() >= 6, "{run:#?}");
    for packet in &packets {
        assert_eq!(
            (packet["fate"].as_str(), packet["agrees"].as_bool()),
            (Some("delivered"), Some(true)),
            "{packet:#}"
        );
    }
    let syn = packets[0];
    assert!(syn["text"].as_str().unwrap().contains("Flags [S]"), "{syn:#}");
    assert_eq!(
        (&syn["flow"]["source"], &syn["flow"]["destination_port"]),
        (&Value::from("192.168.1.2"), &Value::from(80))
    );
    let seen = steps(syn, "seen");
    for step in [
        "client:eth0 send",
        "router:lan receive",
        "router filter",
        "router change",
        "router:outside send",
        "web:eth0 receive",
        "web deliver",
    ] {
        assert!(seen.contains(&step.to_owned()), "{step}: {syn:#}");
    }
    let answer = packets[1];
    assert!(answer["text"].as_str().unwrap().contains("Flags [S.]"), "{answer:#}");
    let seen = steps(answer, "seen");
    for step in ["web:eth0 send", "router filter", "router change", "client:eth0 receive", "client deliver"] {
        assert!(seen.contains(&step.to_owned()), "{step}: {answer:#}");
    }
    let evidence: Vec<&str> = syn["evidence"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(evidence.contains(&"nft trace") && evidence.contains(&"packet sockets"), "{evidence:?}");
    // As the schema says.
    let schema: Value = serde_json::from_str(&session.ok(["schema", "trace-listen"])).unwrap();
    let mut printed = keys(syn);
    printed.retain(|key| *key != "event");
    assert_eq!(keys(&schema["$defs"]["Told"]["properties"]), printed, "{schema:#}");
    session.ok(["down", &lab]);
}

/// A datagram.
fn datagram(to: &str) -> String {
    format!("import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'12345678', {to})\n")
}

fn rules_that_drop_and_those_that_come(session: &Session) {
    let lab = session.up(HOME);
    session.file("send.py", datagram("('203.0.113.80', 53)"));
    let send = "$0 -q exec $1/client -- python3 send.py";
    let (run, lines) = during(session, &lab, &["--lab", &lab, "--listen", "udp dst port 53"], send);
    run.status(0);
    is_whole(&lines);
    let [packet] = packets(&lines)[..] else { panic!("{lines:#?}") };
    assert_eq!(
        (packet["fate"].as_str(), packet["agrees"].as_bool()),
        (Some("dropped"), Some(true)),
        "{packet:#}"
    );
    let cause = &packet["cause"];
    assert_eq!(
        (cause["code"].as_str(), cause["predicted"].as_bool()),
        (Some("FIREWALL_DROP"), Some(true)),
        "{cause:#}"
    );
    assert_eq!(cause["where"]["ns"], format!("{lab}/router"));
    assert_eq!(steps(packet, "seen").last().unwrap(), "router stop", "{packet:#}");
    if Run::of(session.other("nft")).code.is_none() {
        return nslab_testing::skip("there is no nft");
    }
    // What came to be after it began is looked at before anything is called a difference.
    let (run, lines) = during(
        session,
        &lab,
        &["--lab", &lab, "--listen", "icmp and dst host web"],
        "$0 -q exec $1/web -- nft 'add table ip late; add chain ip late in { type filter hook input priority 5; }; \
         add rule ip late in icmp type echo-request drop'; $0 -q exec $1/client -- ping -c1 -W1 203.0.113.80 >&2; true",
    );
    run.status(0);
    let [packet] = packets(&lines)[..] else { panic!("{lines:#?}") };
    assert_eq!(
        (packet["fate"].as_str(), packet["agrees"].as_bool()),
        (Some("dropped"), Some(true)),
        "{packet:#}"
    );
    assert!(packet["cause"]["where"]["object"].as_str().unwrap().starts_with("ip late in"), "{packet:#}");
    session.ok(["down", &lab]);
}

fn nobody_answers_for_it(session: &Session) {
    let lab = session.up(PAIR);
    session.file("send.py", datagram("('10.0.0.77', 9)"));
    let (run, lines) =
        during(session, &lab, &["--lab", &lab, "--listen", "udp"], "$0 -q exec $1/red -- python3 send.py");
    run.status(0);
    let [packet] = packets(&lines)[..] else { panic!("{lines:#?}") };
    assert_eq!(
        (packet["fate"].as_str(), packet["cause"]["code"].as_str()),
        (Some("dropped"), Some("NEIGHBOUR_FAILED")),
        "{packet:#}"
    );
    assert_eq!(packet["agrees"], true, "{packet:#}");
    assert_eq!(steps(packet, "detail"), ["red resolve"], "{packet:#}");
    session.ok(["down", &lab]);
}

fn counts_text_and_file(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    let ping = |filter: &str, more: &[&str]| {
        let mut command = session.command(["trace", "--listen", filter, &red]);
        command.arg(format!("{lab}/blue")).args(more).arg("--").arg(session.program());
        command.args(["-q", "exec", &red, "--", "ping", "-qc2", "-i0.2", "10.0.0.2"]);
        Run::of(command)
    };
    let run = ping("icmp[icmptype] = icmp-echo", &["--pcapng", "way.pcapng"]).status(0);
    assert!(run.stderr.contains(&format!("ready: tracing in 2 namespaces ({lab}/")), "{run:#?}");
    assert!(run.stderr.contains("2 packets traced, 0 not as predicted\n"), "{run:#?}");
    let said = &run.stdout;
    assert!(said.contains("IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id "), "{said}");
    assert!(said.contains(&format!("{red}:eth0   send")), "{said}");
    assert_eq!(said.matches("\ndelivered\nas predicted\n").count(), 2, "{said}");
    let bytes = std::fs::read(session.directory().join("way.pcapng")).unwrap();
    assert_eq!(bytes[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    // It ends the program where that has not ended yet.
    let run = ping("icmp", &["-c", "1", "--quiet"]);
    assert_eq!(run.stdout.matches("\nas predicted\n").count(), 1, "{run:#?}");
    // Another program's status is its own.
    let mut command = session.command(["trace", "-q", "--listen", "tcp", &red, "--", "sh", "-c", "exit 7"]);
    command.stdin(std::process::Stdio::null());
    Run::of(command).status(7);
    session.ok(["down", &lab]);
}

fn without_rules(session: &Session) {
    let lab = session.up(PAIR);
    session.file("send.py", datagram("('10.0.0.2', 9)"));
    let send = "$0 -q exec $1/red -- python3 send.py";
    for (words, why) in [
        (&["--lab", &lab, "--listen", "greater 20 and less 60 and not arp and not icmp"][..], "--limit"),
        (&["--lab", &lab, "--listen", "udp", "--no-rules"], "not asked"),
    ] {
        let (run, lines) = during(session, &lab, words, send);
        let run = run.status(0);
        run.says("no rules are shown of any namespace").says(why);
        let [packet] = packets(&lines)[..] else { panic!("{lines:#?}") };
        // Nobody listens.
        assert_eq!(
            (packet["fate"].as_str(), packet["cause"]["code"].as_str()),
            (Some("dropped"), Some("NO_LISTENER")),
            "{packet:#}"
        );
        assert_eq!(lines.last().unwrap()["untraced"].as_array().map(Vec::len), Some(2));
    }
    // With a limit all is traced.
    let words =
        ["--lab", &lab, "--listen", "greater 20 and less 60 and not arp and not icmp", "--limit", "50"];
    let (run, lines) = during(session, &lab, &words, send);
    run.status(0);
    let [packet] = packets(&lines)[..] else { panic!("{lines:#?}") };
    assert!(packet["evidence"].as_array().unwrap().contains(&Value::from("nft trace")), "{packet:#}");
    session.ok(["down", &lab]);
}

fn wrong_words(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    let at = format!("{red}:eht0");
    for (words, problem) in [
        (vec!["--listen", "tcp prot 80", &red[..]], "did you mean \"port\"?"),
        (vec!["--listen", "host nonesuch-at-all", &red], "nonesuch-at-all"),
        (vec!["--listen", "tcp", "nonesuch-at-all"], "nonesuch-at-all"),
        (vec!["--listen", "tcp", &at], "did you mean \"eth0\"?"),
        (vec!["--listen", "tcp", &red, "--size", "100"], "--size"),
        (vec!["--listen", "tcp", &red, "--all"], "--all"),
        (vec!["--listen", "tcp", &red, "--pcapng", "nonesuch/x.pcapng"], "nonesuch"),
        (vec![&red, "10.0.0.2", "--limit", "7"], "--listen"),
        (vec![&red, "10.0.0.2", "10.0.0.3"], "--listen"),
        (vec![], "SRC"),
    ] {
        session.run(std::iter::once("trace").chain(words)).status(2).says(problem);
    }
    let run = session.run(["trace", "--listen", "tcp prot 80", &red, "--", "touch", "touched"]);
    run.status(2);
    assert!(!session.directory().join("touched").exists());
    session.ok(["down", &lab]);
}

fn nothing_is_left_of_one_that_is_killed(session: &Session) {
    let lab = session.up(PAIR);
    let red = format!("{lab}/red");
    let tables = || session.run(["exec", &red, "--", "nft", "list", "tables"]);
    if tables().code != Some(0) {
        return nslab_testing::skip("there is no nft");
    }
    for (signal, code) in [(Signal::KILL, None), (Signal::INT, Some(0)), (Signal::TERM, Some(0))] {
        let talking = Talking::ready(session.command(["trace", "--listen", "tcp", &red]));
        // Others may trace in all namespaces.
        let own = format!("nslab-trace-{}-", talking.running.child.id());
        assert!(tables().stdout.contains(&own));
        let is_owned = session.ok(["exec", &red, "--", "nft", "list", "ruleset"]).contains("flags owner");
        talking.send(signal);
        assert_eq!(talking.end().0, code);
        if !is_owned && signal == Signal::KILL {
            // Where tables have no owners (before Linux 5.12) the next one takes it away.
            session.ok(["trace", "-q", "--listen", "tcp", &red, "--", "true"]);
        }
        let left = tables().stdout;
        assert!(!left.contains(&own), "after {signal:?}: {left}");
    }
    session.ok(["down", &lab]);
}
