//! Expressions written.

use std::collections::HashMap;

use super::{
    BitwiseOp, Dynset, Expr, Limit, Log, LookupInto, Nat, Objref, QueueNumber, Quota, RegisterRange, Reject,
    Synproxy,
};
use crate::netlink::MessageWriter;
use crate::nftables::abi::*;
use crate::nftables::data::{Register, Verdict};
use crate::nftables::family::Family;

/// What a transaction has made in one table, which later requests of it refer to by number: the kernel chooses the name of an
/// anonymous set or chain only once it has it.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// Sets by the name that the model has for them: number, and the name to be sent.
    pub(crate) sets: HashMap<String, (u32, String)>,
    /// Chains that exist only for the jump to them.
    pub(crate) chains: HashMap<String, u32>,
}

impl References {
    fn set(&self, message: &mut MessageWriter<'_>, name: &str, name_kind: u16, id_kind: u16) {
        match self.sets.get(name) {
            Some((id, sent)) => {
                message.text(name_kind, sent);
                message.be32(id_kind, *id);
            }
            None => message.text(name_kind, name),
        }
    }
}

/// Writes `NFTA_DATA_VALUE` into a nest.
pub(crate) fn write_value(message: &mut MessageWriter<'_>, kind: u16, value: &[u8]) {
    message.nested(kind, |data| data.attribute(NFTA_DATA_VALUE, value));
}

/// Writes `NFTA_DATA_VERDICT` into a nest.
pub(crate) fn write_verdict(
    message: &mut MessageWriter<'_>,
    kind: u16,
    verdict: &Verdict,
    references: &References,
) {
    message.nested(kind, |data| {
        data.nested(NFTA_DATA_VERDICT, |inner| {
            inner.be32(NFTA_VERDICT_CODE, verdict.code().cast_unsigned());
            match verdict.chain().map(|chain| (chain, references.chains.get(chain))) {
                None => {}
                Some((chain, None)) => inner.text(NFTA_VERDICT_CHAIN, chain),
                Some((_, Some(id))) => inner.be32(NFTA_VERDICT_CHAIN_ID, *id),
            }
        });
    });
}

/// Writes expressions as a list of `NFTA_LIST_ELEM`s.
pub(crate) fn write_list(message: &mut MessageWriter<'_>, kind: u16, list: &[Expr], references: &References) {
    message.nested(kind, |message| {
        for expr in list {
            write_expression(message, NFTA_LIST_ELEM, expr, references);
        }
    });
}

/// Writes one expression into a nest.
pub(crate) fn write_expression(
    message: &mut MessageWriter<'_>,
    kind: u16,
    expr: &Expr,
    references: &References,
) {
    message.nested(kind, |message| {
        message.text(NFTA_EXPR_NAME, name(expr));
        match expr {
            Expr::Notrack | Expr::Unknown { data: None, .. } => {}
            // As it came: the nest's content is attributes already.
            Expr::Unknown { data: Some(data), .. } => message.nested_raw(NFTA_EXPR_DATA, data),
            _ => message.nested(NFTA_EXPR_DATA, |data| write_data(data, expr, references)),
        }
    });
}

/// The kernel's name of an expression.
pub(crate) fn name(expr: &Expr) -> &str {
    match expr {
        Expr::Immediate { .. } | Expr::Verdict(_) => "immediate",
        Expr::Cmp { .. } => "cmp",
        Expr::Range { .. } => "range",
        Expr::Bitwise { .. } => "bitwise",
        Expr::Byteorder { .. } => "byteorder",
        Expr::Payload { .. } | Expr::PayloadSet { .. } => "payload",
        Expr::Exthdr { .. } | Expr::ExthdrSet { .. } | Expr::ExthdrReset { .. } => "exthdr",
        Expr::Meta { .. } | Expr::MetaSet { .. } => "meta",
        Expr::Ct { .. } | Expr::CtSet { .. } => "ct",
        Expr::Rt { .. } => "rt",
        Expr::Socket { .. } => "socket",
        Expr::Fib { .. } => "fib",
        Expr::Numgen { .. } => "numgen",
        Expr::Hash { .. } => "hash",
        Expr::Osf { .. } => "osf",
        Expr::Xfrm { .. } => "xfrm",
        Expr::Tunnel { .. } => "tunnel",
        Expr::Lookup { .. } => "lookup",
        Expr::Dynset(_) => "dynset",
        Expr::Objref(_) => "objref",
        Expr::Counter { .. } => "counter",
        Expr::Limit(_) => "limit",
        Expr::Quota(_) => "quota",
        Expr::Connlimit { .. } => "connlimit",
        Expr::Last { .. } => "last",
        Expr::Log(_) => "log",
        Expr::Reject(_) => "reject",
        Expr::Nat(_) => "nat",
        Expr::Masquerade { .. } => "masq",
        Expr::Redirect { .. } => "redir",
        Expr::Tproxy { .. } => "tproxy",
        Expr::Synproxy(_) => "synproxy",
        Expr::Notrack => "notrack",
        Expr::Queue { .. } => "queue",
        Expr::Dup { .. } => "dup",
        Expr::Fwd { .. } => "fwd",
        Expr::FlowOffload { .. } => "flow_offload",
        Expr::Xt { target: false, .. } => "match",
        Expr::Xt { target: true, .. } => "target",
        Expr::Unknown { name, .. } => name,
    }
}

