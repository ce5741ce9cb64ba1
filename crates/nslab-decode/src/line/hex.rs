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
    /// As text (`-A`, `-AA`).
    Text {
        /// With the header of the frame.
        link: bool,
    },
    /// In hexadecimal digits, and as text beside (`-X`, `-XX`).
    HexText {
        /// With the header of the frame.
        link: bool,
    },
}

const PER_LINE: usize = 16;

pub(super) fn dump(out: &mut Out<'_, '_>, decoded: &Decoded<'_>) {
    let from = |link| {
        let header = if link { 0 } else { decoded.link_length() };
        decoded.data.bytes().get(header..).unwrap_or_default()
    };
    match out.style.dump {
        Dump::None => {}
        Dump::Hex { link } => lines(out, from(link), "\n\t", false),
        Dump::HexText { link } => lines(out, from(link), "\n\t", true),
        Dump::Text { link } => text(out, from(link)),
    }
}

/// As it is, line feeds with it; what cannot be shown is a dot.
fn text(out: &mut Out<'_, '_>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    out.text.push('\n');
    let mut bytes = bytes.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' if bytes.peek() == Some(&&b'\n') => {}
            b'\t' | b'\n' | b' '..=b'~' => out.text.push(char::from(*byte)),
            _ => out.text.push('.'),
        }
    }
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
