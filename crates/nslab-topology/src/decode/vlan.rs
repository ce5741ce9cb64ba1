//! VLANs of switches and their ports, isolated ports, static forwarding entries.

use nslab_types::MacAddr;

use super::Decoder;
use crate::diagnostic::{Diagnostic, Problem, Span, Spanned};
use crate::lab::{End, FdbEntry, SwitchVlan};
use crate::model::PortVlan;
use crate::yaml::{Key, Kind, Value};

const SWITCH_VLAN_KEYS: &[&str] = &["id", "name", "subnet", "subnets"];
const PORT_VLAN_KEYS: &[&str] = &["id", "untagged", "pvid"];
const FDB_KEYS: &[&str] = &["mac", "port", "vlan"];

/// The keys of a port, at an end or at a link whose switch has it.
pub(super) const PORT_KEYS: &[&str] = &["vlan", "vlans", "native", "isolated"];

/// What a port of a switch is given, as far as it is read.
#[derive(Default)]
pub(super) struct PortOptions {
    vlans: Vec<Spanned<PortVlan>>,
    /// Where VLANs are spoken of.
    vlans_at: Option<Span>,
    native: Option<Spanned<u16>>,
    isolated: Option<Spanned<bool>>,
}

impl PortOptions {
    pub(super) fn is_empty(&self) -> bool {
        self.vlans_at.is_none() && self.isolated.is_none()
    }

    /// Where it is spoken of.
    pub(super) fn span(&self) -> Option<Span> {
        self.vlans_at.or(self.isolated.as_ref().and_then(|isolated| isolated.span))
    }

    /// Gives an end what it does not say itself; VLANs only if told to.
    pub(super) fn give(&self, end: &mut End, vlans: bool, d: &mut Decoder) {
        if end.isolated.is_none() {
            end.isolated.clone_from(&self.isolated);
        }
        if vlans && end.vlans.is_none() && self.vlans_at.is_some() {
            end.vlans = Some(Spanned::new(self.settle(d), self.vlans_at));
        }
    }

    /// The VLANs, each once.
    fn settle(&self, d: &mut Decoder) -> Vec<PortVlan> {
        let mut all: Vec<PortVlan> = Vec::new();
        for vlan in &self.vlans {
            if all.iter().any(|other| other.id == vlan.id) {
                d.push(
                    Diagnostic::error("duplicate-vlan", format!("this port has VLAN {} twice", vlan.id))
                        .at(vlan.span, ""),
                );
                continue;
            }
            all.push(vlan.value);
        }
        if let Some(native) = &self.native {
            all.retain(|vlan| vlan.id != native.value);
            all.push(PortVlan::native(native.value));
        }
        let mut natives = all.iter().filter(|vlan| vlan.pvid);
        if let (Some(one), Some(two)) = (natives.next(), natives.next()) {
            d.push(
                Diagnostic::error(
                    "several-natives",
                    format!("untagged frames of this port would belong to VLAN {} and to {}", one.id, two.id),
                )
                .at(self.vlans_at, "")
                .help("a port has one VLAN with `pvid`, which is its native one"),
            );
        }
        all.sort_unstable();
        all
    }
}

impl Decoder {
    /// One of [`PORT_KEYS`].
    pub(super) fn port_option(&mut self, key: &Key, value: &Value, options: &mut PortOptions) {
        match key.text.as_str() {
            "isolated" => {
                let isolated = self.bool(value, "`isolated`");
                options.isolated = isolated.map(|isolated| Spanned::new(isolated, key.span));
            }
            "native" => {
                options.native = self.vlan_id(value);
                options.vlans_at = options.vlans_at.or(Some(key.span));
            }
            "vlan" => {
                let access = self.essential(|d| d.vlan_id(value));
                options.vlans.extend(access.map(|id| id.map(PortVlan::native)));
                options.vlans_at = options.vlans_at.or(Some(key.span));
            }
            _ => {
                for item in value.items() {
                    let vlans = self.essential(|d| d.port_vlans(item));
                    options.vlans.extend(vlans);
                }
                options.vlans_at = options.vlans_at.or(Some(key.span));
            }
        }
    }

