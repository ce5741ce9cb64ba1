//! Whose pairs are looked at.

use std::collections::BTreeSet;

use nslab_snapshot::{Name, Namespace, Snapshot};

use crate::cli::context;
use crate::cli::error::{CliError, unknown};
use crate::cli::file;

/// Namespaces, with the names to show them by.
pub(super) struct Hosts {
    /// Places in the snapshot.
    pub(super) places: Vec<usize>,
    /// Their names; those of one lab without the lab's.
    pub(super) names: Vec<String>,
}

impl Hosts {
    /// Those that are meant: of labs or by their names; else of `lab`; else of the lab that runs, if this is the host as it is
    /// now (`live`) and one runs; else all that somebody named and that have an address.
    pub(super) fn find(
        snapshot: &Snapshot,
        targets: &[String],
        lab: Option<&str>,
        live: bool,
    ) -> Result<Self, CliError> {
        let mut places: BTreeSet<usize> = BTreeSet::new();
        for target in targets {
            let found: Vec<usize> = match of_lab(snapshot, target) {
                nodes if !nodes.is_empty() => nodes,
                _ => snapshot.find(target).map(|(place, _)| place).collect(),
            };
            if found.is_empty() {
                return Err(unknown(
                    format!("there is no lab or namespace {target:?}"),
                    target,
                    &known(snapshot),
                    "labs and namespaces",
                ));
            }
            if found.len() > 1 && of_lab(snapshot, target).is_empty() {
                let all: Vec<String> =
                    found.iter().map(|&place| snapshot.namespaces[place].name().to_string()).collect();
                return Err(CliError::bad_input(format!("{target:?} may be any of {}", all.join(", "))));
            }
            places.extend(found);
        }
        if targets.is_empty() {
            places = Self::unasked(snapshot, lab, live)?;
        }
        let places: Vec<usize> = places.into_iter().collect();
        if places.is_empty() {
            return Err(CliError::bad_input("there is no namespace with an address and a name")
                .hint("`nslab scan` shows all namespaces"));
        }
        let labs: BTreeSet<Option<&str>> =
            places.iter().map(|&place| lab_of(&snapshot.namespaces[place])).collect();
        let of_one_lab = labs.len() == 1 && !labs.contains(&None);
        let name = |&place: &usize| {
            let space = &snapshot.namespaces[place];
            let node = space.names.iter().find_map(|name| match name {
                Name::Node { node, .. } => Some(node.clone()),
                _ => None,
            });
            node.filter(|_| of_one_lab).unwrap_or_else(|| space.name().to_string())
        };
        let mut named: Vec<(usize, String)> = places.iter().map(|place| (*place, name(place))).collect();
        // As people count: h2 before h10.
        named.sort_by_cached_key(|(_, name)| natural(name));
        let (places, names) = named.into_iter().unzip();
        Ok(Self { places, names })
    }

    fn unasked(snapshot: &Snapshot, lab: Option<&str>, live: bool) -> Result<BTreeSet<usize>, CliError> {
        if let Some(lab) = lab {
            let nodes = of_lab(snapshot, lab);
            if nodes.is_empty() {
                let labs: Vec<String> = labs(snapshot).map(str::to_owned).collect();
                return Err(unknown(format!("lab {lab:?} is not running"), lab, &labs, "labs"));
            }
            return Ok(nodes.into_iter().collect());
        }
        let running = if live { context::paths().labs().unwrap_or_default() } else { Vec::new() };
        let here = file::lab_of_this_directory().filter(|here| running.contains(here));
        let one = match &running[..] {
            [only] => Some(only.clone()),
            [] => None,
            several => {
                if here.is_none() {
                    let message = format!("which lab? {} are running", several.len());
                    let hint = format!("name one of: {}", several.join(", "));
                    return Err(CliError::bad_input(message).hint(hint));
                }
                here
            }
        };
        if let Some(lab) = one {
            return Ok(of_lab(snapshot, &lab).into_iter().collect());
        }
        let is_meant = |space: &Namespace| {
            let named = space
                .names
                .iter()
                .any(|name| matches!(name, Name::Node { .. } | Name::Netns(_) | Name::Container { .. }));
            named && has_address(space)
        };
        let all = snapshot.namespaces.iter().enumerate();
        Ok(all.filter(|(_, space)| is_meant(space)).map(|(place, _)| place).collect())
    }
}

fn has_address(space: &Namespace) -> bool {
    space.state().is_some_and(|state| {
        state.network.addresses.iter().any(|own| match own.address.addr() {
            std::net::IpAddr::V4(own) => !own.is_loopback(),
            std::net::IpAddr::V6(own) => !own.is_loopback() && !own.is_unicast_link_local(),
        })
    })
}

fn lab_of(space: &Namespace) -> Option<&str> {
    space.names.iter().find_map(|name| match name {
        Name::Node { lab, .. } => Some(&lab[..]),
        _ => None,
    })
}

/// The nodes of a lab that have an address: switches have none.
fn of_lab(snapshot: &Snapshot, lab: &str) -> Vec<usize> {
    let all = snapshot.namespaces.iter().enumerate();
    all.filter(|(_, space)| lab_of(space) == Some(lab) && has_address(space))
        .map(|(place, _)| place)
        .collect()
}

fn labs(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    let all: BTreeSet<&str> = snapshot.namespaces.iter().filter_map(lab_of).collect();
    all.into_iter()
}

fn known(snapshot: &Snapshot) -> Vec<String> {
    let names = snapshot.namespaces.iter().map(|space| space.name().to_string());
    labs(snapshot).map(str::to_owned).chain(names).collect()
}

/// A name's beginning and the number at its end.
fn natural(name: &str) -> (String, u64) {
    let beginning = name.trim_end_matches(|character: char| character.is_ascii_digit());
    (beginning.to_owned(), name[beginning.len()..].parse().unwrap_or(0))
}