pub(super) fn register(message: &mut MessageWriter<'_>, kind: u16, register: Register) {
    message.be32(kind, register.number());
}

pub(super) fn register_if_any(message: &mut MessageWriter<'_>, kind: u16, one: Option<Register>) {
    if let Some(one) = one {
        register(message, kind, one);
    }
}

pub(super) fn range(message: &mut MessageWriter<'_>, first: u16, last: u16, range: Option<RegisterRange>) {
    if let Some(range) = range {
        register(message, first, range.first);
        register(message, last, range.last);
    }
}

pub(super) fn be32_unless_0(message: &mut MessageWriter<'_>, kind: u16, value: u32) {
    if value != 0 {
        message.be32(kind, value);
    }
}

fn write_data(m: &mut MessageWriter<'_>, expr: &Expr, references: &References) {
    match expr {
        Expr::Notrack | Expr::Unknown { .. } => {}
        Expr::Immediate { destination, data } => {
            register(m, NFTA_IMMEDIATE_DREG, *destination);
            write_value(m, NFTA_IMMEDIATE_DATA, data);
        }
        Expr::Verdict(verdict) => {
            m.be32(NFTA_IMMEDIATE_DREG, 0);
            write_verdict(m, NFTA_IMMEDIATE_DATA, verdict, references);
        }
        Expr::Cmp { source, op, data } => {
            register(m, NFTA_CMP_SREG, *source);
            m.be32(NFTA_CMP_OP, op.number());
            write_value(m, NFTA_CMP_DATA, data);
        }
        Expr::Range { source, inverted, from, to } => {
            register(m, NFTA_RANGE_SREG, *source);
            m.be32(NFTA_RANGE_OP, u32::from(*inverted));
            write_value(m, NFTA_RANGE_FROM_DATA, from);
            write_value(m, NFTA_RANGE_TO_DATA, to);
        }
        Expr::Bitwise { source, destination, len, op } => {
            register(m, NFTA_BITWISE_SREG, *source);
            register(m, NFTA_BITWISE_DREG, *destination);
            m.be32(NFTA_BITWISE_LEN, *len);
            write_bitwise(m, op);
        }
        Expr::Byteorder { source, destination, to_network, len, size } => {
            register(m, NFTA_BYTEORDER_SREG, *source);
            register(m, NFTA_BYTEORDER_DREG, *destination);
            m.be32(NFTA_BYTEORDER_OP, u32::from(*to_network));
            m.be32(NFTA_BYTEORDER_LEN, *len);
            m.be32(NFTA_BYTEORDER_SIZE, *size);
        }
        Expr::Lookup { set, source, into, inverted } => {
            references.set(m, set, NFTA_LOOKUP_SET, NFTA_LOOKUP_SET_ID);
            register(m, NFTA_LOOKUP_SREG, *source);
            match into {
                LookupInto::Nothing => {}
                LookupInto::Verdict => m.be32(NFTA_LOOKUP_DREG, 0),
                LookupInto::Register(destination) => register(m, NFTA_LOOKUP_DREG, *destination),
            }
            be32_unless_0(m, NFTA_LOOKUP_FLAGS, u32::from(*inverted));
        }
        Expr::Dynset(dynset) => write_dynset(m, dynset, references),
        Expr::Objref(Objref::Named { kind, name }) => {
            m.be32(NFTA_OBJREF_IMM_TYPE, kind.number());
            m.text(NFTA_OBJREF_IMM_NAME, name);
        }
        Expr::Objref(Objref::Map { set, source }) => {
            register(m, NFTA_OBJREF_SET_SREG, *source);
            references.set(m, set, NFTA_OBJREF_SET_NAME, NFTA_OBJREF_SET_ID);
        }
        Expr::Counter { packets, bytes } => {
            m.be64(NFTA_COUNTER_BYTES, *bytes);
            m.be64(NFTA_COUNTER_PACKETS, *packets);
        }
        Expr::Limit(limit) => write_limit(m, limit),
        Expr::Quota(quota) => write_quota(m, quota),
        Expr::Connlimit { count, inverted } => {
            m.be32(NFTA_CONNLIMIT_COUNT, *count);
            m.be32(NFTA_CONNLIMIT_FLAGS, u32::from(*inverted));
        }
        Expr::Last { ago } => {
            if let Some(ago) = ago {
                m.be32(NFTA_LAST_SET, 1);
                m.be64(NFTA_LAST_MSECS, *ago);
            }
        }
        _ => super::encode_loads::write_load(m, expr),
    }
}

