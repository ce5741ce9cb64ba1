//! What `nslab set` and events are about: an interface, a link, or what one node sends to another over a switch.

use serde::{Deserialize, Serialize};

use super::{EditError, words};
use crate::diagnostic::{Diagnostic, Problem, Spanned};
use crate::model::{Device, Topology};

/// An interface; a link or a way between two nodes of one switch, in both directions or in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// A node or switch.
    pub device: String,
    /// Its interface; may be left out where a single link joins it to `other`.
    pub interface: Option<String>,
    /// The other end, if both are meant.
    pub other: Option<(String, Option<String>)>,
    /// Only what goes from the first to the other.
    #[serde(default)]
    pub one_way: bool,
}

/// What a [`Target`] means in a topology.
pub(crate) enum Meant {
    /// Interfaces, each as `NODE:INTERFACE`.
    Interfaces(Vec<String>),
    /// Paths over switches, each as `NODE:INTERFACE -> NODE:INTERFACE`.
    Paths(Vec<String>),
}

impl Meant {
    pub(crate) fn into_places(self) -> Vec<String> {
        match self {
            Self::Interfaces(places) | Self::Paths(places) => places,
        }
    }
}

impl Target {
    /// Reads `NODE:INTERFACE`, `NODE[:INTERFACE] -- NODE[:INTERFACE]`, or the same with `->` or `<-`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let split = |word: &str| match word.split_once(':') {
            Some((device, interface)) => (device.to_owned(), Some(interface.to_owned())),
            None => (word.to_owned(), None),
        };
        let words: Vec<&str> = words(text).map(|(_, word)| word).collect();
        match words.as_slice() {
            [one] if one.contains(':') => {
                let (device, interface) = split(one);
                Ok(Self { device, interface, other: None, one_way: false })
            }
            [one, arrow @ ("--" | "->"), other] | [other, arrow @ "<-", one] => {
                let (device, interface) = split(one);
                Ok(Self { device, interface, other: Some(split(other)), one_way: *arrow != "--" })
            }
            _ => Err(Problem::new("bad-target", format!("{text:?} is no interface and no link"))
                .help("write `red:eth0` for what an interface sends, `red -- blue` for both ends of a link")),
        }
    }

    /// What it means: ends of links where there are such, else paths over a switch that both are on. Nothing if there is
    /// neither.
    pub(crate) fn means(&self, topology: &Topology) -> Meant {
        let is = |link: usize, side: usize, device: &str, interface: Option<&String>| {
            let end = &topology.links[link].ends[side];
            topology.device_name(end.device) == device
                && interface.is_none_or(|name| {
                    end.name.as_str() == name || end.full_name.as_deref() == Some(name.as_str())
                })
        };
        let label = |link: usize, side: usize| {
            let end = &topology.links[link].ends[side];
            let name = end.full_name.as_deref().unwrap_or(end.name.as_str());
            format!("{}:{name}", topology.device_name(end.device))
        };
        let mut places = Vec::new();
        for link in 0..topology.links.len() {
            for side in [0, 1] {
                if !is(link, side, &self.device, self.interface.as_ref()) {
                    continue;
                }
                match &self.other {
                    None => places.push(label(link, side)),
                    Some((device, interface)) if is(link, 1 - side, device, interface.as_ref()) => {
                        places.push(label(link, side));
                        if !self.one_way {
                            places.push(label(link, 1 - side));
                        }
                    }
                    Some(_) => {}
                }
            }
        }
        let Some((other, far)) = &self.other else {
            places.extend(self.own_interface(topology));
            return Meant::Interfaces(places);
        };
        if !places.is_empty() {
            return Meant::Interfaces(places);
        }
        let (one, other) =
            ((self.device.as_str(), self.interface.as_deref()), (other.as_str(), far.as_deref()));
        let mut paths = topology.paths_between(one, other);
        if !self.one_way {
            paths.extend(topology.paths_between(other, one));
        }
        Meant::Paths(paths)
    }

    /// An interface of the node that is no end of a link.
    fn own_interface(&self, topology: &Topology) -> Option<String> {
        let name = self.interface.as_ref()?;
        let node = topology.nodes.iter().find(|node| node.name == self.device)?;
        let is_it = |full: Option<&String>, short: &str| short == name || full == Some(name);
        let found = node.interfaces.iter().find(|one| is_it(one.full_name.as_ref(), one.name.as_str()))?;
        Some(format!("{}:{}", node.name, found.full_name.as_deref().unwrap_or(found.name.as_str())))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |(device, interface): (&String, Option<&String>)| match interface {
            Some(interface) => format!("{device}:{interface}"),
            None => device.clone(),
        };
        f.write_str(&end((&self.device, self.interface.as_ref())))?;
        let arrow = if self.one_way { "->" } else { "--" };
        match &self.other {
            Some((device, interface)) => write!(f, " {arrow} {}", end((device, interface.as_ref()))),
            None => Ok(()),
        }
    }
}

/// What `text` means in `topology`: interfaces, each as `NODE:INTERFACE`, or paths over switches, each as
/// `NODE:INTERFACE -> NODE:INTERFACE`.
///
/// # Errors
/// If there is no such thing, or it is not clear which.
pub fn interfaces(text: &str, topology: &Topology) -> Result<Vec<String>, EditError> {
    let target = Spanned::from(Target::parse(text)?);
    match missing(&target, topology) {
        Some(error) => Err(error.into()),
        None => Ok(target.means(topology).into_places()),
    }
}

/// What is wrong with a target, if the lab has no such link.
pub(crate) fn missing(target: &Spanned<Target>, topology: &Topology) -> Option<Diagnostic> {
    let wanted = if target.other.is_some() && !target.one_way { 2 } else { 1 };
    let error = |message: String| Diagnostic::error("unknown-link", message).at(target.span, "");
    let (places, clear) = match target.means(topology) {
        Meant::Interfaces(places) => (places.len(), places.len() <= wanted),
        // All ways between the two are meant.
        Meant::Paths(paths) => (paths.len(), true),
    };
    if places > 0 {
        return (!clear).then(|| error(format!("several links are {}: name the interfaces", target.value)));
    }
    let error = error(format!("there is no {}", target.value));
    let is_node = |name: &str| topology.nodes.iter().any(|node| node.name == name);
    Some(match &target.other {
        Some((other, _)) if is_node(&target.device) && is_node(other) => {
            error.note("no link joins the two, and they are on no switch together")
        }
        _ => error,
    })
}

/// What is wrong with taking a target up or down: only interfaces are.
pub(crate) fn not_a_link(target: &Spanned<Target>, topology: &Topology) -> Option<Diagnostic> {
    let Meant::Paths(paths) = target.means(topology) else { return None };
    paths.first()?;
    let message = format!("{} is a way over a switch, which is not up or down", target.value);
    let end = |node: &String| topology.nodes.iter().position(|one| one.name == *node);
    let link = end(&target.device).and_then(|node| topology.ends_of(Device::Node(node)).next());
    let help = link.map(|(_, end)| format!("name an interface, as `{}:{}`", target.device, end.name));
    let mut error = Diagnostic::error("bad-event", message).at(target.span, "");
    error.help.extend(help);
    Some(error)
}
