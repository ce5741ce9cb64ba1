//! DNS.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::layers::dns::{Reader, kind, write_byte};
use crate::layers::{Dns, Question, Record};
use crate::line::{Out, put};

const OPERATIONS: [&str; 16] = [
    "",
    " inv_q",
    " stat",
    " op3",
    " notify",
    " update",
    " op6",
    " op7",
    " op8",
    " updateA",
    " updateD",
    " updateDA",
    " updateM",
    " updateMA",
    " zoneInit",
    " zoneRef",
];

/// Response codes (RFC 6895 2.3).
const CODES: [&str; 16] = [
    "",
    " FormErr",
    " ServFail",
    " NXDomain",
    " NotImp",
    " Refused",
    " YXDomain",
    " YXRRSet",
    " NXRRSet",
    " NotAuth",
    " NotZone",
    " Resp11",
    " Resp12",
    " Resp13",
    " Resp14",
    " NoChange",
];

impl Out<'_, '_> {
    pub(super) fn dns(&mut self, dns: &Dns<'_>, is_multicast: bool) {
        let told = if dns.is_response() {
            self.dns_response(dns, is_multicast)
        } else {
            self.dns_query(dns, is_multicast)
        };
        match told {
            Some(()) => put!(self, " ({})", dns.data.length()),
            None => self.say(" [|domain]"),
        }
    }

    fn dns_query(&mut self, dns: &Dns<'_>, is_multicast: bool) -> Option<()> {
        let (flag, [questions, answers, authorities, additional]) = (|bit| dns.flags & bit != 0, dns.counts);
        put!(self, "{}{}", dns.id, OPERATIONS[usize::from(dns.operation())]);
        self.say(if flag(0x0100) { "+" } else { "" });
        self.say(if flag(0x0010) { "%" } else { "" });
        // What has no meaning in a query.
        if flag(0x06cf) {
            put!(self, " [b2&3=0x{:x}]", dns.flags);
        }
        if dns.operation() == 1 {
            if questions != 0 {
                put!(self, " [{questions}q]");
            }
            if answers != 1 {
                put!(self, " [{answers}a]");
            }
        } else {
            if answers != 0 {
                put!(self, " [{answers}a]");
            }
            if questions != 1 {
                put!(self, " [{questions}q]");
            }
        }
        if authorities != 0 {
            put!(self, " [{authorities}n]");
        }
        if additional != 0 {
            put!(self, " [{additional}au]");
        }
        let mut reader = dns.reader();
        for _ in 0..questions {
            self.dns_question(reader.question()?, is_multicast);
        }
        if self.style.verbosity > 1 {
            self.dns_section("", answers, &mut reader, is_multicast)?;
            self.dns_section(" ns:", authorities, &mut reader, is_multicast)?;
            self.dns_section(" ar:", additional, &mut reader, is_multicast)?;
        }
        Some(())
    }

    fn dns_response(&mut self, dns: &Dns<'_>, is_multicast: bool) -> Option<()> {
        let (flag, [questions, answers, authorities, additional]) = (|bit| dns.flags & bit != 0, dns.counts);
        put!(self, "{}{}", dns.id, OPERATIONS[usize::from(dns.operation())]);
        self.say(CODES[usize::from(dns.response_code())]);
        self.say(if flag(0x0400) { "*" } else { "" });
        self.say(if flag(0x0080) { "" } else { "-" });
        self.say(if flag(0x0200) { "|" } else { "" });
        self.say(if flag(0x0020) { "$" } else { "" });
        if questions != 1 {
            put!(self, " [{questions}q]");
        }
        let mut reader = dns.reader();
        for number in 0..questions {
            let question = reader.question()?;
            if self.style.verbosity > 1 {
                self.say(if number == 0 { " q:" } else { ", q:" });
                self.dns_question(question, is_multicast);
            } else if number > 0 {
                self.say(",");
            }
        }
        put!(self, " {answers}/{authorities}/{additional}");
        self.dns_section("", answers, &mut reader, is_multicast)?;
        if self.style.verbosity > 1 {
            self.dns_section(" ns:", authorities, &mut reader, is_multicast)?;
            self.dns_section(" ar:", additional, &mut reader, is_multicast)?;
        }
        Some(())
    }

