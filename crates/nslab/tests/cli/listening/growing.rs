//! Namespaces and interfaces that come and go, or are chosen.

use std::io::{BufRead as _, BufReader};
use std::process::ChildStdout;

use rustix::process::Signal;
use serde_json::Value;

use super::steps;
use crate::support::{ROUTED, Run, Session, Talking, each_user, each_user_alone};

each_user!(nodes_join_and_go, nat_that_comes_is_followed, at_one_interface);
each_user_alone!(any_namespace_joins);

/// A trace that is ready.
struct Listening {
    talking: Talking,
    stdout: BufReader<ChildStdout>,
}

impl Listening {
    fn start(session: &Session, words: &[&str]) -> Self {
        let mut command = session.command(["trace", "--json", "--listen"]);
        command.args(words);
        let mut talking = Talking::ready(command);
        let stdout = BufReader::new(talking.running.child.stdout.take().unwrap());
        Self { talking, stdout }
    }

    /// Waits until it says this on standard error.
    fn says(&mut self, text: &str) {
        self.talking.says(text);
    }

    /// Waits for its next line.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended: {}", self.talking.said());
        serde_json::from_str(&line).unwrap()
    }

    /// Waits for its end; what it said.
    fn end(mut self) -> String {
        let summary = self.line();
        assert_eq!((&summary["event"], summary["lost"].as_u64()), (&Value::from("summary"), Some(0)));
        let (code, said) = self.talking.end();
        assert_eq!(code, Some(0), "{said}");
        said
    }
}

/// Whether it is as predicted, and what became of it.
fn is_as_predicted(packet: &Value, fate: &str) {
    assert_eq!((packet["fate"].as_str(), packet["agrees"].as_bool()), (Some(fate), Some(true)), "{packet:#}");
}

fn nodes_join_and_go(session: &Session) {
    let lab = session.up(ROUTED);
    let mut listening = Listening::start(session, &["icmp", "--lab", &lab]);
    session.ok(["node", "add", "new", "--lab", &lab]);
    let new = format!("{lab}/new");
    listening.says(&format!("note: {new} joins\n"));
    session.ok(["link", "add", "new:eth0 10.0.2.2/24", "fw:dmz 10.0.2.1/24", "--lab", &lab]);
    session.ok(["ping", &new, "10.0.2.1", "-c1"]);
    let (request, reply) = (listening.line(), listening.line());
    for (packet, sent, received) in [(&request, "new:eth0", "fw:dmz"), (&reply, "fw:dmz", "new:eth0")] {
        is_as_predicted(packet, "delivered");
        let seen = steps(packet, "seen");
        assert!(seen.contains(&format!("{sent} send")), "{packet:#}");
        assert!(seen.contains(&format!("{received} receive")), "{packet:#}");
    }
    // Its rules are traced as well: who hears the answer.
    assert!(reply["evidence"].as_array().unwrap().contains(&Value::from("nft trace")), "{reply:#}");
    // It can be taken away all the same, and the others go on.
    session.ok(["node", "del", "new", "--lab", &lab]);
    listening.says(&format!("note: {new} is gone\n"));
    session.ok(["ping", &format!("{lab}/red"), "blue", "-c1"]);
    for _ in 0..2 {
        is_as_predicted(&listening.line(), "delivered");
    }
    listening.talking.send(Signal::INT);
    listening.end();
    // With all of its namespaces gone, what was asked for by name ends.
    let listening = Listening::start(session, &["icmp", &format!("{lab}/red"), &format!("{lab}/fw:lan")]);
    session.ok(["down", &lab]);
    let said = listening.end();
    assert!(said.contains("nothing is left to trace in"), "{said}");
    session.assert_nothing_of(&lab);
}

/// Of all that there is.
fn any_namespace_joins(session: &Session) {
    let lab = session.up("nodes: {red: {}, fw: {forward: true}}");
    let mut listening = Listening::start(session, &["icmp", "--all"]);
    session.ok(["node", "add", "new", "--lab", &lab]);
    let new = format!("{lab}/new");
    listening.says(&format!("note: {new} joins\n"));
    session.ok(["link", "add", "new:eth0 10.0.0.2/24", "fw:dmz 10.0.0.1/24", "--lab", &lab]);
    session.ok(["ping", &new, "10.0.0.1", "-c1"]);
    for (sent, received) in [("new:eth0", "fw:dmz"), ("fw:dmz", "new:eth0")] {
        let packet = listening.line();
        is_as_predicted(&packet, "delivered");
        let seen = steps(&packet, "seen");
        assert!(seen.contains(&format!("{sent} send")), "{packet:#}");
        assert!(seen.contains(&format!("{received} receive")), "{packet:#}");
    }
    session.ok(["down", &lab]);
    // Whose name is made use of again has another namespace.
    listening.says(&format!("note: {new} is gone\n"));
    session.assert_nothing_of(&lab);
    listening.talking.send(Signal::INT);
    listening.end();
}

