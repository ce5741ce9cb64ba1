//! Conditions as a graph of tests, each with a way on if it holds and one if not; no way leads back.

pub(crate) mod condition;
mod emit;
pub(crate) mod known;
mod optimise;
mod registers;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use std::collections::HashMap;

use self::condition::{Condition, Test};
use self::value::Values;
use crate::program::Instruction;

/// Where a way leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Target {
    Accept,
    Reject,
    Node(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    test: Test,
    yes: Target,
    no: Target,
}

#[derive(Debug)]
struct Graph {
    nodes: Vec<Node>,
    root: Target,
}

/// A condition that no packet or every packet fulfils has no program of its own.
#[derive(Debug, PartialEq)]
pub(crate) enum Compiled {
    Always(bool),
    /// The instructions, however many there are.
    Program(Vec<Instruction>),
    /// An arithmetic expression needs more scratch memory than the machine has.
    OutOfMemory,
}

/// A condition as a program that returns `snaplen` or 0.
pub(crate) fn compile(condition: &Condition, values: &Values, snaplen: u32) -> Compiled {
    let mut graph = Graph { nodes: Vec::new(), root: Target::Reject };
    graph.root = graph.add(condition, Target::Accept, Target::Reject);
    optimise::optimise(&mut graph, values);
    match graph.root {
        Target::Accept => Compiled::Always(true),
        Target::Reject => Compiled::Always(false),
        Target::Node(_) => {
            emit::emit(&graph, values, snaplen).map_or(Compiled::OutOfMemory, Compiled::Program)
        }
    }
}

impl Graph {
    /// Adds what decides a condition, and gives its start.
    fn add(&mut self, condition: &Condition, yes: Target, no: Target) -> Target {
        match condition {
            Condition::Always(holds) => {
                if *holds {
                    yes
                } else {
                    no
                }
            }
            Condition::Test(test) => {
                self.nodes.push(Node { test: *test, yes, no });
                Target::Node(self.nodes.len() - 1)
            }
            Condition::Not(inner) => self.add(inner, no, yes),
            Condition::All(parts) => parts.iter().rev().fold(yes, |next, part| self.add(part, next, no)),
            Condition::Any(parts) => parts.iter().rev().fold(no, |next, part| self.add(part, yes, next)),
        }
    }

    /// The nodes that can be reached, each before those that it leads to.
    fn order(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.nodes.len()];
        let mut open = vec![(self.root, false)];
        while let Some((target, done)) = open.pop() {
            let Target::Node(place) = target else { continue };
            if done {
                order.push(place);
            } else if !seen[place] {
                seen[place] = true;
                open.push((target, true));
                open.extend([(self.nodes[place].no, false), (self.nodes[place].yes, false)]);
            }
        }
        order.reverse();
        order
    }

    /// How many ways lead to each node that can be reached.
    fn ways_in(&self, order: &[usize]) -> Vec<usize> {
        let mut ways = vec![0; self.nodes.len()];
        let starts = order.iter().flat_map(|place| [self.nodes[*place].yes, self.nodes[*place].no]);
        for target in starts.chain([self.root]) {
            if let Target::Node(place) = target {
                ways[place] += 1;
            }
        }
        ways
    }

    /// Makes equal nodes one, and takes out those that decide nothing. Says whether there were any.
    fn merge(&mut self) -> bool {
        let mut same: HashMap<Node, Target> = HashMap::new();
        let mut now: Vec<Target> = (0..self.nodes.len()).map(Target::Node).collect();
        let mut changed = false;
        let follow = |now: &[Target], target: Target| match target {
            Target::Node(place) => now[place],
            end => end,
        };
        for place in self.order().into_iter().rev() {
            let node = &mut self.nodes[place];
            node.yes = follow(&now, node.yes);
            node.no = follow(&now, node.no);
            now[place] = if node.yes == node.no {
                node.yes
            } else {
                *same.entry(*node).or_insert(Target::Node(place))
            };
            changed |= now[place] != Target::Node(place);
        }
        self.root = follow(&now, self.root);
        changed
    }
}
