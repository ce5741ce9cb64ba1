//! Makes the graph of a condition small.
//!
//! Four things are done until none of them changes anything: a way that leads to a test whose outcome is known there leads
//! on instead ([`thread`]); equal nodes become one ([`Graph::merge`]); tests of one value in a chain come together, so that
//! it is loaded once ([`group`]); a test that is made whatever another says is made before that ([`hoist`]). A load that decides nothing is not made, so it cannot fail either, as in libpcap.

use std::collections::HashMap;

use super::condition::Test;
use super::known::{Against, Known};
use super::value::{Value, ValueId, Values};
use super::{Graph, Node, Target};
use crate::machine::Arithmetic;

/// It settles after three or four rounds.
const ROUNDS: usize = 16;

/// Of so many values something is remembered at a time.
const REMEMBERED: usize = 128;

pub(super) fn optimise(graph: &mut Graph, values: &Values) {
    for _ in 0..ROUNDS {
        let mut changed = false;
        // All that can be known has to be used before nodes become one, as what is known of one is not of the other.
        while thread(graph, values) {
            changed = true;
        }
        changed |= graph.merge();
        changed |= group(graph, values);
        changed |= hoist(graph);
        if !changed {
            break;
        }
    }
}

/// Makes a test before another one if it follows both outcomes of that, and for one outcome of its own the other one does not
/// matter. Says whether there were any.
fn hoist(graph: &mut Graph) -> bool {
    let order = graph.order();
    let ways_in = graph.ways_in(&order);
    let mut changed = false;
    for place in order {
        let first = graph.nodes[place];
        let (Target::Node(yes), Target::Node(no)) = (first.yes, first.no) else { continue };
        let (after_yes, after_no) = (graph.nodes[yes], graph.nodes[no]);
        let alike = after_yes.test == after_no.test && ways_in[yes] == 1 && ways_in[no] == 1;
        if !alike || yes == no {
            continue;
        }
        // What is left of the first test takes the place of one of those after it.
        let later = Target::Node(yes);
        let (now, then) = if after_yes.no == after_no.no {
            (Node { yes: later, ..after_yes }, Node { yes: after_yes.yes, no: after_no.yes, ..first })
        } else if after_yes.yes == after_no.yes {
            (Node { no: later, ..after_yes }, Node { yes: after_yes.no, no: after_no.no, ..first })
        } else {
            continue;
        };
        graph.nodes[place] = now;
        graph.nodes[yes] = then;
        changed = true;
    }
    changed
}

/// What is known of values that were loaded on the way.
type Facts = HashMap<ValueId, Known>;

/// Leads ways past tests whose outcome is known. Says whether it found any.
fn thread(graph: &mut Graph, values: &Values) -> bool {
    let order = graph.order();
    let mut tested: HashMap<ValueId, usize> = HashMap::new();
    for place in &order {
        if let Test::Constant(value, _) = graph.nodes[*place].test {
            *tested.entry(value).or_default() += 1;
            if let Some((inner, ..)) = masked(values, value) {
                *tested.entry(inner).or_default() += 1;
            }
        }
    }
    let mut known: Vec<Option<Facts>> = vec![None; graph.nodes.len()];
    let mut changed = false;
    if let Target::Node(root) = graph.root {
        known[root] = Some(Facts::new());
    }
    for place in order {
        let Some(facts) = known[place].take() else { continue };
        let node = graph.nodes[place];
        for holds in [true, false] {
            let mut facts = facts.clone();
            if let Test::Constant(value, against) = node.test
                && (tested.get(&value).is_some_and(|count| *count > 1))
                && (facts.len() < REMEMBERED || facts.contains_key(&value))
            {
                facts.entry(value).or_insert_with(|| values.known(value)).learn(against, holds);
            }
            let before = if holds { node.yes } else { node.no };
            let after = destination(graph, values, &facts, before);
            changed |= before != after;
            let way = if holds { &mut graph.nodes[place].yes } else { &mut graph.nodes[place].no };
            *way = after;
            if let Target::Node(next) = after {
                match &mut known[next] {
                    Some(there) => {
                        there.retain(|value, known| match facts.get(value) {
                            Some(other) => {
                                known.join(other);
                                true
                            }
                            None => false,
                        });
                    }
                    empty => *empty = Some(facts),
                }
            }
        }
    }
    changed
}

/// Where a way ends up with what is known on it.
fn destination(graph: &Graph, values: &Values, facts: &Facts, start: Target) -> Target {
    let mut target = start;
    while let Target::Node(place) = target {
        let node = graph.nodes[place];
        let outcome = match node.test {
            _ if node.yes == node.no => Some(true),
            Test::Constant(value, against) => decide(values, facts, value, against),
            _ => None,
        };
        match outcome {
            Some(true) => target = node.yes,
            Some(false) => target = node.no,
            None => break,
        }
    }
    target
}

