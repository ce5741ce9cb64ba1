//! Ctrl-C while a lab is built, changed or taken away: it is whole afterwards, or not there.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{PAIR, Run, Running, Session, each_user};

each_user!(
    while_a_program_starts,
    while_an_edit_waits,
    between_two_stages,
    at_any_time,
    while_waiting_for_another,
    while_taken_away
);

/// A program that tells by a FIFO when it runs, and is never ready.
struct Slow {
    fifo: PathBuf,
    program: String,
}

impl Slow {
    fn new(session: &Session) -> Self {
        let fifo = session.fifo("started");
        let program = format!(
            "{{name: slow, command: 'echo > {}; exec sleep infinity', ready: {{tcp: 80}}, timeout: 100s}}",
            fifo.display()
        );
        Self { fifo, program }
    }

    /// Waits until it runs.
    fn has_started(&self) {
        assert_eq!(std::fs::read_to_string(&self.fifo).unwrap(), "\n");
    }
}

fn said(running: &mut Running) -> String {
    std::io::read_to_string(running.child.stderr.take().unwrap()).unwrap()
}

fn while_a_program_starts(session: &Session) {
    let slow = Slow::new(session);
    let (lab, file) = session.lab_file(&format!("nodes: {{red: {{run: [{}]}}, blue: {{}}}}\n", slow.program));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut running = Running::start(session.command(["up", &file]));
        slow.has_started();
        running.send(signal);
        assert_eq!(running.end().code(), Some(130));
        let said = said(&mut running);
        assert!(said.contains("nslab: interrupted\n  what had been begun was taken back\n"), "{said}");
        session.assert_nothing_of(&lab);
        session.assert_no_holder();
    }
    // Whoever is to go on in the background goes on.
    let command = format!("trap '' HUP; exec {} up {file}", session.program().display());
    let mut shell = session.other("sh");
    shell.args(["-c", &command]);
    let mut running = Running::start(shell);
    slow.has_started();
    running.send(Signal::HUP);
    running.send(Signal::INT);
    assert_eq!(running.end().code(), Some(130));
}

fn while_an_edit_waits(session: &Session) {
    let slow = Slow::new(session);
    let lab = session.up(PAIR);
    let file = format!("{lab}.yaml");
    let before = session.json(["show", &lab]);
    let with = PAIR.replace("red: {}", &format!("red: {{run: [{}]}}, green: {{}}", slow.program));
    session.file("with.yaml", format!("name: {lab}\n{with}"));
    let mut running = Running::start(session.command(["up", "with.yaml"]));
    slow.has_started();
    running.send(Signal::INT);
    assert_eq!(running.end().code(), Some(130), "{}", said(&mut running));
    // It is what it was.
    assert_eq!(session.json(["show", &lab]), before);
    assert_eq!(session.json(["ls", &lab])[0]["programs"], serde_json::json!([]));
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("nothing to do"), "{plan}");
    session.ok(["ping", &format!("{lab}/red"), "blue", "-c1"]);
}

/// A program that says when it is asked to end, and does not, so that it is killed after a while.
fn stubborn(fifo: &std::path::Path) -> String {
    format!("trap 'echo > {}' TERM; while :; do sleep 0.1; done", fifo.display())
}

/// What was done in the stage before is taken back: the program that was ended runs again.
fn between_two_stages(session: &Session) {
    let fifo = session.fifo("asked");
    let with = format!("nodes: {{red: {{run: [\"{}\"]}}}}\n", stubborn(&fifo));
    let lab = session.up(&with);
    session.file("without.yaml", format!("name: {lab}\nnodes: {{red: {{}}, blue: {{}}}}\n"));
    let mut running = Running::start(session.command(["up", "without.yaml"]));
    assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "\n");
    running.send(Signal::INT);
    let (status, said) = (running.end(), said(&mut running));
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.ends_with("what had been begun was taken back\n"), "{said}");
    let nodes = session.json(["ls", &lab]);
    assert_eq!(nodes.as_array().unwrap().len(), 1, "{nodes}");
    assert_eq!(nodes[0]["programs"][0]["state"], "running", "{nodes}");
    let plan = session.ok(["plan", &format!("{lab}.yaml")]);
    assert!(plan.contains("nothing to do"), "{plan}");
}

