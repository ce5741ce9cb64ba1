//! Faults that a diagnosis found.

use nslab_predict::doctor::{Fault, Severity};

use crate::Style;
use crate::style::Role;

/// Each fault with what shows it and what mends it, and how many there are in how many namespaces that were read; of those
/// that were not nothing is known.
pub fn faults(faults: &[Fault], namespaces: usize, unreadable: usize, style: &Style) -> String {
    let mut text = String::new();
    for fault in faults {
        let (word, role) = match fault.severity {
            Severity::Error => ("error", Role::Bad),
            Severity::Warning => ("warning", Role::Switch),
            Severity::Note => ("note", Role::Faint),
        };
        text.extend([&style.paint(role, word), " ", fault.code.as_str(), ": ", &fault.text, "\n"]);
        for line in &fault.evidence {
            text.extend(["  ", line, "\n"]);
        }
        for command in &fault.fix {
            text.extend(["  fix: ", command, "\n"]);
        }
    }
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let not_read = if unreadable == 0 { String::new() } else { format!("; {unreadable} could not be read") };
    let looked = format!("{namespaces} namespace{}{not_read}", s(namespaces));
    match faults.len() {
        0 => text + &format!("no fault found in {looked}\n"),
        count => text + &format!("{count} fault{} in {looked}\n", s(count)),
    }
}
