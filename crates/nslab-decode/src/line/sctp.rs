//! SCTP.

use crate::layers::ip::protocol;
use crate::layers::{Sctp, SctpChunk};
use crate::line::ip::Carrier;
use crate::line::{Out, put};

impl Out<'_, '_> {
    pub(super) fn sctp(&mut self, sctp: &Sctp<'_>, carrier: Carrier) {
        self.ends_with_ports(carrier, protocol::SCTP, sctp.source_port, sctp.destination_port);
        self.say("sctp");
        for (number, chunk) in sctp.chunks.enumerate() {
            if number > 0 {
                self.say(",");
            }
            put!(self, " ({}) ", number + 1);
            self.sctp_chunk(&chunk);
        }
    }

    fn sctp_chunk(&mut self, chunk: &SctpChunk<'_>) {
        let name = match chunk.kind {
            0 => "DATA",
            1 => "INIT",
            2 => "INIT ACK",
            3 => "SACK",
            4 => "HB REQ",
            5 => "HB ACK",
            6 => "ABORT",
            7 => "SHUTDOWN",
            8 => "SHUTDOWN ACK",
            9 => "OP ERR",
            10 => "COOKIE ECHO",
            11 => "COOKIE ACK",
            12 => "ECN ECHO",
            13 => "CWR",
            14 => "SHUTDOWN COMPLETE",
            kind => return put!(self, "[Unknown chunk type: 0x{kind:x}] "),
        };
        put!(self, "[{name}] ");
        let value = chunk.value;
        let (u16, u32) = (|at| value.u16(at).unwrap_or_default(), |at| value.u32(at).unwrap_or_default());
        match chunk.kind {
            0 => {
                for (flag, letter) in [(4, "(U)"), (2, "(B)"), (1, "(E)")] {
                    self.say(if chunk.flags & flag == 0 { "" } else { letter });
                }
                if chunk.flags & 7 != 0 {
                    self.say(" ");
                }
                put!(self, "[TSN: {}] [SID: {}] [SSEQ {}] [PPID 0x{:x}] ", u32(0), u16(4), u16(6), u32(8));
            }
            1 | 2 => {
                put!(self, "[init tag: {}] [rwnd: {}] ", u32(0), u32(4));
                put!(self, "[OS: {}] [MIS: {}] [init TSN: {}] ", u16(8), u16(10), u32(12));
            }
            3 => {
                put!(self, "[cum ack {}] [a_rwnd {}] ", u32(0), u32(4));
                put!(self, "[#gap acks {}] [#dup tsns {}] ", u16(8), u16(10));
            }
            _ => {}
        }
    }
}
