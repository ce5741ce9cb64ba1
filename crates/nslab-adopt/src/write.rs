//! The lab file, with comments.

use std::fmt::Write as _;

use nslab_snapshot::Name;
use nslab_topology::{Lab, Topology};

use crate::draft::Draft;
use crate::{Adopted, Error, Named};

/// Writes the lab file, and makes sure that it loads.
pub(crate) fn finish(draft: Draft<'_>, lab: Lab, topology: Topology) -> Result<Adopted, Error> {
    let mut names = Vec::new();
    for space in &draft.spaces {
        let all = space.node.iter().chain(space.switches.values());
        names.extend(all.map(|node| Named { node: node.clone(), namespace: space.called.clone() }));
    }
    let mut skipped = draft.skipped;
    // Namespace by namespace, as they come; within one as they were found.
    let order = |namespace: &String| draft.spaces.iter().position(|space| space.called == *namespace);
    skipped.sort_by_key(|one| order(&one.namespace));
    let mut adopted = Adopted { lab_file: String::new(), lab, topology, names, skipped };
    let text = format!("{}{}", header(&adopted, &draft.snapshot.machine), adopted.lab.to_yaml());
    nslab_topology::load(&text, &adopted.lab.name, &[])?;
    adopted.lab_file = text;
    Ok(adopted)
}

fn header(adopted: &Adopted, machine: &nslab_snapshot::Machine) -> String {
    let mut text = format!("# What `nslab export` found on {} (Linux {}).\n", machine.name, machine.kernel);
    for Named { node, namespace } in &adopted.names {
        // Writing to a String cannot fail, here and below.
        if *namespace != format!("netns:{node}") {
            let _ = writeln!(text, "# {node}: {namespace}");
        }
    }
    if !adopted.skipped.is_empty() {
        text.push_str("# Not in this file:\n");
    }
    for one in &adopted.skipped {
        let _ = writeln!(text, "#   {}: {}: {}", one.namespace, one.object, one.why);
    }
    // Comments are on one line each and have no control characters.
    let printable = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    text.chars().map(printable).collect()
}

/// A name for a lab of a machine's namespaces: the machine's, as far as a lab can be called so.
pub fn lab_name(machine: &str) -> String {
    crate::names::Names::default().of(&Name::Host, machine)
}
