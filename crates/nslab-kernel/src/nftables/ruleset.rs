//! All tables of a namespace.

use serde::{Deserialize, Serialize};

use super::family::Family;
use super::table::Table;

/// All tables of a namespace at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ruleset {
    /// The number that the kernel counts up with every transaction (`NFTA_GEN_ID`). It is never 0.
    pub generation: u32,
    /// The tables, in the order in which they were made.
    pub tables: Vec<Table>,
}

impl Ruleset {
    /// The table of this family and name.
    pub fn table(&self, family: Family, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.id.family == family && table.id.name == name)
    }
}
