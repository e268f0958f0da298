//! Which predicates lead to a rule: a set of which one must hold whenever the rule does, as rare in traffic as can be found.

use super::program::{Node, Program};

/// The cost at which a set is no better than looking at every event.
pub(super) const COST_HOPELESS: f64 = 1e12;

/// The rarest set for a node, by the sum of the frequencies of its members. `None`: the node can hold with no predicate set.
pub(super) fn rarest(program: &Program, node: u32, cost: &dyn Fn(u32) -> f64) -> Option<(f64, Vec<u32>)> {
    match program.node(node) {
        Node::Quick(predicate) => Some((cost(predicate), vec![predicate])),
        Node::Late(_) | Node::Not(_) => None,
        Node::Shared(inner, _) => rarest(program, inner, cost),
        Node::And(range) => program
            .children(range)
            .iter()
            .filter_map(|child| rarest(program, *child, cost))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(cost, _)| *cost < COST_HOPELESS),
        Node::Or(range) => union(program.children(range).iter().map(|child| rarest(program, *child, cost)), usize::MAX, 1),
        Node::AtLeast(count, range) => {
            let children = program.children(range);
            // If so many hold, one of any `len - count + 1` of them does.
            let enough = (children.len() + 1).checked_sub(count as usize)?;
            union(children.iter().map(|child| rarest(program, *child, cost)), enough, count)
        }
    }
}

/// The union of the `enough` cheapest sets; `None` if there are not so many.
fn union(sets: impl Iterator<Item = Option<(f64, Vec<u32>)>>, enough: usize, count: u32) -> Option<(f64, Vec<u32>)> {
    if count == 0 {
        return None;
    }
    let mut known = Vec::new();
    let mut total = 0;
    for set in sets {
        total += 1;
        known.extend(set);
    }
    let enough = enough.min(total);
    if known.len() < enough {
        return None;
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    known.truncate(enough);
    let cost = known.iter().map(|(cost, _)| cost).sum();
    let mut members: Vec<u32> = known.into_iter().flat_map(|(_, members)| members).collect();
    members.sort_unstable();
    members.dedup();
    Some((cost, members))
}
