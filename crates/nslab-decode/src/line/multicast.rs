//! IGMP and listener discovery.

use crate::checksum::Checked;
use crate::layers::{GroupRecords, Icmpv6, Icmpv6Message, Igmp, Sources};
use crate::line::{Out, put};

impl Out<'_, '_> {
    pub(super) fn igmp(&mut self, igmp: &Igmp<'_>) {
        let length = igmp.data.length();
        match igmp.kind {
            0x11 => {
                self.say("igmp query");
                self.igmp_query(igmp);
            }
            0x12 => {
                put!(self, "igmp v1 report {}", igmp.group);
                if length != 8 {
                    put!(self, " [len {length}]");
                }
            }
            0x16 => put!(self, "igmp v2 report {}", igmp.group),
            0x17 => put!(self, "igmp leave {}", igmp.group),
            0x22 if length < 16 || !length.is_multiple_of(4) => {
                put!(self, "igmp v3 report [invalid len {length}]");
            }
            0x22 => {
                self.say("igmp v3 report");
                self.group_records(igmp.records);
            }
            kind => put!(self, "igmp-{kind}"),
        }
        if self.verbose() && matches!(igmp.check(), Checked::Incorrect { .. }) {
            put!(self, " bad igmp cksum {:x}!", igmp.checksum);
        }
    }

    fn igmp_query(&mut self, igmp: &Igmp<'_>) {
        let (length, code) = (igmp.data.length(), igmp.max_response);
        if length >= 12 {
            self.say(" v3");
            if length % 4 != 0 {
                return put!(self, " [invalid len {length}]");
            }
            // RFC 3376 4.1.1.
            let tenths = match u32::from(code) {
                code @ ..128 => code,
                code => (code & 0x0f | 0x10) << ((code >> 4 & 7) + 3),
            };
            if code != 100 {
                self.say(" [max resp time ");
                if tenths < 600 {
                    put!(self, "{}.{}s", tenths / 10, tenths % 10);
                } else {
                    self.duration(tenths / 10);
                }
                self.say("]");
            }
            if !igmp.group.is_unspecified() {
                put!(self, " [gaddr {}", igmp.group);
                if igmp.sources.count > 0 {
                    self.sources(igmp.sources);
                }
                self.say("]");
            }
            return;
        }
        match code {
            0 => self.say(" v1"),
            100 => self.say(" v2"),
            code => put!(self, " v2 [max resp time {code}]"),
        }
        if !igmp.group.is_unspecified() {
            put!(self, " [gaddr {}]", igmp.group);
        }
        if length != 8 {
            put!(self, " [len {length}]");
        }
    }

    /// Of listener discovery; nothing of others. Gives whether all of it was there.
    pub(super) fn listeners(&mut self, icmp: &Icmpv6<'_>) -> bool {
        match &icmp.message {
            Icmpv6Message::ListenerQuery { group, second, .. } if icmp.data.length() != 24 => {
                let Some(second) = second else {
                    match icmp.data.length() {
                        length @ ..28 => put!(self, " unknown-version (len {length}) "),
                        _ => self.say(" v2 [|icmp6]"),
                    }
                    return icmp.data.length() < 28;
                };
                self.say(" v2");
                let code = u32::from(icmp.data.u16(4).unwrap_or_default());
                if self.verbose() {
                    // RFC 3810 5.1.3.
                    let delay =
                        if code < 0x8000 { code } else { (code & 0x0fff | 0x1000) << ((code >> 12 & 7) + 3) };
                    put!(self, " [max resp delay={delay}]");
                }
                self.say(" [gaddr ");
                self.address((*group).into());
                if self.verbose() {
                    if second.suppress {
                        self.say(" sflag");
                    }
                    if second.robustness != 0 {
                        put!(self, " robustness={}", second.robustness);
                    }
                    // RFC 3810 5.1.9.
                    let interval = match u32::from(second.interval_code) {
                        code @ ..128 => code,
                        code => (code & 0x0f | 0x10) << ((code >> 4 & 7) + 3),
                    };
                    put!(self, " qqi={interval}");
                }
                if second.sources.count > 0 {
                    self.sources(second.sources);
                }
                self.say("]");
            }
            Icmpv6Message::ListenerQuery { group, .. }
            | Icmpv6Message::ListenerReport { group }
            | Icmpv6Message::ListenerDone { group } => {
                put!(self, "max resp delay: {} addr: ", icmp.data.u16(4).unwrap_or_default());
                self.address((*group).into());
            }
            Icmpv6Message::ListenerReport2 { records } => self.group_records(*records),
            _ => {}
        }
        true
    }

    fn group_records(&mut self, records: GroupRecords<'_>) {
        put!(self, ", {} group record(s)", records.left);
        if !self.verbose() {
            return;
        }
        let mut left = records.left;
        for record in records {
            left -= 1;
            self.say(" [gaddr ");
            self.address(record.group);
            match record.kind {
                1 => self.say(" is_in"),
                2 => self.say(" is_ex"),
                3 => self.say(" to_in"),
                4 => self.say(" to_ex"),
                5 => self.say(" allow"),
                6 => self.say(" block"),
                kind => put!(self, "  [v{}-report-#{kind}]", if records.is_ipv6 { 2 } else { 3 }),
            }
            if !record.sources.is_whole {
                return put!(self, " [invalid number of sources {}]", record.sources.count);
            }
            self.sources(record.sources);
            self.say("]");
        }
        if left > 0 {
            self.say(" [invalid number of groups]");
        }
    }

    fn sources(&mut self, sources: Sources<'_>) {
        if !sources.is_whole {
            return self.say(" [invalid number of sources]");
        }
        if self.style.verbosity <= 1 {
            return put!(self, ", {} source(s)", sources.count);
        }
        self.say(" {");
        let mut left = sources.count;
        for source in sources {
            self.say(" ");
            self.address(source);
            left -= 1;
        }
        match (left, sources.is_ipv6) {
            (0, _) => self.say(" }"),
            (_, false) => self.say(" [|igmp]"),
            (_, true) => self.say(" [|icmp6]"),
        }
    }
}