    /// `10`, `10-20`, or a mapping with an `id`.
    fn port_vlans(&mut self, item: &Value) -> Vec<Spanned<PortVlan>> {
        let tagged = |id| PortVlan { id, pvid: false, untagged: false };
        let Kind::Map(entries) = &item.kind else {
            if let Kind::Scalar(scalar) = &item.kind
                && let Some((first, last)) = scalar.text.split_once('-')
                && let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>())
            {
                if first < 1 || first > last || last > 4094 {
                    self.push(
                        Diagnostic::error("bad-number", format!("{} is no range of VLANs", scalar.text))
                            .at(item.span, "")
                            .help("a range is such as 10-20, from 1 to 4094"),
                    );
                    return Vec::new();
                }
                return (first..=last).map(|id| Spanned::new(tagged(id), item.span)).collect();
            }
            return self.vlan_id(item).map(|id| id.map(tagged)).into_iter().collect();
        };
        let mut vlan = None;
        let (mut untagged, mut pvid) = (None, None);
        for (key, value) in entries {
            match key.text.as_str() {
                "id" => vlan = self.vlan_id(value),
                "untagged" => untagged = self.bool(value, "`untagged`"),
                "pvid" => pvid = self.bool(value, "`pvid`"),
                _ => self.unknown_key(key, "a port's VLAN", PORT_VLAN_KEYS),
            }
        }
        if !entries.iter().any(|(key, _)| key.text == "id") {
            self.missing_key(item.span, "a VLAN", "id");
        }
        let vlan = vlan.map(|id| {
            id.map(|id| PortVlan {
                id,
                pvid: pvid.unwrap_or_default(),
                untagged: untagged.unwrap_or_default(),
            })
        });
        vlan.into_iter().collect()
    }

    pub(super) fn vlan_id(&mut self, value: &Value) -> Option<Spanned<u16>> {
        self.number32(value, "a VLAN", 1..=4094).map(|id| id.map(|id| u16::try_from(id).unwrap_or_default()))
    }

    /// `vlans:` of a switch.
    pub(super) fn switch_vlans(&mut self, value: &Value) -> Vec<SwitchVlan> {
        let mut vlans: Vec<SwitchVlan> = Vec::new();
        for item in value.items() {
            let (mut id, mut subnets) = (None, Vec::new());
            if let Kind::Map(entries) = &item.kind {
                for (key, value) in entries {
                    match key.text.as_str() {
                        "id" => id = self.vlan_id(value),
                        "name" => super::checked(self.string(value, "the VLAN's name")),
                        "subnet" | "subnets" => subnets.extend(self.subnets(value)),
                        _ => self.unknown_key(key, "a switch's VLAN", SWITCH_VLAN_KEYS),
                    }
                }
                if !entries.iter().any(|(key, _)| key.text == "id") {
                    self.missing_key(item.span, "a VLAN", "id");
                }
            } else {
                id = self.vlan_id(item);
            }
            let Some(id) = id else { continue };
            if let Some(other) = vlans.iter().find(|other| other.id == id) {
                let error = Diagnostic::error("duplicate-vlan", format!("VLAN {} is here twice", id.value))
                    .at(id.span, "again here")
                    .because(other.id.span, "first here");
                self.push(error);
                continue;
            }
            vlans.push(SwitchVlan { id, subnets });
        }
        vlans
    }

    /// `fdb:` of a switch.
    pub(super) fn fdb(&mut self, value: &Value) -> Vec<Spanned<FdbEntry>> {
        let mut all = Vec::new();
        for item in value.items() {
            let Kind::Map(entries) = &item.kind else {
                self.wrong_type(item, "a mapping with `mac`, `port` and `vlan`");
                continue;
            };
            let (mut mac, mut port, mut vlan) = (None, None, None);
            for (key, value) in entries {
                match key.text.as_str() {
                    "mac" => {
                        mac = self.parsed(value, "a MAC", |text| {
                            let mac = text.parse::<MacAddr>();
                            mac.map_err(|error| Problem::new("bad-mac", error.to_string()))
                        });
                    }
                    "port" => port = self.text(value, "a port of the switch").map(super::Text::spanned),
                    "vlan" => vlan = self.vlan_id(value),
                    _ => self.unknown_key(key, "a forwarding entry", FDB_KEYS),
                }
            }
            for needed in ["mac", "port"] {
                if !entries.iter().any(|(key, _)| key.text == needed) {
                    self.missing_key(item.span, "a forwarding entry", needed);
                }
            }
            if let (Some(mac), Some(port)) = (mac, port) {
                if !mac.is_unicast() {
                    self.push(
                        Diagnostic::error(
                            "bad-mac",
                            format!("{} is no single interface's address", mac.value),
                        )
                        .at(mac.span, ""),
                    );
                }
                all.push(Spanned::new(FdbEntry { mac: mac.value, vlan, port }, item.span));
            }
        }
        all
    }
}
