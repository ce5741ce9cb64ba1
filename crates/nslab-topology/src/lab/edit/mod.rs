//! Changes to a lab, one at a time.
//!
//! A change that would leave a lab that cannot be built is refused, and the lab stays what it was. Interfaces keep their
//! names: before links come or go, every name that was left open is written down.

mod interface;

use super::{Destination, End, Lab, Link, Node, Route, RouteAction, Switch};
use crate::decode::parse_route;
use crate::diagnostic::{Diagnostic, Problem, closest};
use crate::impairment::Impairments;
use crate::model::Device;
use crate::resolve::{self, Problems};

/// Why a lab was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Nothing has this name.
    #[error("there is no {kind} `{name}`{}", hint(.suggestion.as_ref()))]
    Unknown {
        /// What was looked for, as `node`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// A name that is close to it.
        suggestion: Option<String>,
    },
    /// The name is in use.
    #[error("there is a node or switch `{name}` already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Several links are meant.
    #[error("{one} and {two} are joined by several links: name the interfaces, as `{one}:{interface}`")]
    SeveralLinks {
        /// One end as it was given.
        one: String,
        /// The other end.
        two: String,
        /// An interface to name.
        interface: String,
    },
    /// What is to be taken away isn't there.
    #[error("{place} has no {what}")]
    Absent {
        /// The node or interface.
        place: String,
        /// What it hasn't.
        what: String,
    },
    /// What was given makes no sense, or the lab could not be built with it.
    #[error("{message}{}", lines(.help))]
    Invalid {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Vec<String>,
    },
}

fn hint(suggestion: Option<&String>) -> String {
    suggestion.map_or_else(String::new, |name| format!(": did you mean `{name}`?"))
}

fn lines(help: &[String]) -> String {
    help.iter().flat_map(|line| ["\n", line]).collect()
}

impl From<Problem> for EditError {
    fn from(problem: Problem) -> Self {
        Self::Invalid { message: problem.message, help: problem.help }
    }
}

impl From<Diagnostic> for EditError {
    fn from(problem: Diagnostic) -> Self {
        Self::Invalid { message: problem.message, help: [problem.notes, problem.help].concat() }
    }
}

/// What a link is given when it is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkOptions {
    /// The MTU of both ends.
    pub mtu: Option<u32>,
}

/// One end of a link of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EndId {
    link: usize,
    side: usize,
}

impl Lab {
    /// Adds a node.
    pub fn add_node(&mut self, name: &str, forward: bool) -> Result<(), EditError> {
        self.check_free(name)?;
        let node = Node { forward, ..Node::new(name.to_owned()) };
        self.change(|lab| lab.nodes.push(node))
    }

    /// Removes a node and its links.
    pub fn remove_node(&mut self, name: &str) -> Result<(), EditError> {
        let names = self.nodes.iter().map(|node| node.name.as_str());
        let index = position(names, "node", name)?;
        self.change(|lab| {
            lab.pin_names();
            lab.nodes.remove(index);
            lab.unplug(name);
        })
    }

    /// Adds a switch.
    pub fn add_switch(&mut self, name: &str) -> Result<(), EditError> {
        self.check_free(name)?;
        self.change(|lab| lab.switches.push(Switch::new(name.to_owned())))
    }

    /// Removes a switch and its links.
    pub fn remove_switch(&mut self, name: &str) -> Result<(), EditError> {
        let names = self.switches.iter().map(|switch| switch.name.as_str());
        let index = position(names, "switch", name)?;
        self.change(|lab| {
            lab.pin_names();
            lab.switches.remove(index);
            lab.unplug(name);
        })
    }

    /// Adds a link between two ends as a lab file writes them, `NAME[:INTERFACE] [ADDRESS/LEN…] [MAC]`.
    pub fn add_link(&mut self, one: &str, two: &str, options: &LinkOptions) -> Result<(), EditError> {
        let ends = [self.read_end(one)?, self.read_end(two)?];
        let link = Link { ends, mtu: options.mtu.map(Into::into), impairments: Impairments::default() };
        self.change(|lab| {
            lab.pin_names();
            lab.links.push(link);
            lab.pin_names();
        })
    }

    /// Removes the link between two ends, each `NAME` or `NAME:INTERFACE`.
    pub fn remove_link(&mut self, one: &str, two: &str) -> Result<(), EditError> {
        let names = self.interface_names();
        let [first, second] =
            [one, two].map(|text| text.split_once(':').map_or((text, None), |(n, i)| (n, Some(i))));
        for (name, _) in [first, second] {
            self.device_named(name)?;
        }
        let is = |end: EndId, (name, interface): (&str, Option<&str>)| {
            let own = &self.links[end.link].ends[end.side].device.value;
            own == name && interface.is_none_or(|interface| names[end.link][end.side] == interface)
        };
        let mut found = (0..self.links.len()).filter(|&link| {
            let [left, right] = [0, 1].map(|side| EndId { link, side });
            (is(left, first) && is(right, second)) || (is(left, second) && is(right, first))
        });
        let Some(link) = found.next() else {
            return Err(EditError::Unknown {
                kind: "link between",
                name: format!("{one}` and `{two}"),
                suggestion: None,
            });
        };
        if found.next().is_some() {
            let side = usize::from(self.links[link].ends[0].device.value != first.0);
            let interface = names[link][side].clone();
            return Err(EditError::SeveralLinks {
                one: first.0.to_owned(),
                two: second.0.to_owned(),
                interface,
            });
        }
        self.change(|lab| {
            lab.pin_names();
            lab.links.remove(link);
        })
    }

