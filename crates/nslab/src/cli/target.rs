//! What a `TARGET` on the command line means.

use clap_complete::CompletionCandidate;
use nslab_kernel::Namespace;
use nslab_lab::exec::Place;
use nslab_lab::{pins, rootless};
use nslab_topology::model::Existing;

use super::context::{self, Context};
use super::error::CliError;

/// A namespace that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A node or switch of a lab.
    Node {
        /// The lab.
        lab: String,
        /// The node.
        node: String,
    },
    /// The namespace around the labs.
    Host,
    /// Another one, whoever made it.
    Existing(Existing),
}

impl Target {
    /// Reads `text`; a bare node's lab is the one that is meant where none is named.
    pub(super) fn parse(text: &str, context: &Context) -> Result<Self, CliError> {
        if text == "host" {
            return Ok(Self::Host);
        }
        if let Some(existing) = nslab_topology::existing(text) {
            return existing.map(Self::Existing).map_err(CliError::bad_input);
        }
        let (lab, node) = match text.split_once('/') {
            Some((lab, node)) => (lab.to_owned(), node.to_owned()),
            None => (lab_with(text, context)?, text.to_owned()),
        };
        if lab.is_empty() || lab.starts_with('.') {
            let known = context::paths().labs().unwrap_or_default();
            return Err(nslab_lab::Error::NoSuchLab { name: lab, known }.into());
        }
        let paths = context::paths().lab(&lab);
        // A node's name is one path component, so the pin is the lab's own.
        if !node.contains('/') && paths.pin(&node).is_file() {
            return Ok(Self::Node { lab, node });
        }
        let nodes = pins::list(&paths)?;
        let known =
            if paths.root().exists() { Ok(nodes) } else { Err(context::paths().labs().unwrap_or_default()) };
        Err(match known {
            Ok(mut known) => {
                known.sort();
                nslab_lab::Error::NoSuchNode { lab, name: node, known }.into()
            }
            Err(known) => nslab_lab::Error::NoSuchLab { name: lab, known }.into(),
        })
    }

    /// The namespace.
    pub(super) fn namespace(&self) -> Result<Namespace, CliError> {
        Ok(match self {
            Self::Node { lab, node } => Namespace::open(&context::paths().lab(lab).pin(node))?,
            Self::Host => Namespace::current()?,
            Self::Existing(existing) => nslab_lab::existing::open(existing, &context::paths().netns)?,
        })
    }

    /// Where a program that is run in it finds itself.
    pub(super) fn place(&self) -> Result<Place, CliError> {
        Ok(match self {
            Self::Node { lab, node } => Place::for_node(&context::paths().lab(lab), node)?,
            _ => Place::of_namespace(self.namespace()?),
        })
    }
}

/// The lab that has the node: the one that is meant where none is named, else the only one with such a node.
fn lab_with(node: &str, context: &Context) -> Result<String, CliError> {
    let unclear = match context.lab_name(None) {
        Ok(lab) => return Ok(lab),
        Err(error) => error,
    };
    let paths = context::paths();
    let labs = paths.labs().unwrap_or_default();
    let with: Vec<&String> = labs.iter().filter(|lab| paths.lab(lab).pin(node).exists()).collect();
    match &with[..] {
        [only] => Ok((*only).clone()),
        [] if labs.len() > 1 => {
            let message = format!("there is no lab {node:?}, and no lab has a node of that name");
            Err(CliError::bad_input(message).hint(format!("labs: {}", labs.join(", "))))
        }
        [] => Err(unclear),
        several => Err(CliError::bad_input(format!("which {node:?}? {} labs have one", several.len()))
            .hint(several.iter().map(|lab| format!("{lab}/{node}")).collect::<Vec<_>>().join(", "))),
    }
}

/// The labs, for a shell that completes.
pub(super) fn complete_labs() -> Vec<CompletionCandidate> {
    enter_for_completion();
    context::paths().labs().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}

/// The nodes of all labs, for a shell that completes: bare where the name is unique, else with the lab.
pub(super) fn complete_nodes() -> Vec<CompletionCandidate> {
    enter_for_completion();
    let paths = context::paths();
    let labs = paths.labs().unwrap_or_default();
    let mut candidates = Vec::new();
    for lab in &labs {
        let mut nodes = pins::list(&paths.lab(lab)).unwrap_or_default();
        nodes.sort();
        let names =
            nodes.into_iter().map(|node| if labs.len() == 1 { node } else { format!("{lab}/{node}") });
        candidates.extend(names.map(CompletionCandidate::new));
    }
    candidates
}

/// An ordinary user's labs are seen from inside the user's namespaces. A failure means no candidates.
fn enter_for_completion() {
    if rootless::needed()
        && let Ok(Some(entered)) =
            rootless::enter(&rootless::RuntimeDir::find(), false, &|| std::process::Command::new("true"))
    {
        // The process ends after it has answered.
        std::mem::forget(entered);
    }
}