    fn dns_section(
        &mut self,
        name: &str,
        count: u16,
        reader: &mut Reader<'_>,
        is_multicast: bool,
    ) -> Option<()> {
        for number in 0..count {
            let record = reader.record()?;
            self.say(if number == 0 { name } else { "," });
            self.dns_record(&record, is_multicast)?;
        }
        Some(())
    }

    fn dns_kind(&mut self, number: u16) {
        if let Some(name) = kind(number) {
            put!(self, " {name}");
        } else {
            put!(self, " Type{number}");
        }
    }

    fn dns_class(&mut self, class: u16) {
        match class {
            1 => {}
            3 => self.say(" CHAOS"),
            4 => self.say(" HS"),
            255 => self.say(" ANY"),
            _ => put!(self, " (Class {class})"),
        }
    }

    fn dns_question(&mut self, question: Question<'_>, is_multicast: bool) {
        self.dns_kind(question.kind);
        let class = if is_multicast { question.class & 0x7fff } else { question.class };
        self.dns_class(class);
        if is_multicast {
            self.say(if question.class & 0x8000 == 0 { " (QM)" } else { " (QU)" });
        }
        put!(self, "? {}", question.name);
    }

    fn dns_record(&mut self, record: &Record<'_>, is_multicast: bool) -> Option<()> {
        const OPTIONS: u16 = 41;
        if self.verbose() {
            put!(self, " {}", record.name);
        }
        let class = if is_multicast { record.class & 0x7fff } else { record.class };
        if record.kind != OPTIONS {
            self.dns_class(class);
            if is_multicast && record.class & 0x8000 != 0 {
                self.say(" (Cache flush)");
            }
            if self.style.verbosity > 2 {
                self.say(" [");
                self.duration(record.ttl);
                self.say("]");
            }
        }
        self.dns_kind(record.kind);
        let data = record.data;
        if data.is_cut() {
            return None;
        }
        match record.kind {
            1 => put!(self, " {}", Ipv4Addr::from(*data.array::<4>(0)?)),
            28 => {
                self.say(" ");
                self.address(Ipv6Addr::from(*data.array::<16>(0)?).into());
            }
            2 | 5 | 12 | 39 => put!(self, " {}", record.name_at(0)?.0),
            6 if self.verbose() => {
                let (server, length) = record.name_at(0)?;
                let (mailbox, behind) = record.name_at(length)?;
                put!(self, " {server} {mailbox}");
                for number in 0..5 {
                    put!(self, " {}", data.u32(length + behind + number * 4)?);
                }
            }
            15 => put!(self, " {} {}", record.name_at(2)?.0, data.u16(0)?),
            16 => self.dns_texts(data.bytes()),
            33 => {
                let (priority, weight, port) = (data.u16(0)?, data.u16(2)?, data.u16(4)?);
                put!(self, " {}:{port} {priority} {weight}", record.name_at(6)?.0);
            }
            OPTIONS => {
                put!(self, " UDPsize={}", record.class);
                if record.ttl & 0x8000 != 0 {
                    self.say(" DO");
                }
            }
            _ => {}
        }
        Some(())
    }

    fn dns_texts(&mut self, mut bytes: &[u8]) {
        while let Some((&length, rest)) = bytes.split_first() {
            let (text, rest) = rest.split_at(rest.len().min(usize::from(length)));
            self.say(" \"");
            write_text(text, self.text);
            self.say("\"");
            bytes = rest;
        }
    }

    /// `1d2h3m4s`, without what is nothing; `0s` for nothing at all. A year has 365 days.
    pub(super) fn duration(&mut self, mut seconds: u32) {
        if seconds == 0 {
            return self.say("0s");
        }
        for (length, letter) in
            [(31_536_000, 'y'), (604_800, 'w'), (86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')]
        {
            if seconds >= length {
                put!(self, "{}{letter}", seconds / length);
                seconds %= length;
            }
        }
    }
}

/// What is no letter or the like is shown as its number.
pub(super) fn write_text(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // A String takes everything.
        let _ = write_byte(*byte, text);
    }
}
