//! What is shown while it runs.

use rustix::process::Signal;

use super::{Captured, Capturing};
use crate::support::{ROUTED, Session, as_root_alone, each_user};

each_user!(
    a_ping_through_a_router,
    one_interface_and_formats,
    exactly_so_many,
    while_a_program_runs,
    nodes_join_and_go,
    what_is_wrong
);
as_root_alone!(every_namespace_of_the_host);

fn a_ping_through_a_router(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let capture = |direction: &str| {
        let mut command =
            session.command(["capture", "--lab", &lab, "-f", "icmp", "-t", "-Q", direction, "--"]);
        command.arg(session.program()).args(["ping", &red, "blue", "-c1"]);
        Capturing::start(command).end()
    };
    let way = |captured: &Captured| -> Vec<String> {
        let lines = captured.text().lines().filter(|line| line.contains(" IP "));
        lines.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
    };
    let captured = capture("inout");
    captured.whole(8);
    let lines: Vec<&str> = captured.text().lines().filter(|line| line.contains(" IP ")).collect();
    let expected = [
        "red:eth0 Out",
        "fw:lan In",
        "fw:wan Out",
        "blue:eth0 In",
        "blue:eth0 Out",
        "fw:wan In",
        "fw:lan Out",
        "red:eth0 In",
    ];
    assert_eq!(way(&captured), expected, "{captured:#?}");
    for (direction, word) in [("in", "In"), ("out", "Out")] {
        let captured = capture(direction);
        captured.whole(4);
        let some: Vec<_> = expected.into_iter().filter(|place| place.ends_with(word)).collect();
        assert_eq!(way(&captured), some, "{captured:#?}");
    }
    assert!(lines[0].contains("IP 10.0.0.2 > 10.0.1.2: ICMP echo request, id "), "{captured:#?}");
    assert!(lines[7].contains("IP 10.0.1.2 > 10.0.0.2: ICMP echo reply, id "), "{captured:#?}");
    assert!(captured.stderr.contains("ready: capturing in 3 namespaces (blue, fw, red)"), "{captured:#?}");
    assert!(captured.text().contains("1 packets transmitted, 1 received"), "{captured:#?}");
}

fn one_interface_and_formats(session: &Session) {
    let lab = session.up(ROUTED);
    let (red, wan) = (format!("{lab}/red"), format!("{lab}/fw:wan"));
    let capturing = Capturing::start(
        session.command(
            ["capture", &wan, "-n", "-e", "-v", "-tt", "-x", "-f", "icmp", "-s", "60", "--json=false"]
                .iter()
                .filter(|word| !word.starts_with("--json")),
        ),
    );
    session.ok(["ping", &red, "blue", "-c1"]);
    let captured = capturing.signal(Signal::INT);
    captured.whole(2);
    let text = captured.text();
    assert!(text.lines().all(|line| line.starts_with('1') || line.starts_with([' ', '\t'])), "{text}");
    assert!(text.contains("fw:wan Out ") && text.contains("ethertype IPv4 (0x0800), length 98:"), "{text}");
    assert!(text.contains("(tos 0x0, ttl 63, id ") && text.contains("0x0000:  4500 0054 "), "{text}");
}

fn exactly_so_many(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let capturing = Capturing::start(session.command(["capture", "--lab", &lab, "-c", "5", "-f", "icmp"]));
    session.ok(["ping", &red, "blue", "-c3", "-i0.01"]);
    let captured = capturing.end();
    captured.whole(5);
    assert_eq!(captured.text().lines().count(), 5, "{captured:#?}");
}

