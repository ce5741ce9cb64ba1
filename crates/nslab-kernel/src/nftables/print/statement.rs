//! What rules do, in nft's words.

use super::rule::{Walk, join};
use super::term::{self, Term};
use super::types::{self, Order, Type, quoted};
use crate::nftables::data::Register;
use crate::nftables::expr::{
    CtKey, Dynset, Expr, Limit, Log, LogFlags, LogLevel, Nat, NatFlags, ObjectKind, Objref, QueueNumber,
    Quota, RegisterRange, Reject, RejectIcmpx, Synproxy,
};
use crate::nftables::family::Family;

impl Walk<'_> {
    /// A statement; none if there are no words for it.
    pub(super) fn statement(&mut self, expr: &Expr) -> Option<String> {
        Some(match expr {
            Expr::Counter { packets, bytes } => format!("counter packets {packets} bytes {bytes}"),
            Expr::Limit(limit) => limit_words(limit)?,
            Expr::Quota(quota) => quota_words(quota),
            Expr::Connlimit { count, inverted } => {
                format!("ct count {}{count}", if *inverted { "over " } else { "" })
            }
            Expr::Last { ago: None } => "last used never".to_owned(),
            Expr::Last { ago: Some(ago) } => format!("last used {}", types::duration(*ago)),
            Expr::Log(log) => log_words(log)?,
            Expr::Reject(reject) => self.reject(*reject)?,
            Expr::Nat(nat) => self.nat(nat)?,
            Expr::Masquerade { flags, ports } => self.port_nat("masquerade", *flags, *ports)?,
            Expr::Redirect { flags, ports } => self.port_nat("redirect", *flags, *ports)?,
            Expr::Tproxy { family, address, port } => self.tproxy(*family, *address, *port)?,
            Expr::Synproxy(synproxy) => synproxy_words("synproxy", *synproxy)?,
            Expr::Notrack => "notrack".to_owned(),
            Expr::Queue { number, flags } => self.queue(*number, *flags)?,
            Expr::Dup { address, device } => {
                let mut text = "dup".to_owned();
                if let Some(address) = address {
                    text += &format!(" to {}", self.operand(*address, Type::Address, Order::Network)?);
                }
                if let Some(device) = device {
                    let device = self.operand(*device, Type::InterfaceNumber, Order::Machine)?;
                    text += &match address {
                        Some(_) => format!(" device {device}"),
                        None => format!(" to {device}"),
                    };
                }
                text
            }
            Expr::Fwd { device, next_hop } => {
                let device = self.operand(*device, Type::InterfaceNumber, Order::Machine)?;
                match next_hop {
                    None => format!("fwd to {device}"),
                    Some((address, family)) => {
                        let family = if *family == u32::from(Family::Ip.number()) { "ip" } else { "ip6" };
                        let address = self.operand(*address, Type::Address, Order::Network)?;
                        format!("fwd {family} to {address} device {device}")
                    }
                }
            }
            Expr::FlowOffload { flowtable } => format!("flow add @{flowtable}"),
            Expr::MetaSet { source, key } => {
                let (kind, order, _) = term::meta_type(*key)?;
                let value = self.operand(*source, kind, order)?;
                format!("meta {} set {value}", key.word()?)
            }
            Expr::CtSet { source, key, direction } => {
                let (kind, order, _) = term::ct_type(*key)?;
                let value = self.operand(*source, kind, order)?;
                let words = term::ct_words(*key, *direction)?;
                // Zones of one direction are written so: `ct original zone`.
                (direction.is_none() || *key == CtKey::Zone).then(|| format!("{words} set {value}"))?
            }
            Expr::PayloadSet { source, base, offset, len, .. } => {
                let place = Term::payload(*base, *offset, *len)?;
                self.payload_set(*source, &place)?
            }
            Expr::ExthdrSet { source, kind, number, offset, len } => {
                let exthdr = Expr::Exthdr {
                    destination: Register::R1,
                    kind: *kind,
                    number: *number,
                    offset: *offset,
                    len: *len,
                    present: false,
                };
                let words = self.words_of(&Term::loaded(&exthdr)?)?;
                let value = self.operand(*source, words.kind, words.order)?;
                format!("{} set {value}", words.text)
            }
            Expr::ExthdrReset { kind, number, .. } => {
                format!("reset {}", term::exthdr_words(*kind, *number)?)
            }
            Expr::Dynset(dynset) => self.dynset(dynset)?,
            Expr::Objref(objref) => self.objref(objref)?,
            _ => return None,
        })
    }

    /// What a register holds, where a value of this type is wanted.
    fn operand(&mut self, register: Register, kind: Type, order: Order) -> Option<String> {
        match self.get(register)?.clone() {
            Term::Fixed(data) => self.names.value(kind, order, &data),
            term => Some(self.words_of(&term)?.text),
        }
    }

    fn payload_set(&mut self, source: Register, place: &Term) -> Option<String> {
        if let (Term::Masked { of, mask, xor }, Term::Payload { base, offset, .. }) =
            (self.get(source)?.clone(), place)
        {
            // A part of what is there, and the rest as it was.
            if matches!(&*of, Term::Payload { base: from, offset: at, .. } if from == base && at == offset) {
                let (words, value) = self.context.replaced(*base, *offset, &mask, &xor)?;
                let kind = words.kind;
                let text = words.text.clone();
                self.spare(&words.implies);
                let value = self.names.value(kind, Order::Network, &value.to_be_bytes()[8..])?;
                return Some(format!("{text} set {value}"));
            }
        }
        let words = self.words_of(place)?;
        let value = self.operand(source, words.kind, words.order)?;
        Some(format!("{} set {value}", words.text))
    }

    fn reject(&mut self, reject: Reject) -> Option<String> {
        let both = matches!(self.family(), Family::Inet | Family::Bridge | Family::Netdev);
        let ipv6 = self.context.is_ipv6();
        let symbol = |table, code: u8| types::symbol(table, u128::from(code));
        Some(match reject {
            Reject::TcpReset => "reject with tcp reset".to_owned(),
            Reject::Icmpx(RejectIcmpx::PortUnreachable) if both => "reject".to_owned(),
            Reject::Icmpx(reason) => format!("reject with icmpx {}", reason.word()?),
            Reject::Icmp(3) if ipv6 == Some(false) && !both => "reject".to_owned(),
            Reject::Icmp(4) if ipv6 == Some(true) && !both => "reject".to_owned(),
            Reject::Icmp(code) => {
                let (word, table) = if ipv6? {
                    ("icmpv6", super::symbols::ICMPV6_CODE)
                } else {
                    ("icmp", super::symbols::ICMP_CODE)
                };
                self.spare(&[super::context::Dependency::Network]);
                format!("reject with {word} {}", symbol(table, code)?)
            }
        })
    }

    /// The ports of a translation, with the colon.
    fn ports(&mut self, ports: Option<RegisterRange>) -> Option<String> {
        let Some(ports) = ports else { return Some(String::new()) };
        let first = self.operand(ports.first, Type::Port, Order::Network)?;
        if ports.first == ports.last {
            return Some(format!(":{first}"));
        }
        Some(format!(":{first}-{}", self.operand(ports.last, Type::Port, Order::Network)?))
    }

    fn nat(&mut self, nat: &Nat) -> Option<String> {
        let word = if nat.destination { "dnat" } else { "snat" };
        let family = match (self.family(), nat.family) {
            (Family::Inet, Family::Ip) => " ip",
            (Family::Inet, Family::Ip6) => " ip6",
            _ => "",
        };
        let prefix = nat.flags.contains(NatFlags::NETMAP);
        let mapped =
            nat.addresses.is_some_and(|range| matches!(self.get(range.first), Some(Term::Mapped { .. })));
        let mut address = String::new();
        if let Some(range) = nat.addresses {
            address = self.operand(range.first, Type::Address, Order::Network)?;
            if range.first != range.last && !mapped {
                let last = self.operand(range.last, Type::Address, Order::Network)?;
                address = self.address_range(range, &address, &last, prefix)?;
            } else if prefix && !mapped {
                return None;
            }
        }
        // A map may give address and port together.
        let together = mapped && nat.ports.is_some_and(|ports| self.get(ports.first).is_none());
        let ports = if together { String::new() } else { self.ports(nat.ports)? };
        if address.contains(':') && !ports.is_empty() && !mapped {
            address = match address.split_once('-') {
                Some((first, last)) => format!("[{first}]-[{last}]"),
                None => format!("[{address}]"),
            };
        }
        let prefix = if prefix { " prefix" } else { "" };
        Some(format!("{word}{family}{prefix} to {address}{ports}{}", nat_flags(nat.flags)))
    }

    fn address_range(&self, range: RegisterRange, first: &str, last: &str, prefix: bool) -> Option<String> {
        let (Some(Term::Fixed(from)), Some(Term::Fixed(to))) = (self.get(range.first), self.get(range.last))
        else {
            return None;
        };
        if !prefix {
            return Some(format!("{first}-{last}"));
        }
        let length = super::set::prefix_length(from, to)?;
        Some(format!("{first}/{length}"))
    }

    fn port_nat(&mut self, word: &str, flags: NatFlags, ports: Option<RegisterRange>) -> Option<String> {
        let ports = self.ports(ports)?;
        let to = if ports.is_empty() { String::new() } else { format!(" to {ports}") };
        Some(format!("{word}{to}{}", nat_flags(flags)))
    }

    fn tproxy(
        &mut self,
        family: Family,
        address: Option<Register>,
        port: Option<Register>,
    ) -> Option<String> {
        let word = match (self.family(), family) {
            (Family::Inet, Family::Ip) => " ip",
            (Family::Inet, Family::Ip6) => " ip6",
            _ => "",
        };
        let mut to = String::new();
        if let Some(address) = address {
            to = self.operand(address, Type::Address, Order::Network)?;
            if to.contains(':') {
                to = format!("[{to}]");
            }
        }
        if let Some(port) = port {
            to += &format!(":{}", self.operand(port, Type::Port, Order::Network)?);
        }
        Some(format!("tproxy{word} to {to}"))
    }

    fn queue(&mut self, number: QueueNumber, flags: u16) -> Option<String> {
        let mut words = Vec::new();
        for (flag, word) in [(1, "bypass"), (2, "fanout")] {
            if flags & flag != 0 {
                words.push(word);
            }
        }
        let flags = if words.is_empty() { String::new() } else { format!(" flags {}", words.join(",")) };
        let to = match number {
            QueueNumber::Fixed { first, total: 0 | 1 } => first.to_string(),
            QueueNumber::Fixed { first, total } => format!("{first}-{}", first.checked_add(total - 1)?),
            QueueNumber::Register(register) => self.words(register)?.text,
        };
        Some(format!("queue{flags} to {to}"))
    }

    fn dynset(&mut self, dynset: &Dynset) -> Option<String> {
        let set = self.table.set(&dynset.set)?;
        let word = *["add", "update", "delete"].get(usize::try_from(dynset.op).ok()?)?;
        (!dynset.inverted).then_some(())?;
        let keys = self.keys(dynset.key, set.key_len)?;
        let mut text = format!("{word} @{} {{ {}", set.name, join(&keys));
        if let Some(timeout) = dynset.timeout {
            text += &format!(" timeout {}", types::duration(timeout));
        }
        for expr in &dynset.expressions {
            text += &match expr {
                Expr::Counter { packets: 0, bytes: 0 } => " counter".to_owned(),
                other => format!(" {}", self.statement(other)?),
            };
        }
        if let Some(data) = dynset.data {
            let crate::nftables::set::MapsTo::Value { kind, .. } = set.maps_to else { return None };
            let kind = Type::of_number(kind);
            text += &format!(" : {}", self.operand(data, kind, kind.order())?);
        }
        Some(format!("{text} }}"))
    }

    fn objref(&mut self, objref: &Objref) -> Option<String> {
        match objref {
            Objref::Named { kind, name } => object_words(*kind, &quoted(name)?),
            Objref::Map { set, source } => {
                let set = self.table.set(set)?;
                let keys = self.keys(*source, set.key_len)?;
                let content = self.set_words(set, &keys)?;
                let crate::nftables::set::MapsTo::Object(kind) = set.maps_to else { return None };
                object_words(kind, &format!("{} map {content}", join(&keys)))
            }
        }
    }
}

