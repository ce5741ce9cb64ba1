//! `switches:`.

use super::Decoder;
use super::top::MAX_DEVICES;
use crate::diagnostic::Spanned;
use crate::lab::Switch;
use crate::yaml::Value;

const KEYS: &[&str] = &[
    "count",
    "mtu",
    "stp",
    "multicast_snooping",
    "ageing",
    "subnet",
    "subnets",
    "paths",
    "vlan_filtering",
    "vlans",
];

impl Decoder {
    pub(super) fn switches(&mut self, value: &Value) -> Vec<Switch> {
        let mut switches = Vec::new();
        for (key, value) in self.entries(value, "a mapping of names to switches") {
            let room = MAX_DEVICES.saturating_sub(switches.len());
            for (name, index) in self.repeated(key, value, room) {
                let name = Spanned::new(name, key.span);
                switches.push(self.numbered(index, |d| d.switch(name, value)));
            }
        }
        switches
    }

    fn switch(&mut self, name: Spanned<String>, value: &Value) -> Switch {
        let mut switch = Switch::new(name);
        for (key, value) in self.entries(value, "a mapping of the switch's options") {
            match key.text.as_str() {
                "count" => {}
                "mtu" => switch.mtu = self.mtu(value),
                "stp" => switch.stp = self.bool(value, "`stp`").unwrap_or_default(),
                "multicast_snooping" => {
                    switch.multicast_snooping = self.bool(value, "`multicast_snooping`").unwrap_or(true);
                }
                "ageing" => switch.ageing = self.duration(value, "how long learned addresses are kept"),
                "subnet" | "subnets" => switch.subnets.extend(self.subnets(value)),
                "paths" => switch.paths.extend(self.paths(value)),
                "vlan_filtering" => {
                    if self.bool(value, "`vlan_filtering`") == Some(true) {
                        self.pending("VLAN filtering on a switch", key.span);
                    }
                }
                "vlans" => self.vlans(value, key.span),
                _ => self.unknown_key(key, "a switch", KEYS),
            }
        }
        switch
    }

    pub(super) fn mtu(&mut self, value: &Value) -> Option<Spanned<u32>> {
        self.number32(value, "an MTU", 68..=65535)
    }
}
