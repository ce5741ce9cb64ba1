//! What it all comes to.

use nslab_observe::pmtu::{Fate, Next};
use nslab_predict::{Prediction, Verdict as Predicted, pmtu};

use super::measure::Measurement;

/// Whether large packets get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The largest that the sender can send does.
    Whole,
    /// It does not, and the sender learns what does.
    Discovered,
    /// It does not, and the sender goes on sending it.
    Lost,
    /// The smallest does not either.
    Unreachable,
    /// That is not known.
    Unknown,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Discovered => "discovered",
            Self::Lost => "lost",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Whole | Self::Discovered)
    }
}

/// What was measured, else what is predicted.
pub(super) fn of(predicted: &pmtu::PathMtu, measured: Option<&Measurement>) -> Verdict {
    measured.map_or_else(|| of_prediction(predicted), of_measurement)
}

pub(super) fn of_prediction(predicted: &pmtu::PathMtu) -> Verdict {
    let Some(last) = predicted.rungs.last() else { return Verdict::Unknown };
    if predicted.least.verdict == Predicted::Unknown {
        return Verdict::Unknown;
    }
    if !predicted.gets_through(&predicted.least) {
        return Verdict::Unreachable;
    }
    match last.verdict {
        _ if predicted.gets_through(last) && last.packet.ip.size == predicted.full => Verdict::Whole,
        _ if predicted.gets_through(last) => Verdict::Discovered,
        Predicted::Unknown => Verdict::Unknown,
        _ => Verdict::Lost,
    }
}

pub(super) fn of_measurement(measurement: &Measurement) -> Verdict {
    let steps = measurement.measured.discovery(measurement.start());
    let Some(last) = steps.last().filter(|_| measurement.measured.largest.is_some()) else {
        return Verdict::Unreachable;
    };
    if !last.passes {
        return Verdict::Lost;
    }
    match (last.size == measurement.measured.full, measurement.next) {
        (true, _) => Verdict::Whole,
        // That it was told does not mean that it listens.
        (false, Some(Next::Sends)) => Verdict::Lost,
        (false, _) => Verdict::Discovered,
    }
}

/// The prediction whose cause is to blame: what loses packets, else the first narrow place.
pub(super) fn decisive(predicted: &pmtu::PathMtu) -> Option<&Prediction> {
    match of_prediction(predicted) {
        Verdict::Whole => None,
        Verdict::Discovered => predicted.rungs.first().filter(|first| !predicted.gets_through(first)),
        Verdict::Unreachable => Some(&predicted.least),
        Verdict::Unknown if predicted.least.verdict == Predicted::Unknown => Some(&predicted.least),
        Verdict::Lost | Verdict::Unknown => predicted.rungs.last(),
    }
}

/// Where prediction and measurement are not the same. What is not known is no difference.
pub(super) fn differences(predicted: &pmtu::PathMtu, measurement: &Measurement) -> Vec<String> {
    let (foreseen, found) = (of_prediction(predicted), of_measurement(measurement));
    if foreseen == Verdict::Unknown {
        return Vec::new();
    }
    let mut all = Vec::new();
    if foreseen != found {
        all.push(format!("predicted is `{}`, measured was `{}`", foreseen.word(), found.word()));
    }
    let measured = &measurement.measured;
    match (predicted.mtu(), measured.largest) {
        (Some(one), Some(other)) if one != other => {
            all.push(format!("predicted are {one} bytes, measured were {other}"));
        }
        _ => {}
    }
    for rung in &predicted.rungs {
        let size = rung.packet.ip.size;
        let Some(outcome) = measured.at(size) else { continue };
        let said = match outcome.fate {
            Fate::TooBig { from, mtu } => Some((from, mtu)),
            _ => None,
        };
        let foreseen = rung.told.and_then(|told| Some((told.from, pmtu::told(rung)?)));
        match (foreseen, said) {
            (Some((from, mtu)), Some((other, said))) if (from, mtu) != (other, said) => all.push(format!(
                "predicted is that {from} says of {size} bytes that {mtu} get through, measured was that {other} says {said}"
            )),
            (Some((from, mtu)), None) if outcome.sent > 0 => all.push(format!(
                "predicted is that {from} says of {size} bytes that {mtu} get through, and that did not come"
            )),
            (None, Some((from, mtu))) => {
                all.push(format!("{from} said of {size} bytes that {mtu} get through, which is not predicted"));
            }
            _ => {}
        }
    }
    all
}
