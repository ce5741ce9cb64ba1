//! `nslab drops`.

mod ending;
mod filters;
mod live;
mod table;

use serde_json::Value;

use crate::support::{Run, Session};

/// Two hosts with a router between them. What IPv6 says by itself would be among the drops.
const ROUTED: &str = "
addressing: {ipv6: none}
nodes: {a: {}, r: {forward: true}, b: {}}
links:
  - [a:eth0 10.0.0.1/24, r:a 10.0.0.254/24]
  - [b:eth0 10.0.1.2/24, r:b 10.0.1.254/24]
";

/// A datagram of so many bytes, with what else is asked of its socket.
fn datagram(to: &str, size: usize, socket: &str) -> String {
    let (address, port) = to.split_once(' ').unwrap();
    format!(
        "python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); {socket}; \
         s.sendto(bytes({size}), (\"{address}\", {port}))'"
    )
}

/// Runs a command in a node.
fn exec(session: &Session, node: &str, command: &str) -> Run {
    session.run(["exec", node, "--", "sh", "-c", command])
}

/// What is dropped in these targets while a command runs in a node.
fn during(session: &Session, arguments: &[&str], node: &str, command: &str) -> Vec<Value> {
    let mut drops = session.command(["drops", "--json"]);
    drops.args(arguments).arg("--").arg(session.program()).args(["exec", node, "--", "sh", "-c", command]);
    let run = Run::of(drops);
    assert!(run.code.is_some() && run.stderr.contains("ready: watching "), "{run:#?}");
    // What the command prints is among it.
    let lines = run.stdout.lines().filter(|line| line.starts_with("{\"event\":"));
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["event"], "summary", "{run:#?}");
    assert_eq!(events.last().unwrap()["lost"], 0, "{run:#?}");
    events
}

/// Whether drops can be seen here; if not, the test says why.
fn can(session: &Session) -> bool {
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        nslab_testing::kernel_lacks("CONFIG_DEBUG_INFO_BTF");
        return false;
    }
    if !session.is_root {
        nslab_testing::skip("only root may look into the kernel");
    }
    session.is_root
}
