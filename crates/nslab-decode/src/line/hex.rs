//! The bytes themselves.

use crate::layers::Decoded;
use crate::line::{Out, put};

/// Which bytes are shown, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dump {
    /// None.
    #[default]
    None,
    /// In hexadecimal digits (`-x`; `-xx` with the header of the frame).
    Hex {
        /// With the header of the frame.
        link: bool,
    },
    /// And as text beside (`-X`, `-XX`).
    HexText {
        /// With the header of the frame.
        link: bool,
    },
}

const PER_LINE: usize = 16;

pub(super) fn dump(out: &mut Out<'_, '_>, decoded: &Decoded<'_>) {
    let (link, text) = match out.style.dump {
        Dump::None => return,
        Dump::Hex { link } => (link, false),
        Dump::HexText { link } => (link, true),
    };
    let bytes = decoded.data.bytes();
    let header = if link { 0 } else { decoded.link_length() };
    lines(out, bytes.get(header..).unwrap_or_default(), "\n\t", text);
}

/// Sixteen bytes a line, each after `start`.
pub(super) fn lines(out: &mut Out<'_, '_>, bytes: &[u8], start: &str, text: bool) {
    for (number, line) in bytes.chunks(PER_LINE).enumerate() {
        put!(out, "{start}0x{:04x}: ", number * PER_LINE);
        for pair in line.chunks(2) {
            out.text.push(' ');
            for byte in pair {
                out.hex_byte(*byte);
            }
        }
        if text {
            // 5 columns for each pair, 2 for each byte of the last one if it is half.
            let used = line.len() / 2 * 5 + line.len() % 2 * 3;
            put!(out, "{:1$}  ", "", PER_LINE / 2 * 5 - used);
            out.text.extend(line.iter().map(|byte| match byte {
                byte if byte.is_ascii_graphic() => char::from(*byte),
                _ => '.',
            }));
        }
    }
}

/// The two digits of a byte.
pub(super) fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

impl Out<'_, '_> {
    fn hex_byte(&mut self, byte: u8) {
        self.text.push_str(str::from_utf8(&digits(byte)).unwrap_or_default());
    }

    /// Bytes in hexadecimal digits, without anything between.
    pub(super) fn hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hex_byte(*byte);
        }
    }
}
