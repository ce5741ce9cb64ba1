//! What becomes of a packet that is under way already, from an interface on that it has come to.

use nslab_kernel::link::LinkKind;
use nslab_types::MacAddr;

use super::run::Run;
use super::{Network, Walk, verdict};
use crate::l2::Port;
use crate::{Packet, Prediction, Question};

/// A packet that an interface has got.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The interface.
    pub at: Port,
    /// The packet, as it is there.
    pub packet: Packet,
    /// From which MAC to which its frame is. What a bridge's port gets is passed on by the bridge only if this is given.
    pub macs: Option<(MacAddr, MacAddr)>,
}

/// What becomes of a packet that an interface has got. Rules see it as the first one of its connection, and what was before is not
/// known. What goes back, an answer or an error, is not followed: who sent it is not known, either.
pub fn predict_arrival(network: &Network<'_>, arrival: &Arrival) -> Prediction {
    let Arrival { at, packet, macs } = arrival;
    let question = Question {
        namespace: at.namespace,
        packet: packet.clone(),
        established: false,
        fresh: false,
        link: None,
    };
    let mut walk = Walk { one_way: true, ..Walk::new(network, &question) };
    let mut run = Run::new(at.namespace, packet.clone());
    run.made = false;
    run.sent = Some(packet.clone());
    let master = walk.link(*at).and_then(|link| link.master);
    let is_bridged = master
        .and_then(|link| walk.link(Port { link, ..*at }))
        .is_some_and(|master| matches!(master.kind, Some(LinkKind::Bridge(_))));
    match macs {
        Some((source, destination)) if is_bridged => {
            run.turned = Some((*at, *source));
            walk.frame(run, *at, *destination, None);
        }
        _ => walk.pending.push((run, *at)),
    }
    let ends = walk.follow();
    verdict::of(&question, ends)
}
