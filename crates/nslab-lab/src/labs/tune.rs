//! Changes of the network that leave programs as they are.

use crate::plan::{Op, Plan};

/// Takes out of a plan what is about programs, and about the files and directories that they see: a program that has
/// ended stays so, until `up` is asked for what should run. What is about nodes that go, or whose namespaces were lost
/// and are made anew, stays in. `wanted` is how many of the plan's namespaces are there afterwards; they come first.
pub(super) fn keep_network(plan: &mut Plan, wanted: usize) {
    let mut made = vec![false; plan.namespaces.len()];
    for step in plan.steps() {
        made[step.namespace] |= matches!(step.op, Op::CreateNamespace);
    }
    for stage in &mut plan.stages {
        stage.steps.retain(|step| match step.op {
            Op::StartProgram(_) => false,
            Op::StopProgram(_) => step.namespace >= wanted || made[step.namespace],
            Op::CreateView(_) | Op::DeleteView(_) | Op::WriteFile { .. } => made[step.namespace],
            _ => true,
        });
    }
    plan.stages.retain(|stage| !stage.steps.is_empty());
}

#[cfg(test)]
mod tests {
    use nslab_topology::model::{Program, View};

    use super::*;
    use crate::plan::{NamespaceRef, Role, StageKind, Step};

    #[test]
    fn only_nodes_that_go_or_come_are_concerned() {
        let program = || {
            Box::new(Program {
                name: "p".to_owned(),
                command: vec!["p".to_owned()],
                env: std::collections::BTreeMap::new(),
                directory: None,
                ready: None,
                timeout: std::time::Duration::ZERO,
                user: None,
            })
        };
        let view = || Box::new(View::default());
        let step = |namespace, op| Step { namespace, op };
        let place = |node: &str| NamespaceRef { node: node.into(), name: node.into(), role: Role::Node };
        let mut plan = Plan { namespaces: ["stays", "lost", "goes"].map(place).into(), ..Plan::default() };
        let stop = (0..3).map(|place| step(place, Op::StopProgram(program()))).collect();
        plan.push(StageKind::StopPrograms, stop);
        plan.push(StageKind::Namespaces, vec![step(1, Op::CreateNamespace)]);
        let views = (0..2).map(|place| step(place, Op::CreateView(view()))).collect();
        plan.push(StageKind::Views, views);
        plan.push(StageKind::StartPrograms, vec![step(0, Op::StartProgram(program()))]);
        plan.push(StageKind::RemoveNamespaces, vec![step(2, Op::DeleteNamespace)]);
        keep_network(&mut plan, 2);
        let left: Vec<(StageKind, Vec<usize>)> = plan
            .stages
            .iter()
            .map(|stage| (stage.kind, stage.steps.iter().map(|step| step.namespace).collect()))
            .collect();
        assert_eq!(
            left,
            [
                (StageKind::StopPrograms, vec![1, 2]),
                (StageKind::Namespaces, vec![1]),
                (StageKind::Views, vec![1]),
                (StageKind::RemoveNamespaces, vec![2]),
            ]
        );
    }
}
