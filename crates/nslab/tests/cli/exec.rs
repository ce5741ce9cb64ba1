//! Programs in nodes: streams, terminal, signals, status, surroundings.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::Signal;

use crate::support::{PAIR, Run, Running, Session, each_user};

each_user!(statuses, streams, a_terminal, signals, surroundings, shells, leaves_nothing);

/// A lab whose nodes have processes of their own.
fn with_processes(text: &str) -> String {
    text.replace("red: {}", "red: {processes: private}")
}

fn statuses(session: &Session) {
    statuses_in(session, PAIR);
    statuses_in(session, &with_processes(PAIR));
}

fn statuses_in(session: &Session, text: &str) {
    let lab = session.up(text);
    let red = format!("{lab}/red");
    for code in [0, 1, 2, 7, 126, 127, 130, 255] {
        let run = session.run(["exec", &red, "--", "sh", "-c", &format!("exit {code}")]).status(code);
        assert_eq!((run.stdout, run.stderr), (String::new(), String::new()));
    }
    session.run(["exec", &red, "--", "/no/such/program"]).status(127).says("/no/such/program");
    session.run(["exec", &red, "--", "no-such-program"]).status(127).says("no-such-program");
    session.run(["exec", &red, "--", "/etc"]).status(126).says("/etc");
    session.run(["exec", &red, "--", "/etc/hosts"]).status(126).says("/etc/hosts");
    session.run(["exec", &red, "--", ""]).status(127);
    let run = session.run(["exec", &red, "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!((run.code, run.signal), (None, Some(15)));
    // Arguments are the program's, also those that nslab knows.
    assert_eq!(session.ok(["exec", &red, "--", "echo", "--json", "-q", "--help"]), "--json -q --help\n");
    assert_eq!(session.ok(["exec", &red, "echo", "-h", "--", "x"]), "-h -- x\n");
}

fn streams(session: &Session) {
    streams_in(session, PAIR);
    streams_in(session, &with_processes(PAIR));
}

fn streams_in(session: &Session, text: &str) {
    let lab = session.up(text);
    let red = format!("{lab}/red");
    let input: Vec<u8> = (0..300_000_u32).map(|number| b'a' + u8::try_from(number % 26).unwrap()).collect();
    let run =
        Run::with_input(session.command(["exec", &red, "--", "sh", "-c", "cat; echo done >&2"]), &input);
    assert!(run.stdout.as_bytes() == input, "{} bytes came out", run.stdout.len());
    assert_eq!(run.stderr, "done\n");
    // A descriptor beyond the three, as process substitution makes them.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"by a pipe\n").unwrap();
    drop(writer);
    let mut command = session.command(["exec", &red, "--", "sh", "-c", "cat <&0"]);
    command.stdin(reader);
    assert_eq!(Run::of(command).ok(), "by a pipe\n");
}

/// `script` gives a program a terminal.
fn a_terminal(session: &Session) {
    if session.other("script").arg("--version").output().is_err() {
        return nslab_testing::skip("there is no script(1)");
    }
    a_terminal_in(session, PAIR);
    a_terminal_in(session, &with_processes(PAIR));
}

fn a_terminal_in(session: &Session, text: &str) {
    let lab = session.up(text);
    let inside = format!(
        "{} exec {lab}/red -- sh -c 'tty <&0; test -t 1 && test -t 2 && stty size >/dev/null; echo $?; ps -o stat= -p $$'",
        session.program().display()
    );
    let mut command = session.other("script");
    command.args(["-qec", &inside, "/dev/null"]);
    let seen = Run::of(command).ok();
    let lines: Vec<&str> = seen.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{seen}");
    assert_eq!(lines[1], "0", "{seen}");
    // In the foreground of its terminal: Ctrl-C reaches it.
    assert!(lines[2].contains('+'), "{seen}");
}

fn signals(session: &Session) {
    signals_in(session, PAIR);
    signals_in(session, &with_processes(PAIR));
}

fn signals_in(session: &Session, text: &str) {
    let lab = session.up(text);
    for (signal, name) in
        [(Signal::INT, "INT"), (Signal::TERM, "TERM"), (Signal::HUP, "HUP"), (Signal::USR1, "USR1")]
    {
        if is_ignored(signal) {
            // As under nohup(1); a shell then traps it in vain.
            continue;
        }
        let script =
            format!("trap 'echo got {name}; exit 9' {name}; echo ready; while :; do read line; done");
        let mut command = session.command(["exec", &format!("{lab}/red"), "--", "sh", "-c", &script]);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        let mut out = running.child.stdout.take().unwrap();
        let mut ready = [0; 6];
        out.read_exact(&mut ready).unwrap();
        running.send(signal);
        // What a shell does with a trap waits for `read` to end.
        drop(running.child.stdin.take());
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, format!("got {name}\n"));
        assert_eq!(running.end().code(), Some(9));
    }
    let mut running =
        Running::start(session.command(["exec", &format!("{lab}/red"), "--", "sleep", "infinity"]));
    running.send(Signal::KILL);
    assert_eq!(running.end().signal(), Some(9));
}

/// Whether this process, and with it what it starts, ignores a signal (`SigIgn` of `proc_pid_status(5)`).
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    (u64::from_str_radix(mask, 16).unwrap() >> (signal.as_raw() - 1)) & 1 == 1
}

