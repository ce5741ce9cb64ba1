//! UDP.

use crate::checksum::Checked;
use crate::layers::ip::protocol;
use crate::layers::{Udp, UdpPayload, Vxlan};
use crate::line::ip::Carrier;
use crate::line::{Out, put};

impl Out<'_, '_> {
    pub(super) fn udp(&mut self, udp: &Udp<'_>, carrier: Carrier) {
        self.ends_with_ports(carrier, protocol::UDP, udp.source_port, udp.destination_port);
        // IPv6 has no datagrams without one (RFC 8200 8.1); of IPv4 checksums are less often of interest.
        let shows = if carrier.is_ipv6 { 1 } else { 2 };
        if self.style.verbosity >= shows && !self.style.unchecked && !carrier.is_fragment {
            let found = udp.checksum;
            match udp.check(carrier.ends) {
                Checked::Absent => self.say("[no cksum] "),
                Checked::Correct => self.say("[udp sum ok] "),
                Checked::Incorrect { .. } if self.is_partial => {
                    put!(self, "[partial udp cksum 0x{found:04x}] ");
                }
                Checked::Incorrect { wanted } => {
                    put!(self, "[bad udp cksum 0x{found:04x} -> 0x{wanted:04x}!] ");
                }
                Checked::Unknown | Checked::Partial => {}
            }
        }
        match &udp.payload {
            UdpPayload::Dns(dns) => {
                self.dns(dns, udp.source_port == 5353 || udp.destination_port == 5353);
            }
            UdpPayload::Dhcp(dhcp) => self.dhcp(dhcp),
            UdpPayload::Dhcp6(dhcp) => self.dhcp6(dhcp),
            UdpPayload::Ntp { version, mode, data } => {
                let mode = match mode {
                    1 => "symmetric active",
                    2 => "symmetric passive",
                    3 => "Client",
                    4 => "Server",
                    5 => "Broadcast",
                    6 => "Control Message",
                    7 => "Reserved",
                    _ => "unspecified",
                };
                put!(self, "NTPv{version}, {mode}, length {}", data.length());
            }
            UdpPayload::Geneve(geneve) => self.geneve(geneve),
            UdpPayload::Vxlan(vxlan) => self.vxlan(vxlan),
            UdpPayload::Payload(_) => {
                self.say("UDP, ");
                let said = usize::from(udp.length);
                if said > udp.data.length() && !carrier.is_fragment {
                    put!(self, "bad length {} > {}", said - 8, udp.data.length() - 8);
                } else {
                    self.say("length ");
                    self.number(u32::from(udp.length.saturating_sub(8)));
                }
            }
            UdpPayload::Broken(broken) => self.broken(broken),
        }
    }

    fn vxlan(&mut self, vxlan: &Vxlan<'_>) {
        let flags = vxlan.flags;
        put!(
            self,
            "VXLAN, flags [{}] (0x{flags:02x}), vni {}",
            if flags & 8 == 0 { "invalid" } else { "I" },
            vxlan.vni
        );
        if let Some(inner) = &vxlan.inner {
            self.say("\n");
            self.frame(inner);
        }
    }
}
