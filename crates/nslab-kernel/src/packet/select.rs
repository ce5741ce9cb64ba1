//! Which frames a socket is given, decided by the kernel.

use super::{HARDWARE_ETHERNET, HARDWARE_LOOPBACK, Instruction};
use crate::link::IfIndex;

/// `SKF_AD_OFF`; and from there on `SKF_AD_PKTTYPE`, `SKF_AD_IFINDEX`, `SKF_AD_HATYPE` (`include/uapi/linux/filter.h`).
const ANCILLARY: u32 = (-0x1000_i32).cast_unsigned();
const KIND: u32 = ANCILLARY + 4;
const INTERFACE: u32 = ANCILLARY + 8;
const HARDWARE: u32 = ANCILLARY + 28;
/// Where the network header is (`SKF_NET_OFF`).
const NETWORK: u32 = (-0x10_0000_i32).cast_unsigned();
/// `PACKET_OUTGOING`.
const OUTGOING: u32 = 4;
/// The bytes of an Ethernet header.
const ETHERNET: u32 = 14;
/// So many instructions a program may have (`BPF_MAXINSNS`).
const MOST: usize = 4096;

/// Which way frames go that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Either.
    #[default]
    Both,
    /// Those that come in.
    In,
    /// Those that go out.
    Out,
}

/// What is wanted of a namespace's frames.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// On these interfaces; on all if there is none here.
    pub interfaces: Option<&'a [IfIndex]>,
    /// Which way they go.
    pub direction: Direction,
    /// What this program takes, which gives how many bytes; all if it is empty. It is one for frames of Ethernet; for
    /// interfaces of other types it is changed to fit.
    pub filter: &'a [Instruction],
    /// At most so many bytes of each, where there is no program.
    pub length: u32,
}

/// The program of a socket. What goes out by the loopback interface is left out, as it comes in there again at once.
/// None if it would be longer than the kernel takes.
pub fn program(wanted: &Wanted<'_>) -> Option<Vec<Instruction>> {
    let mut program = vec![
        Instruction::load_word(HARDWARE),
        Instruction::unless_equal(HARDWARE_LOOPBACK.into(), 3),
        Instruction::load_word(KIND),
        Instruction::unless_equal(OUTGOING, 1),
        Instruction::give(0),
    ];
    if wanted.direction != Direction::Both {
        let test =
            if wanted.direction == Direction::In { Instruction::unless_equal } else { Instruction::if_equal };
        program.extend([Instruction::load_word(KIND), test(OUTGOING, 1), Instruction::give(0)]);
    }
    if let Some(interfaces) = wanted.interfaces {
        let first = program.len() + 1;
        program.push(Instruction::load_word(INTERFACE));
        // Each match jumps over one unconditional step, as conditional jumps reach no further than 255.
        for &interface in interfaces {
            let rest = u32::try_from(interfaces.len()).ok()?.checked_mul(2)?;
            let done = u32::try_from(program.len() - first).ok()?;
            program.push(Instruction::unless_equal(interface, 1));
            program.push(Instruction::skip(rest - done - 1));
        }
        program.push(Instruction::give(0));
    }
    if wanted.filter.is_empty() {
        program.push(Instruction::give(wanted.length));
    } else {
        program.push(Instruction::load_word(HARDWARE));
        program.push(Instruction::if_equal(HARDWARE_ETHERNET.into(), 2));
        program.push(Instruction::if_equal(HARDWARE_LOOPBACK.into(), 1));
        program.push(Instruction::skip(u32::try_from(wanted.filter.len()).ok()?));
        program.extend(wanted.filter);
        program.extend(wanted.filter.iter().map(|one| without_header(*one)));
    }
    (program.len() <= MOST).then_some(program)
}

