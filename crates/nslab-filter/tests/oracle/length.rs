//! Programs are about as long as libpcap's.

use nslab_filter::Filter;

use crate::expressions::EXPRESSIONS;
use crate::random::expressions;
use crate::selection::names;
use crate::tcpdump::{instructions, is_here};

#[test]
fn programs_are_about_as_long_as_libpcaps() {
    if !is_here() {
        return;
    }
    let mut ratios = Vec::new();
    // For tags libpcap looks beside the packet only where there is a socket.
    let all = EXPRESSIONS.iter().map(|text| (*text).to_owned()).chain(expressions(100, 3));
    for expression in all.filter(|expression| !expression.contains("vlan")) {
        let Ok(filter) = Filter::parse(&expression, names()) else { continue };
        let Some(theirs) = instructions(&expression) else { continue };
        let ours = filter.program().instructions().len();
        let percent = ours * 100 / theirs;
        ratios.push((percent, ours, theirs, expression));
    }
    ratios.sort_unstable();
    let median = ratios[ratios.len() / 2].0;
    let at_most = |most: usize| ratios.iter().filter(|ratio| ratio.0 <= most).count();
    println!(
        "{} programs: median {median} % of libpcap's length; {} shorter, {} as long, {} longer",
        ratios.len(),
        at_most(99),
        at_most(100) - at_most(99),
        ratios.len() - at_most(100)
    );
    for (percent, ours, theirs, expression) in ratios.iter().rev().take(12) {
        println!("{percent} %: {ours} to {theirs}: {expression}");
    }
    assert!(median <= 100, "the median is {median} %");
    let longest = ratios[ratios.len() * 95 / 100].0;
    assert!(longest <= 100, "one in twenty is {longest} % of libpcap's");
}
