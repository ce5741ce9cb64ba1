//! Whether a port is open in a namespace.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};

use nslab_kernel::Namespace;

use crate::error::{Context, Result};

/// `TCP_LISTEN` of `include/net/tcp_states.h`, as these files show it.
const LISTEN: &str = "0A";

/// The lists of a namespace's sockets, which can be read from anywhere once they are open.
pub(super) struct Sockets {
    lists: Vec<File>,
    tcp: bool,
    port: u16,
}

impl Sockets {
    pub(super) fn open(namespace: &Namespace, tcp: bool, port: u16) -> Result<Self> {
        let names = if tcp { ["tcp", "tcp6"] } else { ["udp", "udp6"] };
        let lists = namespace.run(|| {
            names
                .into_iter()
                .filter_map(|name| match File::open(format!("/proc/thread-self/net/{name}")) {
                    // A kernel without IPv6.
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    result => Some(result.context(|| format!("read /proc/net/{name} of the node"))),
                })
                .collect::<Result<Vec<_>>>()
        })??;
        Ok(Self { lists, tcp, port })
    }

    /// Whether a socket listens on the port (TCP) or is bound to it (UDP), on any address.
    pub(super) fn is_there(&mut self) -> Result<bool> {
        for list in &mut self.lists {
            let mut text = String::new();
            list.rewind()
                .and_then(|()| list.read_to_string(&mut text))
                .context(|| "read the node's sockets")?;
            if text.lines().skip(1).any(|line| matches(line, self.tcp, self.port)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Reads one line: `0: 0100007F:1F90 00000000:0000 0A …`.
fn matches(line: &str, tcp: bool, port: u16) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next().and_then(|address| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok());
    local == Some(port) && (!tcp || fields.nth(1) == Some(LISTEN))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn lines() {
        let listening =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1";
        let connected =
            "   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 1";
        let bound =
            "  12: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 00000000";
        assert!(matches(listening, true, 8080));
        assert!(!matches(listening, true, 8081));
        assert!(!matches(connected, true, 8080));
        assert!(matches(bound, false, 53));
        assert!(!matches("nonsense", true, 8080));
    }
}