fn while_a_program_runs(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let status = |words: &[&str]| {
        let mut command = session.command(["capture", &red, "--"]);
        command.args(words);
        Capturing::start(command).end().code
    };
    assert_eq!(status(&["true"]), Some(0));
    assert_eq!(status(&["sh", "-c", "exit 7"]), Some(7));
    assert_eq!(status(&["sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(status(&["/nonexistent/program"]), Some(127));
    // It is where the user is, and not in the node.
    let mut command = session.command(["capture", &red, "--", "readlink", "/proc/self/ns/net"]);
    command.env("X", "1");
    let here = session.other("readlink").arg("/proc/self/ns/net").output().unwrap().stdout;
    // Perhaps with a packet of IPv6's own behind it.
    let captured = Capturing::start(command).end();
    assert!(captured.stdout.starts_with(&here), "{captured:#?}");
    // A program that does not end is ended.
    let capturing = Capturing::start(session.command(["capture", &red, "--", "sleep", "1000"]));
    assert_eq!(capturing.signal(Signal::TERM).code, Some(143));
    // Nothing is run if nothing can be captured.
    let run = session.run(["capture", &format!("{red}:nope"), "--", "touch", "touched"]);
    run.status(2).says("has no interface \"nope\"");
    assert!(!session.directory().join("touched").exists());
}

fn nodes_join_and_go(session: &Session) {
    let lab = session.up(ROUTED);
    let mut capturing = Capturing::start(session.command(["capture", "--lab", &lab, "-f", "icmp"]));
    session.ok(["node", "add", "new", "--lab", &lab]);
    capturing.says("note: new joins\n");
    session.ok(["link", "add", "new:eth0 10.0.2.2/24", "fw:dmz 10.0.2.1/24", "--lab", &lab]);
    session.ok(["ping", &format!("{lab}/new"), "10.0.2.1", "-c1"]);
    // What is captured can be taken away all the same.
    session.ok(["node", "del", "new", "--lab", &lab]);
    capturing.says("note: new is gone\n");
    let captured = capturing.signal(Signal::INT);
    captured.whole(4);
    let text = captured.text();
    assert!(text.contains(" new:eth0 ") && text.contains(" fw:dmz "), "{captured:#?}");
    // With all of its namespaces gone, what was asked for by name ends.
    let capturing =
        Capturing::start(session.command(["capture", &format!("{lab}/red"), &format!("{lab}/fw:lan")]));
    session.ok(["down", &lab]);
    let captured = capturing.end();
    assert_eq!(captured.code, Some(0), "{captured:#?}");
    assert!(captured.stderr.contains("nothing is left to capture"), "{captured:#?}");
    session.assert_nothing_of(&lab);
}

fn what_is_wrong(session: &Session) {
    let lab = session.up(ROUTED);
    let red = format!("{lab}/red");
    let run = session.run(["capture", &red, "-f", "tcp prot 80"]).status(2);
    assert!(run.stderr.contains("  tcp prot 80\n      ^^^^\n"), "{run:#?}");
    session.run(["capture", &red, "-f", "host \u{1b}[31m"]).status(2);
    session.run(["capture", &format!("{red}:eht0")]).status(2).says("did you mean \"eth0\"?");
    session.run(["capture", &format!("{red}:")]).status(2).says("is no target");
    session.run(["capture", "netns:"]).status(2);
    session.run(["capture", &format!("{lab}/rde")]).status(2).says("did you mean \"red\"?");
    session.run(["capture", "--lab", "nowhere"]).status(2);
    session.run(["capture", &red, "-w", "no/where.pcapng"]).status(2).says("cannot write no/where.pcapng");
    session.run(["capture", &red, "-w", "."]).status(2);
    session.run(["capture", &red, "-w", "/proc/x.pcapng"]).says("cannot write /proc/x.pcapng");
    session.run(["capture", &red, "-w", "-", "-C", "1"]).status(2);
    session.run(["capture", &red, "-w", "-", "--print"]).status(2);
    session.run(["capture", &red, "-w", "x", "-W", "3"]).status(2);
    session.run(["capture", &red, "-C", "1"]).status(2);
    session.run(["capture", &red, "-c", "0"]).status(2);
    session.run(["capture", &red, "--all"]).status(2);
    let full = session.run(["capture", &red, "-c", "1", "-w", "/dev/full"]).status(3);
    assert!(full.stderr.contains("cannot write /dev/full: No space left on device"), "{full:#?}");
    if !session.is_root {
        // The host's own namespace is not an ordinary user's; inside, `host` is the user's.
        session.run(["capture", "pid:1"]).status(3);
    }
}

fn every_namespace_of_the_host(session: &Session) {
    let lab = session.up(ROUTED);
    let mut capturing =
        Capturing::start(session.command(["capture", "--all", "-f", "icmp and dst host 10.0.1.2"]));
    let name = lab.clone();
    let mut ip = session.other("ip");
    assert!(ip.args(["netns", "add", &name]).status().unwrap().success());
    capturing.says(&format!("note: {name} joins\n"));
    let mut ip = session.other("ip");
    assert!(ip.args(["netns", "del", &name]).status().unwrap().success());
    capturing.says(&format!("note: {name} is gone\n"));
    session.ok(["ping", &format!("{lab}/red"), "blue", "-c1"]);
    let captured = capturing.signal(Signal::INT);
    assert_eq!(captured.code, Some(0), "{captured:#?}");
    let text = captured.text();
    for place in ["red:eth0", "fw:lan", "fw:wan", "blue:eth0"] {
        assert!(text.contains(place), "{place}: {captured:#?}");
    }
}