    /// Adds a route to a node, in the words of `ip route`.
    pub fn add_route(&mut self, node: &str, route: &str) -> Result<(), EditError> {
        let index = self.node_index(node)?;
        let route = parse_route(route, &|_| None)?;
        self.change(|lab| lab.nodes[index].routes.push(route.into()))
    }

    /// Takes the first route from a node that fits what is said, in the words of `ip route`; only the destination must
    /// be.
    pub fn remove_route(&mut self, node: &str, route: &str) -> Result<(), EditError> {
        let index = self.node_index(node)?;
        let wanted = match parse_route(route, &|_| None) {
            // A destination alone is no route, but enough to find one.
            Err(problem) if problem.code == "bad-route" => {
                parse_route(&format!("blackhole {route}"), &|_| None)
            }
            other => other,
        }?;
        let Some(found) = self.nodes[index].routes.iter().position(|route| fits(&wanted, route)) else {
            return Err(EditError::Absent {
                place: node.to_owned(),
                what: format!("route {route} of its own"),
            });
        };
        self.change(|lab| drop(lab.nodes[index].routes.remove(found)))
    }

    /// Makes a change unless the lab could not be built with it.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), EditError> {
        let mut lab = self.clone();
        change(&mut lab);
        self.replace(lab)
    }

    fn replace(&mut self, lab: Self) -> Result<(), EditError> {
        let resolution = resolve::run(&lab, true);
        let error = resolution.diagnostics.into_iter().find(|d| d.severity == crate::Severity::Error);
        if let Some(error) = error {
            Err(error.into())
        } else {
            *self = lab;
            Ok(())
        }
    }

    /// The interfaces' names of every link's ends, in the order in which the ends stand.
    fn interface_names(&self) -> Vec<[String; 2]> {
        let mut problems = Problems::default();
        let devices = resolve::names::check(self, &mut problems);
        let plugged = resolve::plug(self, &devices, &mut problems);
        let mut names = vec![[String::new(), String::new()]; self.links.len()];
        let mut next = 0;
        for (link, pair) in plugged.links.iter().zip(plugged.ports.chunks_exact(2)) {
            while !std::ptr::eq(&raw const self.links[next], *link) {
                next += 1;
            }
            for port in pair {
                let side = usize::from(!std::ptr::eq(&raw const self.links[next].ends[0], port.end));
                port.meant().clone_into(&mut names[next][side]);
            }
        }
        names
    }

    /// Writes down the interfaces' names that were left open.
    fn pin_names(&mut self) {
        for (link, names) in self.interface_names().into_iter().enumerate() {
            for (end, name) in self.links[link].ends.iter_mut().zip(names) {
                if end.interface.is_none() && !name.is_empty() {
                    end.interface = Some(name.into());
                }
            }
        }
    }

    fn unplug(&mut self, name: &str) {
        self.links.retain(|link| link.ends.iter().all(|end| end.device.value != name));
    }

    fn check_free(&self, name: &str) -> Result<(), EditError> {
        if self.device_names().any(|other| other == name) {
            return Err(EditError::NameTaken { name: name.to_owned() });
        }
        Ok(())
    }

    fn device_named(&self, name: &str) -> Result<Device, EditError> {
        position(self.device_names(), "node or switch", name)
            .map(|index| index.checked_sub(self.nodes.len()).map_or(Device::Node(index), Device::Switch))
    }

    fn node_index(&self, name: &str) -> Result<usize, EditError> {
        position(self.nodes.iter().map(|node| node.name.as_str()), "node", name)
    }

    fn read_end(&self, text: &str) -> Result<End, EditError> {
        let (end, problems) = End::parse(text, |_| None);
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem.into());
        }
        self.device_named(&end.device)?;
        Ok(end)
    }
}

fn position<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    kind: &'static str,
    name: &str,
) -> Result<usize, EditError> {
    names.clone().position(|other| other == name).ok_or_else(|| EditError::Unknown {
        kind,
        name: name.to_owned(),
        suggestion: closest(name, names).map(str::to_owned),
    })
}

/// Whether a route is meant by what was said of it.
fn fits(wanted: &Route, route: &Route) -> bool {
    let to = match (wanted.to, route.to) {
        (Destination::Default(one), Destination::Default(two)) => {
            one.is_none() || two.is_none() || one == two
        }
        (one, two) => one == two,
    };
    let action = match (&wanted.action, &route.action) {
        (RouteAction::Forward(one), RouteAction::Forward(two)) => {
            one.len() == two.len()
                && one.iter().zip(two).all(|(one, two)| {
                    (one.via.is_none() || one.via == two.via) && (one.dev.is_none() || one.dev == two.dev)
                })
        }
        (RouteAction::Blackhole, _) => true,
        (one, two) => one == two,
    };
    to && action
        && (wanted.metric.is_none() || wanted.metric == route.metric)
        && wanted.table.unwrap_or(254) == route.table.unwrap_or(254)
}
