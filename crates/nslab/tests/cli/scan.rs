//! `scan` and `snapshot`.

use serde_json::Value;

use crate::support::{Session, each_user};

each_user!(a_lab_is_seen, a_file_is_another_host, wrong_files);

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
    assert!(!session.ok(["scan"]).contains(&format!("{lab}/")));
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
