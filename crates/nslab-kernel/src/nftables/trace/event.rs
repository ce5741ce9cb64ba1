//! What the kernel tells of a traced packet (`nft_trace_notify`, `net/netfilter/nf_tables_trace.c`).

use crate::netlink::Reader;
use crate::nftables::abi::*;
use crate::nftables::data::{Data, Verdict};
use crate::nftables::expr::CtState;
use crate::nftables::family::Family;
use crate::nftables::fields::Fields;
use crate::nftables::read::HEADER_LEN;
use crate::nftables::table::{Policy, TableId};

/// `enum nft_trace_types`.
const POLICY: u32 = 1;
const RETURN: u32 = 2;
const RULE: u32 = 3;
/// `NF_DROP`.
const NF_DROP: u32 = 0;

/// A step of a traced packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// What tells packets of one namespace apart: the same number at all hooks from where a packet was made or came in to
    /// where it goes out (a hash of its buffer's address and of the interface, `trace_fill_id`). A number may come again
    /// later.
    pub id: u32,
    /// The table.
    pub table: TableId,
    /// The chain in it.
    pub chain: String,
    /// What happened.
    pub step: TraceStep,
    /// The packet's mark after it; 0 if it has none.
    pub mark: u32,
    /// The packet as it came to this base chain; only in the first event of each.
    pub packet: Option<TracePacket>,
}

/// What happened to a traced packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceStep {
    /// A rule matched all through.
    Rule {
        /// Its number, as [`Rule::handle`](crate::nftables::Rule::handle).
        handle: u64,
        /// What it came to; [`Verdict::Continue`] if the next rule is met.
        verdict: Verdict,
    },
    /// A chain that was jumped to ended. Of `return` the kernel tells as of a rule ([`Verdict::Return`]), and nothing where
    /// a chain has no further rule.
    Return {
        /// The rule, if one said so.
        handle: Option<u64>,
    },
    /// No rule decided, and the policy of the base chain did.
    Policy(Policy),
}

/// A packet as a base chain got it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TracePacket {
    /// Whose hook it is, `NFPROTO_…`: 2 of IPv4, 10 of IPv6, 7 of a bridge.
    pub protocol: u8,
    /// The interface that it came in by.
    pub input: Option<u32>,
    /// The interface that it is to leave by.
    pub output: Option<u32>,
    /// The link-layer header, if it has one yet.
    pub link: Data,
    /// The network layer's header.
    pub network: Data,
    /// The transport layer's header, or what there is of it: at most 20 bytes.
    pub transport: Data,
    /// What connection tracking says of it (since Linux 6.16).
    pub connection: Option<TraceConnection>,
}

/// What connection tracking says of a traced packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceConnection {
    /// Its state, one bit.
    pub state: CtState,
    /// The entry's number, as conntrack(8) lists it; none of a packet that is not tracked.
    pub id: Option<u32>,
    /// It goes the way of the connection's answers.
    pub is_reply: bool,
}

