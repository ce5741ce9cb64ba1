//! From a graph of tests to instructions.

use std::collections::HashMap;

use super::condition::Test;
use super::known::Against;
use super::registers::{Code, Held};
use super::value::Values;
use super::{Graph, Target};
use crate::program::{Instruction, op};

/// What a node becomes: instructions, and a jump to two others.
#[derive(PartialEq, Eq, Hash)]
struct Block {
    instructions: Vec<Instruction>,
    code: u16,
    k: u32,
    yes: Target,
    no: Target,
}

/// The program; nothing if it needs more memory than there is.
pub(super) fn emit(graph: &Graph, values: &Values, snaplen: u32) -> Option<Vec<Instruction>> {
    let order = graph.order();
    let blocks = merged(blocks(graph, values, &order)?, &order);
    let mut listing = Listing { backwards: Vec::new(), places: HashMap::new(), snaplen };
    // Jumps only go forward, so from the end on every distance is known.
    let ends = blocks.iter().flat_map(|(_, block)| [block.yes, block.no]);
    let accepts = ends.clone().any(|end| end == Target::Accept);
    let rejects = ends.clone().any(|end| end == Target::Reject);
    if rejects {
        listing.end(Target::Reject);
    }
    if accepts {
        listing.end(Target::Accept);
    }
    for (place, block) in blocks.into_iter().rev() {
        listing.jump(block.code, block.k, block.yes, block.no);
        listing.backwards.extend(block.instructions.into_iter().rev());
        listing.places.insert(Target::Node(place), listing.backwards.len() - 1);
    }
    listing.backwards.reverse();
    Some(listing.backwards)
}

/// One block of those that are the same to the instruction, as tests of what is in A already often are, whatever it is there.
/// Each with the place of its node.
fn merged(blocks: Vec<Block>, order: &[usize]) -> Vec<(usize, Block)> {
    let mut same: HashMap<Block, usize> = HashMap::new();
    let mut now: HashMap<Target, Target> = HashMap::new();
    let mut kept = Vec::new();
    for (mut block, place) in blocks.into_iter().zip(order).rev() {
        block.yes = now.get(&block.yes).copied().unwrap_or(block.yes);
        block.no = now.get(&block.no).copied().unwrap_or(block.no);
        if let Some(other) = same.get(&block) {
            now.insert(Target::Node(*place), Target::Node(*other));
        } else {
            kept.push(*place);
            same.insert(block, *place);
        }
    }
    let mut found: HashMap<usize, Block> = same.into_iter().map(|(block, place)| (place, block)).collect();
    kept.into_iter().rev().filter_map(|place| Some((place, found.remove(&place)?))).collect()
}

fn blocks(graph: &Graph, values: &Values, order: &[usize]) -> Option<Vec<Block>> {
    let mut held: Vec<Option<Held>> = vec![None; graph.nodes.len()];
    let mut blocks = Vec::with_capacity(order.len());
    for place in order {
        let node = graph.nodes[*place];
        let mut code = Code::new(values, held[*place].unwrap_or_default());
        let (jump, k) = match node.test {
            Test::Constant(value, against) => {
                code.load_a(value).ok()?;
                match against {
                    Against::Equal(k) => (op::JUMP_EQUAL, k),
                    Against::AtLeast(k) => (op::JUMP_GREATER_EQUAL, k),
                    Against::AnyBit(k) => (op::JUMP_SET, k),
                }
            }
            Test::Equal(left, right) => {
                code.load_both(left, right, true).ok()?;
                (op::JUMP_EQUAL | op::WITH_X, 0)
            }
            Test::Greater(left, right) => {
                code.load_both(left, right, false).ok()?;
                (op::JUMP_GREATER | op::WITH_X, 0)
            }
            Test::AtLeast(left, right) => {
                code.load_both(left, right, false).ok()?;
                (op::JUMP_GREATER_EQUAL | op::WITH_X, 0)
            }
        };
        for target in [node.yes, node.no] {
            if let Target::Node(next) = target {
                held[next] = Some(held[next].map_or(code.held, |there| there.meet(code.held)));
            }
        }
        let instructions = code.instructions;
        blocks.push(Block { instructions, code: jump, k, yes: node.yes, no: node.no });
    }
    Some(blocks)
}

/// A program that is written from its end.
struct Listing {
    backwards: Vec<Instruction>,
    /// Where in it something begins, or a jump to that.
    places: HashMap<Target, usize>,
    snaplen: u32,
}

/// A conditional jump skips at most so many instructions.
const FARTHEST: usize = 255;

impl Listing {
    fn end(&mut self, target: Target) {
        let k = if target == Target::Accept { self.snaplen } else { 0 };
        self.backwards.push(Instruction { code: op::RETURN, jt: 0, jf: 0, k });
        self.places.insert(target, self.backwards.len() - 1);
    }

    /// How many instructions are between the next one to be written and the target.
    fn distance(&self, target: Target) -> usize {
        self.backwards.len() - 1 - self.places.get(&target).copied().unwrap_or_default()
    }

    /// A conditional jump; what is too far away gets a stop on the way, which later ones may use as well.
    fn jump(&mut self, code: u16, k: u32, yes: Target, no: Target) {
        loop {
            match (u8::try_from(self.distance(yes)), u8::try_from(self.distance(no))) {
                (Ok(jt), Ok(jf)) => {
                    self.backwards.push(Instruction { code, jt, jf, k });
                    return;
                }
                (Err(_), _) => self.stop(yes),
                (_, Err(_)) => self.stop(no),
            }
        }
    }

    fn stop(&mut self, target: Target) {
        debug_assert!(self.distance(target) > FARTHEST, "only what is far needs a stop");
        if matches!(target, Target::Accept | Target::Reject) {
            self.end(target);
            return;
        }
        let k = u32::try_from(self.distance(target)).unwrap_or(u32::MAX);
        self.backwards.push(Instruction { code: op::JUMP, jt: 0, jf: 0, k });
        self.places.insert(target, self.backwards.len() - 1);
    }
}
