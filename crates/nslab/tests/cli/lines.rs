//! Bad links: set on a running lab, shown, played.

use nslab_testing::Oracle;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Running, Session, each_user};

each_user!(
    set_is_remembered,
    set_refuses_nonsense,
    a_delay_is_made_or_refused,
    a_timeline_is_played,
    playing_is_interrupted,
    what_cannot_be_played,
    one_way_over_a_switch_is_set_and_played,
    interfaces_of_a_node_are_changed
);

const LINE: &str = "\
nodes: {red: {}, blue: {}, green: {}}
switches: {lan: {}}
links:
  - [red, blue, {rate: 20mbit}]
  - [red, lan]
  - [green, lan]
";

/// The kinds of the queues that somebody hung onto an interface of red.
fn kinds(session: &Session, lab: &str) -> Vec<String> {
    let shown = session.json(["show", &format!("{lab}/red")]);
    let all = shown["queues"]["qdiscs"].as_array().unwrap().clone();
    let name = |one: &Value| match &one["kind"] {
        Value::String(name) => name.clone(),
        Value::Object(kind) => kind.keys().next().unwrap().clone(),
        other => other.to_string(),
    };
    all.iter().filter(|one| one["handle"] != 0).map(name).collect()
}

fn planned(session: &Session, lab: &str) -> String {
    let yaml = session.ok(["export", lab]);
    session.file("now.yaml", &yaml);
    session.ok(["plan", "now.yaml"])
}

fn set_is_remembered(session: &Session) {
    let lab = session.up(LINE);
    assert_eq!(kinds(session, &lab), ["tbf"]);
    session
        .run(["set", "red:eth0", "--loss", "5%", "--lab", &lab])
        .status(0)
        .says("red: set the queue of eth0");
    assert!(kinds(session, &lab).iter().any(|kind| kind == "tbf"), "the rate stays");
    assert_eq!(
        kinds(session, &lab).len(),
        if kinds(session, &lab).contains(&"netem".to_owned()) { 2 } else { 3 }
    );
    assert!(planned(session, &lab).contains("nothing to do"));
    // Both ends of a link, the MTU, and several at once.
    session.ok(["set", "red -- blue", "red -- lan", "--rate", "5mbit", "--mtu", "1400", "--lab", &lab]);
    let topology = session.json(["show", &lab]);
    for link in [0, 1] {
        for side in [0, 1] {
            let end = &topology["links"][link]["ends"][side];
            assert_eq!((&end["impairment"]["rate"], &end["mtu"]), (&5_000_000.into(), &1400.into()), "{end}");
        }
    }
    assert!(planned(session, &lab).contains("nothing to do"));
    let shown = session.ok(["show", &format!("{lab}/red")]);
    assert!(shown.contains("\nqueues\n") && shown.contains("tbf rate 5mbit"), "{shown}");
    session.ok(["set", "red -- blue", "--clear", "--lab", &lab]);
    session.ok(["set", "red -- lan", "--clear", "--down", "--lab", &lab]);
    assert_eq!(kinds(session, &lab), Vec::<String>::new());
    assert!(planned(session, &lab).contains("nothing to do"));
    // The file that it came from says otherwise, and `up` goes back to it.
    let file = format!("{lab}.yaml");
    assert!(session.ok(["plan", &file]).contains("tbf rate 20mbit"));
    session.ok(["up", &file]);
    assert_eq!(kinds(session, &lab), ["tbf"]);
}

fn set_refuses_nonsense(session: &Session) {
    let lab = session.up(LINE);
    for (words, says) in [
        ("red:eth9 --loss 1%", "there is no red:eth9"),
        ("red --loss 1%", "is no interface and no link"),
        ("red:eth0 --loss 1", "--loss: expected loss, a share such as 1%"),
        ("red:eth0 --rate fast", "--rate: expected a rate such as 10mbit"),
        ("red:eth0 --jitter 5ms", "the jitter is larger than the delay"),
        ("red:eth0 --reorder 5%", "without a delay nothing can be overtaken"),
        ("red:eth0 --rate 1kbit", "too slow for an MTU of 1500"),
        ("red:eth0 --mtu 5", "5"),
        ("red:eth0", "required"),
        ("red:eth0 --up --down", "cannot be used with"),
    ] {
        session.run(["set"].into_iter().chain(words.split(' ')).chain(["--lab", &lab])).status(2).says(says);
    }
    assert!(planned(session, &lab).contains("nothing to do"));
}

