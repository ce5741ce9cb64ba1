//! `scan` and `snapshot`.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Session, each_user, keys};

each_user!(a_lab_is_seen, a_file_is_another_host, wrong_files, faults_are_found);

const LIMIT: Duration = Duration::from_secs(20);
const PAIR: &str = "nodes: {red: {}, blue: {}}\nlinks: [[red:eth0 10.0.0.1/24, blue:eth0 10.0.0.2/24]]\n";

fn node<'a>(snapshot: &'a Value, lab: &str, node: &str) -> &'a Value {
    let spaces = snapshot["namespaces"].as_array().unwrap();
    let is_it = |space: &&Value| {
        let names = space["names"].as_array().unwrap();
        names.iter().any(|name| name["node"]["lab"] == lab && name["node"]["node"] == node)
    };
    spaces.iter().find(is_it).unwrap_or_else(|| panic!("no {lab}/{node} in {snapshot:#}"))
}

fn a_lab_is_seen(session: &Session) {
    let lab = session.up(PAIR);
    let text = session.ok(["scan"]);
    let row = text.lines().find(|line| line.starts_with(&format!("{lab}/red "))).expect(&text);
    assert!(row.split_whitespace().nth(2).is_some_and(|links| links == "2"), "{row}");
    let cable = text.lines().find(|line| line.contains(&format!("→ {lab}/blue:eth0"))).expect(&text);
    assert!(cable.contains("eth0  veth  up") && cable.contains("10.0.0.1/24"), "{cable}");
    let json = session.json(["scan"]);
    assert_eq!(json["namespaces"][0]["names"][0], "host");
    let red = &node(&json, &lab, "red")["contents"]["state"];
    assert_eq!(red["network"]["links"][1]["name"], "eth0");
    session.ok(["down", &lab]);
    // Somebody else who looks at all namespaces just now has this one open, and so keeps it for a moment.
    let begun = Instant::now();
    while session.ok(["scan"]).contains(&format!("{lab}/")) {
        assert!(begun.elapsed() < LIMIT, "it is still there");
    }
}

fn a_file_is_another_host(session: &Session) {
    let lab = session.up(PAIR);
    let saved = session.ok(["snapshot", "save", "host.nslab"]);
    assert!(saved.contains("host.nslab: ") && saved.contains(" namespaces"), "{saved}");
    let then = session.json(["scan", "--snapshot", "host.nslab"]);
    session.ok(["down", &lab]);
    assert_eq!(session.json(["scan", "--snapshot", "host.nslab"]), then);
    node(&then, &lab, "blue");
    let file = session.directory().join("host.nslab");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let saved = session.json(["snapshot", "save", "host.nslab", "--connections"]);
    assert!(saved["namespaces"].as_u64().unwrap() >= 1);
}

fn wrong_files(session: &Session) {
    session.run(["scan", "--snapshot", "nonesuch.nslab"]).status(2).says("nonesuch.nslab");
    for (text, problem) in [
        ("", "cut short"),
        ("{\"format\":1,\"taken", "cut short"),
        ("[1, 2]", "no snapshot"),
        ("{\"format\":7}", "format 7, and this nslab reads format 1"),
        ("{\"format\":1}", "missing field"),
    ] {
        let file = session.file("bad.nslab", text);
        session.run(["scan", "--snapshot", file.to_str().unwrap()]).status(2).says(problem);
    }
    session.run(["snapshot", "save", "/nonexistent/host.nslab"]).status(2).says("/nonexistent");
}

fn faults_are_found(session: &Session) {
    let lab = session.up(PAIR);
    assert_eq!(session.ok(["doctor", &lab]), "no fault found in 2 namespaces\n");
    let ok = session.json(["doctor", &lab]);
    assert_eq!(ok["faults"], serde_json::json!([]));
    session.ok(["link", "down", "blue:eth0", "--lab", &lab]);
    let run = session.run(["doctor", &lab]).status(1);
    assert!(run.stdout.contains(&format!("error LINK_DOWN: {lab}/blue:eth0 is down\n")), "{run:#?}");
    assert!(run.stdout.ends_with("1 fault in 2 namespaces\n"), "{run:#?}");
    // What it says mends it.
    let report: Value =
        serde_json::from_str(&session.run(["doctor", &lab, "--json"]).status(1).stdout).unwrap();
    let fault = &report["faults"][0];
    assert_eq!(
        (fault["code"].as_str(), fault["where"][0]["object"].as_str()),
        (Some("LINK_DOWN"), Some("eth0"))
    );
    // What is printed is what the schema says.
    let schema: Value = serde_json::from_str(&session.ok(["schema", "doctor"])).unwrap();
    assert_eq!(keys(&report), keys(&schema["properties"]));
    assert_eq!(keys(fault), keys(&schema["$defs"]["Found"]["properties"]));
    assert_eq!(keys(&fault["where"][0]), keys(&schema["$defs"]["Place"]["properties"]));
    let fix = fault["fix"][0].as_str().unwrap();
    let mut shell = session.other("sh");
    let path =
        format!("{}:{}", session.program().parent().unwrap().display(), std::env::var("PATH").unwrap());
    shell.args(["-c", fix]).env("PATH", path);
    crate::support::Run::of(shell).ok();
    session.ok(["doctor", &lab]);
    session.run(["doctor", "nonesuch"]).status(2).says("there is no lab \"nonesuch\"");
    session.ok(["down", &lab]);
}
