//! What is shown while it runs.

use serde_json::Value;

use super::{ROUTED, can, datagram, during};
use crate::support::{Run, Session, as_root_alone, keys};

as_root_alone!(two_lines_each, what_is_no_fault_is_left_out, filters_and_counts, names_follow, two_at_once);

fn two_lines_each(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    let (a, b) = (format!("{lab}/a"), format!("{lab}/b"));
    let mut drops = session.command(["drops", "-n", "-t", &b, "--"]);
    drops.arg(session.program()).args([
        "exec",
        &a,
        "--",
        "sh",
        "-c",
        &datagram("10.0.1.2 9", 10, "s.bind((\"\", 7))"),
    ]);
    let run = Run::of(drops).status(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], format!("{b}:eth0 IP 10.0.0.1.7 > 10.0.1.2.9: UDP, length 10"), "{run:#?}");
    // Linux gives reasons since 5.17.
    let is_dropped = ["    NO_SOCKET at ", "    dropped at "].iter().any(|begin| lines[1].starts_with(begin));
    assert!(is_dropped && lines[1].contains(": NO_LISTENER "), "{run:#?}");
    assert_eq!(lines.len(), 2, "{run:#?}");
    assert!(run.stderr.contains("ready: watching 1 namespace\n"), "{run:#?}");
    assert!(
        run.stderr.contains("\n1 packet dropped\n  1  ") && run.stderr.contains("\n0 drops lost\n"),
        "{run:#?}"
    );
    // With --quiet nothing but the packets.
    let mut drops = session.command(["drops", "-q", "-n", "-t", &b, "--"]);
    drops.arg(session.program()).args(["exec", &a, "--", "sh", "-c", &datagram("10.0.1.2 9", 10, "0")]);
    let run = Run::of(drops).status(0);
    assert!(run.stderr.is_empty() && run.stdout.lines().count() == 2, "{run:#?}");
}

fn what_is_no_fault_is_left_out(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up("
addressing: {ipv4: none}
nodes: {a: {}, b: {}}
links: [[a:eth0 10.0.1.1/24 fd00::1/64, b:eth0 10.0.1.2/24 fd00::2/64]]
");
    let a = format!("{lab}/a");
    // An answer that is read, and a group that nobody has joined.
    let group = "python3 -c 'import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); \
                 s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(\"eth0\")); \
                 s.sendto(b\"x\", (\"ff02::4711\", 9))'";
    let program = session.program().display().to_string();
    let command = format!("{program} --version; {group}");
    let events = during(session, &["--lab", &lab], &a, &command);
    let summary = events.last().unwrap();
    assert_eq!((events.len(), &summary["dropped"]), (1, &Value::from(0)), "{events:#?}");
    let kinds = |summary: &Value| -> Vec<String> {
        let all = summary["benign"].as_array().unwrap().iter();
        all.map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert!(kinds(summary).contains(&"group".to_owned()), "{events:#?}");
    let mut drops = session.command(["drops", "--lab", &lab, "--"]);
    drops.arg(session.program()).args(["ping", &a, "b", "-c1"]);
    let run = Run::of(drops).status(0);
    assert!(run.stderr.contains(" no fault (--all shows them): "), "{run:#?}");
    assert!(run.stderr.contains("answers to ping that programs have read already (1)"), "{run:#?}");
    // Unless asked for.
    let events = during(session, &["--all", "--lab", &lab], &a, &command);
    let is_it = |event: &&Value| {
        event["benign"] == "group" && event["text"].as_str().is_some_and(|text| text.contains("ff02::4711"))
    };
    let group = events.iter().find(is_it).unwrap_or_else(|| panic!("{events:#?}"));
    // What is printed is what the schema says.
    let schema: Value = serde_json::from_str(&session.ok(["schema", "drops"])).unwrap();
    let described: Vec<&str> = keys(&schema["$defs"]["Drop"]["properties"]);
    let mut printed = keys(group);
    printed.retain(|key| *key != "event");
    assert_eq!(printed, described, "{schema:#}");
}

fn filters_and_counts(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    let (a, b) = (format!("{lab}/a"), format!("{lab}/b"));
    let both = datagram("10.0.1.2 9", 10, "0") + "; " + &datagram("10.0.1.2 10", 10, "0");
    let ports = |events: &[Value]| -> Vec<u64> {
        let all = events.iter().filter(|event| event["event"] == "drop");
        all.map(|event| event["packet"]["ipv4"]["udp"]["destination_port"].as_u64().unwrap()).collect()
    };
    assert_eq!(ports(&during(session, &[&b], &a, &both)), [9, 10]);
    assert_eq!(ports(&during(session, &[&b, "-f", "udp port 10"], &a, &both)), [10]);
    assert_eq!(ports(&during(session, &[&b, "-c", "1"], &a, &both)), [9]);
    let other = format!("{b}:lo");
    assert!(ports(&during(session, &[&other], &a, &both)).is_empty());
    let run = session.run(["drops", &b, "-f", "udp prot 10"]).status(2);
    run.says("the filter is wrong").says("did you mean \"port\"?");
    session.run(["drops", &format!("{lab}/nobody")]).status(2).says("nobody");
}

fn names_follow(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    let new = format!("{lab}/new");
    let program = session.program().display().to_string();
    let script = session.file("script.sh", format!(
        "set -e\n{program} node add new --lab {lab}\n{program} exec {new} -- python3 send.py\nsleep 3\n{program} exec {new} -- python3 send.py\n"
    ));
    session.file("send.py", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.1', 9))\n");
    for arguments in [&["--lab", &lab][..], &["-f", "udp and host 127.0.0.1"]] {
        let mut drops = session.command(["drops", "--json"]);
        drops.args(arguments).args(["--", "sh"]).arg(&script);
        let run = Run::of(drops).status(0);
        let found = run.stdout.lines().any(|line| line.contains(&format!("\"namespace\":\"{new}\"")));
        assert!(found, "{run:#?}");
        session.ok(["node", "del", "new", "--lab", &lab]);
    }
}

fn two_at_once(session: &Session) {
    if !can(session) {
        return;
    }
    let lab = session.up(ROUTED);
    let (a, b) = (format!("{lab}/a"), format!("{lab}/b"));
    std::thread::scope(|scope| {
        let run = || {
            for _ in 0..3 {
                let events = during(session, &[&b], &a, &datagram("10.0.1.2 9", 10, "0"));
                assert!(events.iter().any(|event| event["cause"]["code"] == "NO_LISTENER"), "{events:#?}");
            }
        };
        scope.spawn(run);
        scope.spawn(run);
    });
}
