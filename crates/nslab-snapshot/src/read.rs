//! Reading what was found.

use nslab_kernel::namespace::Entered;
use nslab_kernel::netlink::{Protocol, Socket};
use nslab_kernel::nftables::Ruleset;
use nslab_kernel::state::Select;
use nslab_kernel::sysctl::Tree;
use nslab_kernel::{NamespaceId, NamespaceState, conntrack, mark, parallel, sock_diag};

use crate::discover::{All, Found};
use crate::error::Result;
use crate::holders::Holders;
use crate::procnet::ProcNet;
use crate::programs::Programs;
use crate::{Contents, Gap, Listener, Name, Namespace, Options, Part, Settings, State, groups, peers, raw};

/// What nslab writes to the alias of a node's `lo`, before the lab and the node.
const MARK: &str = "nslab:";

/// A namespace that was read, with what its peers are looked up by.
pub(crate) struct Opened {
    pub(crate) namespace: nslab_kernel::Namespace,
    pub(crate) socket: Socket,
}

/// Of more namespaces than this, sysctls are read in trees of our own: one costs as much as some tens of them save.
const LEAST_FOR_TREES: usize = 100;
/// So many namespaces are read in one tree.
const NAMESPACES_IN_TREE: usize = 16;

/// A thread on its way from namespace to namespace.
struct Visit {
    stay: Option<Entered>,
    /// Where it reads sysctls.
    tree: Tree,
    /// So many namespaces more are read there.
    left: usize,
}

impl Visit {
    /// The tree for the next namespace.
    fn tree(&mut self) -> &Tree {
        if self.left == 0 {
            // Not for every user, and not in every kernel.
            (self.tree, self.left) =
                Tree::own().map_or_else(|_| (Tree::shared(), usize::MAX), |tree| (tree, NAMESPACES_IN_TREE));
        }
        self.left -= 1;
        &self.tree
    }
}

/// Reads all namespaces, several at once.
pub(crate) fn all(all: &All, options: Options) -> Result<Vec<Namespace>> {
    let holders = &all.holders;
    let programs = Programs::of_machine();
    let many = all.found.len() > LEAST_FOR_TREES;
    let read = parallel::map_with(
        &all.found,
        || Visit { stay: None, tree: Tree::shared(), left: if many { 0 } else { usize::MAX } },
        |visit, found| {
            let state = match &found.handle {
                Ok(handle) => {
                    one(handle, found.names.contains(&Name::Host), holders, &programs, options, visit)
                        .map_err(|error| error.to_string())
                }
                Err(why) => Err(why.clone()),
            };
            (named(found, state.as_ref().ok().map(|(state, _)| state), holders), state)
        },
    );
    let mut opened = Vec::with_capacity(read.len());
    let mut namespaces = Vec::with_capacity(read.len());
    for (((names, processes, other_processes), state), found) in read.into_iter().zip(&all.found) {
        let (contents, sockets) = match state {
            Ok((state, sockets)) => (Contents::State(Box::new(state)), Some(sockets)),
            Err(why) => (Contents::Unreadable { why }, None),
        };
        opened.push(sockets);
        let process_count = processes.len() + other_processes.len();
        namespaces.push(Namespace {
            id: found.id,
            names,
            processes,
            other_processes,
            process_count,
            contents,
        });
    }
    let (mut namespaces, mut opened) = by_name(namespaces, opened);
    peers::tie(&mut namespaces, &mut opened)?;
    Ok(namespaces)
}

/// In the order of their names, which begins with the host's.
fn by_name<T>(namespaces: Vec<Namespace>, opened: Vec<T>) -> (Vec<Namespace>, Vec<T>) {
    let mut both: Vec<(Namespace, T)> = namespaces.into_iter().zip(opened).collect();
    both.sort_by(|(one, _), (other, _)| (&one.names, one.id).cmp(&(&other.names, other.id)));
    both.into_iter().unzip()
}

/// What a namespace is called, and who is in it.
fn named(
    found: &Found,
    state: Option<&State>,
    holders: &Holders,
) -> (Vec<Name>, Vec<crate::Process>, Vec<i32>) {
    let (processes, others) = holders.processes(found.id);
    let mut names = found.names.clone();
    let lo = state.and_then(|state| state.network.links.iter().find(|link| link.loopback));
    name(&mut names, lo.and_then(|lo| lo.alias.as_deref()), &processes, found.id);
    (names, processes, others)
}

/// Completes the names of a namespace: from the alias of its loopback interface, else by who is in it, else its number.
pub(crate) fn name(
    names: &mut Vec<Name>,
    alias: Option<&str>,
    processes: &[crate::Process],
    id: NamespaceId,
) {
    let mark = alias.and_then(|alias| alias.strip_prefix(MARK)?.split_once('/'));
    names.extend(mark.map(|(lab, node)| Name::Node { lab: lab.to_owned(), node: node.to_owned() }));
    if names.is_empty() {
        names.extend(processes.first().cloned().map(Name::Process));
    }
    if names.is_empty() {
        names.push(Name::Id(id));
    }
    names.sort();
    names.dedup();
}

