//! `nslab export --host`, and of namespaces by name.

use std::fmt::Write as _;
use std::process::ExitCode;

use nslab_adopt::{Adopted, Named, Skipped, Wanted, adopt};
use nslab_lab::{existing, pins};
use nslab_snapshot::{Name, Options, Snapshot};
use nslab_topology::model::Existing;
use schemars::JsonSchema;
use serde::Serialize;

use super::DONE;
use super::scan::load;
use crate::cli::args::Export;
use crate::cli::context::{self, Context};
use crate::cli::error::{CliError, Kind, unknown};
use crate::cli::output::Output;

/// A lab file of namespaces, and what it could not express.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nslab export --host --json")]
pub(super) struct Report {
    /// The lab's name
    lab: String,
    /// The lab file, with comments that say what each node is and what is missing
    lab_file: String,
    /// Which namespace each node and switch describes
    nodes: Vec<Node>,
    /// How many links the lab has
    links: usize,
    /// What the lab file could not express, namespace by namespace
    skipped: Vec<Left>,
}

/// A node or switch, and what it describes.
#[derive(Serialize, JsonSchema)]
struct Node {
    /// Its name in the lab file
    node: String,
    /// What people call the namespace
    namespace: String,
}

/// Something that the lab file could not express.
#[derive(Serialize, JsonSchema)]
struct Left {
    /// What people call the namespace
    namespace: String,
    /// The object in it, in the words of ip(8), nft(8) and the like
    object: String,
    /// Why, and what the lab file has instead if it has anything
    why: String,
}

impl Report {
    fn of(adopted: &Adopted) -> Self {
        let node =
            |Named { node, namespace }: &Named| Node { node: node.clone(), namespace: namespace.clone() };
        let left = |one: &Skipped| Left {
            namespace: one.namespace.clone(),
            object: one.object.clone(),
            why: one.why.clone(),
        };
        Self {
            lab: adopted.lab.name.value.clone(),
            lab_file: adopted.lab_file.clone(),
            nodes: adopted.names.iter().map(node).collect(),
            links: adopted.lab.links.len(),
            skipped: adopted.skipped.iter().map(left).collect(),
        }
    }
}

/// Takes a snapshot, or reads one, and describes it.
pub(super) fn run(args: &Export, output: Output) -> Result<ExitCode, CliError> {
    match &args.snapshot {
        Some(file) => describe(args, output, &load(file)?, false),
        None => run_within(args, output, &Context::open(output)?),
    }
}

/// Takes a snapshot and describes it, where the user's labs are entered already.
pub(super) fn run_within(args: &Export, output: Output, _within: &Context) -> Result<ExitCode, CliError> {
    for word in &args.targets {
        look_up(word)?;
    }
    describe(args, output, &Snapshot::take(Options::default())?, true)
}

/// Errs if a bare word is no name on this machine, without a look into every namespace.
fn look_up(word: &str) -> Result<(), CliError> {
    let paths = context::paths();
    let labs = paths.labs().unwrap_or_default();
    if word.contains([':', '/']) || word == "host" || labs.iter().any(|lab| lab == word) {
        return Ok(());
    }
    let mut known = vec!["host".to_owned()];
    known.extend(labs.iter().flat_map(|lab| pins::list(&paths.lab(lab)).unwrap_or_default()));
    let names = std::fs::read_dir(&paths.netns).into_iter().flatten().flatten();
    known.extend(names.filter_map(|entry| entry.file_name().into_string().ok()));
    let is_container = || existing::open(&Existing::Container(word.to_owned()), &paths.netns).is_ok();
    if known.iter().any(|name| name == word) || is_container() {
        return Ok(());
    }
    known.extend(labs);
    known.sort();
    known.dedup();
    Err(unknown(no_such(word, "on this host"), word, &known, "namespaces and labs"))
}

fn no_such(target: &str, on: &str) -> String {
    format!("there is no lab {target:?}, and no namespace of that name {on}")
}

fn describe(args: &Export, output: Output, snapshot: &Snapshot, is_live: bool) -> Result<ExitCode, CliError> {
    let name = match &args.name {
        Some(name) => lab_name(name)?,
        None => nslab_adopt::lab_name(&snapshot.machine.name),
    };
    let wanted = if args.host || args.targets.is_empty() {
        Wanted::Host
    } else {
        let mut places = Vec::new();
        for target in &args.targets {
            places.extend(find(snapshot, target, is_live)?);
        }
        Wanted::Namespaces(places)
    };
    let adopted = adopt(snapshot, &wanted, &name).map_err(|error| failed(&error, is_live))?;
    if output.json {
        output.print_json(&Report::of(&adopted));
        return Ok(DONE);
    }
    if args.shell || args.resolved {
        super::export::print(args, output, &adopted.lab, &adopted.topology);
    } else {
        output.print(&adopted.lab_file);
    }
    tell(&adopted, output);
    Ok(DONE)
}

