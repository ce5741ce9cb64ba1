//! Protocols that are text: the first line of a request or an answer; with `-v` all lines.

use crate::data::Data;
use crate::layers::{Tcp, dns};
use crate::line::{Out, put};

/// Methods of HTTP (RFC 9110 9) and of those that extend it (RFC 4918 9).
const METHODS: [&str; 24] = [
    "GET", "PUT", "COPY", "HEAD", "LOCK", "MOVE", "POLL", "POST", "BCOPY", "BMOVE", "MKCOL", "TRACE",
    "LABEL", "MERGE", "DELETE", "SEARCH", "UNLOCK", "REPORT", "UPDATE", "NOTIFY", "BDELETE", "CONNECT",
    "OPTIONS", "CHECKIN",
];

impl Out<'_, '_> {
    /// What is in a segment, where that is known by a port.
    pub(super) fn tcp_payload(&mut self, tcp: &Tcp<'_>) {
        let is = |port: u16| tcp.source_port == port || tcp.destination_port == port;
        if is(80) || is(8080) || is(3128) {
            self.say(": HTTP");
            self.http(tcp.payload);
        } else if is(53) {
            self.say(" ");
            // Its length stands before each message (RFC 7766 8).
            match dns::read(tcp.payload.skip(2)) {
                Ok(dns) => self.dns(&dns, false),
                Err(broken) => self.broken(&broken),
            }
        }
    }

    fn http(&mut self, payload: Data<'_>) {
        // Neither a method nor a version is longer.
        let begin = &payload.bytes()[..payload.bytes().len().min(64)];
        let mut words = begin.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let is_request = METHODS.iter().any(|method| first.eq_ignore_ascii_case(method.as_bytes()));
        let is_answer = second.len() == 3 && second.iter().all(u8::is_ascii_digit);
        if !is_request && !is_answer {
            return;
        }
        if payload.is_cut() && !payload.bytes().contains(&b'\n') {
            return self.say(" [|http]");
        }
        if !self.verbose() {
            if let Some((line, rest)) = text_line(payload.bytes()) {
                self.say(": ");
                self.say(line);
                self.say(if rest.is_none() { " [|http]" } else { "" });
            }
            return;
        }
        put!(self, ", length: {}", payload.length());
        let mut rest = Some(payload.bytes());
        while let Some((line, behind)) = rest.and_then(text_line) {
            self.say("\n\t");
            self.say(line);
            self.say(if behind.is_none() { " [|http]" } else { "" });
            rest = behind;
        }
    }
}

/// The first line of `bytes`, if it is text, and what comes after it.
fn text_line(bytes: &[u8]) -> Option<(&str, Option<&[u8]>)> {
    let end = bytes.iter().position(|byte| !matches!(byte, b' '..=b'~' | b'\t'));
    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let rest = match rest {
        [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => Some(rest),
        [] if !line.is_empty() => None,
        _ => return None,
    };
    Some((std::str::from_utf8(line).ok()?, rest))
}
