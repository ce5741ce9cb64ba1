//! `trace --connect`: a whole TCP connection, closed and not reset.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::support::{PAIR, Run, Running, Session, each_user_alone};

each_user_alone!(each_end_of_a_connection_is_told);

/// What servers do with a connection, by port.
const SERVERS: &str = r#"
import socket, struct, sys, threading

def serve(port, end):
    server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    server.bind(("::", port))
    server.listen()
    def run():
        kept = []
        while True:
            client, _ = server.accept()
            if end == "keep":
                kept.append(client)
                continue
            if end == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                if end == "greet":
                    client.sendall(b"hello\n")
                client.settimeout(10)
                heard = client.recv(10)
                print("closed" if heard == b"" else heard, flush=True)
            client.close()
    threading.Thread(target=run, daemon=True).start()

for port, end in ((81, "close"), (82, "greet"), (83, "reset"), (84, "keep")):
    serve(port, end)
print("ready", flush=True)
sys.stdin.read()
"#;

/// The other end, a program, has so many seconds to end the connection.
fn connect(session: &Session, lab: &str, to: &str, wait: &str) -> (Run, Value) {
    let run = session.run(["trace", "--json", &format!("{lab}/red"), to, "--connect", "-W", wait]);
    let report = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    (run, report)
}

/// From whom each segment was, its flags and whether it arrived.
fn segments(report: &Value) -> Vec<String> {
    let all = report["connection"]["segments"].as_array().unwrap();
    let flags = |one: &Value| {
        one["flags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|flag| flag.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    all.iter()
        .map(|one| {
            let lost = if one["arrived"] == true { "" } else { ", lost" };
            format!("{} {}{lost}", one["from"].as_str().unwrap(), flags(one).join(" "))
        })
        .collect()
}

fn each_end_of_a_connection_is_told(session: &Session) {
    let lab = session.up(PAIR);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    session.file("servers.py", SERVERS);
    let mut command = session.command(["exec", &blue, "--", "python3", "servers.py"]);
    command.stdin(std::process::Stdio::piped());
    let mut server = Running::start(command);
    let mut said = BufReader::new(server.child.stdout.take().unwrap()).lines();
    let mut says = |expected: &str| assert_eq!(said.next().unwrap().unwrap(), expected);
    says("ready");

    let (run, report) = connect(session, &lab, "10.0.0.2:81/tcp", "30");
    let connection = &report["connection"];
    assert_eq!(
        (run.code, report["verdict"].as_str(), report["agrees"].as_bool(), connection["end"].as_str()),
        (Some(0), Some("delivered"), Some(true), Some("in order")),
        "{report:#}"
    );
    let all = segments(&report);
    assert_eq!(
        (&*all[0], &*all[1], all.last().map(|one| &**one)),
        ("sender ack", "sender fin ack", Some("sender ack"))
    );
    assert!(all.contains(&"receiver fin ack".to_owned()), "{all:?}");
    assert!(!all.iter().any(|one| one.contains("rst") || one.contains("lost")), "{all:?}");
    let seen = &connection["segments"][0]["seen"];
    assert_eq!((&seen[0]["ns"], &seen[0]["action"]), (&Value::from(red.clone()), &"send".into()));
    assert_eq!((&seen[1]["ns"], &seen[1]["action"]), (&Value::from(blue.clone()), &"receive".into()));
    // The program saw an end of data, and no error.
    says("closed");

    let (run, report) = connect(session, &lab, "10.0.0.2:82/tcp", "30");
    assert_eq!((run.code, report["connection"]["end"].as_str()), (Some(0), Some("in order")), "{report:#}");
    assert_eq!(report["connection"]["received"], 6);
    says("closed");
    let (run, report) = connect(session, &lab, "10.0.0.2:83/tcp", "30");
    assert_eq!((run.code, report["connection"]["end"].as_str()), (Some(1), Some("reset")), "{report:#}");
    assert_eq!((report["verdict"].as_str(), report["agrees"].as_bool()), (Some("delivered"), Some(true)));
    let (run, report) = connect(session, &lab, "10.0.0.2:84/tcp", "0.9");
    assert_eq!((run.code, report["connection"]["end"].as_str()), (Some(0), Some("half open")), "{report:#}");
    // Who makes a connection and resets it at once has answered all the same.
    let run = session.run(["trace", "--json", &red, "10.0.0.2:83/tcp"]).ok();
    let report: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(
        (report["verdict"].as_str(), report["agrees"].as_bool()),
        (Some("delivered"), Some(true)),
        "{report:#}"
    );
    // To itself, by lo.
    let run = session.run(["trace", "--json", &blue, "127.0.0.1:81/tcp", "--connect", "-W", "30"]).ok();
    let report: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(report["connection"]["end"].as_str(), Some("in order"), "{report:#}");
    says("closed");
    // Nobody listens.
    let (run, report) = connect(session, &lab, "10.0.0.2:7/tcp", "0.9");
    assert_eq!((run.code, report["connection"].is_null()), (Some(1), true), "{report:#}");
    assert_eq!(
        (report["cause"]["code"].as_str(), report["agrees"].as_bool()),
        (Some("NO_LISTENER"), Some(true))
    );

    // A firewall that lets the first two segments pass, and not what follows.
    session.file(
        "narrow.nft",
        "table inet t { chain in { type filter hook input priority 0; tcp flags & (syn | ack) == ack drop; }; }",
    );
    session.ok(["exec", &blue, "--", "nft", "-f", "narrow.nft"]);
    let (run, report) = connect(session, &lab, "10.0.0.2:81/tcp", "0.9");
    assert_eq!((run.code, report["connection"]["end"].as_str()), (Some(1), Some("silent")), "{report:#}");
    let text = session.run(["trace", &red, "10.0.0.2:81/tcp", "--connect"]).status(1).stdout;
    assert!(text.contains("\nthe rest of the connection\n"), "{text}");
    assert!(text.contains(", and closed by the sender, which nobody acknowledges\n"), "{text}");
    drop(server);

    for to in ["10.0.0.2", "10.0.0.2:53/udp", "10.0.0.2/47"] {
        session.run(["trace", &red, to, "--connect"]).status(2).says("--connect is for TCP only");
    }
    session.run(["trace", "--listen", "icmp", "--connect"]).status(2);
    session.ok(["down", &lab]);
}
