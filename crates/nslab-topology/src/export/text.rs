//! Texts as YAML scalars.

use std::fmt::Write;

/// A value: quoted where it must be, `${` kept from being taken for a variable.
pub fn value(text: &str) -> String {
    key(&text.replace("${", "$${"))
}

/// A key, or a text without variables.
pub fn key(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && !text.ends_with([':', ' '])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:+=@ -".contains(&byte))
        && !text.contains("  ")
        && !text.contains(": ")
        && !matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "none");
    if plain { text.to_owned() } else { quoted(text) }
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' => quoted.push(c),
            c if c.is_alphabetic() => quoted.push(c),
            // Writing to a String cannot fail.
            c => drop(write!(quoted, "\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// `[a, b]`.
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("[{}]", items.join(", "))
}

/// `{a: 1, b: 2}`.
pub fn map<K: AsRef<str>>(entries: &[(K, String)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(name, value)| format!("{}: {value}", key(name.as_ref()))).collect();
    format!("{{{}}}", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_needs_it() {
        assert_eq!(value("red:eth0 10.0.0.1/24"), "red:eth0 10.0.0.1/24");
        assert_eq!(value("echo ${HOME}"), r#""echo $${HOME}""#);
        assert_eq!(value(""), r#""""#);
        assert_eq!(value("true"), r#""true""#);
        assert_eq!(value("fe80::"), r#""fe80::""#);
        assert_eq!(value("a\n\"\u{7}"), r#""a\n\"\U00000007""#);
    }
}
