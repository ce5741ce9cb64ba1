//! Rules that were met, in the words of predictions.

use nslab_kernel::nftables::print::Names;
use nslab_kernel::nftables::trace::TraceStep;
use nslab_kernel::nftables::{Hook, Policy, Verdict};
use nslab_observe::trace::Met;
use nslab_snapshot::State;

/// What it is called, as predictions call it.
pub(crate) fn object(met: &Met) -> String {
    match &met.step {
        TraceStep::Rule { handle, .. } | TraceStep::Return { handle: Some(handle) } => {
            format!("{} {} handle {handle}", met.table, met.chain)
        }
        TraceStep::Policy(_) | TraceStep::Return { handle: None } => format!("{} {}", met.table, met.chain),
    }
}

/// Whether it drops the packet.
pub(crate) fn drops(met: &Met) -> bool {
    matches!(met.step, TraceStep::Rule { verdict: Verdict::Drop, .. } | TraceStep::Policy(Policy::Drop))
}

/// Whether it says more than that a chain came to its end.
pub(crate) fn is_telling(met: &Met) -> bool {
    matches!(met.step, TraceStep::Rule { .. } | TraceStep::Policy(Policy::Drop))
}

/// Its text, with the hook if that is known.
pub(crate) fn detail(state: Option<&State>, hook: Option<Hook>, met: &Met) -> String {
    let text = match &met.step {
        TraceStep::Rule { handle, verdict } => rule(state, met, *handle).unwrap_or_else(|| word(verdict)),
        TraceStep::Policy(Policy::Drop) => format!("the policy `drop` of {} {}", met.table, met.chain),
        TraceStep::Policy(Policy::Accept) => format!("the policy `accept` of {} {}", met.table, met.chain),
        TraceStep::Return { .. } => "back to where it was jumped from".to_owned(),
    };
    hook.map_or_else(|| text.clone(), |hook| format!("{hook}: {text}"))
}

/// The text of a rule that was there when the snapshot was taken.
fn rule(state: Option<&State>, met: &Met, handle: u64) -> Option<String> {
    let table = state?.nftables.tables.iter().find(|table| table.id == met.table)?;
    let rule = table.chain(&met.chain)?.rules.iter().find(|rule| rule.handle == handle)?;
    Some(format!("`{} # handle {handle}`", rule.to_nft(table, Names::default()).text))
}

fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Continue | Verdict::Break => "the next rule".to_owned(),
        Verdict::Jump(chain) => format!("jump {chain}"),
        Verdict::Goto(chain) => format!("goto {chain}"),
        Verdict::Return => "return".to_owned(),
        Verdict::Queue { number, .. } => format!("queue {number}"),
        Verdict::Other(code) => format!("verdict {code}"),
    }
}
