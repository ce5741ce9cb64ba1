//! What later releases build and this one only reads: VLANs.

use super::{Decoder, checked};
use crate::diagnostic::{Diagnostic, Span};
use crate::yaml::{Kind, Value};

impl Decoder {
    /// `vlan:` and `vlans:`, of a switch or a port: numbers, or mappings with an `id`.
    pub(super) fn vlans(&mut self, value: &Value, span: Span) {
        for item in value.items() {
            match &item.kind {
                Kind::Map(entries) => {
                    for (key, value) in entries {
                        match key.text.as_str() {
                            "id" => checked(self.vlan_id(value)),
                            "name" => checked(self.string(value, "the VLAN's name")),
                            "tagged" | "untagged" | "pvid" => checked(self.bool(value, &key.text)),
                            _ => {
                                self.unknown_key(
                                    key,
                                    "a VLAN",
                                    &["id", "name", "tagged", "untagged", "pvid"],
                                );
                            }
                        }
                    }
                    if !entries.iter().any(|(key, _)| key.text == "id") {
                        self.missing_key(item.span, "a VLAN", "id");
                    }
                }
                _ => checked(self.vlan_id(item)),
            }
        }
        if !value.is_empty() {
            self.pending("VLANs", span);
        }
    }

    fn vlan_id(&mut self, value: &Value) -> Option<u64> {
        self.number(value, "a VLAN", 1..=4094).map(|id| id.value)
    }

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