fn nat_that_comes_is_followed(session: &Session) {
    if Run::of(session.other("nft")).code.is_none() {
        return nslab_testing::skip("there is no nft");
    }
    let lab = session.up(ROUTED);
    let (red, fw) = (format!("{lab}/red"), format!("{lab}/fw"));
    // What NAT makes of it is none of these.
    let mut listening = Listening::start(session, &["icmp and src host 10.0.0.2", "--lab", &lab]);
    session.ok(["ping", &red, "blue", "-c1"]);
    is_as_predicted(&listening.line(), "delivered");
    let rules = "add table ip late; add chain ip late out { type nat hook postrouting priority 100; }; \
                 add rule ip late out oifname wan masquerade";
    session.ok(["exec", &fw, "--", "nft", rules]);
    listening.says(&format!("note: {fw} has NAT now: packets are followed through it from here on\n"));
    session.ok(["ping", &red, "blue", "-c1"]);
    let packet = listening.line();
    is_as_predicted(&packet, "delivered");
    let seen = steps(&packet, "seen");
    for step in ["red:eth0 send", "fw:lan receive", "fw:wan send", "blue:eth0 receive"] {
        assert!(seen.contains(&step.to_owned()), "{step} of {packet:#}");
    }
    assert!(packet["steps"].to_string().contains("ip late out"), "{packet:#}");
    listening.talking.send(Signal::INT);
    listening.end();
    session.ok(["down", &lab]);
}

fn at_one_interface(session: &Session) {
    let lab = session.up(ROUTED);
    let (red, wan) = (format!("{lab}/red"), format!("{lab}/fw:wan"));
    let mut listening = Listening::start(session, &["icmp", &wan]);
    // What does not pass it is not told of.
    session.ok(["ping", &red, "10.0.0.1", "-c1"]);
    session.ok(["ping", &red, "blue", "-c1"]);
    for (way, other) in [("send", "receive"), ("receive", "send")] {
        let packet = listening.line();
        is_as_predicted(&packet, "left");
        assert_eq!(packet["flow"]["protocol"], 1);
        let seen = steps(&packet, "seen");
        assert!(seen.contains(&format!("fw:wan {way}")), "{packet:#}");
        assert!(!seen.iter().any(|step| step.starts_with("fw:lan") || step.ends_with(other)), "{packet:#}");
    }
    // So it is with all interfaces of one namespace.
    let mut whole = Listening::start(session, &["icmp", "-c", "2", &format!("{lab}/fw")]);
    session.ok(["ping", &red, "blue", "-c1"]);
    for (from, to) in [("lan", "wan"), ("wan", "lan")] {
        let packet = whole.line();
        is_as_predicted(&packet, "left");
        let seen = steps(&packet, "seen");
        assert!(seen.contains(&format!("fw:{from} receive")), "{packet:#}");
        assert!(seen.contains(&format!("fw:{to} send")), "{packet:#}");
    }
    whole.end();
    for _ in 0..2 {
        is_as_predicted(&listening.line(), "left");
    }
    // An interface that goes is told of; nothing else is left.
    session.ok(["link", "del", "blue", "fw", "--lab", &lab]);
    let said = listening.end();
    assert!(said.contains(&format!("note: {wan} is gone\n")), "{said}");
    assert!(said.contains("nothing is left to trace in"), "{said}");
    // Of what goes out there it is not known whence it came, unless rules tell.
    session.ok(["link", "add", "blue:eth0 10.0.1.2/24", "fw:wan 10.0.1.1/24", "--lab", &lab]);
    let mut listening = Listening::start(session, &["icmp", "--no-rules", "-c", "1", &wan]);
    session.ok(["ping", &red, "10.0.1.1", "-c1"]);
    session.ok(["ping", &format!("{lab}/blue"), "10.0.1.1", "-c1"]);
    is_as_predicted(&listening.line(), "delivered");
    listening.end();
    session.ok(["down", &lab]);
}