/// Reads one, in which the thread stays. `is_host` if nslab was started in it.
fn one(
    namespace: &nslab_kernel::Namespace,
    is_host: bool,
    holders: &Holders,
    programs: &Programs,
    options: Options,
    visit: &mut Visit,
) -> nslab_kernel::Result<(State, Opened)> {
    namespace.enter_next(&mut visit.stay)?;
    let mut gaps = Vec::new();
    let mut socket = Socket::open(Protocol::Route)?;
    mark::set(&socket);
    let network = NamespaceState::read(&mut socket, Select { tables: true })?;
    let (mut settings, unread) = Settings::read(&mut socket, visit.tree());
    gaps.extend(unread.into_iter().map(|why| Gap { part: Part::Settings, why }));
    if is_host {
        settings.read_machine();
    }
    let files = ProcNet::open();
    let files = files.as_ref().map_err(|error| format!("cannot open /proc/thread-self/net: {error}"));
    let groups = files.clone().and_then(groups::list);
    let groups = groups.map_err(|why| gaps.push(Gap { part: Part::Groups, why })).ok();
    let mut filter = Socket::open(Protocol::Netfilter);
    filter.iter().for_each(mark::set);
    let nftables = gap(&mut gaps, Part::Nftables, with(&mut filter, Ruleset::read));
    let connections = options
        .connections
        .then(|| gap(&mut gaps, Part::Connections, with(&mut filter, conntrack::list)))
        .flatten();
    let mut diag = Socket::open(Protocol::SockDiag);
    diag.iter().for_each(mark::set);
    let listed = with(&mut diag, sock_diag::listeners);
    let (mut sockets, unknown) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            for protocol in sock_diag::Protocol::ALL {
                gaps.push(Gap { part: Part::Sockets(protocol), why: error.clone() });
            }
            Default::default()
        }
    };
    for protocol in unknown {
        let listed = if protocol == sock_diag::Protocol::Raw {
            files.clone().ok().and_then(|files| raw::list(files).ok())
        } else {
            None
        };
        let why = match listed {
            Some(listed) if listed.is_empty() => continue,
            Some(listed) => {
                sockets.extend(listed);
                format!("this kernel does not tell which interfaces {protocol} sockets are bound to")
            }
            None => format!("this kernel lists no {protocol} sockets"),
        };
        gaps.push(Gap { part: Part::Sockets(protocol), why });
    }
    let holder = |inode: u32| holders.sockets.get(&inode).cloned();
    let sockets =
        sockets.into_iter().map(|socket| Listener { process: holder(socket.inode), socket }).collect();
    let programs = gap(&mut gaps, Part::Programs, programs.here(&network.links));
    let state = State {
        programs,
        network,
        settings,
        nftables,
        xtables: xtables(files, &mut gaps),
        sockets,
        groups,
        connections,
        peers: Vec::new(),
        gaps,
    };
    Ok((state, Opened { namespace: namespace.duplicate()?, socket }))
}

fn with<T>(
    socket: &mut nslab_kernel::Result<Socket>,
    read: impl FnOnce(&mut Socket) -> nslab_kernel::Result<T>,
) -> std::result::Result<T, String> {
    match socket {
        Ok(socket) => read(socket).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// What was read, or nothing and a note of why.
fn gap<T: Default>(gaps: &mut Vec<Gap>, part: Part, read: std::result::Result<T, String>) -> T {
    read.unwrap_or_else(|why| {
        gaps.push(Gap { part, why });
        T::default()
    })
}

/// The tables of the older iptables, arptables and ip6tables of the namespace that the thread is in. The kernel lists
/// one once somebody has looked at it.
fn xtables(files: std::result::Result<&ProcNet, String>, gaps: &mut Vec<Gap>) -> Vec<String> {
    let files = match files {
        Ok(files) => files,
        Err(why) => {
            gaps.push(Gap { part: Part::Xtables, why });
            return Vec::new();
        }
    };
    let mut tables = Vec::new();
    for kind in ["ip_tables", "ip6_tables", "arp_tables"] {
        match files.read(&format!("{kind}_names")) {
            Ok(text) => tables
                .extend(text.iter().flat_map(|text| text.lines()).map(|table| format!("{kind}: {table}"))),
            Err(error) => gaps.push(Gap {
                part: Part::Xtables,
                why: format!("cannot read /proc/thread-self/net/{kind}_names: {error}"),
            }),
        }
    }
    tables
}
