//! Processes of a node's own.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::support::{Run, Running, Session, as_user, each_user};

each_user!(
    a_node_sees_its_own,
    orphans_are_reaped,
    daemons_end_with_their_program_and_their_node,
    a_killed_first_process_is_mended,
    the_key_comes_and_goes,
    jobs,
    killed_at_any_time,
);
as_user!(a_hidden_proc);

const LIMIT: Duration = Duration::from_secs(60);

const OWN: &str = "
nodes:
  a: {processes: private, run: [{name: one, command: [sleep, infinity]}]}
  b: {}
links: [[a, b]]
";

/// Runs a command line in a node.
fn sh(session: &Session, node: &str, line: &str) -> String {
    session.ok(["exec", node, "--", "sh", "-c", line])
}

/// The pids of this machine for which something is true.
fn pids(is_it: impl Fn(&Path) -> bool) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let pid = entry.file_name().to_str()?.parse().ok()?;
            is_it(&entry.path()).then_some(pid)
        })
        .collect()
}

/// The first processes of the nodes of a session's labs: they have the environment of its commands.
fn first(session: &Session) -> Vec<i32> {
    let home = format!("HOME={}", session.directory().display());
    pids(|process| {
        let read = |file: &str| std::fs::read(process.join(file)).unwrap_or_default();
        let environment = read("environ");
        read("comm") == b"nslab-init\n"
            && environment.split(|byte| *byte == 0).any(|one| one == home.as_bytes())
    })
}

/// Sleepers that sleep for so long; living ones, as whoever reaps them may take a moment.
fn sleepers(time: &str) -> Vec<i32> {
    let line = format!("sleep\0{time}\0");
    pids(|process| std::fs::read(process.join("cmdline")).is_ok_and(|read| read == line.as_bytes()))
}

fn kill(pid: i32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The letter of a process's state (proc(5)); none of one that is gone.
fn state(pid: i32) -> Option<u8> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0])
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn program(session: &Session, lab: &str, node: &str) -> serde_json::Value {
    let nodes = session.json(["ls", lab]);
    let node = nodes.as_array().unwrap().iter().find(|one| one["name"] == *node).unwrap();
    node["programs"][0].clone()
}

