//! Names of nodes and switches in expectations and the like.

use super::Decoder;
use crate::diagnostic::{Diagnostic, Span};

impl Decoder {
    /// Checks that a name is a node, a switch or a group of them.
    pub(super) fn known_name(&mut self, name: &str, span: Span) {
        if self.names.contains_key(name) {
            return;
        }
        let hint = crate::diagnostic::did_you_mean(name, self.names.keys().map(String::as_str));
        let mut error =
            Diagnostic::error("unknown-node", format!("there is no node or switch `{name}`")).at(span, "");
        error.help.extend(hint);
        self.push(error);
    }
}
