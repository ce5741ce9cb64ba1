//! Expressions written that load into registers or set something from them.

use super::encode::{be32_unless_0, register, write_act};
use super::{CtDirection, Expr, HashKind};
use crate::netlink::MessageWriter;
use crate::nftables::abi::*;

/// What loads into registers or sets from them.
pub(super) fn write_load(m: &mut MessageWriter<'_>, expr: &Expr) {
    match expr {
        Expr::Payload { destination, base, offset, len } => {
            register(m, NFTA_PAYLOAD_DREG, *destination);
            m.be32(NFTA_PAYLOAD_BASE, base.number());
            m.be32(NFTA_PAYLOAD_OFFSET, *offset);
            m.be32(NFTA_PAYLOAD_LEN, *len);
        }
        Expr::PayloadSet { source, base, offset, len, checksum_kind, checksum_offset, checksum_flags } => {
            register(m, NFTA_PAYLOAD_SREG, *source);
            m.be32(NFTA_PAYLOAD_BASE, base.number());
            m.be32(NFTA_PAYLOAD_OFFSET, *offset);
            m.be32(NFTA_PAYLOAD_LEN, *len);
            m.be32(NFTA_PAYLOAD_CSUM_TYPE, *checksum_kind);
            m.be32(NFTA_PAYLOAD_CSUM_OFFSET, *checksum_offset);
            m.be32(NFTA_PAYLOAD_CSUM_FLAGS, *checksum_flags);
        }
        Expr::Exthdr { destination, kind, number, offset, len, present } => {
            register(m, NFTA_EXTHDR_DREG, *destination);
            write_exthdr(m, kind.number(), *number, *offset, *len);
            be32_unless_0(m, NFTA_EXTHDR_FLAGS, u32::from(*present));
        }
        Expr::ExthdrSet { source, kind, number, offset, len } => {
            register(m, NFTA_EXTHDR_SREG, *source);
            write_exthdr(m, kind.number(), *number, *offset, *len);
        }
        Expr::ExthdrReset { kind, number } => {
            // The kernel takes no offset, length or flags for it.
            m.u8(NFTA_EXTHDR_TYPE, *number);
            m.be32(NFTA_EXTHDR_OP, kind.number());
        }
        Expr::Meta { destination, key } => {
            register(m, NFTA_META_DREG, *destination);
            m.be32(NFTA_META_KEY, key.number());
        }
        Expr::MetaSet { source, key } => {
            register(m, NFTA_META_SREG, *source);
            m.be32(NFTA_META_KEY, key.number());
        }
        Expr::Ct { destination, key, direction } => {
            register(m, NFTA_CT_DREG, *destination);
            m.be32(NFTA_CT_KEY, key.number());
            write_direction(m, *direction);
        }
        Expr::CtSet { source, key, direction } => {
            register(m, NFTA_CT_SREG, *source);
            m.be32(NFTA_CT_KEY, key.number());
            write_direction(m, *direction);
        }
        Expr::Rt { destination, key } => {
            register(m, NFTA_RT_DREG, *destination);
            m.be32(NFTA_RT_KEY, key.number());
        }
        Expr::Socket { destination, key, level } => {
            m.be32(NFTA_SOCKET_KEY, key.number());
            register(m, NFTA_SOCKET_DREG, *destination);
            if let Some(level) = level {
                m.be32(NFTA_SOCKET_LEVEL, *level);
            }
        }
        Expr::Fib { destination, result, flags } => {
            register(m, NFTA_FIB_DREG, *destination);
            m.be32(NFTA_FIB_RESULT, result.number());
            m.be32(NFTA_FIB_FLAGS, flags.0);
        }
        Expr::Numgen { destination, random, modulus, offset } => {
            register(m, NFTA_NG_DREG, *destination);
            m.be32(NFTA_NG_MODULUS, *modulus);
            m.be32(NFTA_NG_TYPE, u32::from(*random));
            m.be32(NFTA_NG_OFFSET, *offset);
        }
        Expr::Hash { destination, kind, modulus, offset } => {
            register(m, NFTA_HASH_DREG, *destination);
            match kind {
                HashKind::Jenkins { source, len, seed } => {
                    register(m, NFTA_HASH_SREG, *source);
                    m.be32(NFTA_HASH_LEN, *len);
                    if let Some(seed) = seed {
                        m.be32(NFTA_HASH_SEED, *seed);
                    }
                    m.be32(NFTA_HASH_TYPE, 0);
                }
                HashKind::Symmetric => m.be32(NFTA_HASH_TYPE, 1),
            }
            m.be32(NFTA_HASH_MODULUS, *modulus);
            be32_unless_0(m, NFTA_HASH_OFFSET, *offset);
        }
        Expr::Osf { destination, ttl, flags } => {
            register(m, NFTA_OSF_DREG, *destination);
            m.u8(NFTA_OSF_TTL, *ttl);
            // The kernel refuses to be told that there is none.
            be32_unless_0(m, NFTA_OSF_FLAGS, *flags);
        }
        Expr::Xfrm { destination, key, direction, index } => {
            register(m, NFTA_XFRM_DREG, *destination);
            m.be32(NFTA_XFRM_KEY, key.number());
            m.u8(NFTA_XFRM_DIR, *direction);
            m.be32(NFTA_XFRM_SPNUM, *index);
        }
        Expr::Tunnel { destination, key, mode } => {
            register(m, NFTA_TUNNEL_DREG, *destination);
            m.be32(NFTA_TUNNEL_KEY, *key);
            m.be32(NFTA_TUNNEL_MODE, *mode);
        }
        _ => write_act(m, expr),
    }
}

fn write_exthdr(m: &mut MessageWriter<'_>, op: u32, number: u8, offset: u32, len: u32) {
    m.u8(NFTA_EXTHDR_TYPE, number);
    m.be32(NFTA_EXTHDR_OFFSET, offset);
    m.be32(NFTA_EXTHDR_LEN, len);
    m.be32(NFTA_EXTHDR_OP, op);
}

fn write_direction(m: &mut MessageWriter<'_>, direction: Option<CtDirection>) {
    match direction {
        None => {}
        Some(CtDirection::Original) => m.u8(NFTA_CT_DIRECTION, 0),
        Some(CtDirection::Reply) => m.u8(NFTA_CT_DIRECTION, 1),
    }
}
