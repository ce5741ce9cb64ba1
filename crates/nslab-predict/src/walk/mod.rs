//! The whole way of a packet and its answer: routing, rules, neighbours and frames in the kernel's order, namespace after
//! namespace.

use nslab_snapshot::Snapshot;

use crate::l2::Wiring;
use crate::segments::Segments;
use crate::{Cause, Code, Evidence, Prediction, Question, Verdict};

/// A snapshot with what ways are looked up by. Made once for many questions.
#[derive(Debug)]
pub struct Network<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// What lies on what.
    pub wiring: Wiring,
    /// Who would hear whom.
    pub segments: Segments,
}

impl<'a> Network<'a> {
    /// Looks through a snapshot.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, wiring: Wiring::of(snapshot), segments: Segments::of(snapshot) }
    }
}

/// What becomes of a packet.
pub fn predict(_network: &Network<'_>, question: &Question) -> Prediction {
    Prediction {
        verdict: Verdict::Unknown,
        cause: Some(Cause {
            code: Code::Unmodelled,
            namespace: question.namespace,
            link: None,
            object: String::new(),
            text: String::new(),
            evidence: Evidence::None,
            inner: None,
        }),
        packet: question.packet.clone(),
        hops: Vec::new(),
        answer: None,
        error: None,
        told: None,
        assumptions: Vec::new(),
    }
}
