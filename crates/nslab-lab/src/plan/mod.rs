//! A plan: every change to the kernel that brings a lab from what is to what shall be, in order.

mod interface;
mod interface_shell;
mod inverse;
mod prose;
mod shell;
mod step;
mod view_shell;

pub use interface::{InterfaceSettings, WireguardSettings, shape};
pub use step::{
    BridgeSettings, LINK_GROUP, LinkChange, NamespaceRef, Op, Role, Stage, StageKind, Step, VethEnd,
    namespace_mark,
};

use serde::{Deserialize, Serialize};

/// What is to be done, stage by stage. Steps of one stage that concern different namespaces do not depend on each
/// other; steps of one namespace are done in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The lab.
    pub lab: String,
    /// The namespaces that steps name by their index here.
    pub namespaces: Vec<NamespaceRef>,
    /// The stages in order; none is empty.
    pub stages: Vec<Stage>,
    /// What was found in the lab's namespaces and is left alone, in words.
    pub notes: Vec<String>,
    /// What stands in the way and is not the lab's to take away; a plan with conflicts is not carried out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

/// Something foreign under a name that the lab needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// What it is.
    pub name: String,
    /// Who holds it, as far as can be seen.
    pub holder: String,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.stages.iter().map(|stage| stage.steps.len()).sum()
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// The tables of nftables that it loads.
    pub fn tables(&self) -> impl Iterator<Item = &nslab_kernel::nftables::Table> {
        self.steps().filter_map(|step| match &step.op {
            Op::ReplaceTable { table, .. } => table.as_deref(),
            _ => None,
        })
    }

    /// Adds a stage, unless it is empty.
    pub fn push(&mut self, kind: StageKind, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.stages.push(Stage { kind, steps });
        }
    }
}