/// A rule's use of an object.
fn object_words(kind: ObjectKind, which: &str) -> Option<String> {
    Some(match kind {
        ObjectKind::Counter => format!("counter name {which}"),
        ObjectKind::Quota => format!("quota name {which}"),
        ObjectKind::Limit => format!("limit name {which}"),
        ObjectKind::Synproxy => format!("synproxy name {which}"),
        ObjectKind::CtHelper => format!("ct helper set {which}"),
        ObjectKind::CtTimeout => format!("ct timeout set {which}"),
        ObjectKind::CtExpectation => format!("ct expectation set {which}"),
        ObjectKind::SecurityMark => format!("meta secmark set {which}"),
        ObjectKind::Connlimit | ObjectKind::Tunnel | ObjectKind::Other(_) => return None,
    })
}

fn nat_flags(flags: NatFlags) -> String {
    let mut words = Vec::new();
    for (flag, word) in [
        (NatFlags::PROTO_RANDOM, "random"),
        (NatFlags::PROTO_RANDOM_FULLY, "fully-random"),
        (NatFlags::PERSISTENT, "persistent"),
    ] {
        if flags.contains(flag) {
            words.push(word);
        }
    }
    if words.is_empty() { String::new() } else { format!(" {}", words.join(",")) }
}

/// A rate.
pub(super) fn limit_words(limit: &Limit) -> Option<String> {
    let unit = match limit.seconds {
        1 => "second",
        60 => "minute",
        3600 => "hour",
        86400 => "day",
        604_800 => "week",
        _ => return None,
    };
    let over = if limit.inverted { "over " } else { "" };
    let rate = if limit.bytes { types::byte_words(limit.rate) } else { limit.rate.to_string() };
    let burst = match (limit.bytes, limit.burst) {
        (_, 0) | (false, 5) => String::new(),
        (true, burst) => format!(" burst {}", types::byte_words(u64::from(burst))),
        (false, burst) => format!(" burst {burst} packets"),
    };
    Some(format!("limit rate {over}{rate}/{unit}{burst}"))
}

