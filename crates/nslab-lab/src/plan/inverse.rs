//! How each operation is undone.

use super::{Op, Plan, Stage, Step};

impl Op {
    /// The operation that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::CreateNamespace => Self::DeleteNamespace,
            Self::DeleteNamespace => Self::CreateNamespace,
            Self::JoinNamespace { existing } => Self::LeaveNamespace { existing },
            Self::LeaveNamespace { existing } => Self::JoinNamespace { existing },
            Self::RenameNamespace { from, to } => Self::RenameNamespace { from: to, to: from },
            Self::SetSysctl { key, value, before: Some(before), optional } => {
                Self::SetSysctl { key, value: before, before: Some(value), optional }
            }
            // Of a new namespace or a new interface, which go as a whole.
            unchanged @ (Self::SetSysctl { before: None, .. } | Self::SetWireguard { before: None, .. }) => {
                unchanged
            }
            Self::CreateBridge { name, settings } => Self::DeleteBridge { name, settings },
            Self::DeleteBridge { name, settings } => Self::CreateBridge { name, settings },
            Self::SetBridge { name, settings, before } => {
                Self::SetBridge { name, settings: before, before: settings }
            }
            Self::CreateVeth { near, far_namespace, far } => Self::DeleteVeth { near, far_namespace, far },
            Self::DeleteVeth { near, far_namespace, far } => Self::CreateVeth { near, far_namespace, far },
            // It was not part of the lab, and what it was is not known.
            stray @ Self::DeleteStrayLink { .. } => stray,
            Self::CreateInterface { name, settings } => Self::DeleteInterface { name, settings },
            Self::DeleteInterface { name, settings } => Self::CreateInterface { name, settings },
            Self::SetWireguard { link, settings, before: Some(before) } => {
                Self::SetWireguard { link, settings: before, before: Some(settings) }
            }
            Self::SetPortVlan { link, vlan, before: Some(before) } => {
                Self::SetPortVlan { link, vlan: before, before: Some(vlan) }
            }
            Self::SetPortVlan { link, vlan, before: None } => Self::DeletePortVlan { link, vlan },
            Self::DeletePortVlan { link, vlan } => Self::SetPortVlan { link, vlan, before: None },
            Self::SetIsolated { link, isolated } => Self::SetIsolated { link, isolated: !isolated },
            Self::AddFdb { link, mac, vlan, remote } => Self::DeleteFdb { link, mac, vlan, remote },
            Self::DeleteFdb { link, mac, vlan, remote } => Self::AddFdb { link, mac, vlan, remote },
            Self::SetLink { name, change, before } => Self::SetLink { name, change: before, before: change },
            Self::SetQueue { link, queue, before } => Self::SetQueue { link, queue: before, before: queue },
            Self::AddAltName { link, name } => Self::DeleteAltName { link, name },
            Self::DeleteAltName { link, name } => Self::AddAltName { link, name },
            Self::AddAddress { link, address } => Self::DeleteAddress { link, address },
            Self::DeleteAddress { link, address } => Self::AddAddress { link, address },
            Self::AddRoute(route) => Self::DeleteRoute(route),
            Self::DeleteRoute(route) => Self::AddRoute(route),
            Self::AddRule(rule) => Self::DeleteRule(rule),
            Self::DeleteRule(rule) => Self::AddRule(rule),
            Self::SetNeighbour { link, address, mac, before: Some(before) } => {
                Self::SetNeighbour { link, address, mac: before, before: Some(mac) }
            }
            Self::SetNeighbour { link, address, mac, before: None } => {
                Self::DeleteNeighbour { link, address, mac }
            }
            Self::DeleteNeighbour { link, address, mac } => {
                Self::SetNeighbour { link, address, mac, before: None }
            }
            Self::ReplaceTable { table, before } => Self::ReplaceTable { table: before, before: table },
            Self::RunNft { text, before } => Self::RunNft { text: before, before: text },
            Self::CreateView(view) => Self::DeleteView(view),
            Self::DeleteView(view) => Self::CreateView(view),
            Self::WriteFile { file, before: Some(before) } => {
                Self::WriteFile { file: before, before: Some(file) }
            }
            // It was part of the view, so it is no stranger there.
            again @ Self::WriteFile { before: None, .. } => again,
            Self::ReplaceHostTable { table, before } => {
                Self::ReplaceHostTable { table: before, before: table }
            }
            Self::StartWay(way) => Self::StopWay(way),
            Self::StopWay(way) => Self::StartWay(way),
            Self::StartProgram(program) => Self::StopProgram(program),
            Self::StopProgram(program) => Self::StartProgram(program),
        }
    }

    /// Whether [`Op::inverse`] does nothing by itself.
    fn is_undone_with_its_namespace(&self) -> bool {
        matches!(
            self,
            Self::SetSysctl { before: None, .. }
                | Self::DeleteStrayLink { .. }
                | Self::SetWireguard { before: None, .. }
        )
    }
}

impl Plan {
    /// The plan that takes back the steps for which `done` (stage and place in it) holds: last first. What happened
    /// inside a namespace that was new is not taken back step by step, the namespace goes.
    #[must_use]
    pub fn undo(&self, done: impl Fn(usize, usize) -> bool) -> Self {
        let mut new = vec![false; self.namespaces.len()];
        for step in self.steps().filter(|step| step.op == Op::CreateNamespace) {
            new[step.namespace] = true;
        }
        // A cable goes along only if both of its namespaces do: the kernel takes a namespace down some time after it
        // was let go of.
        let goes_along = |step: &Step| {
            new[step.namespace]
                && !matches!(step.op, Op::CreateVeth { far_namespace, .. } if !new[far_namespace])
        };
        let mut undo = Self { lab: self.lab.clone(), namespaces: self.namespaces.clone(), ..Self::default() };
        for (number, stage) in self.stages.iter().enumerate().rev() {
            let steps: Vec<Step> = stage
                .steps
                .iter()
                .enumerate()
                .rev()
                .filter(|(place, step)| {
                    done(number, *place)
                        && !step.op.is_undone_with_its_namespace()
                        && (!goes_along(step) || step.op == Op::CreateNamespace)
                })
                .map(|(_, step)| Step { namespace: step.namespace, op: step.op.inverse() })
                .collect();
            if !steps.is_empty() {
                undo.stages.push(Stage { kind: stage.kind, steps });
            }
        }
        undo
    }
}
