//! A filter's text, cut into tokens.

use std::net::Ipv6Addr;
use std::ops::Range;

use nslab_types::MacAddr;

use super::keyword::{Keyword, keyword, number};
use crate::error::{ErrorKind, FilterError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Keyword(Keyword),
    Number(u32),
    /// A name; an escaping backslash is not part of it, but of the span.
    Name,
    /// Two to four numbers with dots: an IPv4 address or the start of one, in the words of `inet_aton(3)`.
    Dotted,
    Ip6(Ipv6Addr),
    Mac(MacAddr),
    /// `$` and a byte: an address of one byte.
    ShortMac,
    Open,
    Close,
    OpenIndex,
    CloseIndex,
    Colon,
    Slash,
    Star,
    Plus,
    Minus,
    Percent,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

const SIGNS: &[(&str, Kind)] = &[
    ("&&", Kind::Keyword(Keyword::And)),
    ("||", Kind::Keyword(Keyword::Or)),
    ("!=", Kind::NotEqual),
    ("==", Kind::Equal),
    (">=", Kind::GreaterEqual),
    ("<=", Kind::LessEqual),
    ("<<", Kind::ShiftLeft),
    (">>", Kind::ShiftRight),
    ("!", Kind::Keyword(Keyword::Not)),
    ("=", Kind::Equal),
    (">", Kind::Greater),
    ("<", Kind::Less),
    ("(", Kind::Open),
    (")", Kind::Close),
    ("[", Kind::OpenIndex),
    ("]", Kind::CloseIndex),
    (":", Kind::Colon),
    ("/", Kind::Slash),
    ("*", Kind::Star),
    ("+", Kind::Plus),
    ("-", Kind::Minus),
    ("%", Kind::Percent),
    ("&", Kind::And),
    ("|", Kind::Or),
    ("^", Kind::Xor),
];

/// All tokens of the text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let Some((kind, length)) = next(rest, start)? else {
            start += 1;
            continue;
        };
        tokens.push(Token { kind, span: start..start + length });
        start += length;
    }
    Ok(tokens)
}

/// The first token of a text that is not empty, and its length; nothing if it is a space.
fn next(rest: &str, start: usize) -> Result<Option<(Kind, usize)>, FilterError> {
    if rest.starts_with([' ', '\t', '\r', '\n']) {
        return Ok(None);
    }
    if let Some(word) = word(rest, start)? {
        return Ok(Some(word));
    }
    if let Some((sign, kind)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok(Some((*kind, sign.len())));
    }
    let length = rest.chars().next().map_or(0, char::len_utf8);
    let error = FilterError::new(
        ErrorKind::Syntax,
        start..start + length,
        format!("{:?} has no meaning in a filter", &rest[..length]),
    );
    Err(match rest.as_bytes().first() {
        Some(b'"' | b'\'') => error.hint("leave out the quotes"),
        Some(b',') => error.hint("join alternatives with \"or\""),
        Some(b'_') => error.hint("names begin with a letter or a digit"),
        _ => error,
    })
}

/// The longest word, number or address at the text's start; of equally long ones the first in the order of this function.
fn word(rest: &str, start: usize) -> Result<Option<(Kind, usize)>, FilterError> {
    if rest.starts_with('\\') {
        let length = rest.find([' ', '!', '(', ')', '\n', '\t']).unwrap_or(rest.len());
        return Ok((length > 1).then_some((Kind::Name, length)));
    }
    if let Some(after) = rest.strip_prefix('$') {
        let digits = after.bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
        return Ok((digits > 0).then_some((Kind::ShortMac, 1 + digits)));
    }
    let name = name_length(rest);
    let (mac, address) = mac(rest).unwrap_or_default();
    let (ip6, ip6_address) = ip6(rest).unwrap_or((0, Ipv6Addr::UNSPECIFIED));
    let digits = digits(rest);
    let dotted = dotted(rest);
    let longest = name.max(mac).max(ip6).max(digits).max(dotted);
    if longest == 0 {
        return Ok(None);
    }
    let text = &rest[..longest];
    let kind = if let Some(keyword) = keyword(text) {
        Kind::Keyword(keyword)
    } else if let Some(number) = number(text) {
        Kind::Number(number)
    } else if longest == mac {
        Kind::Mac(address)
    } else if longest == digits {
        Kind::Number(value(text).ok_or_else(|| {
            let message = format!("{text:?} is not a number of 32 bits");
            FilterError::new(ErrorKind::OutOfRange, start..start + longest, message)
        })?)
    } else if longest == dotted {
        Kind::Dotted
    } else if longest == ip6 {
        Kind::Ip6(ip6_address)
    } else {
        Kind::Name
    };
    Ok(Some((kind, longest)))
}

/// Letters, digits, dots, hyphens and underscores; the first a letter or digit, the last no hyphen or underscore.
fn name_length(rest: &str) -> usize {
    if !rest.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return 0;
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let run = rest.bytes().take_while(|byte| inner(*byte)).count();
    rest[..run].trim_end_matches(['-', '_']).len()
}

/// Decimal digits, or `0x` and hexadecimal ones.
fn digits(rest: &str) -> usize {
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let count = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        if count > 0 {
            return 2 + count;
        }
    }
    rest.bytes().take_while(u8::is_ascii_digit).count()
}

