//! `log:` of firewalls: the lines are in the kernel's log, where the host lets other namespaces write there.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use nslab_kernel::sysctl;
use nslab_testing::{Oracle, privileged};

use crate::support::{Site, wanted};

const PATIENCE: Duration = Duration::from_secs(20);
/// What is dropped does not come.
const SILENCE: Duration = Duration::from_millis(100);
/// Of the host: whether namespaces other than the first write to the log (networking/nf_conntrack-sysctl.rst knows its
/// neighbours; `net/netfilter/nf_log.c` has it).
const SWITCH: &str = "net.netfilter.nf_log_all_netns";

/// The kernel's log from now on.
struct Log {
    file: File,
    lines: Vec<String>,
}

impl Log {
    fn follow() -> std::io::Result<Self> {
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, lines: Vec::new() })
    }

    /// Reads on until a line has all of these; fails if none comes.
    fn wait_for(&mut self, parts: &[&str]) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.read();
            if self.lines.iter().any(|line| parts.iter().all(|part| line.contains(part))) {
                return;
            }
            assert!(Instant::now() < end, "no line has {parts:?}: {:#?}", self.lines);
            let mut polled = [rustix::event::PollFd::new(&self.file, rustix::event::PollFlags::IN)];
            let _ =
                rustix::event::poll(&mut polled, Some(&rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 }));
        }
    }

    fn read(&mut self) {
        let mut buffer = vec![0; 8192];
        loop {
            match self.file.read(&mut buffer) {
                Ok(length) => self.lines.push(String::from_utf8_lossy(&buffer[..length]).into_owned()),
                // Others wrote so much that what was next is gone.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PIPE.raw_os_error()) => {}
                Err(_) => return,
            }
        }
    }
}

/// Sets the host's switch, and puts it back.
struct Switch(String);

impl Switch {
    /// None where this process may not.
    fn set(value: &str) -> Option<Self> {
        let before = sysctl::read(SWITCH).ok()?;
        sysctl::write(SWITCH, value).ok()?;
        Some(Self(before))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = sysctl::write(SWITCH, &self.0);
    }
}

#[test]
fn lines_are_in_the_kernels_log() {
    privileged(|| {
        let (Some(switch), Ok(mut log)) = (Switch::set("1"), Log::follow()) else {
            println!("skipped: only root of the host can have and read the lines of other namespaces");
            return;
        };
        let site = Site::new();
        // Others write to the same log.
        let mark = std::process::id();
        site.up(&wanted(&format!(
            "name: l\nnodes:\n  logs-{mark}:\n    firewall:\n      default: drop\n      log: true\n      \
             reject: [{{tcp: 25, log: \"smtp-{mark} \"}}]\n      \
             allow: [{{tcp: 80, log: true}}, {{tcp: 81}}]\n  a: {{}}\nlinks: [[a, logs-{mark}]]\n"
        )));
        let (node, a) = (format!("logs-{mark}"), site.node("l", "a"));
        let to = Oracle::find().unwrap().ip(&site.node("l", &node), "address show dev eth0 scope global");
        let addresses: Vec<IpAddr> = to[0]["addr_info"]
            .as_array()
            .unwrap()
            .iter()
            // ip(8) leaves an empty place for what is of another scope.
            .filter_map(|one| one["local"].as_str())
            .map(|address| address.parse().unwrap())
            .collect();
        assert_eq!(addresses.len(), 2);
        for address in &addresses {
            for port in [23, 25, 80, 81] {
                let patience = if port == 23 { SILENCE } else { PATIENCE };
                let socket = SocketAddr::new(*address, port);
                let refused = a.run(|| TcpStream::connect_timeout(&socket, patience)).unwrap();
                assert!(refused.is_err());
            }
            let from = match address {
                IpAddr::V4(address) => format!("DST={address} "),
                // As the kernel prints it.
                IpAddr::V6(address) => {
                    let words = address.segments().map(|word| format!("{word:04x}"));
                    format!("DST={} ", words.join(":"))
                }
            };
            log.wait_for(&[&format!("{node} drop: IN=eth0 "), &from, "DPT=23 "]);
            log.wait_for(&[&format!("smtp-{mark} IN=eth0 "), &from, "DPT=25 "]);
            log.wait_for(&[&format!("{node} accept: IN=eth0 "), &from, "DPT=80 "]);
        }
        let silent = log.lines.iter().any(|line| line.contains(&node) && line.contains("DPT=81 "));
        assert!(!silent, "a rule without `log` writes nothing");
        // Without the host's leave nothing is written.
        let off = Switch::set("0").unwrap();
        let mut log = Log::follow().unwrap();
        let socket = SocketAddr::new(addresses[0], 80);
        assert!(a.run(|| TcpStream::connect_timeout(&socket, PATIENCE)).unwrap().is_err());
        log.read();
        assert!(!log.lines.iter().any(|line| line.contains(&node)), "{:#?}", log.lines);
        drop((off, switch));
        site.down("l");
    });
}
