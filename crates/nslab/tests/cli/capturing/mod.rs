//! `nslab capture`.

mod ending;
mod files;
mod filters;
mod follow;
mod live;

use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

use rustix::process::Signal;

use crate::support::{Session, Talking};

/// A capture that is ready.
struct Capturing {
    talking: Talking,
    stdout: JoinHandle<Vec<u8>>,
}

/// What it was in the end.
#[derive(Debug)]
struct Captured {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Capturing {
    fn start(command: Command) -> Self {
        let mut talking = Talking::ready(command);
        let mut stdout = talking.running.child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        });
        Self { talking, stdout }
    }

    /// Waits until it says this on standard error.
    fn says(&mut self, text: &str) {
        self.talking.says(text);
    }

    fn signal(self, signal: Signal) -> Captured {
        self.talking.send(signal);
        self.end()
    }

    fn end(self) -> Captured {
        let (code, stderr) = self.talking.end();
        Captured { code, stdout: self.stdout.join().unwrap(), stderr }
    }
}

impl Captured {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// How many packets it says that it captured.
    fn packets(&self) -> usize {
        let line = self.stderr.lines().find_map(|line| line.strip_suffix(" captured")?.split_once(" packet"));
        line.unwrap_or_else(|| panic!("{self:#?}")).0.parse().unwrap()
    }

    /// Fails unless it ended well, with so many packets and without losses.
    fn whole(&self, packets: usize) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        let s = if packets == 1 { "" } else { "s" };
        assert!(self.stderr.contains(&format!("{packets} packet{s} captured\n")), "{self:#?}");
        assert!(self.stderr.contains("\n0 packets lost"), "{self:#?}");
    }
}

/// tcpdump at work in a namespace.
struct Tcpdump {
    talking: Talking,
}

impl Tcpdump {
    fn start(session: &Session, netns: &str, arguments: &[&str]) -> Self {
        let mut command = session.other("ip");
        command
            .args([
                "netns",
                "exec",
                netns,
                "tcpdump",
                "--immediate-mode",
                "-n",
                "-Z",
                "root",
                "-B",
                "4096",
                "-s",
                "8192",
            ])
            .args(arguments);
        Self { talking: Talking::start(command, "listening on") }
    }

    /// Ends it; returns how many packets it captured.
    fn end(self) -> usize {
        self.talking.send(Signal::INT);
        let (_, said) = self.talking.end();
        assert!(said.contains("\n0 packets dropped by kernel"), "{said}");
        let line =
            said.lines().find_map(|line| line.split_once(" packet").filter(|_| line.ends_with(" captured")));
        line.unwrap_or_else(|| panic!("{said}")).0.parse().unwrap()
    }
}

/// What a program of Wireshark's or tcpdump prints; it must not complain.
fn tool(session: &Session, program: &str, arguments: &[&str]) -> String {
    let mut command = session.other(program);
    command.args(arguments);
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    let usual = |line: &&str| {
        !line.starts_with("Running as user") && !line.starts_with("reading from file") && !line.is_empty()
    };
    let complaints: Vec<&str> = errors.lines().filter(|line| usual(line)).collect();
    assert_eq!(complaints, [""; 0], "{program} {arguments:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The fields of each packet in a file, as tshark has them.
fn fields(session: &Session, file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-n", "-r", file.to_str().unwrap(), "-T", "fields"];
    for field in fields {
        arguments.extend(["-e", field]);
    }
    let text = tool(session, "tshark", &arguments);
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// How many packets are in a file.
fn count(session: &Session, file: &Path) -> usize {
    fields(session, file, &["frame.number"]).len()
}

/// How many packet sockets a node has.
fn packet_sockets(session: &Session, node: &str) -> usize {
    session.ok(["exec", node, "--", "cat", "/proc/net/packet"]).lines().count() - 1
}