fn a_delay_is_made_or_refused(session: &Session) {
    let lab = session.up(LINE);
    let run = session.run(["set", "red:eth0", "--delay", "30ms", "--lab", &lab]);
    if run.code == Some(3) {
        run.says("delay on red:eth0 needs netem, which this kernel was built without (CONFIG_NET_SCH_NETEM)");
        assert_eq!(kinds(session, &lab), ["tbf"], "nothing was changed");
    } else {
        run.status(0);
        let row = session.json(["ping", &format!("{lab}/red"), "blue", "-c1", "-W5"]);
        let time = row["rtt_ms"]["min"].as_f64().unwrap_or_else(|| row[0]["rtt_ms"]["min"].as_f64().unwrap());
        assert!(time >= 30.0, "{row}");
    }
    // A file that asks for it: the same, before anything is made.
    let (other, file) = session.lab_file(&LINE.replace("rate: 20mbit", "delay: 30ms"));
    let run = session.run(["up", &file]);
    if run.code == Some(3) {
        run.says(&format!("({file}:")).says("CONFIG_NET_SCH_NETEM");
        session.assert_nothing_of(&other);
    } else {
        run.status(0);
    }
}

const TIMELINE: &str = "\
timeline:
  - {at: 50ms, set: red -- blue, loss: 100%, within: 20ms}
  - {at: 100ms, down: ['red:eth1', 'green:eth0'], pick: 1}
  - {at: 150ms, set: red -- blue, loss: 0%, rate: 1mbit}
  - {at: 200ms, up: 'red:eth1', every: 20ms, times: 2}
";

fn a_timeline_is_played(session: &Session) {
    let lab = session.up(&format!("{LINE}{TIMELINE}"));
    let before = session.json(["show", &lab]);
    let played = session.json(["play", &lab, "--seed", "7"]);
    let events = played["events"].as_array().unwrap();
    assert_eq!((events.len(), &played["seed"]), (5, &7.into()), "{played}");
    for event in events {
        let [planned, actual] = ["planned_ms", "actual_ms"].map(|key| event[key].as_f64().unwrap());
        assert!(planned <= actual && actual < planned + 60_000.0, "{event}");
    }
    assert_eq!(events[0]["interfaces"], serde_json::json!(["red:eth0", "blue:eth0"]));
    assert_eq!(events[0]["set"]["loss"], "100%");
    assert_eq!((&played["restored"], &played["interrupted"]), (&true.into(), &false.into()));
    assert_eq!(session.json(["show", &lab]), before);
    assert!(session.ok(["plan", &format!("{lab}.yaml")]).contains("nothing to do"));
    // The same seed plays the same, ten times as fast; and `--keep` leaves it.
    let again = session.json(["play", &lab, "--seed", "7", "--speed", "10", "--keep"]);
    let of = |played: &Value, factor: f64| -> Vec<(String, i64)> {
        let times = played["events"].as_array().unwrap().iter().map(|event| {
            #[expect(clippy::cast_possible_truncation, reason = "some milliseconds")]
            let planned = (event["planned_ms"].as_f64().unwrap() * factor * 1000.0).round() as i64;
            (event["interfaces"].to_string(), planned)
        });
        times.collect()
    };
    assert_eq!(of(&again, 10.0), of(&played, 1.0));
    assert_eq!(session.json(["show", &lab])["links"][0]["ends"][0]["impairment"]["rate"], 1_000_000);
    assert!(session.ok(["plan", &format!("{lab}.yaml")]).contains("set the queue of eth0"));
    // A timeline of another file, and in words.
    session.file("other.yaml", format!("name: {lab}\n{LINE}timeline: [{{at: 1ms, clear: 'red:eth0'}}]\n"));
    let said = session.ok(["play", "other.yaml"]);
    assert!(said.contains("clear red:eth0"), "{said}");
}

