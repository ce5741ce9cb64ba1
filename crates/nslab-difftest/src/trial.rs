//! One network: made, predicted, tried.

use std::collections::BTreeMap;

use nslab_predict::{Network as Looked, Prediction, predict};

use crate::Error;
use crate::build::{Built, Taken};
use crate::compare::{Finding, compare};
use crate::network::Network;
use crate::observe::{self, Observation};
use crate::probe::Probe;

/// What came of a network.
#[derive(Debug)]
pub struct Trial {
    /// It as it was read.
    pub taken: Taken,
    /// Of each packet: what was predicted, what happened, and how one stands beside the other.
    pub outcomes: Vec<(Prediction, Observation, Finding)>,
    /// Of packets that were traced: how many steps stood how to the prediction.
    pub steps: BTreeMap<String, u64>,
}

/// Makes a network, predicts packets in it, sends them and compares; the network is still there.
pub(crate) fn keep(network: &Network, probes: &[Probe]) -> Result<(Built, Trial), Error> {
    let (mut built, taken) = Built::new(network)?;
    let looked = Looked::of(&taken.snapshot);
    let predictions: Vec<Prediction> = probes
        .iter()
        .enumerate()
        .map(|(number, probe)| predict(&looked, &probe.question(&taken, number)))
        .collect();
    let observed = observe::run(&mut built, probes)?;
    let outcomes = probes
        .iter()
        .zip(predictions)
        .zip(observed)
        .map(|((probe, prediction), observed)| {
            let finding = compare(&taken, probe, &prediction, &observed);
            (prediction, observed, finding)
        })
        .collect();
    Ok((built, Trial { taken, outcomes, steps: BTreeMap::new() }))
}
