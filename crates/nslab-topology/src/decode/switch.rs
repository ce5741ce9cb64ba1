//! `switches:`.

use super::Decoder;
use super::top::MAX_DEVICES;
use crate::diagnostic::{Diagnostic, Spanned};
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
    "fdb",
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
        let (mut filtering, mut vlans_at) = (None, None);
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
                    filtering = self.bool(value, "`vlan_filtering`").map(|on| Spanned::new(on, key.span));
                }
                "vlans" => {
                    switch.vlans = self.essential(|d| d.switch_vlans(value));
                    vlans_at = (!value.is_empty()).then_some(key.span);
                }
                "fdb" => switch.fdb = self.fdb(value),
                _ => self.unknown_key(key, "a switch", KEYS),
            }
        }
        switch.vlan_filtering = filtering.as_ref().map_or(vlans_at.is_some(), |filtering| filtering.value);
        if let (Some(filtering), Some(vlans_at), false) = (filtering, vlans_at, switch.vlan_filtering) {
            self.push(
                Diagnostic::error("no-vlan-filtering", "a switch that does not filter VLANs has none")
                    .at(vlans_at, "")
                    .because(filtering.span, "here it is turned off")
                    .help("leave `vlan_filtering` out: `vlans` turns it on"),
            );
        }
        switch
    }

    pub(super) fn mtu(&mut self, value: &Value) -> Option<Spanned<u32>> {
        self.number32(value, "an MTU", 68..=65535)
    }
}
