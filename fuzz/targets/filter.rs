//! Filter expressions: refused with a place in the text, or compiled to what the kernel takes and the machine ends.
#![no_main]

use std::sync::LazyLock;

use nslab_filter::{Filter, Frame, Instruction, MAX_INSTRUCTIONS, NameTable};

static NAMES: LazyLock<NameTable> = LazyLock::new(NameTable::builtin);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What follows a zero is a frame.
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (text, frame) = data.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else { return };
    match Filter::parse(text, &*NAMES) {
        Ok(filter) => {
            let program = filter.program();
            assert!(is_sound(program.instructions()), "{text}:\n{program}");
            let kept = program.run(&Frame::new(frame));
            assert!(kept == 0 || kept == 262_144);
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{text:?}: {error:?}");
            assert!(!error.message.is_empty());
        }
    }
});

/// What the kernel asks of a program (`bpf_check_classic` of `net/core/filter.c`), for the instructions that there are.
fn is_sound(program: &[Instruction]) -> bool {
    let length = program.len();
    let each = program.iter().enumerate().all(|(place, step)| {
        let left = length - place - 1;
        match step.code & 7 {
            // A conditional jump or another one.
            5 if step.code & 0xf0 != 0 => usize::from(step.jt.max(step.jf)) < left,
            5 => (step.k as usize) < left,
            // Division by a constant zero, and shifts by more bits than there are.
            4 if step.code & 8 == 0 => match step.code >> 4 {
                3 | 9 => step.k != 0,
                6 | 7 => step.k < 32,
                _ => true,
            },
            // Scratch memory.
            2 | 3 => step.k < 16,
            0 | 1 if step.code & 0xe0 == 0x60 => step.k < 16,
            _ => true,
        }
    });
    each && (1..=MAX_INSTRUCTIONS).contains(&length) && program.last().is_some_and(|last| last.code == 6)
}
