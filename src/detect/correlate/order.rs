//! Chains: rules one after the other in time, each by an event of its own. At one instant any order will do.

use super::entry::Entry;

/// Entries of one instant that are told apart when one event matches several rules of an ordered correlation.
const INSTANT_ENTRIES_MAX: usize = 16;

/// No chain so far.
pub(crate) const NEVER: i64 = i64::MIN;

/// Takes the entries of an instant so far. `before` has, for each prefix of the chain, the latest start of one that ended before this
/// instant; `after` becomes the same with these entries. Returns the latest start of a whole chain that ends at this instant.
pub(crate) fn follow(chain: &[u16], before: &[i64], after: &mut [i64], instant: &[&Entry], now: i64) -> i64 {
    let begun = |place: usize| if place == 0 { now } else { before[place - 1] };
    after.copy_from_slice(before);
    if let [entry] = instant {
        // The usual case: alone at its instant.
        let Some(place) = chain.iter().position(|rule| *rule == entry.rule) else { return NEVER };
        after[place] = after[place].max(begun(place));
        return if place + 1 == chain.len() { begun(place) } else { NEVER };
    }
    let mut ends_at = NEVER;
    if is_shared(instant) {
        let instant = &instant[..instant.len().min(INSTANT_ENTRIES_MAX)];
        for from in 0..chain.len() {
            let reach = if begun(from) == NEVER { 0 } else { assignable(instant, &chain[from..]) };
            for after in &mut after[from..from + reach] {
                *after = (*after).max(begun(from));
            }
            if from + reach == chain.len() {
                ends_at = ends_at.max(begun(from));
            }
        }
        return ends_at;
    }
    let mut running = NEVER;
    for (place, rule) in chain.iter().enumerate() {
        let is_here = instant.iter().any(|entry| entry.rule == *rule);
        running = if is_here { running.max(begun(place)) } else { NEVER };
        after[place] = after[place].max(running);
    }
    running
}

/// Whether one event stands here for several rules. Entries of one instant are in order of their events.
fn is_shared(instant: &[&Entry]) -> bool {
    instant.windows(2).any(|pair| pair[0].id == pair[1].id)
}

/// How many rules, from the first on, can each be given an event of its own among these entries.
fn assignable(instant: &[&Entry], chain: &[u16]) -> usize {
    let mut given = vec![None; instant.len()];
    let fits = |rule: &u16| give(instant, *rule, &mut given, &mut vec![false; instant.len()]);
    chain
        .iter()
        .take_while({
            let mut fits = fits;
            move |rule| fits(rule)
        })
        .count()
}

/// Gives the rule an event, if need be by giving another rule another. For each entry, `given` has the rule its event went to: entries of
/// one event share the slot of the first.
fn give(instant: &[&Entry], rule: u16, given: &mut [Option<u16>], tried: &mut [bool]) -> bool {
    for (at, entry) in instant.iter().enumerate() {
        if entry.rule != rule {
            continue;
        }
        let slot = instant.iter().position(|other| other.id == entry.id).unwrap_or(at);
        if std::mem::replace(&mut tried[slot], true) {
            continue;
        }
        let is_free = match given[slot] {
            None => true,
            Some(other) => give(instant, other, given, tried),
        };
        if is_free {
            given[slot] = Some(rule);
            return true;
        }
    }
    false
}

/// How many of the rules stand in order among these entries, at the most.
pub(crate) fn longest(entries: &[&Entry], rules: usize) -> usize {
    // By rule: the longest chain that ends with it or an earlier one.
    let mut best = vec![0; rules];
    let mut first = 0;
    while let Some(entry) = entries.get(first) {
        let after = entries.partition_point(|other| other.time <= entry.time);
        let instant = &entries[first..after];
        let known = best.clone();
        let limited = if is_shared(instant) { &instant[..instant.len().min(INSTANT_ENTRIES_MAX)] } else { instant };
        for from in 0..rules {
            let so_far = if from == 0 { 0 } else { known[from - 1] };
            let mut given = vec![None; limited.len()];
            let mut more = 0;
            for (rule, best) in (0..u16::MAX).zip(best.iter_mut()).skip(from) {
                more += usize::from(give(limited, rule, &mut given, &mut vec![false; limited.len()]));
                *best = (*best).max(so_far + more);
            }
        }
        first = after;
    }
    best.last().copied().unwrap_or_default()
}
