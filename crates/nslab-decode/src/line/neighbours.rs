//! What devices say to who is at the other end of the cable: spanning trees, LLDP, LACP.

use crate::layers::{BridgeId, Llc, LlcPayload, Lldp, Slow, Stp};
use crate::line::dns::write_text;
use crate::line::{Out, ether, hex, put};

impl Out<'_, '_> {
    pub(super) fn llc(&mut self, llc: &Llc<'_>) {
        let Llc { dsap, ssap, control, .. } = *llc;
        if self.style.link {
            let group = if dsap & 1 == 0 { "Individual" } else { "Group" };
            let answer = if ssap & 1 == 0 { "Command" } else { "Response" };
            put!(
                self,
                "LLC, dsap {} (0x{dsap:02x}) {group}, ssap {} (0x{ssap:02x}) {answer}, ctrl 0x{control:02x}: ",
                sap(dsap),
                sap(ssap)
            );
        }
        match &llc.payload {
            LlcPayload::Stp(stp) => self.stp(stp),
            LlcPayload::Snap { organisation, kind, network } => {
                if self.style.link {
                    put!(
                        self,
                        "oui Ethernet (0x{organisation:06x}), ethertype {} (0x{kind:04x}), length {}: ",
                        ether::name(*kind).unwrap_or("Unknown"),
                        llc.data.length().saturating_sub(5)
                    );
                }
                self.network(network);
            }
            LlcPayload::Payload(data) => {
                if !self.style.link {
                    put!(
                        self,
                        "LLC, dsap {} (0x{dsap:02x}), ssap {} (0x{ssap:02x}), ctrl 0x{control:02x}: ",
                        sap(dsap),
                        sap(ssap)
                    );
                }
                put!(self, "length {}", data.length());
            }
            LlcPayload::Broken(broken) => self.broken_network(broken),
        }
    }

    fn bridge(&mut self, bridge: BridgeId) {
        put!(self, "{:04x}.{}", bridge.priority, bridge.address);
    }

    fn stp(&mut self, stp: &Stp<'_>) {
        self.say("STP ");
        self.say(match stp.version {
            0 => "802.1d",
            2 => "802.1w",
            3 => "802.1s",
            4 => "802.1aq",
            _ => "Unknown STP protocol",
        });
        let Some(configuration) = &stp.configuration else { return self.say(", Topology Change") };
        self.say(match stp.kind {
            0 => ", Config",
            2 => ", Rapid STP",
            _ => ", unknown",
        });
        let flags = [
            (0x01, "Topology change"),
            (0x02, "Proposal"),
            (0x10, "Learn"),
            (0x20, "Forward"),
            (0x40, "Agreement"),
            (0x80, "Topology change ACK"),
        ];
        self.say(", Flags [");
        self.flags(configuration.flags, &flags);
        self.say("], bridge-id ");
        self.bridge(configuration.bridge);
        put!(self, ".{:04x}, length {}", configuration.port, stp.data.length());
        if !self.verbose() {
            return;
        }
        let times = [
            ("message-age", configuration.message_age),
            ("max-age", configuration.max_age),
            ("hello-time", configuration.hello_time),
            ("forwarding-delay", configuration.forward_delay),
        ];
        for (number, (name, time)) in times.into_iter().enumerate() {
            self.say(if number == 0 { "\n\t" } else { ", " });
            let seconds = f32::from(time) / 256.0;
            put!(self, "{name} {seconds:.2}s");
        }
        self.say("\n\troot-id ");
        self.bridge(configuration.root);
        put!(self, ", root-pathcost {}", configuration.root_cost);
        if stp.kind == 2 {
            let role =
                ["Unknown", "Alternate", "Root", "Designated"][usize::from(configuration.flags >> 2 & 3)];
            put!(self, ", port-role {role}");
        }
    }

    pub(super) fn lldp(&mut self, lldp: &Lldp<'_>) {
        put!(self, "LLDP, length {}", lldp.data.length());
        if let Some(name) = lldp.items().find(|item| item.kind == 5) {
            self.say(": ");
            write_text(name.value.bytes(), self.text);
        }
    }

    pub(super) fn slow(&mut self, slow: &Slow<'_>) {
        let length = slow.data.length();
        match slow.subtype {
            1 => put!(self, "LACPv{}, length {length}", slow.version),
            2 => put!(self, "MARKERv{}, length {length}", slow.version),
            3 => put!(self, "OAM, length {length}"),
            subtype => {
                put!(self, "unknown ({subtype}), length {length}");
                hex::lines(self, slow.data.bytes(), "\n\t", false);
            }
        }
        let Some([actor, partner]) = slow.lacp.filter(|_| self.verbose()) else { return };
        for (name, number, end) in [("Actor", 1, actor), ("Partner", 2, partner)] {
            put!(self, "\n\t{name} Information TLV (0x0{number}), length 20");
            put!(self, "\n\t  System {}, System Priority {}", end.system, end.system_priority);
            put!(self, ", Key {}, Port {}, Port Priority {}", end.key, end.port, end.port_priority);
            self.say("\n\t  State Flags [");
            let flags = [
                (0x01, "Activity"),
                (0x02, "Timeout"),
                (0x04, "Aggregation"),
                (0x08, "Synchronization"),
                (0x10, "Collecting"),
                (0x20, "Distributing"),
                (0x40, "Default"),
                (0x80, "Expired"),
            ];
            self.flags(end.state, &flags);
            self.say("]");
        }
    }
}

/// What tcpdump calls a service access point.
fn sap(number: u8) -> &'static str {
    match number & 0xfe {
        0x00 => "Null",
        0x02 => "802.1B I",
        0x06 => "IP",
        0x42 => "STP",
        0xaa => "SNAP",
        0xe0 => "IPX",
        0xf0 => "NetBeui",
        0xfe if number == 0xfe => "OSI",
        0xfe => "Global",
        _ => "Unknown",
    }
}