/// At moments that nobody chose.
fn at_any_time(session: &Session) {
    let (lab, file) = session.lab_file("nodes: {h: {count: 60}}\nswitches: {lan: {}}\nlinks: [[h, lan]]\n");
    let (mut whole, mut gone) = (0, 0);
    for delay in (0..24).map(|number| number * number) {
        let mut running = Running::start(session.command(["up", &file]));
        // Nothing is waited for: any moment will do.
        std::thread::sleep(Duration::from_millis(delay));
        running.send(Signal::INT);
        let status = running.end();
        let said = said(&mut running);
        match status.code() {
            Some(0) => {
                whole += 1;
                assert!(session.ok(["plan", &file]).contains("nothing to do"));
                session.ok(["down", &lab]);
            }
            // Before the first change a signal just ends it, and after the last one, while it tells of them.
            None if session.ok(["ls", "--json"]).contains(&format!("{lab:?}")) => {
                whole += 1;
                session.ok(["down", &lab]);
            }
            None | Some(130) => gone += 1,
            _ => panic!("{status}: {said}"),
        }
        session.assert_nothing_of(&lab);
        if status.code().is_some() {
            session.assert_no_holder();
        }
    }
    assert!(gone > 0, "{whole} were built");
    // Whatever became of the last one, the next is as good as the first.
    session.ok(["up", &file]);
    session.ok(["down", &lab]);
}

fn while_waiting_for_another(session: &Session) {
    let slow = Slow::new(session);
    let (lab, file) = session.lab_file(&format!("nodes: {{red: {{run: [{}]}}}}\n", slow.program));
    let mut first = Running::start(session.command(["up", &file]));
    slow.has_started();
    for command in [vec!["up", &file], vec!["down", &lab]] {
        let mut second = Running::start(session.command(command));
        let mut lines = BufReader::new(second.child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains("waiting for another nslab"), "{line}");
        // It says so just before it waits: where the signal comes first, a second one ends it.
        second.send(Signal::INT);
        second.send(Signal::TERM);
        second.send(Signal::INT);
        let status = second.end();
        assert!(!status.success(), "{status}");
    }
    first.send(Signal::INT);
    assert_eq!(first.end().code(), Some(130));
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
}

/// A program that does not want to end holds up `down`, which ends it after a while; meanwhile Ctrl-C comes.
fn while_taken_away(session: &Session) {
    let fifo = session.fifo("asked");
    let lab = session.up(&format!("nodes: {{red: {{run: [\"{}\"]}}}}\n", stubborn(&fifo)));
    let mut command = session.command(["down", &lab]);
    command.stdout(Stdio::null());
    let mut running = Running::start(command);
    assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "\n");
    running.send(Signal::INT);
    let status = running.end();
    assert!(status.success(), "{status}: {}", said(&mut running));
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
}

#[test]
fn the_program_can_be_killed() {
    // A second signal of the same kind ends it at once; the next `down` takes away what is left.
    if let Some(session) = Session::of_user() {
        let slow = Slow::new(&session);
        let (lab, file) = session.lab_file(&format!("nodes: {{red: {{run: [{}]}}}}\n", slow.program));
        let mut running = Running::start(session.command(["up", &file]));
        slow.has_started();
        running.send(Signal::KILL);
        running.end();
        let labs = session.json(["ls"]);
        assert_eq!(labs[0]["status"], "interrupted", "{labs}");
        session.run(["show", &lab]).status(2).says("was never wholly built");
        session.ok(["down", &lab]);
        session.assert_no_holder();
        Run::of(session.command(["down", &lab])).status(2);
    }
}
