//! Errors that the kernel does not send.

use nslab_observe::trace::{Role, What};
use nslab_predict::{Error, Verdict, reason};

use super::{Facts, is_difference};
use crate::weave::Step;

impl Facts<'_> {
    /// Whether the packet was dropped where it was predicted to be, for a reason that fits, and no ICMP error was made about it, though
    /// one was predicted. Of those that are due one after the other the kernel sends only some: to one address one in a second and a
    /// few more at first (`ip_error`, `net/ipv4/route.c`; `icmpv4_xrlim_allow`, `net/ipv4/icmp.c`; `net.ipv4.icmp_ratelimit`).
    pub(super) fn is_error_withheld(&self, request: &[Step]) -> bool {
        let Facts { prediction, trace, .. } = self;
        let told = prediction.told.map(|told| told.what);
        let (Verdict::Rejected, Some(Error::Icmp { .. }), Some(cause)) =
            (prediction.verdict, told, &prediction.cause)
        else {
            return false;
        };
        let is_silent = trace.heard.is_empty() && trace.refused.is_none();
        let is_dropped = trace.events.iter().any(|event| match &event.what {
            What::Dropped { role: Role::Request, reason, .. } => {
                self.places.get(event.place) == Some(&cause.namespace)
                    && reason::causes(reason, prediction.packet.is_ipv6()).contains(&cause.code)
            }
            _ => false,
        });
        let others = trace.events.iter().any(|event| !matches!(event.role(), None | Some(Role::Request)));
        is_silent && is_dropped && !others && !request.iter().any(is_difference)
    }
}