fn playing_is_interrupted(session: &Session) {
    let late = "timeline: [{at: 0s, down: 'red:eth0'}, {at: 1h, up: 'red:eth0'}]\n";
    let lab = session.up(&format!("{LINE}{late}"));
    let before = session.json(["show", &lab]);
    let mut running = Running::start(session.command(["play", &lab]));
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while session.json(["show", &lab]) == before {
        assert!(std::time::Instant::now() < limit, "the first event never happened");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    running.send(Signal::INT);
    assert_eq!(running.end().code(), Some(130));
    assert_eq!(session.json(["show", &lab]), before);
    if Oracle::find().is_some() {
        session.ok(["exec", &format!("{lab}/red"), "--", "ip", "link", "show", "up", "dev", "eth0"]);
    }
}

fn what_cannot_be_played(session: &Session) {
    let lab = session.up(LINE);
    session.run(["play", &lab]).status(2).says("has no timeline");
    session.run(["play", "nobody"]).status(2).says("nobody");
    session.run(["play", "missing.yaml"]).status(2);
    let timeline = "timeline: [{at: 1ms, down: 'red:eth0'}, {at: 2ms, set: 'red:eth1', jitter: 5ms}]\n";
    session.file("bad.yaml", format!("name: {lab}\n{LINE}{timeline}"));
    let run = session.run(["play", "bad.yaml"]).status(2);
    run.says("event 2").says("nothing was changed");
    assert!(planned(session, &lab).contains("nothing to do"));
}

fn one_way_over_a_switch_is_set_and_played(session: &Session) {
    let timeline = "timeline: [{at: 1ms, set: red -- green, loss: 30%}, {at: 2ms, clear: red -> green}]\n";
    let lab = session.up(&format!("{LINE}{timeline}"));
    let paths =
        |side: usize, link: usize| session.json(["show", &lab])["links"][link]["ends"][side]["paths"].clone();
    let before = session.json(["show", &lab]);
    session.ok(["set", "red -> green", "--rate", "5mbit", "--loss", "10%", "--lab", &lab]);
    assert_eq!(paths(0, 1)[0]["to"], "green:eth0");
    assert!(paths(0, 2).is_null(), "one way only");
    session.ok(["set", "green <- red", "--rate", "6mbit", "--lab", &lab]);
    assert_eq!(paths(0, 1)[0]["impairment"]["rate"], 6_000_000);
    assert!(kinds(session, &lab).contains(&"htb".to_owned()));
    assert!(planned(session, &lab).contains("nothing to do"));
    // Played on top of that, and gone back to it.
    let set = session.json(["show", &lab]);
    let played = session.json(["play", &lab]);
    let both = serde_json::json!(["red:eth1 -> green:eth0", "green:eth0 -> red:eth1"]);
    assert_eq!(played["events"][0]["interfaces"], both);
    assert_eq!(session.json(["show", &lab]), set);
    session
        .run(["set", "red -> green", "--mtu", "1400", "--lab", &lab])
        .status(2)
        .says("is a way over a switch");
    session
        .run(["set", "blue -> green", "--loss", "1%", "--lab", &lab])
        .status(2)
        .says("there is no blue -> green");
    session.ok(["up", &format!("{lab}.yaml")]);
    assert_eq!(session.json(["show", &lab]), before);
}

fn interfaces_of_a_node_are_changed(session: &Session) {
    let lab = session.up(
        "nodes:\n  red: {interfaces: {vx: {type: vxlan, id: 5, remote: blue, address: 10.9.0.1/24}}}\n  \
         blue: {interfaces: {vx: {type: vxlan, id: 5, remote: red, address: 10.9.0.2/24}}}\nlinks: [[red, blue]]\n",
    );
    session.ok(["set", "red:vx", "--rate", "5mbit", "--loss", "10%", "--mtu", "1300", "--lab", &lab]);
    session.ok(["addr", "add", "red:vx", "10.9.0.7/24", "--lab", &lab]);
    assert!(kinds(session, &lab).contains(&"tbf".to_owned()));
    assert!(planned(session, &lab).contains("nothing to do"));
    let one = session.json(["show", &lab])["nodes"][0]["interfaces"][0].clone();
    assert_eq!((&one["mtu"], one["addresses"].as_array().unwrap().len()), (&1300.into(), 2), "{one}");
    session.ok(["addr", "del", "red:vx", "10.9.0.7", "--lab", &lab]);
    session.ok(["set", "red:vx", "--clear", "--down", "--lab", &lab]);
    assert_eq!(kinds(session, &lab), Vec::<String>::new());
    session.run(["addr", "del", "red:vx", "10.9.0.7", "--lab", &lab]).status(2).says("red:vx has no address");
    session.ok(["up", &format!("{lab}.yaml")]);
    assert!(session.ok(["plan", &format!("{lab}.yaml")]).contains("nothing to do"));
}
