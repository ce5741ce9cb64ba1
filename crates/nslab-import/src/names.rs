//! Names as a lab file allows them.

use std::collections::HashSet;

/// Names that mean something else where a node's name may stand.
const RESERVED: [&str; 7] = ["host", "every", "outside", "none", "lo", "all", "default"];
/// The longest name in bytes.
const LONGEST: usize = 63;

/// A name for a lab, node or switch, the same as `name` if that is one.
pub(crate) fn allowed(name: &str, otherwise: &str) -> String {
    let mut clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(LONGEST)
        .collect();
    while clean.contains("..") {
        clean = clean.replace("..", ".");
    }
    if clean.is_empty() {
        otherwise.clone_into(&mut clean);
    }
    if RESERVED.contains(&&clean[..]) { format!("{clean}-1") } else { clean }
}

/// A name that is not taken yet, and takes it.
pub(crate) fn free(wanted: &str, taken: &mut HashSet<String>) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        let tail = format!("-{number}");
        name = format!("{}{tail}", &wanted[..wanted.len().min(LONGEST - tail.len())]);
        number += 1;
    }
    name
}

/// An interface's name without what the kernel does not allow.
pub(crate) fn interface(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '/' | ':' | '%') { c } else { '-' })
        .collect();
    if RESERVED[4..].contains(&&clean[..]) || matches!(&clean[..], "" | "." | "..") {
        format!("if-{clean}")
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_good_names_and_mends_others() {
        assert_eq!(allowed("srl-1", "x"), "srl-1");
        assert_eq!(allowed("_a b..c", "x"), "a-b.c");
        assert_eq!(allowed("host", "x"), "host-1");
        assert_eq!(allowed("ü", "lab"), "lab");
        assert_eq!(interface("ethernet-1/1"), "ethernet-1-1");
        assert_eq!(interface("lo"), "if-lo");
        let mut taken = HashSet::new();
        assert_eq!(["a", "a", "a"].map(|name| free(name, &mut taken)), ["a", "a-2", "a-3"]);
    }
}
