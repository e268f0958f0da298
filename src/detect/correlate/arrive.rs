//! What matched, taken in some at a time.
//!
//! Groups of a busy rule lie far apart in memory, and to wait for each in its turn costs more than all that is done with it. So what matched waits until
//! there is some of it; then its groups are looked up, and what is at their ends, in loops of their own, in which the waits overlap.

use super::entry::{Entry, Values};
use super::group::Group;
use super::{Correlator, add_to_key, key_into};
use crate::detect::journal::Whose;
use crate::model::Event;

/// What may wait, of one rule.
const ARRIVALS_MAX: usize = 128;
/// No group was found.
const NOWHERE: u32 = u32::MAX;

/// An act that matched, and waits to be taken in.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The name of its group.
    name: u128,
    group: u32,
    /// The place of its cluster among the horizons.
    place: u32,
    /// Its event's place in the batch.
    event: usize,
    entry: Entry,
}

impl Correlator {
    /// The name of the group of an event that matched the referred rule, and the values that it adds; `None` if it is not counted.
    pub(crate) fn counts(&mut self, event: &Event, rule: u16) -> Option<(u128, Values)> {
        let Self { plan, scratch, .. } = self;
        key_into(scratch, &event.tenant, &event.cluster);
        let is_whole = plan.group(event, rule, &mut |name, value| add_to_key(scratch, name, value));
        let values = if is_whole { plan.values(event)? } else { return None };
        Some((self.name(), values))
    }

    /// Keeps an entry of the group of this name for [`Correlator::take_in`], of the event at this place of the batch, which is to be called at once if
    /// this returns true.
    pub(crate) fn arrive(&mut self, name: u128, place: u32, event: usize, entry: Entry) -> bool {
        self.arrivals.push(Arrival { name, group: NOWHERE, place, event, entry });
        self.arrivals.len() >= ARRIVALS_MAX
    }

    /// Takes in what has arrived of these events. `counted` is told of each entry that counts, and whose it is.
    pub(crate) fn take_in(&mut self, events: &[Event], counted: &mut dyn FnMut(Whose<'_>, &Entry)) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        for arrival in &mut arrivals {
            arrival.group = self.find(arrival.name).unwrap_or(NOWHERE);
        }
        let group = |arrival: &Arrival| self.groups.get(arrival.group as usize).and_then(Option::as_ref);
        let ahead = arrivals.iter().map(|arrival| group(arrival).map_or(0, Group::look)).fold(0, usize::wrapping_add);
        let look = |arrival: &Arrival| group(arrival).map_or(0, |group| group.look_for(&self.plan, &arrival.entry));
        let at_ends = arrivals.iter().map(look).fold(0, usize::wrapping_add);
        std::hint::black_box((ahead, at_ends));
        for Arrival { name, group, place, event, entry } in arrivals.drain(..) {
            // Another of these may have begun it.
            let known = if group == NOWHERE { self.find(name) } else { Some(group) };
            let at = match known {
                Some(at) => at,
                None => {
                    let Some(event) = events.get(event) else { continue };
                    let Some(key) = self.group_key(event, entry.rule) else { continue };
                    self.begin(name, Group::new(event.tenant.clone(), event.cluster.clone(), key, place), entry.time)
                }
            };
            let Some(Some(group)) = self.groups.get(at as usize) else { continue };
            if known.is_none() || !group.knows(&self.plan, &entry) {
                counted(group.whose(), &entry);
                self.push(at, entry);
            }
        }
        self.arrivals = arrivals;
    }
}