fn a_node_sees_its_own(session: &Session) {
    let (lab, file) = session.lab_file(OWN);
    assert!(session.ok(["plan", &file]).contains("a: make its own processes"));
    session.ok(["up", &file]);
    let (a, b) = (format!("{lab}/a"), format!("{lab}/b"));
    let list = "cd /proc; for one in [0-9]*; do read -r name < $one/comm; echo $one $name; done";
    let seen = sh(session, &a, list);
    let seen: Vec<(i32, &str)> = seen
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(pid, name)| (pid.parse().unwrap(), name))
        .collect();
    assert!(matches!(seen[..], [(1, "nslab-init"), (_, "sleep"), (_, "sh")]), "{seen:?}");
    // All that runs in the node is there, whoever started it, and the machine knows it by other numbers.
    let sleeper = program(session, &lab, "a")["pid"].as_i64().unwrap();
    assert_ne!(i64::from(seen[1].0), sleeper);
    assert!(Path::new(&format!("/proc/{sleeper}")).exists());
    let own = sh(session, &a, "readlink /proc/self/ns/pid");
    assert_eq!(sh(session, &a, &format!("readlink /proc/{}/ns/pid", seen[1].0)), own);
    let mut shell = session.command(["shell", &a]);
    shell.env("SHELL", "/bin/sh");
    assert_eq!(Run::with_input(shell, b"readlink /proc/self/ns/pid\n").ok(), own);
    // The network is the node's, in /proc too.
    assert_eq!(sh(session, &a, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort"), "eth0\nlo\n");
    let others = sh(session, &b, "readlink /proc/self/ns/pid");
    assert_eq!(others.trim(), std::fs::read_link("/proc/self/ns/pid").unwrap().to_str().unwrap());
    // Its processes cannot be signalled from a node that has its own as well; its own can.
    assert_eq!(sh(session, &a, &format!("kill -9 {sleeper} 2>/dev/null || echo none")), "none\n");
    // A first process takes no signal but from outside.
    assert_eq!(sh(session, &a, "kill -9 1; kill -TERM 1; test -e /proc/1 && echo there"), "there\n");
    assert!(session.ok(["plan", &file]).contains("nothing to do"));
    session.file("again.yaml", session.ok(["export", &lab]));
    assert!(session.ok(["plan", "again.yaml"]).contains("nothing to do"));
    session.ok(["down", &lab]);
    wait_until("first processes are left", || first(session).is_empty());
}

/// What is left behind becomes the first process's child, which takes note of its end.
fn orphans_are_reaped(session: &Session) {
    let a = format!("{}/a", session.up("nodes: {a: {processes: private}}\n"));
    let orphan = sh(session, &a, "sh -c 'sleep 0.05 >&2 & echo $!'");
    let left = format!("test -e /proc/{}", orphan.trim());
    wait_until("it is a zombie", || session.run(["exec", &a, "--", "sh", "-c", &left]).code == Some(1));
}

fn daemons_end_with_their_program_and_their_node(session: &Session) {
    let time = format!("77{}", std::process::id() * 10 + u32::from(session.is_root));
    let daemon = format!(
        "nodes: {{a: {{processes: private, run: [{{name: d, command: 'setsid sh -c \"sleep {time} & exit\" & wait'}}]}}}}\n"
    );
    let (lab, file) = session.lab_file(&daemon);
    session.ok(["up", &file]);
    wait_until("there is no daemon", || sleepers(&time).len() == 1);
    wait_until("it has not ended", || program(session, &lab, "a")["state"] == "exited");
    // It is known whose it is.
    session.file(&file, format!("name: {lab}\nnodes: {{a: {{processes: private}}}}\n"));
    let before = first(session);
    session.ok(["up", &file]);
    assert!(sleepers(&time).is_empty());
    assert_eq!((before.len(), first(session)), (1, before));
    // One that nobody knows of any more, as the keeper was killed, goes with its node.
    session.file(&file, format!("name: {lab}\n{daemon}"));
    session.ok(["up", &file]);
    wait_until("there is no daemon", || sleepers(&time).len() == 1);
    let keeper = format!("__keeper\0{lab}\0");
    let keepers = pids(|process| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        line.ends_with(keeper.as_bytes())
    });
    assert_eq!(keepers.len(), 1);
    kill(keepers[0], Signal::KILL);
    session.file(&file, format!("name: {lab}\nnodes: {{b: {{}}}}\n"));
    session.ok(["up", &file]);
    wait_until("something is left", || sleepers(&time).is_empty() && first(session).is_empty());
}

fn a_killed_first_process_is_mended(session: &Session) {
    let (lab, file) = session.lab_file(OWN);
    session.ok(["up", &file]);
    let a = format!("{lab}/a");
    let before = program(session, &lab, "a");
    let first_before = first(session);
    kill(first_before[0], Signal::KILL);
    // It is a zombie when all others of its namespace have ended (`zap_pid_ns_processes`, `kernel/pid_namespace.c`).
    wait_until("it lives on", || matches!(state(first_before[0]), None | Some(b'Z' | b'X')));
    wait_until("its program lives on", || program(session, &lab, "a")["state"] == "killed");
    session
        .run(["exec", &a, "--", "true"])
        .status(3)
        .says("the first process of a was killed, and all processes of the node have ended with it")
        .says("`nslab up` makes them anew");
    // A step changes the network and no more.
    session.ok(["addr", "add", "b:eth0", "10.9.9.9/24", "--lab", &lab]);
    session.run(["exec", &a, "--", "true"]).status(3);
    let plan = session.ok(["plan", &file]);
    assert!(plan.contains("a: make its own processes") && plan.contains("a: start \"one\""), "{plan}");
    session.ok(["up", &file]);
    assert_eq!(sh(session, &a, "cat /proc/1/comm"), "nslab-init\n");
    let after = program(session, &lab, "a");
    assert_eq!(after["state"], "running");
    assert_ne!(after["pid"], before["pid"]);
    assert_ne!(first(session), first_before);
    assert_eq!(first(session).len(), 1);
    assert!(session.ok(["plan", &file]).contains("nothing to do"));
    // It is no obstacle for `down` either.
    kill(first(session)[0], Signal::KILL);
    session.ok(["down", &lab]);
    session.assert_nothing_of(&lab);
}

