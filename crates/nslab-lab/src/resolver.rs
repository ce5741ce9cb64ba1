//! `/etc/resolv.conf` of nodes (resolv.conf(5)).

use std::fmt::Write as _;
use std::net::IpAddr;

use nslab_topology::model::Node;

/// Where programs read it.
pub(crate) const FILE: &str = "/etc/resolv.conf";
/// What systemd-resolved itself asks, where the host's file leads to its own socket (systemd-resolved.service(8)).
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// The file of a node: what it asks for, with a way out what the host asks, else none, and the host's shows.
pub(crate) fn file(node: &Node) -> Option<String> {
    if !node.dns.is_empty() {
        return Some(write(&node.dns, ""));
    }
    node.uplink.as_ref()?;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Some(of_host(&read(FILE), || read(UPSTREAM)))
}

/// What reaches from a node of what the host asks: name servers on the host's loopback do not.
fn of_host(text: &str, upstream: impl FnOnce() -> String) -> String {
    let local = servers(text).any(|server| server.is_loopback());
    let reachable = |text: &str| servers(text).filter(|server| !server.is_loopback()).collect::<Vec<_>>();
    let mut found = reachable(text);
    if found.is_empty() && local {
        found = reachable(&upstream());
    }
    let others: String = text
        .lines()
        .filter(|line| {
            ["search", "domain", "options"].contains(&line.split_whitespace().next().unwrap_or_default())
        })
        .fold(String::new(), |text, line| text + line + "\n");
    if found.is_empty() && local {
        return "# The host's name server listens on its loopback only, which is not this node's: write `dns:` in the \
                lab file.\n"
            .to_owned();
    }
    write(&found, &others)
}

fn servers(text: &str) -> impl Iterator<Item = IpAddr> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let server = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        // A link-local server is behind an interface of the host.
        server.parse().ok()
    })
}

fn write(servers: &[IpAddr], others: &str) -> String {
    servers.iter().fold(others.to_owned(), |mut text, server| {
        let _ = writeln!(text, "nameserver {server}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_asks() {
        let host = "search example.org\noptions edns0\nnameserver 192.0.2.1\nnameserver ::1\n";
        let all = "search example.org\noptions edns0\n";
        assert_eq!(of_host(host, String::new), format!("{all}nameserver 192.0.2.1\n"));
        let stub = "nameserver 127.0.0.53\nsearch example.org\n";
        let upstream = || "nameserver 192.0.2.53\nnameserver 2001:db8::53\n".to_owned();
        assert_eq!(
            of_host(stub, upstream),
            "search example.org\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"
        );
        assert!(of_host(stub, String::new).starts_with("# The host's name server"));
        assert_eq!(of_host("", String::new), "");
    }
}
