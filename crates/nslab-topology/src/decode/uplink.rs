//! `uplink:` and `dns:` of a node: its way out.

use std::net::IpAddr;

use super::{Decoder, address};
use crate::diagnostic::{Problem, Spanned};
use crate::lab::Uplink;
use crate::model::{Publish, Transport};
use crate::yaml::{Key, Kind, Value};

const KEYS: &[&str] = &["nat", "interface", "ipv4", "ipv6", "publish"];
const PUBLISH_KEYS: &[&str] = &["host", "to", "protocol"];
const PUBLISH: &str = "HOST_PORT:PORT, as 8080:80/tcp, or a mapping with `host` and `to`";

impl Decoder {
    pub(super) fn uplink(&mut self, key: &Key, value: &Value) -> Option<Spanned<Uplink>> {
        let mut uplink = Uplink { interface: None, ipv4: true, ipv6: None, publish: Vec::new() };
        let entries = match &value.kind {
            Kind::Map(entries) => entries,
            Kind::Null => return None,
            _ => {
                let words = [("nat", true), ("true", true), ("false", false)];
                let wanted = self.word(value, "a way out", &words)?;
                return wanted.value.then(|| Spanned::new(uplink, key.span));
            }
        };
        let mut wanted = true;
        for (key, value) in entries {
            match key.text.as_str() {
                "nat" => wanted = self.bool(value, "`nat`").unwrap_or(true),
                "interface" => uplink.interface = self.text(value, "an interface").map(super::Text::spanned),
                "ipv4" => uplink.ipv4 = self.bool(value, "`ipv4`").unwrap_or(true),
                "ipv6" => uplink.ipv6 = self.bool(value, "`ipv6`"),
                "publish" => {
                    uplink.publish = value.items().iter().filter_map(|item| self.publish(item)).collect();
                }
                _ => self.unknown_key(key, "`uplink`", KEYS),
            }
        }
        wanted.then(|| Spanned::new(uplink, key.span))
    }

    fn publish(&mut self, item: &Value) -> Option<Spanned<Publish>> {
        let Kind::Map(entries) = &item.kind else {
            return self.parsed(item, PUBLISH, publish);
        };
        let (mut host, mut to, mut transport) = (None, None, Some(Transport::Tcp));
        for (key, value) in entries {
            match key.text.as_str() {
                "host" => host = self.parsed(value, "a port of the host, or ADDRESS:PORT", side),
                "to" => to = self.port(value),
                "protocol" => {
                    let words = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];
                    transport = self.word(value, "a protocol", &words).map(|word| word.value);
                }
                _ => self.unknown_key(key, "`publish`", PUBLISH_KEYS),
            }
        }
        for needed in ["host", "to"] {
            if !entries.iter().any(|(key, _)| key.text == needed) {
                self.missing_key(item.span, "a published port", needed);
            }
        }
        let (host, host_port) = host?.value;
        let publish = Publish { transport: transport?, host, host_port, port: to? };
        Some(Spanned::new(publish, item.span))
    }

    pub(super) fn dns(&mut self, value: &Value) -> Vec<IpAddr> {
        let servers = value.items().iter();
        servers
            .filter_map(|item| self.parsed(item, "the address of a name server", address::plain))
            .map(|address| address.value)
            .collect()
    }
}

/// Reads `[ADDRESS:]HOST_PORT:PORT[/PROTOCOL]`.
fn publish(text: &str) -> Result<Publish, Problem> {
    let (ports, transport) = match text.rsplit_once('/') {
        Some((ports, "tcp")) => (ports, Transport::Tcp),
        Some((ports, "udp")) => (ports, Transport::Udp),
        Some((_, other)) => {
            return Err(Problem::new("bad-word", format!("{other:?} is no protocol of ports"))
                .help("`tcp` or `udp`, as 53:53/udp"));
        }
        None => (text, Transport::Tcp),
    };
    let Some((host, to)) = ports.rsplit_once(':') else {
        return Err(Problem::new("bad-port", format!("expected {PUBLISH}, found {text:?}")));
    };
    let (host, host_port) = side(host)?;
    Ok(Publish { transport, host, host_port, port: port(to)? })
}

/// Reads `PORT` or `ADDRESS:PORT`, an IPv6 address in brackets.
fn side(text: &str) -> Result<(Option<IpAddr>, u16), Problem> {
    let Some((host, number)) = text.rsplit_once(':') else { return Ok((None, port(text)?)) };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(Problem::new("bad-address", format!("the IPv6 address in {text:?} needs brackets"))
            .help(format!("write [{host}]:{number}")));
    }
    let address = address::plain(bare.unwrap_or(host))?;
    Ok((Some(address).filter(|address| !address.is_unspecified()), port(number)?))
}

fn port(text: &str) -> Result<u16, Problem> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Problem::new("bad-number", format!("{text:?} is no port; ports are from 1 to 65535")))
}
