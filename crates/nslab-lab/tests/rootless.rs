//! Labs of ordinary users: one holder for all of a user's commands, which comes and goes by itself.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "all of it is a test")]

mod reexec;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nslab_lab::rootless::{self, RuntimeDir, holder_main};
use nslab_lab::{Error, exec, programs};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

fn holder() {
    // As the command line does; who started it is told by other means too.
    if holder_main().is_err() {
        std::process::exit(3);
    }
}

/// Enters the namespaces and runs a script there, as a command of the user's would.
fn visit() {
    assert!(rootless::needed());
    let create = std::env::var("CREATE").is_ok();
    match rootless::enter(&RuntimeDir::find(), create, &|| reexec::command("holder")) {
        Ok(Some(entered)) => {
            assert!(!rootless::needed());
            let script = std::env::var("SCRIPT").unwrap();
            let status = Command::new("sh").arg("-c").arg(script).status().unwrap();
            rootless::release(entered).unwrap();
            std::process::exit(status.code().unwrap_or(99));
        }
        Ok(None) => println!("none"),
        Err(Error::Machine { what, hint }) => {
            println!("{what}\n{}", hint.unwrap_or_default());
            std::process::exit(3);
        }
        Err(error) => panic!("{error}"),
    }
}

fn show_runtime_directory() {
    println!("{}", RuntimeDir::find().path().display());
}

fn become_shell_command() {
    let place = exec::Place::of_namespace(nslab_kernel::Namespace::current().unwrap());
    panic!("{}", exec::exec(&place, &["readlink", "/proc/self/ns/net"]));
}

/// A user's session: a directory for its commands to meet in.
struct Session {
    directory: tempfile::TempDir,
}

impl Session {
    fn new() -> Self {
        // So that a user namespace can be had at all.
        let probe = reexec::command("probe").status().unwrap();
        if probe.code() == Some(reexec::SKIPPED) {
            std::process::exit(reexec::SKIPPED);
        }
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn runtime(&self) -> PathBuf {
        self.directory.path().join("nslab")
    }

    fn command(&self, create: bool, script: &str) -> Command {
        let mut command = reexec::command("visit");
        command.env("XDG_RUNTIME_DIR", self.directory.path()).env("SCRIPT", script);
        if create {
            command.env("CREATE", "1");
        }
        command
    }

    /// Runs a script in the namespaces, which are made if there are none.
    fn create(&self, script: &str) -> String {
        text(self.command(true, script))
    }

    /// Runs a script in the namespaces if there are any.
    fn visit(&self, script: &str) -> String {
        text(self.command(false, script))
    }

    /// Makes a lab, which is a directory as far as the holder is concerned; returns the user namespace.
    fn make_lab(&self) -> String {
        self.create("mkdir /run/nslab/lab; readlink /proc/self/ns/user")
    }
}

fn text(mut command: Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The processes that hold this user namespace.
fn holders(user_namespace: &str) -> Vec<OwnedFd> {
    let namespace = user_namespace.trim();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.unwrap().file_name().to_str()?.parse().ok()?;
            let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let its = std::fs::read_link(format!("/proc/{pid}/ns/user")).ok()?;
            (name == "nslab-holder\n" && its.to_str() == Some(namespace)).then_some(handle)
        })
        .collect()
}

fn the_holder(user_namespace: &str) -> OwnedFd {
    let mut holders = holders(user_namespace);
    assert_eq!(holders.len(), 1);
    holders.remove(0)
}

fn wait_for_end(process: &OwnedFd) {
    poll(&mut [PollFd::new(process, PollFlags::IN)], None).unwrap();
}

fn probe() {
    reexec::be_root();
}