fn the_key_comes_and_goes(session: &Session) {
    let (lab, file) = session.lab_file(&OWN.replace("private", "host"));
    session.ok(["up", &file]);
    let a = format!("{lab}/a");
    let mut before = program(session, &lab, "a")["pid"].clone();
    for (word, count) in [("private", 1), ("host", 0)] {
        session.file(&file, format!("name: {lab}\n{}", OWN.replace("private", word)));
        session.ok(["up", &file]);
        wait_until(word, || first(session).len() == count);
        assert_eq!(sh(session, &a, "cat /proc/1/comm") == "nslab-init\n", count == 1);
        let after = program(session, &lab, "a")["pid"].clone();
        assert_ne!(after, before);
        before = after;
    }
}

/// `exec` stops, goes on and ends with its program, and passes signals on.
fn jobs(session: &Session) {
    let a = format!("{}/a", session.up("nodes: {a: {processes: private}}\n"));
    let time = format!("78{}", std::process::id() * 10 + u32::from(session.is_root));
    // A job of its own, as shells make them: one that nobody of its session looks after (an orphaned process group, which
    // this test's own may be) is not stopped by SIGTSTP.
    let mut command = session.command(["exec", &a, "--", "sleep", &time]);
    command.process_group(0);
    let mut running = Running::start(command);
    wait_until("it does not start", || sleepers(&time).len() == 1);
    let (outer, inner) = (i32::try_from(running.child.id()).unwrap(), sleepers(&time)[0]);
    for signal in [Signal::TSTP, Signal::STOP] {
        // Sent to the one that its user knows, or to the program itself.
        kill(if signal == Signal::TSTP { outer } else { inner }, signal);
        wait_until("it does not stop", || [outer, inner].iter().all(|&pid| state(pid) == Some(b'T')));
        running.send(Signal::CONT);
        wait_until("it does not go on", || [outer, inner].iter().all(|&pid| state(pid) == Some(b'S')));
    }
    running.send(Signal::TERM);
    assert_eq!(running.end().signal(), Some(15));
    let mut running = Running::start(session.command(["exec", &a, "--", "sleep", &time]));
    wait_until("it does not start", || sleepers(&time).len() == 1);
    running.send(Signal::KILL);
    assert_eq!(running.end().signal(), Some(9));
    wait_until("the program goes on", || sleepers(&time).is_empty());
    // The node's end is the program's.
    let script = format!("trap '' TERM HUP; sleep {time}");
    let mut running = Running::start(session.command(["exec", &a, "--", "sh", "-c", &script]));
    wait_until("it does not start", || sleepers(&time).len() == 1);
    kill(first(session)[0], Signal::KILL);
    assert_eq!(running.end().signal(), Some(9));
}

/// Whenever `up` is killed, what it has begun can be completed and taken away.
fn killed_at_any_time(session: &Session) {
    let text = "nodes: {h: {count: 6, processes: private, private: true, run: [{command: [sleep, infinity]}]}}\nswitches: {lan: {}}\nlinks: [[h, lan]]\n";
    let (lab, file) = session.lab_file(text);
    for number in 0..13_u64 {
        let mut running = Running::start(session.command(["up", &file]));
        // Nothing is waited for: any moment will do.
        std::thread::sleep(Duration::from_millis(number * number * 2));
        running.send(Signal::KILL);
        running.end();
        if number % 2 == 0 {
            session.ok(["up", &file]);
            // One of those that were begun before may only now see that it was let go.
            wait_until("others are left, or some are lacking", || first(session).len() == 6);
            assert_eq!(sh(session, &format!("{lab}/h6"), "cat /proc/1/comm"), "nslab-init\n");
        }
        let down = session.run(["down", &lab]);
        assert!(matches!(down.code, Some(0 | 2)), "{down:?}");
        session.assert_nothing_of(&lab);
        // One that was not let go ends by itself.
        wait_until("first processes are left", || first(session).is_empty());
    }
}

/// Where a part of /proc is hidden, nobody in a user namespace may mount one that is whole.
fn a_hidden_proc(session: &Session) {
    if !rustix::process::geteuid().is_root() {
        return nslab_testing::skip("only root can hide a part of /proc");
    }
    let (lab, file) = session.lab_file(OWN);
    let up = session.command(["up", &file]);
    let program = session.program();
    let mut hiding = session.other("unshare");
    hiding.uid(0);
    hiding.gid(0);
    let script =
        "mount -t tmpfs none /proc/sys && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    hiding
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(program)
        .args(up.get_args());
    let run = Run::of(hiding);
    run.status(3)
        .says("a cannot have processes of its own: a /proc of its own may not be mounted here")
        .says("take `processes: private` out of the lab file");
    session.assert_nothing_of(&lab);
    session.assert_no_holder();
}
