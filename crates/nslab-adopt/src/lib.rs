//! Lab files of networks that are there already, whoever made them.
//!
//! ```text
//! Snapshot ──choose─▶ namespaces, with a node's name each ──draft─▶ Lab ──check─▶ lab file
//!                                                              └── what a lab file cannot say
//! ```
//!
//! [`adopt`] describes the namespaces of a snapshot as a [`Lab`] with nothing left to choose, so that building it gives the
//! same network elsewhere. What a lab file has no words for is in [`Adopted::skipped`], each thing with its namespace and
//! the reason. Pure: a function of a snapshot.

mod addresses;
mod bare;
mod check;
mod choose;
mod draft;
mod firewall;
mod interfaces;
mod links;
mod names;
mod queues;
mod routing;
mod switches;
mod sysctls;
mod write;

use nslab_snapshot::Snapshot;
use nslab_topology::{Diagnostics, Lab, Topology};
use serde::Serialize;

pub use choose::Wanted;
pub use write::lab_name;

/// A network that was described.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The lab.
    pub lab: Lab,
    /// The same with every choice made.
    pub topology: Topology,
    /// The lab file, with comments that say what each node is and what is missing.
    pub lab_file: String,
    /// Which namespace each node and switch describes, in the order of the lab file.
    pub names: Vec<Named>,
    /// What a lab file could not express, namespace by namespace.
    pub skipped: Vec<Skipped>,
}

/// A node or switch, and what it describes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its name in the lab file.
    pub node: String,
    /// What people call the namespace.
    pub namespace: String,
}

/// Something that a lab file could not express.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// What people call the namespace.
    pub namespace: String,
    /// The object in it, in the words of ip(8), nft(8) and the like.
    pub object: String,
    /// Why, and what the lab file has instead if it has anything.
    pub why: String,
}

/// Why there is no lab file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A namespace that was named could not be read.
    #[error("{namespace} could not be read: {why}")]
    Unreadable {
        /// What people call it.
        namespace: String,
        /// Why, a sentence's part.
        why: String,
    },
    /// There is no namespace to describe.
    #[error("there is no namespace to describe besides the host's own")]
    Nothing,
    /// What was made is no lab file that loads, and it is not known which part is to blame. Never, unless nslab is wrong.
    #[error("the lab file that was made does not load: {0}")]
    Refused(#[from] Diagnostics),
}

/// Describes namespaces of a snapshot as a lab of this name, which must be one that a lab can have.
pub fn adopt(snapshot: &Snapshot, wanted: &Wanted, name: &str) -> Result<Adopted, Error> {
    let (spaces, unread) = choose::spaces(snapshot, wanted)?;
    let mut draft = draft::Draft::new(snapshot, spaces, name);
    for (namespace, why) in unread {
        draft.skipped.push(Skipped { namespace, object: "the whole namespace".to_owned(), why });
    }
    draft.describe();
    let topology = check::settle(&mut draft)?;
    draft.chosen_ends(&topology);
    let (lab, topology) = bare::leave_out_what_is_chosen(draft.lab.clone(), topology);
    write::finish(draft, lab, topology)
}
