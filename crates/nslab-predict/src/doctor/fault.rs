//! What is told of a fault.

use nslab_kernel::link::IfIndex;
use serde::Serialize;

use crate::Code;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Packets are lost.
    Error,
    /// Packets may be lost, or go elsewhere than meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The place of the namespace in the snapshot.
    #[serde(skip)]
    pub namespace: usize,
    /// What people call the namespace.
    pub ns: String,
    /// The interface.
    #[serde(skip)]
    pub link: Option<IfIndex>,
    /// The object, in words.
    pub object: String,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How bad.
    pub severity: Severity,
    /// The code, as for the causes of lost packets.
    pub code: Code,
    /// What is wrong, a sentence.
    pub text: String,
    /// Where, the object to blame first.
    #[serde(rename = "where")]
    pub places: Vec<Place>,
    /// What it can be seen by.
    pub evidence: Vec<String>,
    /// What mends it, commands to be typed; none where that is for people to decide.
    pub fix: Vec<String>,
}
