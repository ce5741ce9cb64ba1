//! What is to be captured, by the words of the user.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nslab_kernel::processes::{self, Depth};
use nslab_kernel::{Namespace, NamespaceId};
use nslab_lab::{Paths, pins};
use nslab_observe::capture::Source;
use nslab_snapshot::{Name, Places};
use nslab_topology::model::Existing;
use rustix::process::Pid;

use crate::cli::context::{self, Context};
use crate::cli::error::CliError;
use crate::cli::target::Target;

/// All that processes have open is looked through this often, to find out whether a namespace is still among it.
const SEARCH: Duration = Duration::from_secs(2);

/// A namespace that is meant.
pub(in crate::cli::commands) struct Place {
    /// As short as people say it, and so that nothing else is meant.
    short: String,
    long: String,
    id: NamespaceId,
    namespace: Namespace,
    interfaces: Vec<String>,
    anchor: Anchor,
    /// It has a name, and is not just where a process is.
    is_named: bool,
}

impl Place {
    pub(super) fn is_named(&self) -> bool {
        self.is_named
    }

    /// What it is called where nothing else is to be meant.
    pub(super) fn name(&self) -> &str {
        &self.long
    }

    pub(in crate::cli::commands) fn id(&self) -> NamespaceId {
        self.id
    }

    /// What shows that it is there, and the interfaces that are meant, or none for all of them. The namespace itself is let go.
    pub(in crate::cli::commands) fn release(self) -> (Anchor, Vec<String>) {
        (self.anchor, self.interfaces)
    }
}

/// What shows that a namespace is still there, but for those who only look at it.
#[derive(Debug, Clone)]
pub(in crate::cli::commands) struct Anchor {
    id: NamespaceId,
    hold: Hold,
}

/// What keeps a namespace.
#[derive(Debug, Clone)]
enum Hold {
    /// It is the host's, which outlives this process.
    Host,
    /// A file that leads to it; an empty path if another is to be found.
    File(PathBuf),
    /// Something that a process has open, as far as was known at this time.
    Open(Instant),
}

impl Anchor {
    pub(in crate::cli::commands) fn id(&self) -> NamespaceId {
        self.id
    }

    /// Whether it is where it was last, as far as that can be told at once.
    fn is_in_place(&self) -> bool {
        match &self.hold {
            Hold::Host => true,
            Hold::File(path) => std::fs::metadata(path).is_ok_and(|about| about.ino() == self.id.inode),
            Hold::Open(known) => known.elapsed() < SEARCH,
        }
    }
}

/// Those of namespaces that are gone, but for those who only look at them. Others are found again, wherever they are now.
pub(in crate::cli::commands) fn gone<'a, K>(anchors: impl Iterator<Item = (K, &'a mut Anchor)>) -> Vec<K> {
    let mut lost: Vec<(K, &mut Anchor)> = anchors.filter(|(_, anchor)| !anchor.is_in_place()).collect();
    let wanted = |lost: &[(K, &mut Anchor)]| -> HashSet<NamespaceId> {
        lost.iter().map(|(_, anchor)| anchor.id).collect()
    };
    if lost.is_empty() {
        return Vec::new();
    }
    // Another process may be in it, or it may be mounted elsewhere.
    let (own, ids) = (rustix::process::getpid(), wanted(&lost));
    let inside = processes::list(Depth::Threads, |id| ids.contains(&id)).unwrap_or_default();
    let inside: HashMap<NamespaceId, Pid> =
        inside.into_iter().filter(|(pid, _)| *pid != own).map(|(pid, id)| (id, pid)).collect();
    lost.retain_mut(|(_, anchor)| {
        let Some(pid) = inside.get(&anchor.id) else { return true };
        anchor.hold = Hold::File(of_process(pid.as_raw_nonzero().get()));
        false
    });
    if !lost.is_empty() {
        let mut mounted = nslab_snapshot::mounted(&wanted(&lost));
        lost.retain_mut(|(_, anchor)| {
            let Some(path) = mounted.remove(&anchor.id) else { return true };
            anchor.hold = Hold::File(path);
            false
        });
    }
    if lost.iter().any(|(_, anchor)| matches!(anchor.hold, Hold::Open(_))) {
        let there: HashSet<NamespaceId> =
            nslab_snapshot::places().into_iter().flatten().map(|place| place.id).collect();
        lost.retain_mut(|(_, anchor)| {
            let is_there = matches!(anchor.hold, Hold::Open(_)) && there.contains(&anchor.id);
            if is_there {
                anchor.hold = Hold::Open(Instant::now());
            }
            !is_there
        });
    }
    lost.into_iter().map(|(key, _)| key).collect()
}