processes! {
    run: reexec::run_as_user;
    roles: [holder, visit, probe, show_runtime_directory, become_shell_command];

    fn a_user_becomes_root_of_namespaces_of_its_own() {
        let session = Session::new();
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let facts = session.create("id -u; readlink /proc/self/ns/net; cat /proc/net/if_inet6; touch /run/netns/x; ls /run/nslab");
        let mut lines = facts.lines();
        assert_eq!(lines.next(), Some("0"));
        assert_ne!(lines.next(), own.to_str());
        assert!(lines.next().is_some_and(|line| line.ends_with(" lo")), "lo is up");
        assert_eq!(lines.next(), None);
        assert!(!session.runtime().exists(), "without a lab nothing stays");
    }

    fn the_hosts_run_stays_in_reach() {
        let session = Session::new();
        let list = "ls -a /run | grep -vxE '[.]host|netns|nslab'";
        let outside = Command::new("sh").args(["-c", list]).output().unwrap();
        assert_eq!(session.create(list), String::from_utf8(outside.stdout).unwrap());
    }

    fn commands_keep_their_directory() {
        let session = Session::new();
        let directory = session.directory.path().canonicalize().unwrap();
        let mut command = session.command(true, "pwd; cat file");
        std::fs::write(directory.join("file"), "words").unwrap();
        command.current_dir(&directory);
        assert_eq!(text(command), format!("{}\nwords", directory.display()));
    }

    fn programs_run_inside() {
        let session = Session::new();
        let own = std::env::current_exe().unwrap();
        let script = format!("readlink /proc/self/ns/net; {}=become_shell_command {}", reexec::ROLE, own.display());
        let seen = session.create(&script);
        let lines: Vec<_> = seen.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], lines[1]);
    }

    fn a_lab_keeps_the_holder_and_the_last_one_to_go_ends_it() {
        let session = Session::new();
        assert_eq!(session.visit("true"), "none\n");
        assert!(!session.runtime().exists());
        let namespace = session.make_lab();
        let holder = the_holder(&namespace);
        assert_eq!(session.visit("ls /run/nslab; readlink /proc/self/ns/user"), format!("lab\n{namespace}"));
        assert_eq!(session.create("readlink /proc/self/ns/user"), namespace);
        assert_eq!(session.visit("rmdir /run/nslab/lab"), "");
        assert!(!session.runtime().exists(), "it has taken its files away when the command ends");
        wait_for_end(&holder);
        assert_eq!(session.visit("true"), "none\n");
        assert!(std::fs::read_dir(session.directory.path()).unwrap().next().is_none());
    }

    fn twenty_at_once_share_one_holder() {
        let session = Session::new();
        let mut children: Vec<Child> = (0..20)
            .map(|_| {
                let mut command = session.command(true, "readlink /proc/self/ns/user; read line || true");
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let seen: Vec<String> = children
            .iter_mut()
            .map(|child| {
                let mut line = String::new();
                BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
                line
            })
            .collect();
        assert!(seen.iter().all(|namespace| *namespace == seen[0]), "{seen:?}");
        let holder = the_holder(&seen[0]);
        for child in &mut children {
            child.stdin.take().unwrap().write_all(b"\n").unwrap();
        }
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        wait_for_end(&holder);
        assert!(!session.runtime().exists());
    }

    fn coming_and_going_never_fails() {
        let session = Session::new();
        // Each ends the holder if it finds itself alone, while others are on their way in.
        let visits: Vec<_> = (0..4)
            .map(|_| {
                let commands: Vec<_> = (0..25).map(|_| session.command(true, "test -w /run/nslab")).collect();
                std::thread::spawn(move || commands.into_iter().for_each(|command| drop(text(command))))
            })
            .collect();
        for visit in visits {
            visit.join().unwrap();
        }
        // The last to leave may not have been the last to be seen leaving.
        text(session.command(true, "true"));
        assert!(!session.runtime().exists());
    }

    fn a_killed_holder_is_replaced() {
        let session = Session::new();
        let holder = the_holder(&session.make_lab());
        pidfd_send_signal(&holder, Signal::KILL).unwrap();
        wait_for_end(&holder);
        assert!(session.runtime().join("holder.sock").exists());
        assert_eq!(session.visit("true"), "none\n");
        let second = session.create("readlink /proc/self/ns/user; ls /run/nslab");
        // Its number may be that of the first one, which is gone.
        assert!(second.starts_with("user:["), "{second}");
        assert_eq!(second.lines().count(), 1, "the lab went with its holder: {second}");
        assert!(!session.runtime().exists());
    }

    fn a_terminated_holder_leaves_nothing() {
        let session = Session::new();
        let holder = the_holder(&session.make_lab());
        pidfd_send_signal(&holder, Signal::TERM).unwrap();
        wait_for_end(&holder);
        assert!(!session.runtime().exists());
    }

    fn a_holder_that_cannot_start_says_why() {
        let session = Session::new();
        // Inside a user namespace that may have no further ones, the limit is an obstacle as on any other host.
        let own = std::env::current_exe().unwrap();
        let limit = "echo 0 > /proc/sys/user/max_user_namespaces";
        let drop_rights = "exec setpriv --bounding-set -all --inh-caps -all";
        let again = format!(
            "{limit} && {}=visit CREATE=1 SCRIPT=true XDG_RUNTIME_DIR={} {drop_rights} {}",
            reexec::ROLE,
            session.directory.path().join("inner").display(),
            own.display(),
        );
        std::fs::create_dir(session.directory.path().join("inner")).unwrap();
        let output = session.command(true, &again).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.code() == Some(127) {
            reexec::skip("there is no setpriv");
        }
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(said.contains("user.max_user_namespaces is 0\nsudo sysctl -w user.max_user_namespaces="), "{said}");
        assert!(!session.directory.path().join("inner/nslab").exists());
    }

    fn a_directory_that_others_may_use_is_refused() {
        let session = Session::new();
        std::fs::create_dir(session.runtime()).unwrap();
        std::fs::set_permissions(session.runtime(), std::fs::Permissions::from_mode(0o777)).unwrap();
        for create in [true, false] {
            let output = session.command(create, "true").output().unwrap();
            assert_eq!(output.status.code(), Some(3));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("is not a directory that only this user may use\nchmod 700 "), "{said}");
        }
    }

    fn the_runtime_directory_is_the_users() {
        let session = Session::new();
        let find = |directory: Option<&str>| {
            let mut command = reexec::command("show_runtime_directory");
            match directory {
                Some(directory) => command.env("XDG_RUNTIME_DIR", directory),
                None => command.env_remove("XDG_RUNTIME_DIR"),
            };
            text(command).trim().to_owned()
        };
        let fallback = format!("/tmp/nslab-{}", rustix::process::geteuid().as_raw());
        assert_eq!(find(session.directory.path().to_str()), session.runtime().to_str().unwrap());
        assert_eq!(find(None), fallback);
        assert_eq!(find(Some("relative")), fallback);
        assert_eq!(find(Some("/no/such/directory")), fallback);
        assert_eq!(find(Some("/proc")), fallback, "not the user's");
    }
}

/// A process that was started by hand has no socket to serve.
#[test]
fn helpers_are_not_commands() {
    let mut child = reexec::command("holder").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(3), ""));
    assert_eq!(programs::GRACE.as_secs(), 3);
}
