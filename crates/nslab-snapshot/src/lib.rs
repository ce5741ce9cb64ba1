//! Every network namespace of a host, whoever made it, read into one value: [`Snapshot`].
//!
//! A snapshot is what predictions and diagnoses are functions of. It can be [saved](Snapshot::save) to a file and
//! [read](Snapshot::load) on another machine. Nothing is changed by taking one, and nothing of how a namespace was made matters to it:
//! of labs, `ip netns` and containers it only knows the names ([`Name`]).

mod discover;
mod error;
mod file;
mod groups;
mod holders;
mod mounts;
mod name;
mod peers;
mod places;
mod procnet;
mod programs;
mod raw;
mod read;
mod settings;

use nslab_kernel::link::{IfIndex, Link};
use nslab_kernel::nftables::Ruleset;
use nslab_kernel::sock_diag::{self, InetSocket};
use nslab_kernel::{NamespaceId, NamespaceState, conntrack};
use serde::{Deserialize, Serialize};

pub use error::{Error, Result};
pub use file::{FORMAT, LONGEST};
pub use groups::Membership;
pub use name::Name;
pub use places::{Place, Places, mounted, places};
pub use settings::Settings;

/// The networks of a host at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of this form, [`FORMAT`].
    pub format: u32,
    /// When it was begun, in seconds since 1970.
    pub taken_at: u64,
    /// Where.
    pub machine: Machine,
    /// The namespaces: the one that nslab was started in first, then by their names.
    pub namespaces: Vec<Namespace>,
}

/// What a snapshot was taken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its host name.
    pub name: String,
    /// The release of its kernel, as `uname -r` says it.
    pub kernel: String,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// What tells it from the others.
    pub id: NamespaceId,
    /// What people call it, the best known first; never none.
    pub names: Vec<Name>,
    /// The processes in it by number, at most [`MOST_PROCESSES`]; the kernel's own threads are not among them.
    pub processes: Vec<Process>,
    /// The numbers of the others.
    #[serde(default)]
    pub other_processes: Vec<i32>,
    /// How many there are, the kernel's threads too.
    pub process_count: usize,
    /// What is in it.
    pub contents: Contents,
}

/// So many processes of a namespace are named.
pub const MOST_PROCESSES: usize = 16;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its number, as nslab sees it.
    pub pid: i32,
    /// Its name (`/proc/PID/comm`).
    pub command: String,
}

/// What is in a namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// It was read.
    State(Box<State>),
    /// It could not be entered or read.
    Unreadable {
        /// Why, a sentence's part.
        why: String,
    },
}

/// A namespace's network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Links, addresses, routes, rules, neighbours, forwarding entries, VLANs, queueing disciplines.
    pub network: NamespaceState,
    /// The sysctls that decide what becomes of a packet, besides those that a link has of its own.
    pub settings: Settings,
    /// All tables of nftables.
    pub nftables: Ruleset,
    /// The tables of the older iptables that are in use, as `ip_tables: filter`. Their rules are not read.
    pub xtables: Vec<String>,
    /// Sockets that take packets from anybody.
    pub sockets: Vec<Listener>,
    /// BPF programs that see packets, other than those of XDP ([`Link::xdp`](nslab_kernel::link::Link::xdp)) and of filters
    /// ([`NamespaceState::queues`]).
    #[serde(default)]
    pub programs: Vec<Program>,
    /// The groups that interfaces have joined; none if they could not be read.
    #[serde(default)]
    pub groups: Option<Vec<Membership>>,
    /// The connections that are tracked, where they were asked for.
    pub connections: Option<Vec<conntrack::Entry>>,
    /// Where the other ends of links are.
    pub peers: Vec<Peer>,
    /// What could not be read, and why. What hangs on it is not known, rather than absent.
    pub gaps: Vec<Gap>,
}

/// A BPF program that sees packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its number.
    pub number: u32,
    /// Where it sees them.
    #[serde(flatten)]
    pub at: ProgramAt,
}

/// Where a BPF program sees packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum ProgramAt {
    /// As they come in at an interface, before tc's filters (TCX).
    Ingress {
        /// The interface.
        link: IfIndex,
    },
    /// As they go out by an interface, before tc's filters (TCX).
    Egress {
        /// The interface.
        link: IfIndex,
    },
    /// At a hook of netfilter, of one of the machine's namespaces: the kernel does not tell of which.
    Netfilter {
        /// `NFPROTO_IPV4` (2) or `NFPROTO_IPV6` (10).
        family: u32,
        /// `NF_INET_…`: prerouting (0), input, forward, output, postrouting (4).
        hook: u32,
    },
}

