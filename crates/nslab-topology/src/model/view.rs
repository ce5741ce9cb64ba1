//! What the programs of a node find that nobody else does: files, directories and processes of their own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a node has of its own. With nothing of it its programs see what the machine has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Directories that are the node's alone, empty at first. No path comes twice.
    pub directories: Vec<PrivateDirectory>,
    /// Files that are the node's alone. No path comes twice, and none leads through another file.
    pub files: Vec<File>,
    /// Which processes are in sight.
    #[serde(default, skip_serializing_if = "Processes::is_hosts")]
    pub processes: Processes,
}

impl View {
    /// Whether there is nothing in it, so that the node does without.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty() && self.files.is_empty() && self.processes.is_hosts()
    }
}

/// Which processes the programs of a node see, and can signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processes {
    /// The machine's.
    #[default]
    Host,
    /// The node's own and no others: it has a PID namespace.
    Private,
}

impl Processes {
    /// Whether they are the machine's.
    pub fn is_hosts(&self) -> bool {
        *self == Self::Host
    }
}

/// A directory that is a node's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateDirectory {
    /// From the root, without `.`, `..`, doubled or trailing slashes; not the root itself, and not below `/proc`,
    /// `/sys` or `/dev`.
    pub path: String,
    /// Permission bits, up to 0o7777; `None` are those of what is there on the machine, else 0755.
    pub mode: Option<u32>,
    /// `None` is the owner of what is there on the machine, else root.
    pub owner: Option<Owner>,
}

/// A file that is a node's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// As [`PrivateDirectory::path`].
    pub path: String,
    /// What is in it.
    pub content: Content,
    /// Permission bits, up to 0o7777.
    pub mode: u32,
    /// `None` is root.
    pub owner: Option<Owner>,
}

/// What is in a [`File`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// This text, as it was written in the lab file.
    Text(String),
    /// What this file has, relative to the lab file's directory. Has yet to be read.
    From(String),
    /// These bytes, which were read and are no UTF-8.
    Bytes(Vec<u8>),
}

impl Content {
    /// Bytes that were read.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }

    /// The bytes; none of a file that has yet to be read.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::From(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Who owns a file: a user and a group, each a name or a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The group; the user's own unless given.
    pub group: Option<String>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}
