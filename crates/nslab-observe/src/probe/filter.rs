//! What raw sockets shall show of what comes in: the probes of a call, and nothing else (`include/uapi/linux/filter.h`).

use super::arrivals::Kind;

const LOAD_BYTE_X: u16 = code(libc::BPF_LD | libc::BPF_B | libc::BPF_IND);
const LOAD_WORD_X: u16 = code(libc::BPF_LD | libc::BPF_W | libc::BPF_IND);
const LOAD_X: u16 = code(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM);
/// X becomes the length of the IPv4 header at an offset.
const LOAD_X_HEADER_LEN: u16 = code(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH);
const AND: u16 = code(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K);
const JUMP_EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
const RETURN: u16 = code(libc::BPF_RET | libc::BPF_K);
/// Where UDP's payload and TCP's flags begin, and what of them says that a connection begins: SYN and not ACK.
const PAYLOAD: u32 = 8;
const FLAGS: u32 = 13;
const SYN_ACK: u32 = 0x12;
const SYN: u32 = 0x02;

/// An instruction's code. They are all below 0x100 (`include/uapi/linux/bpf_common.h`).
#[allow(clippy::cast_possible_truncation, reason = "checked in the line before")]
const fn code(bits: u32) -> u16 {
    assert!(bits <= 0xff);
    bits as u16
}

/// Takes datagrams that begin with `magic`, or first packets of connections. In IPv4 a packet begins with the header of IP, in IPv6
/// with that of UDP or TCP (raw(7), RFC 3542 section 3).
pub(super) fn program(kind: Kind, is_ipv6: bool, magic: u32) -> Vec<libc::sock_filter> {
    let step = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let skip = if is_ipv6 { step(LOAD_X, 0) } else { step(LOAD_X_HEADER_LEN, 0) };
    let mut program = vec![skip];
    let wanted = match kind {
        Kind::Udp => {
            program.push(step(LOAD_WORD_X, PAYLOAD));
            magic
        }
        Kind::Tcp => {
            program.extend([step(LOAD_BYTE_X, FLAGS), step(AND, SYN_ACK)]);
            SYN
        }
    };
    program.extend([
        libc::sock_filter { code: JUMP_EQUAL, jt: 0, jf: 1, k: wanted },
        step(RETURN, u32::MAX),
        step(RETURN, 0),
    ]);
    program
}
