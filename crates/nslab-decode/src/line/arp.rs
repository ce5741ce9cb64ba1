//! ARP.

use nslab_types::MacAddr;

use crate::layers::{Arp, ArpOperation, ethertype};
use crate::line::{Out, put};

impl Out<'_, '_> {
    pub(super) fn arp(&mut self, arp: &Arp<'_>) {
        if !self.style.link {
            self.say("ARP, ");
        }
        let Arp { hardware, protocol, hardware_length, protocol_length, .. } = *arp;
        let common = (hardware, protocol, hardware_length, protocol_length) == (1, 0x0800, 6, 4);
        if self.verbose() || !common {
            if hardware == 1 {
                self.say("Ethernet");
            } else {
                put!(self, "Unknown Hardware ({hardware})");
            }
            put!(self, " (len {hardware_length}), ");
            if protocol == ethertype::IPV4 {
                self.say("IPv4");
            } else {
                put!(self, "Unknown Protocol (0x{protocol:04x})");
            }
            put!(self, " (len {protocol_length}), ");
        }
        match arp.operation {
            ArpOperation::Request => self.say("Request"),
            ArpOperation::Reply => self.say("Reply"),
            ArpOperation::ReverseRequest => self.say("Reverse Request"),
            ArpOperation::ReverseReply => self.say("Reverse Reply"),
            ArpOperation::InverseRequest => self.say("Inverse Request"),
            ArpOperation::InverseReply => self.say("Inverse Reply"),
            ArpOperation::Other(number) => put!(self, "Unknown ({number})"),
        }
        let length = arp.data.length();
        if let Some(addresses) = arp.addresses {
            let unset = addresses.target_mac == MacAddr([0; 6]);
            match arp.operation {
                ArpOperation::Request => {
                    put!(self, " who-has {}", addresses.target);
                    if !unset {
                        put!(self, " ({})", addresses.target_mac);
                    }
                    put!(self, " tell {}", addresses.sender);
                }
                ArpOperation::Reply => put!(self, " {} is-at {}", addresses.sender, addresses.sender_mac),
                ArpOperation::ReverseRequest | ArpOperation::InverseRequest => {
                    put!(self, " who-is {} tell {}", addresses.target_mac, addresses.sender_mac);
                }
                ArpOperation::ReverseReply => {
                    put!(self, " {} at {}", addresses.target_mac, addresses.target);
                }
                ArpOperation::InverseReply => put!(self, " {} at {}", addresses.sender_mac, addresses.sender),
                ArpOperation::Other(_) => {}
            }
        }
        put!(self, ", length {length}");
    }
}