/// What an instruction for frames of Ethernet becomes where there is no such header: the type is asked of the kernel,
/// addresses are zero, and what follows is where the kernel says that the network layer begins.
fn without_header(mut one: Instruction) -> Instruction {
    // Class and mode of `BPF_LD | BPF_ABS`, `BPF_LD | BPF_IND` and `BPF_LDX | BPF_MSH`; the size is in between.
    let is_load = matches!(one.code & !0x18, 0x20 | 0x40) || one.code == 0xb1;
    // What the kernel knows besides is the same for all.
    if !is_load || one.operand >= NETWORK {
        return one;
    }
    match (one.code, one.operand) {
        (_, ETHERNET..) => one.operand = one.operand - ETHERNET + NETWORK,
        (0x28, 12) => one = Instruction::load_protocol(),
        // `BPF_LD | BPF_IMM`
        _ => one = Instruction { code: 0, if_true: 0, if_false: 0, operand: 0 },
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program gives for a frame of such an interface.
    fn run(program: &[Instruction], hardware: u32, kind: u32, interface: u32) -> u32 {
        let (mut at, mut loaded) = (0, 0);
        loop {
            let one = program[at];
            at += 1;
            match (one.code, one.operand) {
                (0x20, HARDWARE) => loaded = hardware,
                (0x20, KIND) => loaded = kind,
                (0x20, INTERFACE) => loaded = interface,
                (0x15, value) => at += usize::from(if loaded == value { one.if_true } else { one.if_false }),
                (0x05, count) => at += count as usize,
                (0x06, value) => return value,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_goes_out_by_loopback_is_left_out() {
        let program =
            program(&Wanted { interfaces: None, direction: Direction::Both, filter: &[], length: 96 })
                .unwrap();
        assert_eq!(run(&program, 772, 4, 1), 0);
        assert_eq!(run(&program, 772, 0, 1), 96);
        assert_eq!(run(&program, 1, 4, 2), 96);
    }

    #[test]
    fn filters_fit_what_has_no_header() {
        let ethernet_only = Instruction::load_half(12);
        assert_eq!(without_header(ethernet_only), Instruction::load_protocol());
        assert_eq!(without_header(Instruction::load_word(26)).operand, NETWORK + 12);
        let indexed = Instruction { code: 0x48, if_true: 0, if_false: 0, operand: 16 };
        assert_eq!(without_header(indexed).operand, NETWORK + 2);
        let length = Instruction { code: 0xb1, if_true: 0, if_false: 0, operand: 14 };
        assert_eq!(without_header(length).operand, NETWORK);
        assert_eq!(without_header(Instruction::load_word(8)).code, 0);
        for same in [Instruction::load_word(HARDWARE), Instruction::give(14), Instruction::if_equal(14, 3)] {
            assert_eq!(without_header(same), same);
        }
        let filter = [Instruction::load_word(HARDWARE), Instruction::give(5)];
        let program =
            program(&Wanted { interfaces: None, direction: Direction::Both, filter: &filter, length: 96 })
                .unwrap();
        for hardware in [1, 772, 65534] {
            assert_eq!(run(&program, hardware, 0, 1), 5);
        }
    }

    #[test]
    fn interfaces_are_chosen() {
        for count in [0, 1, 2, 5, 300] {
            let interfaces: Vec<u32> = (0..count).map(|number| 10 + number).collect();
            let filter = [Instruction::give(7)];
            for (direction, kinds) in
                [(Direction::Both, [7, 7]), (Direction::In, [7, 0]), (Direction::Out, [0, 7])]
            {
                let wanted = Wanted { interfaces: Some(&interfaces), direction, filter: &filter, length: 96 };
                let program = program(&wanted).unwrap();
                for interface in [1, 9, 10, 11, 14, 15, 309, 310] {
                    let is_one = u32::from(interfaces.contains(&interface));
                    for (kind, expected) in [0, OUTGOING].into_iter().zip(kinds) {
                        let given = run(&program, 1, kind, interface);
                        assert_eq!(given, expected * is_one, "{interface} of {count}, {direction:?}");
                    }
                }
            }
        }
        let many: Vec<u32> = (0..3000).collect();
        assert!(
            program(&Wanted { interfaces: Some(&many), direction: Direction::Both, filter: &[], length: 96 })
                .is_none()
        );
    }
}
