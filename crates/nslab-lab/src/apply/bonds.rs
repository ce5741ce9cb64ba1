//! When bonds carry traffic.
//!
//! A bond looks at its members every so often (`miimon`), and only then has carrier, chooses the member that it sends by,
//! and begins to talk LACP; what comes in by a member that it does not use it drops (`bond_handle_frame`,
//! `drivers/net/bonding/bond_main.c`). Bonds at both ends of a cable wait for each other, so all are waited for.

use std::time::{Duration, Instant};

use nslab_kernel::link::{self, Bond, BondMode, BondPort, IfIndex, Link, LinkKind};
use nslab_topology::model::InterfaceKind;

use super::Site;
use crate::plan::{Op, Plan};
use nslab_kernel::parallel;

/// How long two ends of LACP need: two seconds to gather (`AGGREGATE_WAIT_TIME`), one between two messages
/// (`FAST_PERIODIC_TIME`, `include/net/bond_3ad.h`). One that nobody answers uses a single member after that.
const AGREEMENT: Duration = Duration::from_secs(6);
/// Beyond the times at which a bond looks.
const SLACK: Duration = Duration::from_secs(1);
/// Between two looks of ours.
const PAUSE: Duration = Duration::from_millis(2);
/// How many namespaces a thread is worth beginning for.
const LEAST: usize = 32;

/// Waits, if `plan` made a bond or gave one a member, until all bonds have settled.
pub(super) fn wait(plan: &Plan, site: &mut Site<'_>) {
    let concerns = |op: &Op| match op {
        Op::CreateInterface { settings, .. } => matches!(settings.kind, InterfaceKind::Bond { .. }),
        Op::SetLink { change, .. } => matches!(change.master, Some(Some(_))),
        _ => false,
    };
    if !plan.steps().any(|step| concerns(&step.op)) {
        return;
    }
    let began = Instant::now();
    let mut all: Vec<_> = site.open.iter_mut().flatten().collect();
    parallel::map_mut(&mut all, LEAST, |open| {
        // A namespace that cannot be read is not waited for.
        while let Ok(links) = link::list(&mut open.socket) {
            let now = began.elapsed();
            let waits = |link: &Link| patience(link, &links).is_some_and(|patience| now < patience);
            if !links.iter().any(waits) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    });
}

/// How long to wait for a bond, counted from the start; none, if the link is none or has settled.
fn patience(link: &Link, links: &[Link]) -> Option<Duration> {
    let Some(LinkKind::Bond(bond)) = &link.kind else { return None };
    let running = links.iter().filter(|member| member.master == Some(link.index) && member.is_running());
    let members: Vec<(IfIndex, BondPort)> =
        running.filter_map(|member| Some((member.index, member.bond_port?))).collect();
    if !link.up || members.is_empty() || link.carrier && has_settled(bond, &members) {
        return None;
    }
    let looks = Duration::from_millis(u64::from(bond.miimon)) * 2;
    Some(looks + if bond.mode == BondMode::Lacp { AGREEMENT } else { SLACK })
}

/// Whether a bond uses its members as it will go on to.
fn has_settled(bond: &Bond, members: &[(IfIndex, BondPort)]) -> bool {
    let agreed = |port: &BondPort| {
        bond.mode != BondMode::Lacp || port.lacp.is_some_and(|bits| bits & BondPort::DISTRIBUTING != 0)
    };
    let preferred = members.iter().find(|(member, _)| bond.primary == Some(*member));
    members.iter().all(|(_, port)| port.link_up && agreed(port))
        && members.iter().any(|(_, port)| port.active)
        && preferred.is_none_or(|(_, port)| port.active)
}

#[cfg(test)]
mod tests {
    use nslab_kernel::link::{Bond, BondMode, BondPort};

    use super::has_settled;

    #[test]
    fn a_bond_has_settled_when_it_uses_what_it_can() {
        let port = |active, link_up, lacp| BondPort { active, link_up, lacp };
        let settled = |mode, primary, one, other| {
            has_settled(&Bond { mode, miimon: 100, primary }, &[(2, one), (3, other)])
        };
        let (used, spare, unseen) =
            (port(true, true, None), port(false, true, None), port(true, false, None));
        assert!(settled(BondMode::BalanceRr, None, used, used));
        assert!(!settled(BondMode::BalanceRr, None, used, unseen), "not yet looked at");
        assert!(settled(BondMode::ActiveBackup, None, spare, used));
        assert!(!settled(BondMode::ActiveBackup, None, spare, spare), "not yet chosen");
        assert!(!settled(BondMode::ActiveBackup, Some(2), spare, used), "another one is preferred");
        assert!(settled(BondMode::ActiveBackup, Some(2), used, spare));
        assert!(settled(BondMode::ActiveBackup, Some(9), spare, used), "the preferred one is no member");
        let (agreed, open) = (port(true, true, Some(0x3d)), port(true, true, Some(0x0d)));
        assert!(settled(BondMode::Lacp, None, agreed, agreed));
        assert!(!settled(BondMode::Lacp, None, agreed, open));
    }
}
