//! Rules on the wire.

use std::fmt;

use ipnet::IpNet;
use rustix::io::Errno;

use super::{ChangeRule, Rule, RuleAction};
use crate::abi::*;
use crate::error::{Error, Refusal, Result};
use crate::link::lossy_name;
use crate::netlink::{Attribute, MessageWriter, Reader, Request, Socket};

/// The bytes of `struct fib_rule_hdr` (`include/uapi/linux/fib_rules.h`).
const HEADER_LEN: usize = 12;
/// All bits of a DSCP.
const DSCP_ALL: u8 = 0x3f;

impl fmt::Display for ChangeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { priority, ipv6, from, to, action, .. } = &self.rule;
        let verb = if self.delete { "delete" } else { "add" };
        write!(f, "{verb} the IPv{} rule {priority}", if *ipv6 { 6 } else { 4 })?;
        if let Some(from) = from {
            write!(f, " from {from}")?;
        }
        if let Some(to) = to {
            write!(f, " to {to}")?;
        }
        match action {
            RuleAction::Table(table) => write!(f, " (table {table})"),
            RuleAction::Goto(target) => write!(f, " (goto {target})"),
            _ => Ok(()),
        }
    }
}

impl Request for ChangeRule {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELRULE } else { RTM_NEWRULE }
    }

    fn flags(&self) -> u16 {
        if self.delete { 0 } else { NLM_F_CREATE | NLM_F_EXCL }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let rule = &self.rule;
        let table = match rule.action {
            RuleAction::Table(table) => table,
            _ => 0,
        };
        let length = |net: Option<IpNet>| net.map_or(0, |net| net.prefix_len());
        let header = [
            if rule.ipv6 { AF_INET6 } else { AF_INET },
            length(rule.to),
            length(rule.from),
            rule.tos,
            u8::try_from(table).unwrap_or(0),
            0,
            0,
            kernel_action(rule.action),
        ];
        message.header(&header);
        message.header(&(if rule.invert { FIB_RULE_INVERT } else { 0 }).to_ne_bytes());
        message.u32(FRA_PRIORITY, rule.priority);
        message.u8(FRA_PROTOCOL, rule.protocol);
        match rule.action {
            RuleAction::Table(table) => message.u32(FRA_TABLE, table),
            RuleAction::Goto(target) => message.u32(FRA_GOTO, target),
            RuleAction::VrfTable => message.u8(FRA_L3MDEV, 1),
            _ => {}
        }
        for (kind, net) in [(FRA_SRC, rule.from), (FRA_DST, rule.to)] {
            if let Some(net) = net.filter(|net| net.prefix_len() > 0) {
                message.address(kind, net.network());
            }
        }
        for (kind, name) in [(FRA_IIFNAME, rule.iif), (FRA_OIFNAME, rule.oif)] {
            if let Some(name) = name {
                message.text(kind, name.as_str());
            }
        }
        if let Some((mark, mask)) = rule.fwmark {
            message.u32(FRA_FWMARK, mark);
            message.u32(FRA_FWMASK, mask);
        }
        if let Some((dscp, mask)) = rule.dscp {
            message.u8(FRA_DSCP, dscp);
            if mask != DSCP_ALL {
                message.u8(FRA_DSCP_MASK, mask);
            }
        }
        if let Some(protocol) = rule.ip_protocol {
            message.u8(FRA_IP_PROTO, protocol);
        }
        for (kind, range) in [(FRA_SPORT_RANGE, rule.source_ports), (FRA_DPORT_RANGE, rule.destination_ports)]
        {
            if let Some((first, last)) = range {
                let [[a, b], [c, d]] = [first.to_ne_bytes(), last.to_ne_bytes()];
                message.attribute(kind, &[a, b, c, d]);
            }
        }
        if let Some((first, last)) = rule.users {
            message.attribute(FRA_UID_RANGE, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
        if let Some(length) = rule.suppress_prefix_length {
            message.u32(FRA_SUPPRESS_PREFIXLEN, length);
        }
        if let Some(group) = rule.suppress_group {
            message.u32(FRA_SUPPRESS_IFGROUP, group);
        }
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        let option = match (self.rule.action, self.rule.ipv6) {
            (RuleAction::VrfTable, _) => "CONFIG_NET_L3_MASTER_DEV",
            (_, true) => "CONFIG_IPV6_MULTIPLE_TABLES",
            (_, false) => "CONFIG_IP_MULTIPLE_TABLES",
        };
        (matches!(refusal.errno, Errno::OPNOTSUPP | Errno::AFNOSUPPORT) && refusal.text.is_none())
            .then(|| Error::Unsupported { what: "this policy routing rule".to_owned(), option })
    }
}

fn kernel_action(action: RuleAction) -> u8 {
    match action {
        RuleAction::Table(_) | RuleAction::VrfTable => FR_ACT_TO_TBL,
        RuleAction::Goto(_) => FR_ACT_GOTO,
        RuleAction::Nop => FR_ACT_NOP,
        RuleAction::Blackhole => FR_ACT_BLACKHOLE,
        RuleAction::Unreachable => FR_ACT_UNREACHABLE,
        RuleAction::Prohibit => FR_ACT_PROHIBIT,
        RuleAction::Other(action) => action,
    }
}

/// `RTM_GETRULE` for all rules of a family.
struct GetRules {
    family: u8,
}

impl fmt::Display for GetRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list policy routing rules")
    }
}