/// A socket that takes packets from anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The socket.
    #[serde(flatten)]
    pub socket: InetSocket,
    /// Who has it, if that could be found.
    pub process: Option<Process>,
}

/// The other end of a link, or what it lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The link.
    pub link: IfIndex,
    /// Where its [`Link::lower`] is: a veth's other end, what a VLAN or macvlan lies on, where a tunnel's packets go.
    pub namespace: Where,
    /// Its number there.
    pub lower: IfIndex,
}

/// Where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Where {
    /// In the namespace at this place of [`Snapshot::namespaces`].
    Namespace(usize),
    /// In one that was not found: no process, file or socket that this user may look at is in it.
    Unseen,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What.
    pub part: Part,
    /// Why, a sentence's part.
    pub why: String,
}

/// A part of a [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The tables of nftables.
    Nftables,
    /// The tables of the older iptables.
    Xtables,
    /// Sockets of a protocol.
    Sockets(sock_diag::Protocol),
    /// Connections.
    Connections,
    /// Sysctls: one or more are there and could not be read. They are in the [`Settings`] as if at their defaults.
    Settings,
    /// Groups that interfaces have joined.
    Groups,
    /// BPF programs that see packets: only root may ask for those. In a namespace that an ordinary user may read whole,
    /// which is one of a user namespace of that user's, only root may have put one, so none is assumed.
    Programs,
}

/// What to read beside what is always read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The tracked connections, which may be very many.
    pub connections: bool,
}

impl Snapshot {
    /// Reads all namespaces that can be found. Those that cannot be entered are in it as such; those that vanish while
    /// they are read are not. A part of a namespace that could not be read leaves a [`Gap`] in [`State::gaps`] and is
    /// empty, or at its default, beside it: ask for the gap before you take that for what is there.
    pub fn take(options: Options) -> Result<Self> {
        Self::begun(|| discover::all(&mut holders::Memory::default())?.read(options))
    }

    /// Reads these namespaces, by the names given, and no others; what lies in others is [`Where::Unseen`]. Which processes
    /// are in them is not looked for. None may be given twice.
    pub fn of(namespaces: Vec<(Name, nslab_kernel::Namespace)>, options: Options) -> Result<Self> {
        Self::begun(|| discover::these(namespaces)?.read(options))
    }

    fn begun(read: impl FnOnce() -> Result<Vec<Namespace>>) -> Result<Self> {
        let taken_at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let host = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Ok(Self {
            format: FORMAT,
            taken_at: taken_at.map_or(0, |since| since.as_secs()),
            machine: Machine { name: text(host.nodename()), kernel: text(host.release()) },
            namespaces: read()?,
        })
    }

    /// The namespaces that people call `name`, in any of the ways of [`Name`], or that the process of `pid:NUMBER` is in.
    pub fn find(&self, name: &str) -> impl Iterator<Item = (usize, &Namespace)> {
        self.namespaces.iter().enumerate().filter(move |(_, namespace)| {
            let pid = name.strip_prefix("pid:").and_then(|pid| pid.parse().ok());
            let has = |pid: i32| {
                namespace.processes.iter().any(|process| process.pid == pid)
                    || namespace.other_processes.contains(&pid)
            };
            namespace.names.iter().any(|known| known.answers_to(name)) || pid.is_some_and(has)
        })
    }
}

impl Namespace {
    /// The name to call it by.
    ///
    /// # Panics
    /// Never of a snapshot that was taken or loaded: each namespace has a name.
    pub fn name(&self) -> &Name {
        &self.names[0]
    }

    /// What is in it, if it was read.
    pub fn state(&self) -> Option<&State> {
        match &self.contents {
            Contents::State(state) => Some(state),
            Contents::Unreadable { .. } => None,
        }
    }
}

impl State {
    /// The link of a number.
    pub fn link(&self, index: IfIndex) -> Option<&Link> {
        let links = &self.network.links;
        links.binary_search_by_key(&index, |link| link.index).ok().map(|place| &links[place])
    }

    /// The link of a name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.network.links.iter().find(|link| link.answers_to(name))
    }

    /// Where the other end of a link is.
    pub fn peer(&self, link: IfIndex) -> Option<Peer> {
        self.peers.iter().find(|peer| peer.link == link).copied()
    }
}
