//! Loops of switches.

use super::Problems;
use super::segments::{Groups, Network};
use crate::diagnostic::Diagnostic;
use crate::model::Device;

/// Warns of a link that closes a loop of switches none of which speaks the spanning tree protocol.
pub(super) fn check(net: &Network<'_>, problems: &mut Problems) {
    let mut groups = Groups((0..net.lab.switches.len()).collect());
    for pair in net.ports[..net.cable_ports()].chunks_exact(2) {
        let (Device::Switch(one), Device::Switch(two)) = (pair[0].device, pair[1].device) else { continue };
        let quiet = net.lab.switches[one].stp && net.lab.switches[two].stp;
        let down = pair.iter().any(|port| !port.end.up);
        // A link that is down or that spanning tree may block closes no loop.
        if quiet || down || groups.join(one, two) {
            continue;
        }
        let [one, two] = [one, two].map(|switch| &net.lab.switches[switch].name);
        problems.push(
            Diagnostic::warning(
                "switch-loop",
                format!("this link between {} and {} closes a loop", one.value, two.value),
            )
            .at(pair[1].end.device.span, "")
            .note("a broadcast would go round it for ever and fill the links")
            .help("set `stp: true` on the switches, or leave the link out"),
        );
    }
}