impl Request for GetRules {
    fn message_type(&self) -> u16 {
        RTM_GETRULE
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        let mut header = [0; HEADER_LEN];
        header[0] = self.family;
        message.header(&header);
    }
}

/// All IPv4 and IPv6 rules of the namespace that `socket` belongs to, IPv4 first, in the order in which they are tried.
pub fn list(socket: &mut Socket) -> Result<Vec<Rule>> {
    let rules = socket.dump_families(
        "policy routing rules",
        |family| GetRules { family },
        |kind, payload| Ok((kind == RTM_NEWRULE).then(|| parse(payload)).flatten()),
    );
    let mut rules = match rules {
        // A kernel without CONFIG_IP_MULTIPLE_TABLES has no rules to list.
        Err(Error::Refused { refusal, .. }) if refusal.errno == Errno::OPNOTSUPP => return Ok(Vec::new()),
        rules => rules?,
    };
    rules.sort_by_key(|rule| (rule.ipv6, rule.priority));
    Ok(rules)
}

/// Reads the payload of `RTM_NEWRULE`; none if it is of another family or makes no sense.
pub(crate) fn parse(payload: &[u8]) -> Option<Rule> {
    let header = Reader::new(payload);
    let ipv6 = match header.u8(0) {
        AF_INET => false,
        AF_INET6 => true,
        _ => return None,
    };
    let mut rule = Rule::new(ipv6, 0, RuleAction::Nop);
    rule.protocol = 0;
    rule.tos = header.u8(3);
    rule.invert = header.u32(8) & FIB_RULE_INVERT != 0;
    let mut table = u32::from(header.u8(4));
    let (mut target, mut vrf) = (0, false);
    rule.finds_source = header.u32(8) & FIB_RULE_FIND_SADDR != 0;
    let (mut mark, mut mask) = (None, None);
    let (mut dscp, mut dscp_mask) = (None, DSCP_ALL);
    let net = |attribute: &Attribute<'_>, length: u8| -> Option<IpNet> {
        let address = attribute.address().filter(|address| address.is_ipv6() == ipv6)?;
        Some(IpNet::new(address, length).ok()?.trunc())
    };
    let unless_all_ones = |attribute: &Attribute<'_>| attribute.u32().filter(|&value| value != u32::MAX);
    for attribute in header.attributes(HEADER_LEN) {
        let words = Reader::new(attribute.payload);
        match attribute.kind {
            FRA_DST => rule.to = Some(net(&attribute, header.u8(1))?),
            FRA_SRC => rule.from = Some(net(&attribute, header.u8(2))?),
            FRA_IIFNAME => rule.iif = Some(lossy_name(&attribute)),
            FRA_OIFNAME => rule.oif = Some(lossy_name(&attribute)),
            FRA_GOTO => target = attribute.u32()?,
            FRA_PRIORITY => rule.priority = attribute.u32()?,
            FRA_FWMARK => mark = attribute.u32(),
            FRA_FWMASK => mask = attribute.u32(),
            FRA_TABLE => table = attribute.u32()?,
            FRA_PROTOCOL => rule.protocol = attribute.u8()?,
            FRA_L3MDEV => vrf = attribute.u8()? != 0,
            FRA_IP_PROTO => rule.ip_protocol = attribute.u8(),
            FRA_SPORT_RANGE => rule.source_ports = Some((words.u16(0), words.u16(2))),
            FRA_DPORT_RANGE => rule.destination_ports = Some((words.u16(0), words.u16(2))),
            FRA_UID_RANGE => rule.users = Some((words.u32(0), words.u32(4))),
            // Always there, -1 for none.
            FRA_SUPPRESS_PREFIXLEN => rule.suppress_prefix_length = unless_all_ones(&attribute),
            FRA_SUPPRESS_IFGROUP => rule.suppress_group = unless_all_ones(&attribute),
            FRA_DSCP => dscp = attribute.u8(),
            FRA_DSCP_MASK => dscp_mask = attribute.u8()?,
            // A realm changes accounts, not ways.
            FRA_FLOW | FRA_PAD => {}
            // A mask of all bits is what a single port has (Linux 6.15).
            FRA_SPORT_MASK | FRA_DPORT_MASK if attribute.u16() == Some(u16::MAX) => {}
            unknown => rule.unknown.push(unknown),
        }
    }
    rule.dscp = dscp.map(|dscp| (dscp, dscp_mask));
    // The kernel leaves a mark or a mask that is 0 out.
    rule.fwmark = (mark.is_some() || mask.is_some()).then(|| (mark.unwrap_or(0), mask.unwrap_or(0)));
    rule.action = match header.u8(7) {
        FR_ACT_TO_TBL if vrf => RuleAction::VrfTable,
        FR_ACT_TO_TBL => RuleAction::Table(table),
        FR_ACT_GOTO => RuleAction::Goto(target),
        FR_ACT_NOP => RuleAction::Nop,
        FR_ACT_BLACKHOLE => RuleAction::Blackhole,
        FR_ACT_UNREACHABLE => RuleAction::Unreachable,
        FR_ACT_PROHIBIT => RuleAction::Prohibit,
        other => RuleAction::Other(other),
    };
    Some(rule)
}
