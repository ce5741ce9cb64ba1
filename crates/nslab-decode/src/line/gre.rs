//! GRE and Geneve.

use crate::layers::{Geneve, Gre, Tunnelled};
use crate::line::{Out, ether, put};

impl Out<'_, '_> {
    pub(super) fn gre(&mut self, gre: &Gre<'_>) {
        put!(self, "GREv{}", gre.version);
        if gre.version != 0 {
            put!(self, ", proto 0x{:04x}, length {}", gre.protocol, gre.data.length());
            return;
        }
        let flags = gre.flags;
        if self.verbose() {
            self.say(", Flags [");
            let names = [
                (0x80, "checksum present"),
                (0x40, "routing present"),
                (0x20, "key present"),
                (0x10, "sequence# present"),
            ];
            self.flags(flags.to_be_bytes()[0], &names);
            self.say("]");
        }
        if flags & 0xc000 != 0 {
            if self.verbose() {
                put!(self, ", sum 0x{:x}", gre.data.u16(4).unwrap_or_default());
            }
            put!(self, ", off 0x{:x}", gre.data.u16(6).unwrap_or_default());
        }
        if let Some(key) = gre.key {
            put!(self, ", key=0x{key:x}");
        }
        if let Some(sequence) = gre.sequence {
            put!(self, ", seq {sequence}");
        }
        if self.style.link {
            let name = ether::name(gre.protocol).unwrap_or("unknown");
            put!(self, ", proto {name} (0x{:04x})", gre.protocol);
        }
        put!(self, ", length {}", gre.data.length());
        self.tunnelled(&gre.payload, gre.protocol, "gre");
    }

    pub(super) fn geneve(&mut self, geneve: &Geneve<'_>) {
        let Geneve { flags, protocol, vni, .. } = *geneve;
        let letters = ["none", "C", "O", "OC"][usize::from(flags >> 6)];
        put!(self, "Geneve, Flags [{letters}], vni 0x{vni:x}");
        if self.style.link {
            put!(self, ", proto {} (0x{protocol:04x})", ether::name(protocol).unwrap_or("unknown"));
        }
        if geneve.options.length() > 0 {
            put!(self, ", options [{} bytes]", geneve.options.length());
        }
        self.tunnelled(&geneve.payload, protocol, "geneve");
    }

    fn tunnelled(&mut self, payload: &Tunnelled<'_>, protocol: u16, name: &str) {
        self.say(if self.verbose() { "\n\t" } else { ": " });
        match payload {
            Tunnelled::Frame(frame) => self.frame(frame),
            Tunnelled::Packet(packet) => self.network(packet),
            Tunnelled::Payload(_) => put!(self, "{name}-proto-0x{protocol:x}"),
            Tunnelled::Broken(broken) => self.broken_network(broken),
        }
    }
}