/// Reads `NFT_MSG_TRACE`; none if it is of no kind that is known.
pub(crate) fn parse(payload: &[u8]) -> Option<TraceEvent> {
    let header = Reader::new(payload);
    let family = Family::from_number(header.u8(0))?;
    let mut fields = Fields::new(header.attributes(HEADER_LEN));
    let table = TableId::new(family, fields.name(NFTA_TRACE_TABLE)?);
    let chain = fields.name(NFTA_TRACE_CHAIN)?;
    let handle = fields.be64(NFTA_TRACE_RULE_HANDLE);
    let step = match fields.be32(NFTA_TRACE_TYPE)? {
        RULE => {
            let mut verdict = Fields::new(fields.take(NFTA_TRACE_VERDICT)?.nested());
            let code = verdict.be32(NFTA_VERDICT_CODE)?.cast_signed();
            let verdict = Verdict::from_code(code, verdict.text(NFTA_VERDICT_CHAIN))?;
            TraceStep::Rule { handle: handle?, verdict }
        }
        RETURN => TraceStep::Return { handle },
        POLICY => TraceStep::Policy(match fields.be32(NFTA_TRACE_POLICY)? {
            NF_DROP => Policy::Drop,
            _ => Policy::Accept,
        }),
        _ => return None,
    };
    let id = fields.be32(NFTA_TRACE_ID).unwrap_or(0);
    let mark = fields.be32(NFTA_TRACE_MARK).unwrap_or(0);
    let protocol = fields.be32(NFTA_TRACE_NFPROTO).and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
    let packet = fields.bytes(NFTA_TRACE_NETWORK_HEADER).map(|network| TracePacket {
        protocol,
        input: fields.be32(NFTA_TRACE_IIF),
        output: fields.be32(NFTA_TRACE_OIF),
        link: fields.bytes(NFTA_TRACE_LL_HEADER).unwrap_or_default(),
        network,
        transport: fields.bytes(NFTA_TRACE_TRANSPORT_HEADER).unwrap_or_default(),
        connection: fields.be32(NFTA_TRACE_CT_STATE).map(|state| TraceConnection {
            state: CtState(state),
            id: fields.be32(NFTA_TRACE_CT_ID),
            is_reply: fields.u8(NFTA_TRACE_CT_DIRECTION) == Some(1),
        }),
    });
    Some(TraceEvent { id, table, chain, step, mark, packet })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 4).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// A message of inet's table `t`, chain `c`, with these attributes besides.
    fn message(more: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0];
        bytes.extend(attribute(NFTA_TRACE_TABLE, b"t\0"));
        bytes.extend(attribute(NFTA_TRACE_CHAIN, b"c\0"));
        bytes.extend(attribute(NFTA_TRACE_ID, &7_u32.to_be_bytes()));
        bytes.extend(more.concat());
        bytes
    }

    #[test]
    fn a_rule_with_its_packet() {
        let verdict =
            [attribute(NFTA_VERDICT_CODE, &(-3_i32).to_be_bytes()), attribute(2, b"other\0")].concat();
        let bytes = message(&[
            attribute(NFTA_TRACE_TYPE, &RULE.to_be_bytes()),
            attribute(NFTA_TRACE_RULE_HANDLE, &9_u64.to_be_bytes()),
            attribute(NFTA_TRACE_VERDICT, &verdict),
            attribute(NFTA_TRACE_NFPROTO, &2_u32.to_be_bytes()),
            attribute(NFTA_TRACE_IIF, &3_u32.to_be_bytes()),
            attribute(NFTA_TRACE_NETWORK_HEADER, &[0x45; 20]),
        ]);
        let event = parse(&bytes).unwrap();
        assert_eq!(event.step, TraceStep::Rule { handle: 9, verdict: Verdict::Jump("other".into()) });
        assert_eq!(
            (event.id, event.table, event.chain),
            (7, TableId::new(Family::Inet, "t"), "c".to_owned())
        );
        let packet = event.packet.unwrap();
        assert_eq!((packet.protocol, packet.input, packet.output), (2, Some(3), None));
        assert_eq!((packet.network.len(), packet.transport.len(), packet.connection), (20, 0, None));
    }

    #[test]
    fn policies_and_returns_and_what_is_neither() {
        let of = |kind: u32, more: &[Vec<u8>]| {
            let all = [&[attribute(NFTA_TRACE_TYPE, &kind.to_be_bytes())], more].concat();
            parse(&message(&all)).map(|event| event.step)
        };
        let policy = |code: u32| attribute(NFTA_TRACE_POLICY, &code.to_be_bytes());
        assert_eq!(of(POLICY, &[policy(0)]), Some(TraceStep::Policy(Policy::Drop)));
        assert_eq!(of(POLICY, &[policy(1)]), Some(TraceStep::Policy(Policy::Accept)));
        assert_eq!(of(RETURN, &[]), Some(TraceStep::Return { handle: None }));
        assert_eq!((of(0, &[]), of(9, &[]), of(POLICY, &[]), of(RULE, &[])), (None, None, None, None));
    }

    #[test]
    fn what_is_cut_off_is_no_event_or_less_of_one() {
        let whole = message(&[attribute(NFTA_TRACE_TYPE, &RETURN.to_be_bytes())]);
        for length in 0..whole.len() {
            let _ = parse(&whole[..length]);
        }
    }
}
