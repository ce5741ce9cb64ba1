//! The guide's steps one by one, on a running lab.

use crate::support::{PAIR, Session, as_user, each_user};

each_user!(the_guides_steps, links_and_routes, edits_are_all_or_nothing, edits_as_json);
as_user!(without_naming_the_lab);

/// Runs a step on the lab.
fn step(session: &Session, lab: &str, words: &str) {
    session.run(words.split(' ').chain(["--lab", lab])).status(0);
}

fn ping(session: &Session, lab: &str, from: &str, to: &str) -> i32 {
    session.run(["ping", &format!("{lab}/{from}"), to, "-c1", "-W0.3"]).code.unwrap()
}

/// As [`ping`], where an answer is to come: a router that has asked in vain asks again only after a second.
fn ping_patiently(session: &Session, lab: &str, from: &str, to: &str) -> i32 {
    session.run(["ping", &format!("{lab}/{from}"), to, "-c1", "-W5"]).code.unwrap()
}

fn the_guides_steps(session: &Session) {
    let lab = session.lab("play");
    session.run(["up", "--empty", &lab]).status(0).says(&format!("lab {lab} is up: 0 nodes"));
    step(session, &lab, "node add red blue");
    step(session, &lab, "link add red:veth-red blue:veth-blue");
    step(session, &lab, "addr add red:veth-red 10.0.0.1/24");
    step(session, &lab, "addr add blue:veth-blue 10.0.0.2/24");
    assert_eq!(ping_patiently(session, &lab, "red", "blue"), 0);
    step(session, &lab, "switch add br0");
    step(session, &lab, "node add green");
    let run = session
        .run(["link", "add", "green:veth-green 10.0.0.3/24", "br0:veth-br-green", "--lab", &lab])
        .status(0);
    // What is wrong with the guide's network.
    run.says("10.0.0.0/24 is on two separate segments");
    assert_eq!(ping(session, &lab, "red", "green"), 1);
    assert_eq!(ping_patiently(session, &lab, "red", "blue"), 0);
    let yaml = session.ok(["export", &lab]);
    session.file("guide.yaml", &yaml);
    let running = session.json(["show", &lab]);
    assert!(session.ok(["plan", "guide.yaml"]).contains("nothing to do"), "{yaml}");
    // A fresh build of what was written down is the same.
    session.ok(["down", &lab]);
    session.ok(["up", "guide.yaml"]);
    assert_eq!(session.json(["show", &lab]), running);
    step(session, &lab, "node del green");
    assert_eq!(session.json(["ls", &lab]).as_array().unwrap().len(), 3);
    step(session, &lab, "switch del br0");
    step(session, &lab, "link del red:veth-red");
    let topology = session.json(["show", &lab]);
    assert_eq!((topology["links"].to_string(), topology["switches"].to_string()), ("[]".into(), "[]".into()));
    step(session, &lab, "node del red blue");
    session.ok(["down", &lab]);
    session.assert_no_holder();
}

fn links_and_routes(session: &Session) {
    let lab = session.up("
routing: none
nodes: {red: {}, fw: {forward: true}, blue: {}}
links:
  - [red:eth0 10.0.0.1/24, fw:left 10.0.0.254/24]
  - [blue:eth0 10.0.1.1/24, fw:right 10.0.1.254/24]
");
    assert_eq!(ping(session, &lab, "red", "blue"), 1);
    let add = |words: &str| {
        let words = words.split(' ');
        session.run(["route", "add", "--lab", &lab].into_iter().chain(words)).status(0)
    };
    add("red default via 10.0.0.254");
    add("blue 10.0.0.0/24 via 10.0.1.254 metric 50");
    assert_eq!(ping_patiently(session, &lab, "red", "blue"), 0);
    step(session, &lab, "link down fw:right");
    assert_eq!(ping_patiently(session, &lab, "red", "10.0.0.254"), 0);
    assert_eq!(ping(session, &lab, "red", "blue"), 1);
    // The route that the kernel took away with the interface is put back with it.
    step(session, &lab, "link up fw:right");
    assert_eq!(ping_patiently(session, &lab, "red", "blue"), 0);
    step(session, &lab, "link down blue:eth0");
    assert_eq!(ping(session, &lab, "red", "blue"), 1);
    step(session, &lab, "link up blue:eth0");
    assert_eq!(ping_patiently(session, &lab, "red", "blue"), 0);
    session.ok(["route", "del", "--lab", &lab, "red", "default", "via", "10.0.0.254"]);
    assert_eq!(ping(session, &lab, "red", "blue"), 1);
    session.ok(["route", "add", "--lab", &lab, "red", "blackhole", "10.66.0.0/16"]);
    let yaml = session.ok(["export", &lab]);
    assert!(yaml.contains("blackhole 10.66.0.0/16"), "{yaml}");
    step(session, &lab, "addr del red:eth0 10.0.0.1/24");
    step(session, &lab, "addr add red:eth0 10.0.0.9/24");
    assert_eq!(ping_patiently(session, &lab, "red", "10.0.0.254"), 0);
    step(session, &lab, "link add red blue --mtu 1400");
    assert!(session.ok(["show", &format!("{lab}/red")]).contains("1400"));
    session.ok(["link", "del", "red", "blue", "--lab", &lab]);
    session.run(["link", "del", "red", "blue", "--lab", &lab]).status(2);
}

fn edits_are_all_or_nothing(session: &Session) {
    let lab = session.up(PAIR);
    let before = session.json(["show", &lab]);
    let wrong: [&[&str]; 9] = [
        &["node", "add", "green", "red"],
        &["node", "add", "green", "a b"],
        &["node", "del", "red", "green"],
        &["link", "add", "red:eth0", "blue"],
        &["link", "add", "red", "red"],
        &["link", "add", "red 10.0.0.1/24", "blue"],
        &["addr", "add", "red:eth0", "10.0.0.2/24"],
        &["addr", "add", "red:eth0", "10.0.0.5"],
        &["route", "add", "red", "default", "via", "10.9.9.9"],
    ];
    for edit in wrong {
        let run = session.run(edit[..2].iter().chain(&["--lab", &lab]).chain(&edit[2..])).status(2);
        assert!(run.stderr.contains("nothing was changed"), "{run:#?}");
        assert_eq!(session.json(["show", &lab]), before, "{edit:?}");
    }
    assert!(session.ok(["plan", &format!("{lab}.yaml")]).contains("nothing to do"));
}

fn edits_as_json(session: &Session) {
    let lab = session.up(PAIR);
    let plan = session.json(["node", "add", "green", "--lab", &lab]);
    assert_eq!(crate::support::keys(&plan), ["lab", "namespaces", "notes", "stages"]);
    assert_eq!(plan["lab"], lab);
}

fn without_naming_the_lab(session: &Session) {
    session.ok(["up", "--empty", "play"]);
    for words in ["node add red blue", "link add red blue", "addr add red:eth0 10.9.0.1/24"] {
        let run = session.run(words.split(' '));
        assert_eq!(run.code, Some(0), "{run:#?}");
        assert!(!run.stderr.is_empty(), "it says what it did: {run:#?}");
    }
    session.ok(["addr", "add", "blue:eth0", "10.9.0.2/24"]);
    session.ok(["ping"]);
    session.ok(["down"]);
}
