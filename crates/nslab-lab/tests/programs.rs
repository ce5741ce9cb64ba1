//! The programs of a lab: started, watched, logged, stopped.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "all of it is a test")]

mod reexec;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nslab_kernel::link::SetLink;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_lab::exec::Place;
use nslab_lab::programs::{Follow, GRACE, Keeper, ProgramStatus, State, keeper_main, logs};
use nslab_lab::{Error, Paths};
use nslab_topology::model::{Program, Ready};
use reexec::Lab;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Long enough for what comes at once, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

fn keeper() {
    let state = PathBuf::from(std::env::var("STATE").unwrap());
    keeper_main(&Paths { netns: state.clone(), state }.lab("lab")).unwrap();
}

/// A program that listens.
fn serve() {
    let ports: Vec<String> = std::env::args().skip(1).collect();
    match ports[0].as_str() {
        "tcp4" => drop(TcpListener::bind((Ipv4Addr::LOCALHOST, 80)).map(wait_forever)),
        "tcp6" => drop(TcpListener::bind((Ipv6Addr::LOCALHOST, 81)).map(wait_forever)),
        "udp" => drop(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).map(wait_forever)),
        _ => panic!("{ports:?}"),
    }
    panic!("cannot listen");
}

fn wait_forever<T>(_open: T) {
    loop {
        std::thread::park();
    }
}

fn launch(lab: &Lab) -> Keeper {
    let state = lab.paths.root().parent().unwrap().to_owned();
    Keeper::launch(&lab.paths, &|| {
        let mut command = reexec::command("keeper");
        command.env("STATE", &state);
        command
    })
    .unwrap()
}

fn program(name: &str, command: &[&str]) -> Program {
    Program {
        name: name.to_owned(),
        command: command.iter().map(ToString::to_string).collect(),
        env: BTreeMap::new(),
        directory: None,
        ready: None,
        timeout: 4 * PATIENCE,
        user: None,
    }
}

fn ready_with(name: &str, command: &[&str], ready: Ready) -> Program {
    Program { ready: Some(ready), ..program(name, command) }
}

/// A program of this binary's own.
fn server(name: &str, kind: &str, ready: Ready) -> Program {
    let own = std::env::current_exe().unwrap();
    let mut program = ready_with(name, &[own.to_str().unwrap(), kind], ready);
    program.env.insert(reexec::ROLE.to_owned(), "serve".to_owned());
    program
}

/// Starts a program in `red` and waits until it is ready.
fn start(keeper: &mut Keeper, lab: &Lab, program: &Program) -> u32 {
    let pid = keeper.start("red", program, &lab.directory()).unwrap();
    keeper.wait_ready("red", program, &lab.directory()).unwrap();
    pid
}

fn fails(keeper: &mut Keeper, lab: &Lab, program: &Program) -> (String, Vec<String>) {
    let result = keeper
        .start("red", program, &lab.directory())
        .and_then(|_| keeper.wait_ready("red", program, &lab.directory()));
    match result {
        Err(Error::Program { problem, log, .. }) => (problem, log),
        other => panic!("{other:?}"),
    }
}

fn status(keeper: &mut Keeper, name: &str) -> ProgramStatus {
    keeper.status().unwrap().into_iter().find(|status| status.name == name).unwrap()
}

/// Waits until the program's process has ended and the keeper knows.
fn wait_end(lab: &Lab, name: &str) {
    let logs = logs(&lab.paths, Some("red"), Some(name)).unwrap();
    for chunk in Follow::new(&lab.paths, logs, None).unwrap() {
        chunk.unwrap();
    }
}

fn log(lab: &Lab, name: &str) -> String {
    std::fs::read_to_string(lab.paths.log("red", name)).unwrap()
}

fn handle(pid: u32) -> OwnedFd {
    pidfd_open(Pid::from_raw(pid.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap()
}

fn has_ended(handle: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))
        == Ok(1)
}

fn wait_for_end(handle: &OwnedFd) {
    poll(&mut [PollFd::new(handle, PollFlags::IN)], None).unwrap();
}

