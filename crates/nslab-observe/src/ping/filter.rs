//! Which packets the kernel shall hand to a socket at all.
//!
//! Every raw ICMP socket of a namespace is offered every ICMP message that comes in. Two filters keep out what is not
//! ours: one by type, which costs a bit test, and a program of classic BPF (`include/uapi/linux/filter.h`) that looks
//! for our identifier. What only looks like ours is turned away by the nonce, later.

use super::icmp::Family;

/// Types that `ICMP_FILTER` lets through: replies and errors. A set bit blocks (`include/uapi/linux/icmp.h`).
pub(super) const TYPES_V4: u32 = !(1 << 0 | 1 << 3 | 1 << 11 | 1 << 12);
/// The same for `ICMP6_FILTER` (`include/uapi/linux/icmpv6.h`): types 1 to 4 and 129.
pub(super) const TYPES_V6: [u32; 8] =
    [!(1 << 1 | 1 << 2 | 1 << 3 | 1 << 4), !0, !0, !0, !(1 << 1), !0, !0, !0];

const LOAD_BYTE: u16 = code(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS);
const LOAD_BYTE_X: u16 = code(libc::BPF_LD | libc::BPF_B | libc::BPF_IND);
const LOAD_HALF: u16 = code(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS);
const LOAD_HALF_X: u16 = code(libc::BPF_LD | libc::BPF_H | libc::BPF_IND);
/// X becomes the length of the IPv4 header at an offset.
const LOAD_X_HEADER_LEN: u16 = code(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH);
const AND: u16 = code(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K);
const SHIFT_LEFT: u16 = code(libc::BPF_ALU | libc::BPF_LSH | libc::BPF_K);
const ADD_X: u16 = code(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X);
const A_TO_X: u16 = code(libc::BPF_MISC | libc::BPF_TAX);
const JUMP_EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
const RETURN: u16 = code(libc::BPF_RET | libc::BPF_K);

/// An instruction's code. They are all below 0x100 (`include/uapi/linux/bpf_common.h`).
#[allow(clippy::cast_possible_truncation, reason = "checked in the line before")]
const fn code(bits: u32) -> u16 {
    assert!(bits <= 0xff);
    bits as u16
}

const TAKE: u32 = u32::MAX;
const DROP: u32 = 0;

/// Keeps messages with the identifier `id`, and errors that quote one. A load past the packet's end drops it.
pub(super) fn program(family: Family, id: u16) -> Vec<libc::sock_filter> {
    match family {
        Family::V4 => program_v4(id.into()),
        Family::V6 => program_v6(id.into()),
    }
}

/// The packet starts at its IP header.
fn program_v4(id: u32) -> Vec<libc::sock_filter> {
    vec![
        step(LOAD_X_HEADER_LEN, 0),
        step(LOAD_BYTE_X, 0),
        jump(0, 0, 2), // an error: go on two steps later
        step(LOAD_HALF_X, 4),
        jump(id, 7, 8),
        step(LOAD_BYTE_X, 8), // the quoted header's first byte: version and length
        step(AND, 0xf),
        step(SHIFT_LEFT, 2),
        step(ADD_X, 0),
        step(A_TO_X, 0), // X: both headers; the quoted ICMP starts eight bytes after that
        step(LOAD_HALF_X, 12),
        jump(id, 0, 1),
        step(RETURN, TAKE),
        step(RETURN, DROP),
    ]
}

/// The packet starts at its ICMP header.
fn program_v6(id: u32) -> Vec<libc::sock_filter> {
    vec![
        step(LOAD_BYTE, 0),
        jump(129, 0, 2),
        step(LOAD_HALF, 4),
        jump(id, 4, 5),
        step(LOAD_BYTE, 14), // the quoted header's "next header"
        jump(58, 0, 2),      // an extension header: left to the decoder
        step(LOAD_HALF, 52),
        jump(id, 0, 1),
        step(RETURN, TAKE),
        step(RETURN, DROP),
    ]
}

fn step(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

/// If the accumulator is `k`, skips `yes` steps, else `no`.
fn jump(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code: JUMP_EQUAL, jt: yes, jf: no, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would (`Documentation/networking/filter.rst`), for the instructions used here.
    fn run(program: &[libc::sock_filter], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        loop {
            let libc::sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let byte = |offset: u32| packet.get(offset as usize).map(|&byte| u32::from(byte));
            let half = |offset: u32| Some(byte(offset)? << 8 | byte(offset + 1)?);
            let loaded = match code {
                LOAD_BYTE => byte(k),
                LOAD_BYTE_X => byte(x + k),
                LOAD_HALF => half(k),
                LOAD_HALF_X => half(x + k),
                LOAD_X_HEADER_LEN => {
                    let Some(first) = byte(k) else { return DROP };
                    x = (first & 0xf) * 4;
                    continue;
                }
                AND => Some(a & k),
                SHIFT_LEFT => Some(a << k),
                ADD_X => Some(a + x),
                A_TO_X => {
                    x = a;
                    continue;
                }
                JUMP_EQUAL => {
                    at += usize::from(if a == k { jt } else { jf });
                    continue;
                }
                RETURN => return k,
                other => panic!("instruction {other:#x}"),
            };
            let Some(loaded) = loaded else { return DROP };
            a = loaded;
        }
    }

    fn v4(options: usize, icmp: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20 + options];
        packet[0] = 0x45 + u8::try_from(options / 4).unwrap();
        packet.extend_from_slice(icmp);
        packet
    }

    #[test]
    fn takes_our_replies_and_errors_about_our_requests_only() {
        let reply = [0, 0, 0, 0, 0x12, 0x34, 0, 1];
        let request = [8, 0, 0, 0, 0x12, 0x34, 0, 1];
        for options in [0, 4, 40] {
            let error = [&[3, 1, 0, 0, 0, 0, 0, 0], &v4(options, &request)[..]].concat();
            for outer in [0, 8] {
                assert_eq!(run(&program(Family::V4, 0x1234), &v4(outer, &reply)), TAKE);
                assert_eq!(run(&program(Family::V4, 0x1235), &v4(outer, &reply)), DROP);
                assert_eq!(run(&program(Family::V4, 0x1234), &v4(outer, &error)), TAKE);
                assert_eq!(run(&program(Family::V4, 0x1235), &v4(outer, &error)), DROP);
            }
        }
        assert_eq!(run(&program(Family::V4, 0), &v4(0, &[3])), DROP);

        let reply = [129, 0, 0, 0, 0x12, 0x34, 0, 1];
        let mut error = vec![1, 0, 0, 0, 0, 0, 0, 0];
        error.extend_from_slice(&[0; 40]);
        error[14] = 58;
        error.extend_from_slice(&[128, 0, 0, 0, 0x12, 0x34, 0, 1]);
        for message in [&reply[..], &error] {
            assert_eq!(run(&program(Family::V6, 0x1234), message), TAKE);
            assert_eq!(run(&program(Family::V6, 0x1235), message), DROP);
        }
        error[14] = 44;
        assert_eq!(run(&program(Family::V6, 0x1235), &error), TAKE, "the decoder looks closer");
    }
}