fn write_bitwise(m: &mut MessageWriter<'_>, op: &BitwiseOp) {
    // The kernel before 5.6 knows no other operation, and no attribute for it.
    match op {
        BitwiseOp::MaskXor { mask, xor } => {
            write_value(m, NFTA_BITWISE_MASK, mask);
            write_value(m, NFTA_BITWISE_XOR, xor);
        }
        BitwiseOp::ShiftLeft(bits) => {
            m.be32(NFTA_BITWISE_OP, 1);
            write_value(m, NFTA_BITWISE_DATA, &bits.to_ne_bytes());
        }
        BitwiseOp::ShiftRight(bits) => {
            m.be32(NFTA_BITWISE_OP, 2);
            write_value(m, NFTA_BITWISE_DATA, &bits.to_ne_bytes());
        }
        BitwiseOp::Register { op, other } => {
            m.be32(NFTA_BITWISE_OP, *op);
            register(m, NFTA_BITWISE_SREG2, *other);
        }
    }
}

fn write_dynset(m: &mut MessageWriter<'_>, dynset: &Dynset, references: &References) {
    references.set(m, &dynset.set, NFTA_DYNSET_SET_NAME, NFTA_DYNSET_SET_ID);
    m.be32(NFTA_DYNSET_OP, dynset.op);
    register(m, NFTA_DYNSET_SREG_KEY, dynset.key);
    register_if_any(m, NFTA_DYNSET_SREG_DATA, dynset.data);
    if let Some(timeout) = dynset.timeout {
        m.be64(NFTA_DYNSET_TIMEOUT, timeout);
    }
    // NFT_DYNSET_F_EXPR goes with a list of several.
    let several = dynset.expressions.len() > 1;
    be32_unless_0(m, NFTA_DYNSET_FLAGS, u32::from(dynset.inverted) | if several { 2 } else { 0 });
    match &dynset.expressions[..] {
        [] => {}
        [one] => write_expression(m, NFTA_DYNSET_EXPR, one, references),
        several => write_list(m, NFTA_DYNSET_EXPRESSIONS, several, references),
    }
}

pub(crate) fn write_limit(m: &mut MessageWriter<'_>, limit: &Limit) {
    m.be64(NFTA_LIMIT_RATE, limit.rate);
    m.be64(NFTA_LIMIT_UNIT, limit.seconds);
    m.be32(NFTA_LIMIT_BURST, limit.burst);
    m.be32(NFTA_LIMIT_TYPE, u32::from(limit.bytes));
    m.be32(NFTA_LIMIT_FLAGS, u32::from(limit.inverted));
}

pub(crate) fn write_quota(m: &mut MessageWriter<'_>, quota: &Quota) {
    m.be64(NFTA_QUOTA_BYTES, quota.bytes);
    m.be64(NFTA_QUOTA_CONSUMED, quota.consumed);
    // That it is used up is the kernel's to say (NFT_QUOTA_F_DEPLETED).
    m.be32(NFTA_QUOTA_FLAGS, quota.flags & 1);
}

pub(crate) fn write_synproxy(m: &mut MessageWriter<'_>, synproxy: Synproxy) {
    m.be16(NFTA_SYNPROXY_MSS, synproxy.mss);
    m.u8(NFTA_SYNPROXY_WSCALE, synproxy.window_scale);
    m.be32(NFTA_SYNPROXY_FLAGS, synproxy.flags);
}