fn decide(values: &Values, facts: &Facts, value: ValueId, against: Against) -> Option<bool> {
    if let Some(known) = facts.get(&value) {
        return known.decide(against);
    }
    let (inner, mask) = masked(values, value)?;
    facts.get(&inner)?.masked_by(mask).decide(against)
}

/// The value of which this one has only some bits, and which.
fn masked(values: &Values, value: ValueId) -> Option<(ValueId, u32)> {
    match values.get(value) {
        Value::Binary(Arithmetic::And, inner, mask) => Some((inner, values.as_constant(mask)?)),
        _ => None,
    }
}

/// One test of a chain: all of them share a target, which they lead to if the test comes out so.
#[derive(Debug, Clone, Copy)]
struct Link {
    test: Test,
    shared: bool,
}

/// Brings tests of one value together where their order does not matter. Says whether it moved any.
fn group(graph: &mut Graph, values: &Values) -> bool {
    let order = graph.order();
    let ways_in = graph.ways_in(&order);
    let loaded = loaded(graph, values, &order);
    let mut done = vec![false; graph.nodes.len()];
    let mut changed = false;
    for start in order {
        if done[start] {
            continue;
        }
        for shared in [true, false] {
            let places = chain(graph, &ways_in, start, shared);
            if places.len() > 1 {
                for place in &places {
                    done[*place] = true;
                }
                changed |= sort(graph, values, &places, shared, loaded[start]);
                break;
            }
        }
    }
    changed
}

/// The places of the chain whose first test leads to the shared target if it comes out as `shared`.
fn chain(graph: &Graph, ways_in: &[usize], start: usize, shared: bool) -> Vec<usize> {
    let first = graph.nodes[start];
    let (target, mut next) = if shared { (first.yes, first.no) } else { (first.no, first.yes) };
    let mut places = vec![start];
    while let Target::Node(place) = next {
        let node = graph.nodes[place];
        if ways_in[place] != 1 {
            break;
        }
        next = match () {
            () if node.yes == target => node.no,
            () if node.no == target => node.yes,
            () => break,
        };
        places.push(place);
    }
    places
}

/// For each node what was loaded last before it, if that is the same on all ways.
fn loaded(graph: &Graph, values: &Values, order: &[usize]) -> Vec<Option<ValueId>> {
    let mut loaded: Vec<Option<Option<ValueId>>> = vec![None; graph.nodes.len()];
    for place in order {
        let node = graph.nodes[*place];
        let load = match node.test {
            Test::Constant(value, _) => Some(load_of(values, value)),
            _ => None,
        };
        for target in [node.yes, node.no] {
            if let Target::Node(next) = target {
                loaded[next] = Some(loaded[next].map_or(load, |other| other.filter(|_| other == load)));
            }
        }
    }
    loaded.into_iter().map(Option::flatten).collect()
}

/// The value that has to be loaded first to compute this one.
fn load_of(values: &Values, value: ValueId) -> ValueId {
    masked(values, value).map_or(value, |(inner, _)| inner)
}

fn sort(graph: &mut Graph, values: &Values, places: &[usize], shared: bool, loaded: Option<ValueId>) -> bool {
    let first = graph.nodes[places[0]];
    let target = if shared { first.yes } else { first.no };
    let links: Vec<Link> = places
        .iter()
        .map(|place| {
            let node = graph.nodes[*place];
            Link { test: node.test, shared: node.yes == target }
        })
        .collect();
    // What is there already, then by where the load came first, then the load itself, then what is computed of it.
    let mut loads = HashMap::new();
    let mut computed = HashMap::new();
    let keys: Vec<_> = links
        .iter()
        .enumerate()
        .map(|(number, link)| match link.test {
            Test::Constant(value, _) => {
                let load = load_of(values, value);
                let load_first = *loads.entry(load).or_insert(number);
                (loaded != Some(load), load_first, load != value, *computed.entry(value).or_insert(number))
            }
            _ => (true, number, false, number),
        })
        .collect();
    let mut sorted: Vec<usize> = (0..links.len()).collect();
    sorted.sort_by_key(|number| keys[*number]);
    if sorted.is_sorted() {
        return false;
    }
    let end = graph.nodes[places[places.len() - 1]];
    let end = if end.yes == target { end.no } else { end.yes };
    for (slot, number) in sorted.into_iter().enumerate() {
        let next = places.get(slot + 1).map_or(end, |place| Target::Node(*place));
        let Link { test, shared } = links[number];
        let node = &mut graph.nodes[places[slot]];
        node.test = test;
        (node.yes, node.no) = if shared { (target, next) } else { (next, target) };
    }
    true
}
