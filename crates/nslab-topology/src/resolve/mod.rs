//! A lab as it was described to a network with nothing left open.
//!
//! Each step runs only if the ones before it left enough to work with, so that one fault isn't reported as many:
//! names and plugs first, then addresses, then routes, which need both.

mod address;
mod assemble;
mod bits;
mod domains;
mod impair;
mod interfaces;
mod mtu;
pub(crate) mod names;
mod parts;
mod policy;
mod ports;
mod route;
mod segments;
mod storm;
mod tunnels;
pub(crate) mod uplink;
mod vlans;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::lab::{self, Lab};
use crate::model::Topology;

pub(crate) use ports::plug;

/// A lab whose every choice has been made.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The network.
    pub topology: Topology,
    /// What likely isn't meant, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Makes every choice that the lab leaves open, the same for the same lab in every run.
pub fn resolve(lab: &Lab) -> Result<Resolved, Diagnostics> {
    let Resolution { topology, mut diagnostics } = run(lab, true);
    diagnostics.extend(lab.notes.warnings.iter().cloned());
    match topology {
        Some(topology) => Ok(Resolved { topology, warnings: crate::diagnostic::tidy(diagnostics) }),
        None => Err(Diagnostics::new(lab.notes.file.clone(), diagnostics)),
    }
}

/// What came of resolving: no topology if there are errors.
pub(crate) struct Resolution {
    pub(crate) topology: Option<Topology>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Resolves as far as it leads. `whole` says that nothing was lost of nodes, links and addresses on the way here.
pub(crate) fn run(lab: &Lab, whole: bool) -> Resolution {
    let mut problems = Problems::default();
    let devices = names::check(lab, &mut problems);
    let plugged = ports::plug(lab, &devices, &mut problems);
    let mut net = segments::Network::new(lab, plugged);
    interfaces::settle(&mut net, &mut problems);
    vlans::settle(&mut net, &mut problems);
    tunnels::pair(&mut net, &mut problems);
    domains::find(&mut net);
    mtu::settle(&mut net, &mut problems);
    address::check(&net, &mut problems);
    parts::check(&net, &mut problems);
    uplink::check(&net, &mut problems);
    policy::check(&net, &mut problems);
    if !whole || problems.errors > 0 {
        return Resolution { topology: None, diagnostics: problems.list };
    }
    address::plan(&mut net, &mut problems);
    if problems.errors > 0 {
        return Resolution { topology: None, diagnostics: problems.list };
    }
    tunnels::underlay(&mut net, &mut problems);
    if problems.errors > 0 {
        return Resolution { topology: None, diagnostics: problems.list };
    }
    mtu::check(&net, &mut problems);
    storm::check(&net, &mut problems);
    address::overlaps(&net, &mut problems);
    let impaired = impair::settle(&net, &mut problems);
    let routes = route::all(&net, &mut problems);
    let policies = policy::all(&net, &routes, &mut problems);
    tunnels::check_routes(&net, &routes, &mut problems);
    let topology = assemble::topology(&net, routes, policies, &impaired, &mut problems);
    for event in &lab.timeline {
        let for_links = matches!(event.action, lab::Action::Down | lab::Action::Up);
        for target in &event.targets {
            let wrong = lab::missing_target(target, &topology);
            let wrong = wrong.or_else(|| lab::not_a_link(target, &topology).filter(|_| for_links));
            if let Some(error) = wrong {
                problems.push(error);
            }
        }
    }
    Resolution { topology: (problems.errors == 0).then_some(topology), diagnostics: problems.list }
}

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Problems {
    list: Vec<Diagnostic>,
    errors: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        self.list.push(diagnostic);
    }
}

/// `a, b and c`, or `a, b, c and 7 others`.
pub(crate) fn and_list<T: AsRef<str>>(words: &[T]) -> String {
    const MOST: usize = 5;
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        many if many.len() > MOST + 1 => {
            format!("{} and {} others", many[..MOST].join(", "), many.len() - MOST)
        }
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
