//! Programs in a node: what they find there, and what becomes of their exit status.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "all of it is a test")]

mod reexec;

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nslab_kernel::Namespace;
use nslab_kernel::link::{Bridge, LinkKind, NewLink};
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_lab::exec::{self, Failure, Place};
use nslab_lab::{Error, Paths};
use reexec::Lab;

/// Becomes the program named in the environment, in node `red`.
fn become_program() {
    let words: Vec<String> = serde_json::from_str(&std::env::var("WORDS").unwrap()).unwrap();
    let failure = match place() {
        Ok(place) => exec::exec(&place, &words),
        Err(error) => error.into(),
    };
    eprintln!("nslab: {failure}");
    std::process::exit(failure.exit_status().unwrap_or(3).into());
}

fn become_shell() {
    let failure = exec::shell(&place().unwrap());
    panic!("{failure}");
}

fn place() -> nslab_lab::Result<Place> {
    let state = PathBuf::from(std::env::var("STATE").unwrap());
    let lab = Paths { netns: state.clone(), state }.lab("lab");
    Place::for_node(&lab, &std::env::var("NODE").unwrap())
}

/// A command that becomes `words` in a node.
fn in_node(lab: &Lab, node: &str, words: &[&str]) -> Command {
    let mut command = reexec::command("become_program");
    command
        .env("WORDS", serde_json::to_string(words).unwrap())
        .env("STATE", lab.paths.root().parent().unwrap())
        .env("NODE", node);
    command
}

fn output(lab: &Lab, words: &[&str]) -> Output {
    in_node(lab, "red", words).output().unwrap()
}

