//! Queues in words: for people, and as the commands of tc(8).

use std::fmt::Write as _;

use nslab_kernel::qdisc::{Bits, ClassKind, FilterKind, Handle, QdiscKind};

use super::{Change, Queue};

/// What a queue does, from the outside in: `netem delay 5ms limit 1833, tbf rate 10mbit …`.
pub(crate) fn describe(queue: &Queue) -> String {
    if queue.is_default() {
        return "the kernel's own".to_owned();
    }
    let mut parts = Vec::new();
    for one in &queue.qdiscs {
        let words = one.kind.to_string();
        // What hangs in a class says which.
        let in_class = queue.classes.iter().any(|class| class.handle == one.parent);
        parts.push(if in_class { format!("{}: {words}", one.parent) } else { words });
    }
    parts.join(", ")
}

/// A change as the arguments of tc(8), the interface written as `dev`; none for what tc(8) cannot be told.
pub(crate) fn command(change: &Change, dev: &str) -> Option<String> {
    Some(match change {
        Change::Qdisc(one) => {
            let place = place(one.parent);
            match &one.kind {
                None => format!("qdisc del dev {dev} {place}"),
                Some(kind) => {
                    let words = bytes_free(kind)?;
                    format!("qdisc replace dev {dev} {place} handle {} {words}", one.handle)
                }
            }
        }
        Change::Class(one) => match &one.kind {
            None => format!("class del dev {dev} classid {}", one.handle),
            Some(ClassKind::Htb(class)) => format!(
                "class replace dev {dev} parent {} classid {} htb rate {} ceil {} burst {}b cburst {}b quantum {} prio {}",
                one.parent,
                one.handle,
                Bits(class.rate),
                Bits(class.ceiling),
                class.burst.bytes(class.rate),
                class.ceiling_burst.bytes(class.ceiling),
                class.quantum,
                class.priority
            ),
            Some(ClassKind::Other { .. }) => return None,
        },
        Change::Filter(one) => {
            let FilterKind::Bpf(filter) = &one.kind else { return None };
            let mut program = filter.program.len().to_string();
            for step in &filter.program {
                let _ = write!(program, ",{} {} {} {}", step.code, step.if_true, step.if_false, step.operand);
            }
            format!(
                "filter replace dev {dev} parent {} protocol all prio {} handle {} bpf bytecode '{program}'{}",
                one.parent,
                one.priority,
                one.handle,
                filter.class.map_or_else(String::new, |class| format!(" classid {class}"))
            )
        }
    })
}

fn place(parent: Handle) -> String {
    if parent == Handle::ROOT { "root".to_owned() } else { format!("parent {parent}") }
}

/// A qdisc as tc(8) makes it, unless nslab has only bytes of it.
fn bytes_free(kind: &QdiscKind) -> Option<String> {
    (!matches!(kind, QdiscKind::Other { .. })).then(|| kind.to_string())
}