fn of_process(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/net"))
}

/// Where new ones may come from.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli::commands) enum Growth {
    /// Nowhere.
    None,
    /// The whole host.
    Host,
    /// A lab.
    Lab(String),
}

/// Gives namespaces the names by which they are shown.
#[derive(Default)]
pub(in crate::cli::commands) struct Naming {
    used: HashSet<String>,
}

/// A namespace with its name.
pub(in crate::cli::commands) struct Named {
    pub(in crate::cli::commands) source: Source,
    pub(in crate::cli::commands) anchor: Anchor,
}

impl Naming {
    /// Of these, which are all that there are so far. Where two would be called the same, both are called by their long names.
    pub(in crate::cli::commands) fn all(&mut self, places: Vec<Place>) -> Vec<Named> {
        let mut shorts: Vec<String> = places.iter().map(|place| place.short.clone()).collect();
        shorts.sort();
        let is_clear = |short: &String| {
            let at = shorts.partition_point(|one| one < short);
            shorts.get(at + 1) != Some(short)
        };
        let clear: Vec<bool> = places.iter().map(|place| is_clear(&place.short)).collect();
        places.into_iter().zip(clear).map(|(place, clear)| self.one(place, clear)).collect()
    }

    fn one(&mut self, place: Place, clear: bool) -> Named {
        let Place { short, long, id, namespace, interfaces, anchor, .. } = place;
        let candidates = [clear.then_some(short), Some(long.clone()), Some(format!("{long}@{}", id.inode))];
        let name = candidates.into_iter().flatten().find(|name| !self.used.contains(name)).unwrap_or(long);
        self.used.insert(name.clone());
        Named { source: Source { name, namespace, interfaces }, anchor }
    }
}

/// The namespaces that are meant, each once: all of the host, those that the words mean, or a lab's if there are no words.
pub(in crate::cli::commands) fn find(
    all: bool,
    words: &[String],
    lab: Option<&str>,
    context: &Context,
) -> Result<(Vec<Place>, Growth), CliError> {
    if all {
        return Ok((host(&mut Places::default())?, Growth::Host));
    }
    if words.is_empty() {
        let lab = context.lab_name(lab)?;
        let nodes = nodes(&context::paths(), &lab)?;
        return Ok((nodes, Growth::Lab(lab)));
    }
    Ok((named(words, context)?, Growth::None))
}

/// The namespaces that these words mean, each once.
pub(in crate::cli::commands) fn named(texts: &[String], context: &Context) -> Result<Vec<Place>, CliError> {
    let mut found: Vec<Place> = Vec::new();
    for text in texts {
        let place = one(text, context)?;
        match found.iter_mut().find(|known| known.id == place.id) {
            // Whoever wants all of it wants each.
            Some(known) if known.interfaces.is_empty() || place.interfaces.is_empty() => {
                known.interfaces.clear();
            }
            Some(known) => {
                for interface in place.interfaces {
                    if !known.interfaces.contains(&interface) {
                        known.interfaces.push(interface);
                    }
                }
            }
            None => found.push(place),
        }
    }
    Ok(found)
}

