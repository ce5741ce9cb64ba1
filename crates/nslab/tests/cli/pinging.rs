//! `nslab ping`.

use crate::support::{Session, as_user, each_user, keys};

each_user!(one_pair, many_pairs, losses, large_and_far, families);
as_user!(by_bare_names);

const THREE: &str = "
nodes: {red: {}, blue: {}, green: {}}
switches: {br0: {}}
links:
  - [red:eth0 10.0.0.1/24 fd00::1/64, br0]
  - [blue:eth0 10.0.0.2/24 fd00::2/64, br0]
  - [green:eth0 10.0.0.3/24, br0]
";

const ROW: [&str; 6] = ["address", "from", "received", "rtt_ms", "sent", "to"];

fn one_pair(session: &Session) {
    let lab = session.up(THREE);
    let (red, blue) = (format!("{lab}/red"), format!("{lab}/blue"));
    let text = session.ok(["ping", &red, &blue, "-c", "3", "-i", "0.01"]);
    assert!(text.starts_with("PING blue (10.0.0.2) 56(84) bytes of data.\n"), "{text}");
    assert!(text.contains("64 bytes from 10.0.0.2: icmp_seq=3 ttl=64 time="), "{text}");
    assert!(text.contains("3 packets transmitted, 3 received, 0% packet loss"), "{text}");
    let rows = session.json(["ping", &red, "blue", "-c2", "-i0"]);
    assert_eq!(keys(&rows[0]), ROW);
    assert_eq!(keys(&rows[0]["rtt_ms"]), ["avg", "max", "mdev", "min"]);
    assert_eq!((&rows[0]["sent"], &rows[0]["received"]), (&2.into(), &2.into()));
    assert_eq!(session.json(["ping", &red, "blue", "-i0"])[0]["sent"], 4);
    session.ok(["ping", "red", "blue", "--lab", &lab, "-c1"]);
    session.ok(["ping", &format!("netns:{lab}-red"), "10.0.0.2", "-c1"]);
    session.ok(["ping", &red, "10.0.0.2", "-c1", "--from", "10.0.0.1"]);
    session.ok(["ping", &red, "10.0.0.1", "-c1"]);
    session.run(["ping", &red, "no.such.name", "-c1"]).status(2);
}

fn many_pairs(session: &Session) {
    let lab = session.up(THREE);
    // So that the lab has to be named.
    session.up("nodes: {other: {}}\n");
    let text = session.ok(["ping", "--lab", &lab]);
    assert!(text.contains("RTT in ms") && text.contains("6 pairs: all answered"), "{text}");
    assert_eq!(session.json(["ping", "--lab", &lab]).as_array().unwrap().len(), 6);
    let rows = session.json(["ping", "red", "--lab", &lab, "-c2", "-i0"]);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert!(rows.as_array().unwrap().iter().all(|row| row["from"] == "red" && row["sent"] == 2), "{rows}");
    session.ok(["ping", &format!("{lab}/red"), "--lab", &lab]);
    // The lab is in the node's name.
    session.ok(["ping", &format!("{lab}/red")]);
}

fn losses(session: &Session) {
    let lab = session.up(THREE);
    let red = format!("{lab}/red");
    let run = session.run(["ping", &red, "10.0.0.9", "-c1", "-W0.2"]).status(1);
    assert!(
        run.stdout.contains("1 packets transmitted, 0 received, +1 errors, 100% packet loss"),
        "{run:#?}"
    );
    session.ok(["link", "down", "green:eth0", "--lab", &lab]);
    let run = session.run(["ping", "--lab", &lab, "-W1"]).status(1);
    assert!(run.stdout.contains("6 pairs: 2 answered, 4 not"), "{run:#?}");
    let run = session.run(["ping", "--lab", &lab, "-W1", "--json"]).status(1);
    let rows: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let lost = rows.as_array().unwrap().iter().filter(|row| row["received"] == 0).count();
    assert_eq!(lost, 4, "{rows}");
    // No way there at all.
    let run = session.run(["ping", &red, "192.0.2.1", "-c1", "-W0.2"]).status(1);
    assert!(run.stdout.to_lowercase().contains("unreachable"), "{run:#?}");
}

fn large_and_far(session: &Session) {
    let lab = session.up("
nodes: {red: {}, fw: {forward: true}, blue: {}}
links:
  - [red:eth0 10.0.0.1/24, fw:left 10.0.0.254/24]
  - [blue:eth0 10.0.1.1/24, fw:right 10.0.1.254/24, {mtu: 1400}]
");
    let red = format!("{lab}/red");
    let ping = |more: &[&str]| session.run(["ping", &red, "blue", "-c1", "-W10"].iter().chain(more));
    ping(&["-s", "1472", "--df"]).status(1);
    ping(&["-s", "1372", "--df"]).status(0);
    ping(&["-s", "1472"]).status(0);
    ping(&["-s", "9000"]).status(0);
    ping(&["-s", "0"]).status(0);
    let run = ping(&["-t", "1"]).status(1);
    assert!(run.stdout.to_lowercase().contains("time to live exceeded"), "{run:#?}");
    ping(&["-t", "2"]).status(0);
    // The kernel has learnt the path's MTU; larger ones are not even sent.
    let run = ping(&["-s", "1500", "--df"]).status(1);
    assert!(!run.stdout.is_empty(), "{run:#?}");
}

fn families(session: &Session) {
    let lab = session.up(THREE);
    let red = format!("{lab}/red");
    assert!(session.ok(["ping", &red, "blue", "-6", "-c1"]).contains("fd00::2"));
    assert!(session.ok(["ping", &red, "blue", "-4", "-c1"]).contains("10.0.0.2"));
    session.run(["ping", &red, "10.0.0.2", "-6"]).status(2).says("not of the family");
    session.run(["ping", &red, "fd00::2", "-4"]).status(2).says("not of the family");
    session.ok(["ping", &red, "fd00::2", "-c1"]);
    // green has no IPv6 address: nobody asks for it, and it reaches nobody.
    let run = session.run(["ping", "-6", "--lab", &lab, "--json"]).status(1);
    let rows: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| (row["received"] == 0) == (row["from"] == "green")), "{run:#?}");
    assert!(rows.iter().all(|row| row["to"] != "green"), "{run:#?}");
}

fn by_bare_names(session: &Session) {
    session.up(THREE);
    session.ok(["ping", "red", "blue", "-c1"]);
    session.ok(["ping", "red"]);
    session.ok(["ping"]);
    session.run(["ping", "red", "bleu"]).status(2).says("did you mean \"blue\"?");
}
