//! Labs and topologies as lab files.

mod expectation;
mod interfaces;
mod lab;
mod policy;
pub(crate) mod text;
mod topology;
mod words;

use crate::lab::Lab;
use crate::model::Topology;

impl Lab {
    /// A lab file that says the same: it reads and resolves to the same topology.
    pub fn to_yaml(&self) -> String {
        lab::write(self)
    }

    /// The lab whose description leaves nothing open and resolves to this topology.
    ///
    /// Edits of a lab that was read from a file are better made on this one: nothing that was chosen changes then.
    pub fn from_topology(topology: &Topology) -> Self {
        topology::describe(topology)
    }
}

/// A lab file that says everything of a topology: `addressing: none`, `routing: none`, every name, MAC and address.
///
/// It resolves to the same topology, but that derived routes are written ones ([`crate::model::Route::derived`]).
pub fn to_yaml(topology: &Topology) -> String {
    Lab::from_topology(topology).to_yaml()
}
