//! Why packets did not do what was wanted, as `explain` says it: for commands that sent them.

use std::net::IpAddr;

use nslab_kernel::NamespaceId;
use nslab_predict::command::Shell;
use nslab_predict::reach::{Service, question};
use nslab_predict::{Action, Network, Prediction, Verdict, fix, predict};
use nslab_snapshot::{Options, Snapshot};

use super::reach::{CauseRow, cause_row};
use crate::cli::error::CliError;

/// A fix is looked for of so many questions at most: each costs many predictions.
const MOST_FIXED: usize = 12;

/// A packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// From where.
    pub(super) from: NamespaceId,
    /// Where to.
    pub(super) address: IpAddr,
    /// What.
    pub(super) service: Service,
    /// Bytes of the whole packet, if it was not to be fragmented.
    pub(super) size: Option<u32>,
}

/// What is predicted of it.
#[derive(Debug)]
pub(super) struct Why {
    /// The outcome.
    pub(super) verdict: Verdict,
    /// What stops it.
    pub(super) cause: Option<CauseRow>,
    /// Commands that mend the cause; none if none could be proved.
    pub(super) fix: Vec<String>,
    /// The namespaces that it passes.
    pub(super) way: Vec<String>,
}

/// Looks at the host once and asks about each; none of what starts where nothing is known of. `shell` is where commands will be typed.
pub(super) fn explain(asked: &[Asked], shell: Shell) -> Result<Vec<Option<Why>>, CliError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let snapshot = Snapshot::take(Options::default())?;
    let network = Network::of(&snapshot);
    let mut left = MOST_FIXED;
    Ok(asked.iter().map(|one| of_one(one, &network, shell, &mut left)).collect())
}

fn of_one(asked: &Asked, network: &Network<'_>, shell: Shell, left: &mut usize) -> Option<Why> {
    let snapshot = network.snapshot;
    let from = snapshot.namespaces.iter().position(|known| known.id == asked.from)?;
    let mut question = question(network, from, asked.address, asked.service);
    if let Some(size) = asked.size {
        question.packet.ip.size = size;
        question.packet.ip.dont_fragment = true;
    }
    let prediction = predict(network, &question);
    let mut commands = Vec::new();
    if prediction.cause.is_some() && *left > 0 {
        *left -= 1;
        let aim = fix::Aim { shell, destination: None };
        let found = fix::find(network, &question, &prediction, &aim);
        commands = found.iter().flat_map(fix::Fix::commands).map(str::to_owned).collect();
    }
    Some(Why {
        verdict: prediction.verdict,
        cause: prediction.cause.as_ref().map(|cause| cause_row(snapshot, cause)),
        fix: commands,
        way: way(snapshot, &prediction),
    })
}

/// The namespaces of a way, each once as long as the packet stays there.
pub(super) fn way(snapshot: &Snapshot, prediction: &Prediction) -> Vec<String> {
    let is_there = |action: Action| action != Action::Stop;
    let mut places: Vec<usize> =
        prediction.hops.iter().filter(|hop| is_there(hop.action)).map(|hop| hop.namespace).collect();
    places.dedup();
    places.into_iter().map(|place| nslab_view::namespace_name(snapshot, place)).collect()
}

/// Whether a way has all of these, in their order.
pub(super) fn passes(way: &[String], wanted: &[String]) -> bool {
    let mut way = way.iter();
    wanted.iter().all(|name| way.any(|one| one == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_have_nodes_in_their_order() {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let way = list(&["a", "r1", "fw", "b"]);
        for (wanted, passed) in [
            (&["fw"][..], true),
            (&["r1", "fw"], true),
            (&["a", "b"], true),
            (&["fw", "r1"], false),
            (&["r2"], false),
            (&["fw", "fw"], false),
        ] {
            assert_eq!(passes(&way, &list(wanted)), passed, "{wanted:?}");
        }
    }
}
