//! `nslab bench`: what is printed makes sense, packets really went the ways that figures are of, and nothing is left. No figure is
//! a test.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Run, Running, Session, each_user, each_user_alone};

each_user_alone!(every_way, wrong_wishes);
each_user!(nothing_is_left, what_was_killed_is_swept);

const FIGURES: [&str; 9] = [
    "connections_per_second",
    "cpu_seconds_per_gigabyte",
    "cpu_us_per_datagram",
    "rtt_p50_us",
    "rtt_p90_us",
    "rtt_p999_us",
    "rtt_p99_us",
    "tcp_bits_per_second",
    "udp_datagrams_per_second",
];

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

fn every_way(session: &Session) {
    let report =
        session.json(["bench", "--quick", "--rounds", "2", "--seconds", "0.05", "--svg", "chart.svg"]);
    let ways = report["ways"].as_array().unwrap();
    let names: Vec<&str> = ways.iter().map(|way| way["way"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "host",
            "namespace",
            "veth",
            "bridge",
            "routed",
            "nat",
            "firewall-10",
            "firewall-100",
            "firewall-1000"
        ]
    );
    for way in ways {
        let name = way["way"].as_str().unwrap();
        assert_eq!(keys(&way["figures"]), FIGURES, "{name}");
        let figure = |key: &str| way["figures"][key]["median"].as_f64().unwrap();
        for (key, value) in way["figures"].as_object().unwrap() {
            let [low, median, high] = ["low", "median", "high"].map(|one| value[one].as_f64().unwrap());
            // Processor time is counted in steps that a short round may fall between.
            assert!(
                low <= median && median <= high && (low > 0.0 || key.starts_with("cpu")),
                "{name}: {key}: {value}"
            );
            assert_eq!(value["ratio"].is_null(), name == "host", "{name}: {key}: {value}");
        }
        assert!(
            figure("rtt_p50_us") <= figure("rtt_p99_us") && figure("rtt_p99_us") <= figure("rtt_p999_us")
        );
        // The packets were there. Large ones of TCP count once.
        let path = way["path"].as_array().unwrap();
        assert_eq!(path.is_empty(), name == "host", "{way:#}");
        for passage in path {
            assert!(passage["packets"].as_u64().unwrap() > 100, "{name}: {passage}");
        }
        match name {
            // The first of each connection.
            "nat" => assert!(way["rule_packets"].as_u64().unwrap() >= 8, "{way:#}"),
            _ if name.starts_with("firewall") => {
                let received: u64 = path.iter().map(|one| one["packets"].as_u64().unwrap()).sum();
                let counted = way["rule_packets"].as_u64().unwrap();
                assert!(counted > received / 2, "{way:#}");
            }
            _ => assert!(way["rule_packets"].is_null(), "{way:#}"),
        }
    }
    let namespace = &report["namespace"];
    assert!(namespace["count"] == 90 && namespace["made_us"].as_f64().unwrap() > 1.0, "{namespace}");
    assert_eq!(report["verdicts"].as_array().unwrap().len(), 8, "{report:#}");
    let schema: Value = serde_json::from_str(&session.ok(["schema", "bench"])).unwrap();
    assert_eq!(keys(&report), keys(&schema["properties"]));
    assert_eq!(keys(&ways[1]), keys(&schema["$defs"]["Measured"]["properties"]));
    assert_eq!(keys(&report["namespace"]), keys(&schema["$defs"]["Namespace"]["properties"]));
    // Another one reads the chart.
    let svg = std::fs::read_to_string(session.directory().join("chart.svg")).unwrap();
    assert_eq!(svg.matches("<circle").count(), 9 * FIGURES.len());
    let mut python = session.other("python3");
    python.args([
        "-c",
        "import xml.dom.minidom, sys; print(xml.dom.minidom.parse('chart.svg').documentElement.tagName)",
    ]);
    assert_eq!(Run::of(python).ok(), "svg\n");
    let text = session.ok(["bench", "--only", "host,veth", "--rounds", "1", "--seconds", "0.02", "--quick"]);
    assert!(
        text.contains("CPU s/GB") && text.contains("\"Less than 1 % CPU overhead\" for a veth"),
        "{text}"
    );
    assert_nothing(session);
}

/// No lab, no namespace, no process of the user's.
fn assert_nothing(session: &Session) {
    assert_eq!(session.ok(["ls", "--json"]), "[]\n");
    session.assert_no_holder();
}

/// Starts one that goes on for long, and waits until its lab is there.
fn started(session: &Session) -> (Running, String) {
    let running = Running::start(session.command(["bench", "--rounds", "1000", "--only", "host,veth"]));
    let end = Instant::now() + Duration::from_secs(30);
    let lab = format!("nslab-bench-{}", running.child.id());
    while !session.ok(["ls", "--json"]).contains(&lab) {
        assert!(Instant::now() < end, "there is no lab");
    }
    (running, lab)
}

fn nothing_is_left(session: &Session) {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut running, lab) = started(session);
        running.send(signal);
        assert_eq!(running.end().code(), Some(130));
        session.assert_nothing_of(&lab);
        session.assert_no_holder();
    }
}

fn what_was_killed_is_swept(session: &Session) {
    let (mut running, lab) = started(session);
    running.send(Signal::KILL);
    running.end();
    // As root another test's may have swept it already.
    assert!(session.is_root || session.ok(["ls", "--json"]).contains(&lab));
    session.ok(["bench", "--only", "namespace", "--rounds", "1", "--seconds", "0.02", "--quick"]);
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
}

fn wrong_wishes(session: &Session) {
    session.run(["bench", "--only", "vet"]).status(2).says("veth");
    session.run(["bench", "--rounds", "0"]).status(2).says("0");
    session.run(["bench", "--svg", "no/such/chart.svg"]).status(2).says("no/such/chart.svg");
    assert_nothing(session);
}
