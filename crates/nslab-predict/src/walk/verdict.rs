//! What all ways together come to.

use super::run::End;
use crate::prediction::sightings;
use crate::{Cause, Code, Doubt, Evidence, Prediction, Question, Verdict};

/// The prediction that follows from the ends of all ways.
pub(super) fn of(question: &Question, mut ends: Vec<End>) -> Prediction {
    let certain = |end: &End| end.cause.as_ref().is_none_or(|cause| cause.code != Code::Unmodelled);
    // The way that is told of: one on which everything is known, if there is such.
    let place = ends.iter().position(certain).unwrap_or(0);
    if ends.is_empty() {
        return nothing(question);
    }
    // Where it is not known whether the error gets to the sender, one on which it does.
    let is_told = |end: &End| {
        let known = &ends[place];
        known.error.is_some() && known.told.is_none() && end.told.is_some() && end.request == known.request
    };
    let place = ends.iter().position(is_told).unwrap_or(place);
    // Where chance decides among several that are there by mistake, it matters also who gets it.
    let by_chance = ends.iter().any(|end| end.chance.is_some());
    let receiver = |end: &End| end.request.last().map(|hop| hop.namespace).filter(|_| by_chance);
    let alike =
        ends.iter().all(|end| end.verdict == ends[place].verdict && receiver(end) == receiver(&ends[place]));
    let told = ends.iter().all(|end| end.told == ends[place].told);
    let doubts = |ends: &[End]| {
        let mut doubts: Vec<Doubt> = Vec::new();
        for doubt in ends.iter().flat_map(|end| &end.doubts) {
            if !doubts.contains(doubt) {
                doubts.push(doubt.clone());
            }
        }
        doubts
    };
    let (verdict, cause) = if alike && ends[place].verdict != Verdict::Unknown {
        (ends[place].verdict, ends[place].cause.clone())
    } else {
        (Verdict::Unknown, Some(unknown(question, &ends, doubts(&ends))))
    };
    let mut assumptions = ends[place].assumptions.clone();
    if verdict != Verdict::Unknown {
        let open = doubts(&ends).into_iter();
        assumptions
            .extend(open.map(|doubt| format!("it is not known {}: it makes no difference", doubt.what)));
    }
    let End { told: heard, packet, ports, request, answer, error, .. } = ends.swap_remove(place);
    let mut known = vec![sightings(&request).collect::<Vec<_>>()];
    let mut others = Vec::new();
    for end in ends {
        let way = sightings(&end.request).collect();
        if verdict != Verdict::Unknown && !known.contains(&way) {
            known.push(way);
            others.push(end.request);
        }
    }
    Prediction {
        verdict,
        cause,
        packet,
        ports,
        hops: request,
        others,
        answer,
        error,
        told: heard.filter(|_| told),
        assumptions: assumptions.into_iter().collect(),
    }
}

/// Why the ways come to different ends.
fn unknown(question: &Question, ends: &[End], doubts: Vec<Doubt>) -> Cause {
    if let Some(chance) = ends.iter().find_map(|end| end.chance.clone()) {
        return chance;
    }
    let unmodelled =
        ends.iter().filter_map(|end| end.cause.as_ref()).find(|cause| cause.code == Code::Unmodelled);
    let what: Vec<&str> = doubts.iter().map(|doubt| doubt.what.as_str()).collect();
    let text = if what.is_empty() {
        "it is not known which way it takes".to_owned()
    } else {
        format!("it hangs on what is not known: {}", what.join("; "))
    };
    let mut cause = match unmodelled {
        Some(cause) => Cause { text, ..cause.clone() },
        None => Cause::new(Code::Unmodelled, question.namespace, "several ways", text),
    };
    cause.evidence = Evidence::Doubts(doubts);
    cause
}

/// No way was followed to an end, which does not happen.
fn nothing(question: &Question) -> Prediction {
    let text = "no way was followed to its end";
    Prediction {
        verdict: Verdict::Unknown,
        cause: Some(Cause::new(Code::Unmodelled, question.namespace, "nslab", text)),
        packet: question.packet.clone(),
        ports: Vec::new(),
        hops: Vec::new(),
        others: Vec::new(),
        answer: None,
        error: None,
        told: None,
        assumptions: Vec::new(),
    }
}