fn keeper_pid(lab: &Lab) -> u32 {
    let program = std::env::current_exe().unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| {
            let is_keeper = std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name == "nslab-keeper\n");
            let state = format!("STATE={}", lab.paths.root().parent().unwrap().display());
            is_keeper
                && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
                && std::fs::read_to_string(format!("/proc/{pid}/environ"))
                    .is_ok_and(|env| env.contains(&state))
        })
        .unwrap()
}

/// A shell script that ignores being asked to end, and makes the file `name` when it does.
fn stubborn(name: &str) -> Program {
    let script = format!("trap '' TERM; : > {name}; while :; do sleep 1000; done");
    ready_with(name, &["sh", "-c", &script], Ready::File(name.to_owned()))
}

/// A program that leaves a process behind which has a session of its own, and writes its pid into the pipe `name`.
fn daemon(lab: &Lab, name: &str, clean: &str) -> Program {
    make_pipe(&lab.directory().join(name));
    program(
        name,
        &["sh", "-c", &format!("setsid {clean} sh -c 'echo $$ > {name}; exec sleep 1000' & exit 0")],
    )
}

fn make_pipe(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
}

fn pid_in(lab: &Lab, name: &str) -> u32 {
    std::fs::read_to_string(lab.directory().join(name)).unwrap().trim().parse().unwrap()
}