pub(super) fn quota_words(quota: &Quota) -> String {
    let over = if quota.flags & 1 == 1 { "over " } else { "" };
    let used = if quota.consumed == 0 {
        String::new()
    } else {
        format!(" used {}", types::byte_words(quota.consumed))
    };
    format!("quota {over}{}{used}", types::byte_words(quota.bytes))
}

fn log_words(log: &Log) -> Option<String> {
    let mut text = "log".to_owned();
    if let Some(prefix) = &log.prefix {
        text += &format!(" prefix {}", quoted(prefix)?);
    }
    if let Some(group) = log.group {
        text += &format!(" group {group}");
    }
    if let Some(snaplen) = log.snaplen {
        text += &format!(" snaplen {snaplen}");
    }
    if let Some(threshold) = log.threshold {
        text += &format!(" queue-threshold {threshold}");
    }
    if let Some(level) = log.level.filter(|level| *level != LogLevel::Warning) {
        text += &format!(" level {}", level.word()?);
    }
    if log.flags == LogFlags::ALL {
        return Some(text + " flags all");
    }
    let tcp = [(LogFlags::TCP_SEQUENCE, "sequence"), (LogFlags::TCP_OPTIONS, "options")];
    let tcp: Vec<&str> =
        tcp.into_iter().filter(|(flag, _)| log.flags.contains(*flag)).map(|(_, word)| word).collect();
    if !tcp.is_empty() {
        text += &format!(" flags tcp {}", tcp.join(","));
    }
    for (flag, word) in
        [(LogFlags::IP_OPTIONS, "ip options"), (LogFlags::USER, "skuid"), (LogFlags::MAC, "ether")]
    {
        if log.flags.contains(flag) {
            text += &format!(" flags {word}");
        }
    }
    log.flags.without(LogFlags::ALL).is_empty().then_some(text)
}

pub(super) fn synproxy_words(word: &str, synproxy: Synproxy) -> Option<String> {
    let mut text = word.to_owned();
    for (flag, words) in [
        (1, format!(" mss {}", synproxy.mss)),
        (2, format!(" wscale {}", synproxy.window_scale)),
        (8, " timestamp".to_owned()),
        (4, " sack-perm".to_owned()),
    ] {
        if synproxy.flags & flag != 0 {
            text += &words;
        }
    }
    (synproxy.flags & !0xf == 0).then_some(text)
}
