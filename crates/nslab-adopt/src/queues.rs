//! What becomes of what an interface sends: queueing disciplines.

use nslab_kernel::link::Link;
use nslab_kernel::qdisc::{Distribution as Drawn, Handle, Netem, QdiscKind, Share as Counted};
use nslab_lab::shaping::{self, Queue, Sends, Shaper};
use nslab_topology::impairment::{Chance, Distribution, Impairment, Impairments, Jitter, Rate, Share};

use crate::draft::Draft;

impl Draft<'_> {
    /// The impairments of an interface, as far as its queue is made of netem and tbf.
    pub(crate) fn queue(&mut self, number: usize, link: &Link) -> Impairments {
        let network = &self.spaces[number].state.network;
        // What the kernel hangs there by itself has no name.
        let own = network.queues.qdiscs.iter();
        for qdisc in own.filter(|one| one.link == link.index && one.parent == Handle::INGRESS) {
            let object = format!("{} qdisc {}", link.name, qdisc.kind.name());
            self.skip(number, object, "is not carried over, nor are its filters");
        }
        let queue = Queue::of(network, link.index);
        if queue.is_default() {
            return Impairments::default();
        }
        let Some(impairment) = said(&queue) else {
            for qdisc in &queue.qdiscs {
                let object = format!("{} qdisc {} {}", link.name, qdisc.kind.name(), qdisc.handle);
                self.skip(number, object, "a lab file has no words for it");
            }
            return Impairments::default();
        };
        let sends = Sends { impairment: &impairment, paths: &[], mtu: link.mtu };
        if !shaping::compile(sends, Shaper::Netem, None).is_met_by(&queue) {
            let kinds: Vec<&str> = queue.qdiscs.iter().map(|qdisc| qdisc.kind.name()).collect();
            let object = format!("{} qdisc {}", link.name, kinds.join(", "));
            let why = format!("becomes `{impairment}`; its name, limits and bucket are nslab's choice then");
            self.skip(number, object, &why);
        }
        impairment.into()
    }
}

/// What a queue does, if it is a netem, a tbf, or one in the other.
fn said(queue: &Queue) -> Option<Impairment> {
    if !queue.classes.is_empty() || !queue.filters.is_empty() {
        return None;
    }
    let kinds: Vec<&QdiscKind> = queue.qdiscs.iter().map(|one| &one.kind).collect();
    let is_plain = |kind: &QdiscKind| matches!(kind, QdiscKind::Pfifo(_) | QdiscKind::Bfifo(_));
    let (netem, tbf) = match kinds.as_slice() {
        [QdiscKind::Netem(netem)] => (Some(netem), None),
        [QdiscKind::Tbf(tbf)] => (None, Some(tbf)),
        [QdiscKind::Tbf(tbf), fifo] if is_plain(fifo) => (None, Some(tbf)),
        [QdiscKind::Netem(netem), QdiscKind::Tbf(tbf)] | [QdiscKind::Tbf(tbf), QdiscKind::Netem(netem)] => {
            (Some(netem), Some(tbf))
        }
        [QdiscKind::Netem(netem), QdiscKind::Tbf(tbf), fifo] if is_plain(fifo) => (Some(netem), Some(tbf)),
        _ => return None,
    };
    let rates = [netem.map_or(0, |netem| netem.rate), tbf.map_or(0, |tbf| tbf.rate)];
    let rate = match rates {
        [0, 0] => None,
        [rate, 0] | [0, rate] => Some(rate),
        _ => return None,
    };
    let mut impairment = match netem {
        Some(netem) => of_netem(netem)?,
        None => Impairment::default(),
    };
    impairment.rate = rate.map(|rate| Rate::new(rate.saturating_mul(8)));
    (impairment.contradiction().is_none() && !impairment.is_none()).then_some(impairment)
}

fn of_netem(netem: &Netem) -> Option<Impairment> {
    // Only each so-manieth packet: a lab file has no words for that.
    if netem.reorder_gap > 1 {
        return None;
    }
    let share = |counted: Counted| Share::new(counted.part());
    let chance = |part: Counted, correlation: Counted| Chance::new(share(part), share(correlation));
    Some(Impairment {
        delay: netem.delay,
        jitter: Jitter::new(netem.jitter, share(netem.delay_correlation)),
        distribution: match netem.distribution {
            None => Distribution::default(),
            Some(Drawn::Normal) => Distribution::Normal,
            Some(Drawn::Pareto) => Distribution::Pareto,
            Some(Drawn::ParetoNormal) => Distribution::ParetoNormal,
        },
        loss: chance(netem.loss, netem.loss_correlation),
        duplicate: chance(netem.duplicate, netem.duplicate_correlation),
        reorder: chance(netem.reorder, netem.reorder_correlation),
        corrupt: chance(netem.corrupt, netem.corrupt_correlation),
        rate: None,
    })
}