/// Tells what a lab file could not express.
fn tell(adopted: &Adopted, output: Output) {
    let count = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let lab = &adopted.lab;
    let what =
        [count(lab.nodes.len(), "node"), count(lab.switches.len(), "switch"), count(lab.links.len(), "link")];
    let mut text = what.join(", ").replace("switchs", "switches");
    match adopted.skipped.len() {
        0 => text.push_str("; all of it is in the lab file"),
        1 => text.push_str("; one thing is not in the lab file:"),
        // Writing to a String cannot fail, here and below.
        many => drop(write!(text, "; {many} things are not in the lab file:")),
    }
    for Skipped { namespace, object, why } in &adopted.skipped {
        let _ = write!(text, "\n  {namespace}: {object}: {why}");
    }
    output.note(&text);
}

fn lab_name(name: &str) -> Result<String, CliError> {
    let checked =
        nslab_topology::load(&format!("name: {}\n", nslab_topology::yaml::value(name)), "--name", &[]);
    match checked {
        Ok(_) => Ok(name.to_owned()),
        Err(wrong) => Err(CliError::bad_input(
            wrong.errors().next().map_or_else(String::new, |error| error.message.clone()),
        )),
    }
}

fn failed(error: &nslab_adopt::Error, is_live: bool) -> CliError {
    match error {
        nslab_adopt::Error::Unreadable { .. } => {
            let error = CliError::new(Kind::Machine, error.to_string());
            error.hint(if is_live {
                "as root every namespace can be read"
            } else {
                "take the snapshot as root"
            })
        }
        nslab_adopt::Error::Nothing => {
            CliError::bad_input(error.to_string()).hint("`nslab export host` describes that one")
        }
        _ => CliError::bad_input(error.to_string()),
    }
}

/// The namespaces that people mean by a word: one, or those of a lab.
fn find(snapshot: &Snapshot, target: &str, is_live: bool) -> Result<Vec<usize>, CliError> {
    let by_name: Vec<usize> = snapshot.find(target).map(|(place, _)| place).collect();
    match by_name.len() {
        0 => {}
        1 => return Ok(by_name),
        several => {
            let names = by_name.iter().map(|&place| snapshot.namespaces[place].name().to_string());
            let names: Vec<String> = names.collect();
            return Err(CliError::bad_input(format!("which {target:?}? {several} namespaces are called so"))
                .hint(format!("name one of: {}", names.join(", "))));
        }
    }
    let all = snapshot.namespaces.iter().enumerate();
    let is_in_lab = |name: &Name| matches!(name, Name::Node { lab, .. } if lab == target);
    let of_lab: Vec<usize> = all
        .clone()
        .filter(|(_, namespace)| namespace.names.iter().any(is_in_lab))
        .map(|(place, _)| place)
        .collect();
    if !of_lab.is_empty() {
        return Ok(of_lab);
    }
    let pid = target.strip_prefix("pid:").and_then(|pid| pid.parse::<i32>().ok());
    let has =
        |namespace: &nslab_snapshot::Namespace| namespace.processes.iter().any(|one| Some(one.pid) == pid);
    if let Some((place, _)) = all.clone().find(|(_, namespace)| has(namespace)) {
        return Ok(vec![place]);
    }
    // What only the machine itself can look up; all names of ip(8) are known here.
    let existing = nslab_topology::existing(target).transpose().map_err(CliError::bad_input)?;
    let is_unknown =
        |existing: &Existing| !matches!(existing, Existing::Netns(name) if !name.starts_with('/'));
    if let Some(existing) = existing.filter(|existing| is_live && is_unknown(existing)) {
        let id = existing::open(&existing, &context::paths().netns)?.id()?;
        if let Some((place, _)) = all.clone().find(|(_, namespace)| namespace.id == id) {
            return Ok(vec![place]);
        }
    }
    let known = known(snapshot, target);
    let what = if is_live { "on this host" } else { "in this snapshot" };
    Err(unknown(no_such(target, what), target, &known, "namespaces"))
}

/// What namespaces are called, in the way in which `target` is written: with the kind of name, with the lab, or in short.
fn known(snapshot: &Snapshot, target: &str) -> Vec<String> {
    let (has_kind, has_lab) = (target.contains(':'), target.contains('/'));
    let mut known = Vec::new();
    for name in snapshot.namespaces.iter().flat_map(|namespace| &namespace.names) {
        match name {
            Name::Node { .. } if has_lab => known.push(name.to_string()),
            Name::Node { lab, node } => known.extend([lab.clone(), node.clone()]),
            Name::Container { .. } | Name::Netns(_) if has_kind => known.push(name.to_string()),
            Name::Container { name, .. } | Name::Netns(name) => known.push(name.clone()),
            Name::Process(process) => known.push(format!("pid:{}", process.pid)),
            Name::Host => known.push(name.to_string()),
            Name::Pinned(_) | Name::Id(_) => {}
        }
    }
    known.sort();
    known.dedup();
    known
}