fn stdout(lab: &Lab, words: &[&str]) -> String {
    let output = output(lab, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

processes! {
    run: reexec::run;
    roles: [become_program, become_shell];

    fn exit_statuses_are_the_programs() {
        let lab = Lab::new(&["red"]);
        assert_eq!(output(&lab, &["true"]).status.code(), Some(0));
        assert_eq!(output(&lab, &["sh", "-c", "exit 7"]).status.code(), Some(7));
        assert_eq!(output(&lab, &["sh", "-c", "kill -9 $$"]).status.signal(), Some(9));
        // A broken pipe ends programs, as it does outside: Rust programs ignore that signal, but do not pass it on.
        assert_eq!(output(&lab, &["sh", "-c", "kill -PIPE $$"]).status.signal(), Some(13));
    }

    fn what_cannot_be_run_is_named() {
        let lab = Lab::new(&["red"]);
        let missing = output(&lab, &["no-such-program"]);
        assert_eq!(missing.status.code(), Some(127));
        assert_eq!(stderr(&missing), "nslab: cannot run \"no-such-program\": there is no such program in PATH\n");
        let missing = output(&lab, &["/no/such/file"]);
        assert_eq!(missing.status.code(), Some(127));
        assert_eq!(stderr(&missing), "nslab: cannot run \"/no/such/file\": there is no such file\n");
        let text = lab.directory().join("text");
        std::fs::write(&text, "words").unwrap();
        let text = text.to_str().unwrap();
        let forbidden = output(&lab, &[text]);
        assert_eq!(forbidden.status.code(), Some(126));
        let problem = "it may not be executed: permission denied";
        assert_eq!(stderr(&forbidden), format!("nslab: cannot run {text:?}: {problem}\n"));
        let directory = output(&lab, &["/etc"]);
        assert_eq!(directory.status.code(), Some(126));
        assert_eq!(stderr(&directory), "nslab: cannot run \"/etc\": it is a directory\n");
    }

    fn missing_nodes_and_labs_are_told_apart() {
        let lab = Lab::new(&["red", "blue"]);
        let Err(Error::NoSuchNode { lab: in_lab, name, known }) = Place::for_node(&lab.paths, "rde") else { panic!() };
        assert_eq!((in_lab.as_str(), name.as_str()), ("lab", "rde"));
        assert_eq!(known, ["blue", "red"]);
        let state = lab.paths.root().parent().unwrap().to_owned();
        let other = Paths { netns: state.clone(), state }.lab("other");
        let Err(Error::NoSuchLab { name, known }) = Place::for_node(&other, "red") else { panic!() };
        assert_eq!(name, "other");
        assert_eq!(known, ["lab"]);
    }

    fn signals_reach_the_program_itself() {
        let lab = Lab::new(&["red"]);
        let mut command = in_node(&lab, "red", &["sh", "-c", "trap 'exit 5' INT; echo ready; while :; do sleep 0.01; done"]);
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5));
    }

    fn a_node_has_its_name_and_hosts() {
        let lab = Lab::new(&["red"]);
        assert_eq!(stdout(&lab, &["cat", "/proc/sys/kernel/hostname"]), "red\n");
        assert_eq!(stdout(&lab, &["cat", "/etc/hosts"]), "192.0.2.1 red\n");
        std::fs::create_dir_all(lab.paths.node("red")).unwrap();
        std::fs::write(lab.paths.node("red").join("hosts"), "192.0.2.2 own\n").unwrap();
        assert_eq!(stdout(&lab, &["cat", "/etc/hosts"]), "192.0.2.2 own\n");
        assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("192.0.2."), "the host's is as it was");
        assert_ne!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), "red\n");
    }

    fn environment_and_directory() {
        let lab = Lab::new(&["red"]);
        assert_eq!(stdout(&lab, &["sh", "-c", "echo $NSLAB_LAB $NSLAB_NODE"]), "lab red\n");
        std::fs::create_dir_all(lab.paths.node("red")).unwrap();
        std::fs::write(lab.paths.node("red").join("env"), "COLOUR=dark red\0").unwrap();
        assert_eq!(stdout(&lab, &["sh", "-c", "echo $COLOUR"]), "dark red\n");
        let own = std::env::current_dir().unwrap();
        assert_eq!(stdout(&lab, &["pwd"]).trim_end(), own.to_str().unwrap());
    }

    fn sys_shows_the_nodes_interfaces() {
        let lab = Lab::new(&["red"]);
        let namespace = Namespace::open(&lab.paths.pin("red")).unwrap();
        let mut socket = namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
        let name = "nslab-test".parse().unwrap();
        socket.request(&NewLink::new(name, LinkKind::Bridge(Bridge::default()))).unwrap();
        let seen = stdout(&lab, &["ls", "/sys/class/net"]);
        assert!(seen.lines().any(|line| line == "nslab-test"), "{seen}");
        assert!(!std::path::Path::new("/sys/class/net/nslab-test").exists(), "the host's /sys is as it was");
        // Control groups stay visible.
        let words = ["ls", "/sys/fs/cgroup"];
        let outside = Command::new(words[0]).args(&words[1..]).output().unwrap();
        assert_eq!(stdout(&lab, &words), String::from_utf8(outside.stdout).unwrap());
    }

    fn children_run_there_and_the_parent_stays() {
        let lab = Lab::new(&["red"]);
        let before = Namespace::current().unwrap().id().unwrap();
        let mut place = Place::for_node(&lab.paths, "red").unwrap();
        place.directory = Some(lab.directory());
        let mut command = Command::new("sh");
        command
            .args(["-c", "readlink /proc/self/ns/net; cat /etc/hosts; pwd; echo $NSLAB_NODE"])
            .env("NSLAB_NODE", "the command's word")
            .stdout(Stdio::piped());
        let output = exec::spawn(&place, command).unwrap().wait_with_output().unwrap();
        let node = place.namespace.id().unwrap();
        let directory = lab.directory();
        let expected = format!("{node}\n192.0.2.1 red\n{}\nthe command's word\n", directory.display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        assert_eq!(Namespace::current().unwrap().id().unwrap(), before);
    }

    fn a_child_that_cannot_start_says_why() {
        let lab = Lab::new(&["red"]);
        let mut place = Place::for_node(&lab.paths, "red").unwrap();
        let failure = exec::spawn(&place, Command::new("no-such-program")).unwrap_err();
        assert_eq!(failure.exit_status(), Some(127));
        place.directory = Some("/no/such/directory".into());
        let failure = exec::spawn(&place, Command::new("true")).unwrap_err();
        assert!(matches!(failure, Failure::Place(_)));
        let said = failure.to_string();
        assert!(said.starts_with("cannot change to the directory /no/such/directory: No such file"), "{said}");
    }

    fn the_limit_on_open_files_is_the_users() {
        let lab = Lab::new(&["red"]);
        let limit = |output: Output| String::from_utf8(output.stdout).unwrap();
        let print = ["sh", "-c", "ulimit -S -n"];
        let before = limit(Command::new(print[0]).args(&print[1..]).output().unwrap());
        exec::limits::raise();
        let mut command = Command::new(print[0]);
        command.args(&print[1..]).stdout(Stdio::piped());
        let place = Place::for_node(&lab.paths, "red").unwrap();
        assert_eq!(limit(exec::spawn(&place, command).unwrap().wait_with_output().unwrap()), before);
    }

    fn a_shell_shows_where_it_is() {
        let lab = Lab::new(&["red"]);
        let mut command = reexec::command("become_shell");
        command.env("STATE", lab.paths.root().parent().unwrap()).env("NODE", "red").env("SHELL", "/bin/sh");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"echo \"$NSLAB_NODE\"; echo \"$PS1\"; exit 3\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "red\nred# \n");
        assert_eq!(stderr(&output), "", "without a terminal there is no prompt");
    }
}