processes! {
    run: reexec::run;
    roles: [keeper, serve];

    fn a_program_runs_in_its_node() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let words = "cat /proc/sys/kernel/hostname /etc/hosts; pwd; echo $COLOUR $NSLAB_NODE; readlink /proc/self/ns/net; echo oops >&2";
        let mut program = program("facts", &[words]);
        program.env.insert("COLOUR".to_owned(), "dark".to_owned());
        start(&mut keeper, &lab, &program);
        wait_end(&lab, "facts");
        let namespace = Place::for_node(&lab.paths, "red").unwrap().namespace.id().unwrap();
        let expected = format!("red\n192.0.2.1 red\n{}\ndark red\n{namespace}\noops\n", lab.directory().display());
        assert_eq!(log(&lab, "facts"), expected);
        let status = status(&mut keeper, "facts");
        assert_eq!(status.state, State::Exited { code: 0 });
        assert!(status.ended.unwrap() >= status.started);
        keeper.end(GRACE).unwrap();
        assert!(!lab.paths.keeper().exists());
    }

    fn programs_do_not_see_pins() {
        let lab = Lab::new(&["red", "blue"]);
        let mut keeper = launch(&lab);
        start(&mut keeper, &lab, &program("mounts", &["cat", "/proc/self/mountinfo"]));
        wait_end(&lab, "mounts");
        let pins = lab.paths.pins();
        assert!(!log(&lab, "mounts").contains(pins.to_str().unwrap()), "{}", log(&lab, "mounts"));
        keeper.end(GRACE).unwrap();
    }

    fn what_became_of_programs() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let gate = |name: &str| {
            let path = lab.directory().join(name);
            make_pipe(&path);
            path
        };
        let open = |path: &Path| std::fs::write(path, "go\n").unwrap();
        let (seven, killed) = (gate("seven"), gate("killed"));
        start(&mut keeper, &lab, &program("seven", &["sh", "-c", "read x < seven; exit 7"]));
        start(&mut keeper, &lab, &program("killed", &["sh", "-c", "read x < killed; kill -9 $$"]));
        assert_eq!(status(&mut keeper, "seven").state, State::Running);
        open(&seven);
        open(&killed);
        wait_end(&lab, "seven");
        wait_end(&lab, "killed");
        assert_eq!(status(&mut keeper, "seven").state, State::Exited { code: 7 });
        assert_eq!(status(&mut keeper, "killed").state, State::Killed { signal: 9 });
        let names: Vec<_> = keeper.status().unwrap().into_iter().map(|status| status.name).collect();
        assert_eq!(names, ["seven", "killed"], "in the order they were started");
        keeper.end(GRACE).unwrap();
    }

    fn a_running_program_is_not_started_again() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let sleep = program("sleep", &["sleep", "1000"]);
        start(&mut keeper, &lab, &sleep);
        assert_eq!(fails(&mut keeper, &lab, &sleep).0, "it runs already");
        keeper.stop("red", "sleep", GRACE).unwrap();
        start(&mut keeper, &lab, &sleep);
        keeper.end(GRACE).unwrap();
    }

    fn readiness_is_seen() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let namespace = Place::for_node(&lab.paths, "red").unwrap().namespace;
        let mut socket = namespace.run(|| Socket::open(Protocol::Route)).unwrap().unwrap();
        socket.request(&SetLink { index: 1, up: Some(true), ..SetLink::default() }).unwrap();
        start(&mut keeper, &lab, &server("tcp4", "tcp4", Ready::Tcp(80)));
        start(&mut keeper, &lab, &server("tcp6", "tcp6", Ready::Tcp(81)));
        start(&mut keeper, &lab, &server("udp", "udp", Ready::Udp(53)));
        start(&mut keeper, &lab, &ready_with("file", &["sh", "-c", ": > made; exec sleep 1000"], Ready::File("made".into())));
        let test = ["sh", "-c", "test -e asked || { : > asked; exit 1; }"].map(str::to_owned).to_vec();
        start(&mut keeper, &lab, &ready_with("command", &["sleep", "1000"], Ready::Command(test)));
        start(&mut keeper, &lab, &ready_with("one-shot", &["sh", "-c", ": > done"], Ready::File("done".into())));
        start(&mut keeper, &lab, &ready_with("once", &["sh", "-c", "sleep 0.2; : > ended"], Ready::Exit));
        assert!(lab.directory().join("ended").exists(), "it was not waited for");
        start(&mut keeper, &lab, &program("line", &["sleep 1000"]));
        wait_end(&lab, "one-shot");
        assert_eq!(keeper.status().unwrap().iter().filter(|status| status.state == State::Running).count(), 6);
        keeper.end(GRACE).unwrap();
    }

    fn failures_come_at_once_and_with_the_log() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let began = Instant::now();
        let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; exit 3";
        let failing = ready_with("failing", &["sh", "-c", script], Ready::Tcp(80));
        let (problem, log) = fails(&mut keeper, &lab, &failing);
        assert_eq!(problem, "exited with status 3 before it was ready: nothing listens on TCP port 80");
        assert_eq!(log, (3..=12).map(|number| format!("line {number}")).collect::<Vec<_>>());
        let once = ready_with("once", &["sh", "-c", "exit 4"], Ready::Exit);
        assert_eq!(fails(&mut keeper, &lab, &once).0, "exited with status 4");
        let killed = ready_with("killed", &["sh", "-c", "kill -SEGV $$"], Ready::Udp(53));
        let (problem, _) = fails(&mut keeper, &lab, &killed);
        assert_eq!(problem, "was killed by SIGSEGV (11) before it was ready: no socket is bound to UDP port 53");
        let missing = program("missing", &["no-such-program", "x"]);
        let (problem, _) = fails(&mut keeper, &lab, &missing);
        assert_eq!(problem, "cannot run \"no-such-program\": there is no such program in PATH");
        let (problem, log) = fails(&mut keeper, &lab, &program("line", &["no-such-program"]));
        assert_eq!(problem, "exited with status 127: the shell did not find a command");
        assert!(log[0].contains("no-such-program"), "{log:?}");
        let nowhere = Program { directory: Some("nowhere".into()), ..program("nowhere", &["true"]) };
        let (problem, _) = fails(&mut keeper, &lab, &nowhere);
        assert!(problem.starts_with("cannot change to the directory"), "{problem}");
        assert!(began.elapsed() < PATIENCE, "none of them was waited for until its time was up");
        let mut slow = ready_with("slow", &["sleep", "1000"], Ready::File("never".into()));
        slow.timeout = Duration::from_millis(30);
        let (problem, _) = fails(&mut keeper, &lab, &slow);
        let file = lab.directory().join("never");
        assert_eq!(problem, format!("was not ready within 30ms: there is no {}", file.display()));
        keeper.end(GRACE).unwrap();
    }

    fn a_program_that_ignores_the_request_is_killed() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let process = handle(start(&mut keeper, &lab, &stubborn("one")));
        let grace = Duration::from_millis(50);
        let began = Instant::now();
        keeper.stop("red", "one", grace).unwrap();
        assert!(began.elapsed() >= grace);
        assert!(has_ended(&process));
        assert!(keeper.status().unwrap().is_empty());
        keeper.stop("red", "one", grace).unwrap();
        keeper.end(GRACE).unwrap();
    }

    fn daemons_do_not_escape() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let other = handle(start(&mut keeper, &lab, &program("other", &["sleep", "1000"])));
        start(&mut keeper, &lab, &daemon(&lab, "daemon", ""));
        let process = handle(pid_in(&lab, "daemon"));
        wait_end(&lab, "daemon");
        let state = status(&mut keeper, "daemon");
        assert_eq!((state.state, state.left_behind, state.is_alive()), (State::Exited { code: 0 }, 1, true));
        keeper.stop("red", "daemon", GRACE).unwrap();
        assert!(has_ended(&process));
        assert!(!has_ended(&other), "only the one that was meant is stopped");
        // With its environment wiped too, nothing tells whose it is; but the lab's it is for sure.
        start(&mut keeper, &lab, &daemon(&lab, "anonymous", "env -i"));
        let process = handle(pid_in(&lab, "anonymous"));
        keeper.stop_all(GRACE).unwrap();
        assert!(has_ended(&process) && has_ended(&other));
        keeper.end(GRACE).unwrap();
    }

    fn the_end_is_the_end_of_all() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let process = handle(start(&mut keeper, &lab, &program("sleep", &["sleep", "1000"])));
        let stubborn_one = handle(start(&mut keeper, &lab, &stubborn("stubborn")));
        let own = handle(keeper_pid(&lab));
        keeper.end(Duration::from_millis(50)).unwrap();
        assert!(has_ended(&process) && has_ended(&stubborn_one));
        wait_for_end(&own);
        assert!(!lab.paths.keeper().exists());
        assert!(Keeper::connect(&lab.paths).unwrap().is_none());
    }

    fn programs_outlive_a_killed_keeper() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let process = handle(start(&mut keeper, &lab, &program("sleep", &["sleep", "1000"])));
        let own = handle(keeper_pid(&lab));
        pidfd_send_signal(&own, Signal::KILL).unwrap();
        wait_for_end(&own);
        assert!(keeper.status().is_err());
        assert!(Keeper::connect(&lab.paths).unwrap().is_none());
        assert!(!has_ended(&process));
        let mut next = launch(&lab);
        assert!(next.status().unwrap().is_empty());
        start(&mut next, &lab, &program("sleep", &["sleep", "1000"]));
        next.end(GRACE).unwrap();
        pidfd_send_signal(&process, Signal::KILL).unwrap();
    }

    fn a_keeper_that_is_terminated_stops_its_programs() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let process = handle(start(&mut keeper, &lab, &program("sleep", &["sleep", "1000"])));
        let own = handle(keeper_pid(&lab));
        pidfd_send_signal(&own, Signal::TERM).unwrap();
        wait_for_end(&own);
        assert!(has_ended(&process));
        assert!(!lab.paths.keeper().exists());
    }

    fn logs_are_followed_to_the_end() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        let gate = lab.directory().join("gate");
        make_pipe(&gate);
        let script = "echo one; echo two; : > written; read x < gate; echo three; printf four";
        start(&mut keeper, &lab, &ready_with("talk", &["sh", "-c", script], Ready::File("written".into())));
        let mut follow = Follow::new(&lab.paths, logs(&lab.paths, None, None).unwrap(), Some(1)).unwrap();
        assert_eq!(follow.next().unwrap().unwrap().text, b"two\n");
        std::fs::write(&gate, "go\n").unwrap();
        let rest: Vec<u8> = follow.flat_map(|chunk| chunk.unwrap().text).collect();
        assert_eq!(String::from_utf8(rest).unwrap(), "three\nfour");
        keeper.end(GRACE).unwrap();
    }

    fn requests_from_several_clients_do_not_mix() {
        let lab = Lab::new(&["red"]);
        let mut keeper = launch(&lab);
        start(&mut keeper, &lab, &stubborn("one"));
        let mut second = Keeper::connect(&lab.paths).unwrap().unwrap();
        let stopping = std::thread::spawn(move || keeper.stop("red", "one", Duration::from_millis(200)));
        // Answered while the other waits, or after it.
        start(&mut second, &lab, &program("two", &["sleep", "1000"]));
        stopping.join().unwrap().unwrap();
        assert_eq!(second.status().unwrap().iter().map(|status| status.name.as_str()).collect::<Vec<_>>(), ["two"]);
        second.end(GRACE).unwrap();
    }
}
