//! Programs as text, as `tcpdump -d` shows them.

use std::fmt;

use super::{ANCILLARY, Instruction, ancillary, op};

pub(super) struct Line<'a> {
    pub(super) place: usize,
    pub(super) instruction: &'a Instruction,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Instruction { code, k, .. } = *self.instruction;
        let absolute = match k.wrapping_sub(ANCILLARY) {
            ancillary::PROTOCOL => "[proto]".to_owned(),
            ancillary::PACKET_TYPE => "[type]".to_owned(),
            ancillary::INTERFACE => "[ifidx]".to_owned(),
            ancillary::VLAN_TAG => "[vlan_tci]".to_owned(),
            ancillary::VLAN_PRESENT => "[vlanp]".to_owned(),
            ancillary::VLAN_TPID => "[vlan_tpid]".to_owned(),
            _ => format!("[{k}]"),
        };
        let (name, operand) = match code {
            op::LOAD_WORD => ("ld", absolute),
            op::LOAD_HALF => ("ldh", absolute),
            op::LOAD_BYTE => ("ldb", absolute),
            op::LOAD_WORD_X => ("ld", format!("[x + {k}]")),
            op::LOAD_HALF_X => ("ldh", format!("[x + {k}]")),
            op::LOAD_BYTE_X => ("ldb", format!("[x + {k}]")),
            op::LOAD_LENGTH => ("ld", "#pktlen".to_owned()),
            op::LOAD_CONST => ("ld", format!("#{k:#x}")),
            op::LOAD_MEMORY => ("ld", format!("M[{k}]")),
            op::X_CONST => ("ldx", format!("#{k:#x}")),
            op::X_MEMORY => ("ldx", format!("M[{k}]")),
            op::X_LENGTH => ("ldx", "#pktlen".to_owned()),
            op::X_HEADER_LENGTH => ("ldxb", format!("4*([{k}]&0xf)")),
            op::STORE => ("st", format!("M[{k}]")),
            op::STORE_X => ("stx", format!("M[{k}]")),
            op::NEGATE => ("neg", String::new()),
            op::JUMP => ("ja", (self.place + 1 + k as usize).to_string()),
            op::RETURN => ("ret", format!("#{k}")),
            op::RETURN_A => ("ret", "a".to_owned()),
            op::A_TO_X => ("tax", String::new()),
            op::X_TO_A => ("txa", String::new()),
            _ => return self.computed(f),
        };
        write!(f, "{}", format!("{name:<8} {operand}").trim_end())
    }
}

impl Line<'_> {
    /// Arithmetic and conditional jumps.
    fn computed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ARITHMETIC: [&str; 11] =
            ["add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor"];
        const JUMPS: [&str; 5] = ["ja", "jeq", "jgt", "jge", "jset"];
        let Instruction { code, jt, jf, k } = *self.instruction;
        let with = if code & op::WITH_X == 0 { format!("#{k:#x}") } else { "x".to_owned() };
        let kind = usize::from(code >> 4);
        match code & 7 {
            4 if kind < ARITHMETIC.len() => write!(f, "{:<8} {with}", ARITHMETIC[kind]),
            5 if kind < JUMPS.len() => {
                let to = |skip: u8| self.place + 1 + usize::from(skip);
                write!(f, "{:<8} {with:<16}jt {}\tjf {}", JUMPS[kind], to(jt), to(jf))
            }
            _ => write!(f, "unknown {code:#x}"),
        }
    }
}