/// Two to four numbers with dots between them.
fn dotted(rest: &str) -> usize {
    let mut length = digits(rest);
    for part in 0..3 {
        let more = match rest[length..].strip_prefix('.') {
            Some(more) if length > 0 => digits(more),
            _ => 0,
        };
        if more == 0 {
            return if part == 0 { 0 } else { length };
        }
        length += 1 + more;
    }
    length
}

/// A number as C writes it.
pub(super) fn value(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

/// Six bytes of one or two digits between equal signs, three groups of four digits with dots, or twelve digits.
fn mac(rest: &str) -> Option<(usize, MacAddr)> {
    let hex = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let run = hex(rest);
    if run >= 12 {
        let bytes = u64::from_str_radix(&rest[..12], 16).ok()?;
        return Some((12, of_bits(bytes)));
    }
    if run == 4 && rest[4..].starts_with('.') {
        let (second, third) = (hex(rest.get(5..)?), hex(rest.get(10..).unwrap_or_default()));
        if second == 4 && rest[9..].starts_with('.') && third >= 4 {
            let bits = format!("{}{}{}", &rest[..4], &rest[5..9], &rest[10..14]);
            return Some((14, of_bits(u64::from_str_radix(&bits, 16).ok()?)));
        }
        return None;
    }
    let separator = rest.as_bytes().get(run).copied().filter(|byte| b":-.".contains(byte))?;
    let mut bytes = [0; 6];
    let mut place = 0;
    for (number, byte) in bytes.iter_mut().enumerate() {
        if number > 0 {
            if rest.as_bytes().get(place) != Some(&separator) {
                return None;
            }
            place += 1;
        }
        let digits = hex(&rest[place..]);
        let taken = if number == 5 { digits.min(2) } else { digits };
        if taken == 0 || taken > 2 {
            return None;
        }
        *byte = u8::from_str_radix(&rest[place..place + taken], 16).ok()?;
        place += taken;
    }
    Some((place, MacAddr(bytes)))
}

fn of_bits(bits: u64) -> MacAddr {
    let [_, _, bytes @ ..] = bits.to_be_bytes();
    MacAddr(bytes)
}

/// The longest IPv6 address at the text's start.
fn ip6(rest: &str) -> Option<(usize, Ipv6Addr)> {
    // An address has at most 45 characters.
    let run =
        rest.bytes().take(45).take_while(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte)).count();
    let text = &rest[..run];
    text.contains(':')
        .then(|| (2..=run).rev().find_map(|length| Some((length, text[..length].parse().ok()?))))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let tokens = tokens(text).unwrap();
        tokens.into_iter().map(|token| (token.kind, &text[token.span])).collect()
    }

    #[test]
    fn the_longest_word_counts() {
        let mac = MacAddr([1, 2, 3, 4, 5, 6]);
        assert_eq!(kinds("80-90"), [(Kind::Name, "80-90")]);
        assert_eq!(kinds("80 - 90").len(), 3);
        assert_eq!(kinds("tcp-syn"), [(Kind::Number(2), "tcp-syn")]);
        assert_eq!(kinds("0x1F"), [(Kind::Number(31), "0x1F")]);
        assert_eq!(kinds("017"), [(Kind::Number(15), "017")]);
        assert_eq!(kinds("10.1"), [(Kind::Dotted, "10.1")]);
        assert_eq!(kinds("10.0.0.0/8")[0], (Kind::Dotted, "10.0.0.0"));
        assert_eq!(kinds("10.0.0.0.5"), [(Kind::Name, "10.0.0.0.5")]);
        assert_eq!(kinds("1:2:3:4:5:6"), [(Kind::Mac(mac), "1:2:3:4:5:6")]);
        assert_eq!(kinds("01-02-03-04-05-06"), [(Kind::Mac(mac), "01-02-03-04-05-06")]);
        assert_eq!(kinds("0102.0304.0506"), [(Kind::Mac(mac), "0102.0304.0506")]);
        assert_eq!(kinds("010203040506"), [(Kind::Mac(mac), "010203040506")]);
        assert_eq!(kinds("fe80::1"), [(Kind::Ip6("fe80::1".parse().unwrap()), "fe80::1")]);
        assert_eq!(kinds("1:2:3:4:5:6:7:8").len(), 1);
        assert_eq!(kinds("::ffff:1.2.3.4/96").len(), 3);
        assert_eq!(kinds("tcp[2:2]").len(), 6);
        assert_eq!(kinds("\\tcp"), [(Kind::Name, "\\tcp")]);
        assert_eq!(kinds("a&&b||!c").len(), 6);
        assert_eq!(kinds("port ftp-data")[1], (Kind::Name, "ftp-data"));
        assert_eq!(kinds("$1f"), [(Kind::ShortMac, "$1f")]);
        assert!(kinds(" \t\r\n").is_empty());
    }

    #[test]
    fn what_is_no_token_is_shown() {
        for (text, span) in [
            ("ip ü", 3..5),
            ("_a", 0..1),
            ("\"ip\"", 0..1),
            ("a, b", 1..2),
            ("4294967296", 0..10),
            ("09", 0..2),
        ] {
            assert_eq!(tokens(text).unwrap_err().span, span, "{text}");
        }
    }
}
