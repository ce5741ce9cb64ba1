//! What later releases build and this one only reads of a node.

use super::{Decoder, checked};
use crate::yaml::{Key, Kind, Value};

const UPLINK_KEYS: &[&str] = &["interface", "masquerade", "ipv4", "ipv6"];

impl Decoder {
    /// `uplink` of a node.
    pub(super) fn later(&mut self, key: &Key, value: &Value) {
        let mut wanted =
            !value.is_empty() && !matches!(&value.kind, Kind::Scalar(scalar) if scalar.text.is_empty());
        match &value.kind {
            Kind::Map(entries) => {
                for (key, value) in entries {
                    match key.text.as_str() {
                        "interface" => checked(self.string(value, "an interface")),
                        "masquerade" | "ipv4" | "ipv6" => checked(self.bool(value, &key.text)),
                        _ => self.unknown_key(key, "`uplink`", UPLINK_KEYS),
                    }
                }
            }
            Kind::Scalar(scalar) if scalar.text == "false" => wanted = false,
            Kind::Scalar(_) => checked(self.string(value, "`true` or an interface")),
            Kind::Null => {}
            Kind::List(_) => self.wrong_type(value, "`true`, an interface or a mapping"),
        }
        if wanted {
            self.pending(format!("a node's `{}`", key.text), key.span);
        }
    }
}