/// Those of the host.
pub(in crate::cli::commands) fn host(places: &mut Places) -> Result<Vec<Place>, CliError> {
    let mut found = Vec::new();
    for place in places.look()? {
        // What cannot be entered cannot be captured in; `nslab scan` tells of it.
        let Ok(namespace) = place.namespace else { continue };
        let best = &place.names[0];
        let (short, long) = match best {
            Name::Host => ("host".to_owned(), "host".to_owned()),
            Name::Node { node, .. } => (node.clone(), best.to_string()),
            Name::Container { name, .. } | Name::Netns(name) => (name.clone(), best.to_string()),
            Name::Process(process) => (format!("pid:{}", process.pid), format!("pid:{}", process.pid)),
            Name::Pinned(_) | Name::Id(_) => (best.to_string(), best.to_string()),
        };
        let path = place.names.iter().find_map(|name| match name {
            Name::Netns(name) => Some(Path::new("/run/netns").join(name)),
            Name::Pinned(path) => Some(path.clone()),
            Name::Process(process) => Some(of_process(process.pid)),
            _ => None,
        });
        let hold = match best {
            Name::Host => Hold::Host,
            Name::Id(_) => Hold::Open(Instant::now()),
            // Found again by the processes in it.
            _ => Hold::File(path.unwrap_or_default()),
        };
        let anchor = Anchor { id: place.id, hold };
        let is_named = !matches!(best, Name::Process(_) | Name::Id(_));
        found.push(Place { short, long, id: place.id, namespace, interfaces: Vec::new(), anchor, is_named });
    }
    Ok(found)
}

/// A lab's nodes and switches.
pub(in crate::cli::commands) fn nodes(paths: &Paths, lab: &str) -> Result<Vec<Place>, CliError> {
    let of_lab = paths.lab(lab);
    let mut names = pins::list(&of_lab)?;
    names.sort();
    if names.is_empty() && !of_lab.root().exists() {
        let known = paths.labs().unwrap_or_default();
        return Err(nslab_lab::Error::NoSuchLab { name: lab.to_owned(), known }.into());
    }
    names.into_iter().map(|node| node_of(paths, lab, node)).collect()
}

fn node_of(paths: &Paths, lab: &str, node: String) -> Result<Place, CliError> {
    let pin = paths.lab(lab).pin(&node);
    let namespace = Namespace::open(&pin)?;
    let id = namespace.id()?;
    let long = format!("{lab}/{node}");
    let anchor = Anchor { id, hold: Hold::File(pin) };
    Ok(Place { short: node, long, id, namespace, interfaces: Vec::new(), anchor, is_named: true })
}

/// One target, with an interface or without.
fn one(text: &str, context: &Context) -> Result<Place, CliError> {
    // Of `netns:red:eth0` the first colon belongs to the kind.
    let kind = ["netns:", "pid:", "container:"].into_iter().find(|kind| text.starts_with(kind)).unwrap_or("");
    let (target, interface) = match text[kind.len()..].rsplit_once(':') {
        Some((name, interface)) => (&text[..kind.len() + name.len()], Some(interface)),
        None => (text, None),
    };
    if interface == Some("") || target.len() == kind.len() {
        return Err(CliError::bad_input(format!("{text:?} is no target"))
            .hint("NODE, LAB/NODE, host, netns:NAME, pid:N or container:NAME, then :INTERFACE if it is to be one alone"));
    }
    let parsed = Target::parse(target, context)?;
    let interfaces = interface.map(str::to_owned).into_iter().collect();
    let paths = context::paths();
    let namespace = parsed.namespace()?;
    let id = namespace.id()?;
    let (short, hold) = match &parsed {
        Target::Node { lab, node } => (node.clone(), Hold::File(paths.lab(lab).pin(node))),
        Target::Host => ("host".to_owned(), Hold::Host),
        Target::Existing(Existing::Netns(name)) => (name.clone(), Hold::File(paths.netns.join(name))),
        Target::Existing(Existing::Pid(pid)) => {
            (target.to_owned(), Hold::File(i32::try_from(*pid).map(of_process).unwrap_or_default()))
        }
        // Found again by the processes in it.
        Target::Existing(_) => (target[kind.len()..].to_owned(), Hold::File(PathBuf::new())),
    };
    let long = match &parsed {
        Target::Node { lab, node } => format!("{lab}/{node}"),
        _ => target.to_owned(),
    };
    Ok(Place { short, long, id, namespace, interfaces, anchor: Anchor { id, hold }, is_named: true })
}
