//! Programs of a lab and what they wrote.

use std::io::{BufRead, BufReader, Write};

use rustix::process::Signal;

use crate::support::{Running, Session, each_user};

each_user!(
    written,
    followed,
    a_program_that_fails,
    a_program_that_ends_badly_later,
    steps_leave_ended_programs_alone
);

fn written(session: &Session) {
    let lab = session.up(
        "
nodes:
  red:
    run:
      - {name: count, command: \"for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2; exec sleep infinity\"}
  blue:
    run: [{name: once, command: echo once}]
  green: {}
",
    );
    let red = format!("{lab}/red");
    assert_eq!(session.ok(["logs", &red]), "line 1\nline 2\nline 3\nline 4\nline 5\nbad\n");
    assert_eq!(session.ok(["logs", &red, "-n", "2"]), "line 5\nbad\n");
    assert_eq!(session.ok(["logs", &red, "count", "-n1"]), "bad\n");
    assert_eq!(session.ok(["logs", &red, "-n", "0"]), "");
    let all = session.ok(["logs", &lab]);
    assert!(all.contains("red.count | line 1\n") && all.contains("blue.once | once\n"), "{all}");
    assert_eq!(session.ok(["logs", &format!("{lab}/blue")]), "once\n");
    // It ended by itself, so that there is nothing to wait for.
    assert_eq!(session.ok(["logs", "-f", &format!("{lab}/blue")]), "once\n");
    session.run(["logs", &format!("{lab}/green")]).status(0).says("no program has run there");
    session.run(["logs", &red, "cuont"]).status(2).says("did you mean \"count\"?");
    session.run(["logs", &format!("{lab}/gren")]).status(2).says("did you mean \"green\"?");
    session.run(["logs", "host"]).status(2).says("is not a node of a lab");
}

fn followed(session: &Session) {
    let fifo = session.fifo("fifo");
    let program = format!("echo ready; exec cat {}", fifo.display());
    let lab = session.up(&format!("nodes: {{red: {{run: [{{name: cat, command: '{program}'}}]}}}}\n"));
    let mut writer = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    let mut running = Running::start(session.command(["logs", "-f", &format!("{lab}/red")]));
    let mut lines = BufReader::new(running.child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().map(Result::unwrap);
    assert_eq!(next().as_deref(), Some("ready"));
    for line in ["one", "two"] {
        writeln!(writer, "{line}").unwrap();
        assert_eq!(next().as_deref(), Some(line));
    }
    let mut interrupted = Running::start(session.command(["logs", "-f", "-n1", &format!("{lab}/red")]));
    let mut tail = BufReader::new(interrupted.child.stdout.take().unwrap()).lines();
    assert_eq!(tail.next().unwrap().unwrap(), "two");
    interrupted.send(Signal::INT);
    assert!(!interrupted.end().success());
    // When the program ends there is no more to come.
    drop(writer);
    assert_eq!(next(), None);
    assert!(running.end().success());
    session.ok(["down", &lab]);
}

fn a_program_that_fails(session: &Session) {
    let (lab, file) = session.lab_file(
        "
nodes:
  red: {run: [{name: broken, command: 'echo cannot do it; exit 3', ready: {tcp: 80}}]}
  blue: {}
links: [[red, blue]]
",
    );
    session
        .run(["up", &file])
        .status(4)
        .says("program \"broken\" of red")
        .says("cannot do it")
        .says("what had been done was taken back");
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
    let missing = "nodes: {red: {run: [{command: [/no/such/program]}]}}\n";
    let (lab, file) = session.lab_file(missing);
    session.run(["up", &file]).status(4).says("/no/such/program");
    session.assert_nothing_of(&lab);
    let never =
        "nodes: {red: {run: [{name: slow, command: sleep infinity, ready: {tcp: 80}, timeout: 100ms}]}}\n";
    let (lab, file) = session.lab_file(never);
    session
        .run(["up", &file])
        .status(4)
        .says("was not ready within 100ms")
        .says("nothing listens on TCP port 80");
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
}

/// A running lab stays what it was when a program that is added does not become ready.
fn a_program_that_ends_badly_later(session: &Session) {
    let lab = session.up("nodes: {red: {run: [{name: good, command: sleep infinity}]}}\n");
    let before = session.json(["ls", &lab]);
    let file = format!("{lab}.yaml");
    let old = std::fs::read_to_string(session.directory().join(&file)).unwrap();
    session.file(
        &file,
        format!(
            "name: {lab}\nnodes: {{red: {{run: [{{name: good, command: sleep infinity}}, \
             {{name: bad, command: sleep infinity, ready: {{tcp: 80}}, timeout: 100ms}}]}}, blue: {{}}}}\n"
        ),
    );
    session.run(["up", &file]).status(4).says("program \"bad\" of red");
    assert_eq!(session.json(["ls", &lab]), before);
    session.file(&file, old);
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("nothing to do"), "{plan}");
}

/// Only `up` starts programs: no step does, and `set` does not.
fn steps_leave_ended_programs_alone(session: &Session) {
    let (lab, file) = session.lab_file(
        "
nodes:
  red: {run: [{name: ended, command: [sleep, infinity]}, {name: runs, command: [sleep, infinity]}]}
  blue: {run: [{name: goes, command: [sleep, infinity]}]}
links: [[red:eth0 10.0.0.1/24, blue:eth0 10.0.0.2/24]]
",
    );
    session.ok(["up", &file]);
    let programs = |node: &str| {
        let nodes = session.json(["ls", &lab]);
        let node = nodes.as_array().unwrap().iter().find(|one| one["name"] == *node).unwrap().clone();
        let row = |one: &serde_json::Value| (one["state"].as_str().unwrap().to_owned(), one["pid"].as_u64());
        node["programs"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    let before = programs("red");
    kill(before[0].1.unwrap());
    let ended = || programs("red")[0].0 == "killed";
    while !ended() {
        std::thread::yield_now();
    }
    for step in [
        "node add green",
        "switch add sw",
        "link add green:eth0 sw:green",
        "addr add green:eth0 10.1.0.1/24",
        "route add red 10.9.0.0/24 via 10.0.0.2",
        "route del red 10.9.0.0/24 via 10.0.0.2",
        "link down red:eth0",
        "set red:eth0 --up --mtu 1400",
    ] {
        session.run(step.split(' ').chain(["--lab", &lab])).status(0);
        assert!(ended(), "{step}");
    }
    // With the node goes what runs in it, and nothing else.
    let goes = programs("blue")[0].1.unwrap();
    session.ok(["node", "del", "blue", "--lab", &lab]);
    // What has ended and is not reaped yet has no command line.
    assert!(std::fs::read(format!("/proc/{goes}/cmdline")).unwrap_or_default().is_empty());
    assert_eq!((ended(), &programs("red")[1]), (true, &before[1]));
    session.ok(["up", &file]);
    let after = programs("red");
    // In the order in which they were started.
    assert_eq!(after[0], before[1]);
    assert_eq!((after[1].0.as_str(), after.len()), ("running", 2));
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}
