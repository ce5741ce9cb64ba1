//! Looking again after a change: only where the change can have had an effect.

use std::collections::BTreeSet;

use super::Actual;
use super::survey::{Questions, Survey};
use crate::desired::Desired;
use crate::error::Result;
use crate::paths::LabPaths;
use crate::plan::{Op, Plan, Role};
use crate::session::Open;
use nslab_kernel::parallel;

impl Actual {
    /// The places in which a plan that was carried out can have changed anything; none if that cannot be told, or is most
    /// of them.
    pub(crate) fn touched_by(&self, plan: &Plan) -> Option<BTreeSet<usize>> {
        let mut touched = BTreeSet::new();
        for step in plan.steps() {
            touched.insert(step.namespace);
            match &step.op {
                Op::CreateVeth { far_namespace, .. } | Op::DeleteVeth { far_namespace, .. } => {
                    touched.insert(*far_namespace);
                }
                // What is set at one end of a cable may show at the other.
                Op::SetLink { name, .. } => {
                    let links = self.at(step.namespace).map_or(&[][..], |space| &space.state.links);
                    let link = links.iter().find(|link| link.name == *name);
                    touched.extend(link.and_then(|link| Some(self.peer(step.namespace, link.index)?.0)));
                }
                Op::CreateNamespace
                | Op::SetSysctl { .. }
                | Op::SetQueue { .. }
                | Op::ReplaceTable { .. }
                | Op::CreateBridge { .. }
                | Op::SetBridge { .. }
                | Op::AddAltName { .. }
                | Op::DeleteAltName { .. }
                | Op::AddAddress { .. }
                | Op::DeleteAddress { .. }
                | Op::AddRoute(_)
                | Op::DeleteRoute(_)
                | Op::AddRule(_)
                | Op::DeleteRule(_)
                | Op::SetNeighbour { .. }
                | Op::DeleteNeighbour { .. }
                | Op::StartProgram(_)
                | Op::StopProgram(_) => {}
                _ => return None,
            }
        }
        let few = touched.len() <= self.namespaces.len() / 2 && self.surplus.is_empty();
        few.then_some(touched)
    }

    /// Reads the places of `touched` anew. `open` has all of them open.
    pub(crate) fn read_again(
        mut self,
        paths: &LabPaths,
        desired: &Desired,
        touched: &BTreeSet<usize>,
        open: &mut [Option<Open>],
    ) -> Result<Self> {
        let survey = &Survey::begin(paths)?;
        let places: Vec<usize> = touched.iter().copied().collect();
        let read = parallel::map_with(
            &places,
            || None,
            |stay, &place| {
                let space = &desired.namespaces[place];
                let questions = Questions::of(space, space.reference.role == Role::Node);
                survey.read(&space.reference.node, &questions, stay)
            },
        );
        for (place, namespace) in places.into_iter().zip(read) {
            (open[place], self.namespaces[place]) = namespace?.unzip();
        }
        self.peers = self.find_peers(open)?;
        Ok(self)
    }
}