/// What does something to the packet.
pub(super) fn write_act(m: &mut MessageWriter<'_>, expr: &Expr) {
    match expr {
        Expr::Log(log) => write_log(m, log),
        Expr::Reject(reject) => {
            let (kind, code) = match reject {
                Reject::Icmp(code) => (0, Some(*code)),
                Reject::TcpReset => (1, None),
                Reject::Icmpx(reason) => (2, u8::try_from(reason.number()).ok()),
            };
            m.be32(NFTA_REJECT_TYPE, kind);
            if let Some(code) = code {
                m.u8(NFTA_REJECT_ICMP_CODE, code);
            }
        }
        Expr::Nat(nat) => write_nat(m, nat),
        Expr::Masquerade { flags, ports } => {
            be32_unless_0(m, NFTA_MASQ_FLAGS, flags.0);
            range(m, NFTA_MASQ_REG_PROTO_MIN, NFTA_MASQ_REG_PROTO_MAX, *ports);
        }
        Expr::Redirect { flags, ports } => {
            range(m, NFTA_REDIR_REG_PROTO_MIN, NFTA_REDIR_REG_PROTO_MAX, *ports);
            be32_unless_0(m, NFTA_REDIR_FLAGS, flags.0);
        }
        Expr::Tproxy { family, address, port } => {
            // NFPROTO_UNSPEC stands for both.
            let number = if *family == Family::Inet { 0 } else { u32::from(family.number()) };
            m.be32(NFTA_TPROXY_FAMILY, number);
            register_if_any(m, NFTA_TPROXY_REG_ADDR, *address);
            register_if_any(m, NFTA_TPROXY_REG_PORT, *port);
        }
        Expr::Synproxy(synproxy) => write_synproxy(m, *synproxy),
        Expr::Queue { number, flags } => {
            match number {
                QueueNumber::Fixed { first, total } => {
                    m.be16(NFTA_QUEUE_NUM, *first);
                    m.be16(NFTA_QUEUE_TOTAL, *total);
                }
                QueueNumber::Register(source) => register(m, NFTA_QUEUE_SREG_QNUM, *source),
            }
            m.be16(NFTA_QUEUE_FLAGS, *flags);
        }
        Expr::Dup { address, device } => {
            register_if_any(m, NFTA_DUP_SREG_ADDR, *address);
            register_if_any(m, NFTA_DUP_SREG_DEV, *device);
        }
        Expr::Fwd { device, next_hop } => {
            register(m, NFTA_FWD_SREG_DEV, *device);
            if let Some((address, family)) = next_hop {
                register(m, NFTA_FWD_SREG_ADDR, *address);
                m.be32(NFTA_FWD_NFPROTO, *family);
            }
        }
        Expr::FlowOffload { flowtable } => m.text(NFTA_FLOW_TABLE_NAME, flowtable),
        Expr::Xt { name, revision, info, .. } => {
            m.text(NFTA_COMPAT_NAME, name);
            m.be32(NFTA_COMPAT_REV, *revision);
            m.attribute(NFTA_COMPAT_INFO, info);
        }
        _ => {}
    }
}

fn write_log(m: &mut MessageWriter<'_>, log: &Log) {
    if let Some(prefix) = &log.prefix {
        m.text(NFTA_LOG_PREFIX, prefix);
    }
    if let Some(group) = log.group {
        m.be16(NFTA_LOG_GROUP, group);
    }
    if let Some(snaplen) = log.snaplen {
        m.be32(NFTA_LOG_SNAPLEN, snaplen);
    }
    if let Some(threshold) = log.threshold {
        m.be16(NFTA_LOG_QTHRESHOLD, threshold);
    }
    if let Some(level) = log.level {
        m.be32(NFTA_LOG_LEVEL, level.number());
    }
    be32_unless_0(m, NFTA_LOG_FLAGS, log.flags.0);
}

fn write_nat(m: &mut MessageWriter<'_>, nat: &Nat) {
    m.be32(NFTA_NAT_TYPE, u32::from(nat.destination));
    m.be32(NFTA_NAT_FAMILY, u32::from(nat.family.number()));
    range(m, NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_ADDR_MAX, nat.addresses);
    range(m, NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_REG_PROTO_MAX, nat.ports);
    be32_unless_0(m, NFTA_NAT_FLAGS, nat.flags.0);
}
