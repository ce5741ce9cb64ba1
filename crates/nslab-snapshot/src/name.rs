//! What people call a namespace.

use std::fmt;
use std::path::PathBuf;

use nslab_kernel::NamespaceId;
use serde::{Deserialize, Serialize};

use crate::Process;

/// A name of a namespace. In their order, which is that of how well people know them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// The namespace that nslab was started in.
    Host,
    /// A node of a lab.
    Node {
        /// The lab.
        lab: String,
        /// The node or switch.
        node: String,
    },
    /// A container.
    Container {
        /// As its engine calls it; with Kubernetes `NAMESPACE/POD`.
        name: String,
        /// Its id.
        id: String,
        /// What runs it, as `docker`.
        engine: String,
    },
    /// As `ip netns` calls it: a file in `/run/netns`.
    Netns(String),
    /// A file elsewhere, on which it is mounted.
    Pinned(PathBuf),
    /// A process in it.
    Process(Process),
    /// Only its number is known.
    Id(NamespaceId),
}

/// The fewest characters of a container's id that are one, as engines show it.
const SHORT_ID: usize = 12;

impl Name {
    /// Whether somebody who says `text` means it: the bare name, or as `netns:NAME`, `container:NAME`, `pid:N`, `LAB/NODE`,
    /// `host`.
    pub fn answers_to(&self, text: &str) -> bool {
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        let is = |wanted: &str| kind.is_empty() || kind == wanted;
        match self {
            Self::Host => text == "host",
            Self::Node { lab, node } => {
                text == node || text.split_once('/').is_some_and(|(one, other)| one == lab && other == node)
            }
            Self::Container { name, id, .. } => {
                is("container") && (rest == name || rest.len() >= SHORT_ID && id.starts_with(rest))
            }
            Self::Netns(name) => is("netns") && rest == name,
            Self::Pinned(path) => path.as_os_str() == text,
            Self::Process(process) => kind == "pid" && rest.parse() == Ok(process.pid),
            Self::Id(id) => text == id.to_string() || text == id.inode.to_string(),
        }
    }
}

impl From<nslab_containers::Container> for Name {
    fn from(container: nslab_containers::Container) -> Self {
        let nslab_containers::Container { name, id, engine } = container;
        Self::Container { name, id, engine: engine.to_owned() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Node { lab, node } => write!(f, "{lab}/{node}"),
            Self::Container { name, .. } => write!(f, "container:{name}"),
            Self::Netns(name) => write!(f, "netns:{name}"),
            Self::Pinned(path) => path.display().fmt(f),
            Self::Process(Process { pid, command }) => write!(f, "pid {pid} ({command})"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_by_what_people_type() {
        let node = Name::Node { lab: "l".into(), node: "red".into() };
        assert!(node.answers_to("red") && node.answers_to("l/red") && !node.answers_to("k/red"));
        let container =
            Name::Container { name: "web".into(), id: "0123456789abcdef".into(), engine: "docker".into() };
        for known in ["web", "container:web", "0123456789ab", "container:0123456789ab"] {
            assert!(container.answers_to(known), "{known}");
        }
        assert!(!container.answers_to("netns:web") && !container.answers_to("01234"));
        let netns = Name::Netns("red".into());
        assert!(
            netns.answers_to("red") && netns.answers_to("netns:red") && !netns.answers_to("container:red")
        );
        let process = Name::Process(Process { pid: 7, command: "nginx".into() });
        assert!(process.answers_to("pid:7") && !process.answers_to("7"));
        assert_eq!(process.to_string(), "pid 7 (nginx)");
        assert!(Name::Host.answers_to("host") && Name::Host < node && node < container && container < netns);
    }
}