fn surroundings(session: &Session) {
    let lab = session.up("
nodes:
  red: {env: {GREETING: hello there}, hosts: {www: 10.0.0.2}}
  blue: {}
links: [[red:eth0 10.0.0.1/24, blue:eth0 10.0.0.2/24]]
");
    let red = |words: &[&str]| {
        let target = format!("{lab}/red");
        session.ok(["exec", &target, "--"].iter().chain(words))
    };
    assert_eq!(red(&["uname", "-n"]), "red\n");
    assert_eq!(red(&["sh", "-c", "echo $GREETING"]), "hello there\n");
    let hosts = red(&["cat", "/etc/hosts"]);
    let has = |address: &str, name: &str| {
        hosts.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(address) && words.any(|word| word == name)
        })
    };
    assert!(has("10.0.0.2", "blue") && has("10.0.0.2", "www") && has("10.0.0.1", "red"), "{hosts}");
    assert!(has("127.0.0.1", "localhost"), "{hosts}");
    assert!(!session.ok(["exec", &format!("{lab}/blue"), "--", "cat", "/etc/hosts"]).contains("www"));
    let here = session.directory().canonicalize().unwrap();
    assert_eq!(red(&["pwd"]), format!("{}\n", here.display()));
    // Only its own interfaces.
    let interfaces = red(&["sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort"]);
    assert_eq!(interfaces, "eth0\nlo\n");
    // The host's name and hosts are as they were.
    let outside = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(session.ok(["exec", "host", "--", "uname", "-n"]), outside);
    assert!(!std::fs::read_to_string("/etc/hosts").unwrap_or_default().contains("www"));
    let id = session.ok(["exec", "host", "--", "readlink", "/proc/self/ns/net"]);
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(
        id.trim() == own.to_str().unwrap(),
        session.is_root,
        "an ordinary user's host is a namespace of its own"
    );
}

fn shells(session: &Session) {
    let lab = session.up(PAIR);
    let shell = |target: &str, script: &[u8]| {
        let mut command = session.command(["shell", target]);
        command.env("SHELL", "/bin/sh");
        Run::with_input(command, script)
    };
    let red = format!("{lab}/red");
    assert_eq!(shell(&red, b"uname -n\n").ok(), "red\n");
    shell(&red, b"exit 5\n").status(5);
    shell("host", b"exit 6\n").status(6);
    let mut command = session.command(["shell", &red]);
    command.env("SHELL", "/no/such/shell");
    let run = Run::with_input(command, b"uname -n\n");
    assert!(run.code == Some(0) || run.code == Some(127), "{run:#?}");
}

fn leaves_nothing(session: &Session) {
    let lab = session.up(PAIR);
    for _ in 0..5 {
        session.ok(["exec", &format!("{lab}/red"), "--", "true"]);
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.lines().any(|mount| mount.contains(&lab) && mount.contains("hosts")), "{mounts}");
    assert!(session.run(["down", &lab]).status(0).stderr.contains("is gone"));
}
