//! Whether this machine has what a plan's programs need, looked at before anything is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nslab_topology::model::{Node, Owner, Program, Topology};

use crate::error::{Error, Result};
use crate::exec::owner_ids;
use crate::plan::{Op, Plan};

/// Where packages put programs. A program elsewhere may be made by another of the lab's, before it is started.
const INSTALLED: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/opt"];

/// Errors with [`Error::Machine`], which names all that is lacking: programs that are given as lists, users, groups. Of a
/// text for the shell only the shell knows what it runs.
pub(super) fn check(plan: &Plan, topology: &Topology) -> Result<()> {
    let mut lacking: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut hints = BTreeSet::new();
    let mut users: BTreeMap<Owner, Option<(String, Option<String>)>> = BTreeMap::new();
    let mut programs: BTreeMap<(String, Option<String>), bool> = BTreeMap::new();
    for step in plan.steps() {
        let node = &plan.namespaces[step.namespace].node[..];
        let mut owners = Vec::new();
        match &step.op {
            Op::StartProgram(program) => {
                owners.extend(program.user.as_ref().map(|user| Owner { user: user.clone(), group: None }));
                let shape = topology.nodes.iter().find(|one| one.name == node);
                if let Some(missing) = shape.and_then(|shape| missing_program(shape, program, &mut programs))
                {
                    lacking.entry(missing).or_default().insert(node);
                    hints.insert("install it, or take the program out of the lab file".to_owned());
                }
            }
            Op::CreateView(view) => {
                owners.extend(view.directories.iter().filter_map(|one| one.owner.clone()));
                owners.extend(view.files.iter().filter_map(|one| one.owner.clone()));
            }
            Op::WriteFile { file, .. } => owners.extend(file.owner.clone()),
            _ => {}
        }
        for owner in owners {
            let found = users.entry(owner).or_insert_with_key(|owner| match owner_ids(owner) {
                Ok(_) => None,
                Err(Error::Machine { what, hint }) => Some((what, hint)),
                Err(error) => Some((error.to_string(), None)),
            });
            if let Some((what, hint)) = found {
                lacking.entry(what.clone()).or_default().insert(node);
                hints.extend(hint.clone());
            }
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        lacking.into_iter().map(|(what, nodes)| format!("{}: {what}", names(&nodes))).collect();
    Err(Error::Machine {
        what: lines.join("\n  "),
        hint: Some(hints.into_iter().collect::<Vec<_>>().join("; ")),
    })
}

/// A few of the nodes by name, and how many more.
fn names(nodes: &BTreeSet<&str>) -> String {
    const SHOWN: usize = 4;
    let shown = nodes.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match nodes.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What is to be said of a program that is not there.
fn missing_program(
    node: &Node,
    program: &Program,
    known: &mut BTreeMap<(String, Option<String>), bool>,
) -> Option<String> {
    let [name, _, ..] = &program.command[..] else { return None };
    let env = program.env.get("PATH").or_else(|| node.env.get("PATH"));
    let search = env.cloned().or_else(|| std::env::var("PATH").ok());
    // A private directory hides what the machine has there, and the node's own files come in its place.
    let hides = |path: &Path| node.view.directories.iter().any(|one| path.starts_with(&one.path));
    let is_own = |path: &Path| node.view.files.iter().any(|one| Path::new(&one.path) == path);
    let is_there = |path: &Path| is_own(path) || !hides(path) && is_program(path);
    if name.contains('/') {
        let path = Path::new(name);
        let is_installed = INSTALLED.iter().any(|directory| path.starts_with(directory));
        return (is_installed && !is_there(path))
            .then(|| format!("there is no program {name} on this machine"));
    }
    let look = |search: &str| std::env::split_paths(search).any(|directory| is_there(&directory.join(name)));
    let has_own = !node.view.is_empty();
    let found = match &search {
        None => true,
        Some(search) if has_own => look(search),
        // The same for all nodes; a lab may have thousands of one kind.
        Some(text) => *known.entry((name.clone(), search.clone())).or_insert_with(|| look(text)),
    };
    (!found).then(|| format!("there is no program {name:?} in PATH on this machine"))
}

fn is_program(path: &Path) -> bool {
    // A relative one of PATH depends on where the program runs, which is for later to see.
    path.is_relative()
        || path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
