//! `nslab reach`.

use crate::support::{Session, each_user, keys};

each_user!(pairs, changes, expectations, hand_made_networks);

/// The guide's own network, which is on two segments.
const GUIDE: &str = "
nodes: {red: {}, blue: {}, green: {}}
switches: {br0: {}}
links:
  - [red:eth0 10.0.0.1/24, blue:eth0 10.0.0.2/24]
  - [green:eth0 10.0.0.3/24, br0]
";

fn pairs(session: &Session) {
    let lab = session.up(GUIDE);
    let run = session.run(["reach", &lab]).status(1);
    let expected = "\
from \\ to   blue   green   red
blue           -       ✗     ✓
green          ✗       -     ✗
red            ✓       ✗     -

blue, red → green: WRONG_SEGMENT (2)
green → blue, red: WRONG_SEGMENT (2)

6 pairs: 2 reach, 4 do not (67%)
";
    assert_eq!(run.stdout, expected);
    let run = session.run(["reach", &lab, "-s", "icmp,tcp/80", "--json"]).status(1);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(keys(&report), ["cells", "classes", "pairs"]);
    // What is printed is what the schema says.
    let schema: serde_json::Value = serde_json::from_str(&session.ok(["schema", "reach"])).unwrap();
    assert_eq!(keys(&report), keys(&schema["properties"]));
    let of = |name: &str| keys(&schema["$defs"][name]["properties"]);
    let known = |value: &serde_json::Value, name: &str| keys(value).iter().all(|key| of(name).contains(key));
    assert!(known(&report["cells"][0], "CellRow") && known(&report["pairs"][0], "Pair"), "{report:#}");
    let all = report["pairs"].as_array().unwrap();
    assert_eq!(all.len(), 12);
    let refused = all.iter().filter(|pair| pair["code"] == "NO_LISTENER" && pair["verdict"] == "rejected");
    assert_eq!(refused.count(), 2, "{report:#}");
    let run = session.run(["reach", &lab, "--csv"]).status(1);
    assert!(
        run.stdout.starts_with("from,to,service,verdict,code,ns,object\nblue,green,icmp,dropped,"),
        "{run:#?}"
    );
    assert_eq!(run.stdout.lines().count(), 7);
    session.ok(["reach", &format!("{lab}/red"), &format!("{lab}/blue")]);
    let run = session.run(["reach", "gren"]).status(2);
    assert!(run.stderr.contains("there is no lab or namespace"), "{run:#?}");
    session.run(["reach", &lab, "-s", "tcp"]).status(2);
}

fn changes(session: &Session) {
    let lab = session.up(GUIDE);
    let before = session.directory().join("before.nslab");
    let before = before.to_str().unwrap();
    session.ok(["snapshot", "save", before]);
    assert_eq!(session.ok(["reach", &lab, "--diff", before]), "nobody gained and nobody lost\n");
    session.ok(["exec", &format!("{lab}/blue"), "--", "ip", "link", "set", "eth0", "down"]);
    let run = session.run(["reach", &lab, "--diff", before]).status(1);
    assert!(run.stdout.starts_with("lost, because of\n"), "{run:#?}");
    assert!(run.stdout.contains(&format!("red → blue: NO_CARRIER at {lab}/red eth0")), "{run:#?}");
    let report = session.run(["reach", &lab, "--diff", before, "--json"]).status(1);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&session.ok(["schema", "reach-diff"])).unwrap();
    assert_eq!(keys(&report), keys(&schema["properties"]));
    assert_eq!(
        (report["lost"].as_array().unwrap().len(), report["gained"].as_array().unwrap().len()),
        (2, 0)
    );
    // The other way round: what is now is the older one.
    let after = session.directory().join("after.nslab");
    session.ok(["snapshot", "save", after.to_str().unwrap()]);
    let run = session.run(["reach", &lab, "--snapshot", before, "--diff", after.to_str().unwrap()]).status(0);
    assert!(run.stdout.starts_with("gained; stopped before by\n"), "{run:#?}");
    session.run(["reach", &lab, "--diff", "/nonexistent"]).status(2);
}

fn expectations(session: &Session) {
    let lab = session.up(GUIDE);
    let file = session.directory().join("expect.yaml");
    let text = |outcome: &str| {
        format!(
            "name: {lab}\n{GUIDE}expect:\n  - red -> blue icmp: ok\n  - every -> green icmp: {outcome}\n  \
             - blue -> 10.0.0.1 tcp/80: reject\n"
        )
    };
    std::fs::write(&file, text("drop")).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(session.ok(["reach", "--expect", path, "-q"]), "4 of 4 as expected\n");
    std::fs::write(&file, text("ok")).unwrap();
    let run = session.run(["reach", "--expect", path]).status(1);
    assert!(
        run.stdout.contains("red -> green icmp: expected ok, predicted dropped: WRONG_SEGMENT: "),
        "{run:#?}"
    );
    assert!(run.stdout.ends_with("2 of 4 as expected, 2 not\n"), "{run:#?}");
    std::fs::write(&file, format!("name: {lab}\n{GUIDE}")).unwrap();
    session.run(["reach", "--expect", path]).status(2);
}

/// No lab file: namespaces made by ip(8), looked at by their processes.
fn hand_made_networks(session: &Session) {
    let lab = session.up("nodes: {one: {}, two: {}}\n");
    let (one, two) = (format!("{lab}/one"), format!("{lab}/two"));
    let ip = |node: &str, words: &str| {
        let all = ["exec", node, "--", "ip"].into_iter().chain(words.split(' '));
        session.ok(all.collect::<Vec<_>>());
    };
    for (node, address) in [(&one, "192.0.2.1/24"), (&two, "192.0.2.2/24")] {
        ip(node, "link add br9 type bridge");
        ip(node, "link set br9 up");
        ip(node, &format!("address add {address} dev br9"));
    }
    // Each has a bridge of its own, with nothing between them.
    let run = session.run(["reach", &lab, "--csv"]).status(1);
    // A bridge without ports may not have lost its carrier yet.
    let codes = run.stdout.matches(",NO_CARRIER,").count() + run.stdout.matches(",WRONG_SEGMENT,").count();
    assert_eq!(codes, 2, "{run:#?}");
}
