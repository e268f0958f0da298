//! Correlations of correlations: the alerts of one are entries of another.
//!
//! Such an entry stands at the end of the alert's earliest qualifying window, and its act is the alert. The alert may gain content, move or
//! go as events come late; the entry follows, so that what stands on it is again a function of the set of events alone.

use std::sync::Arc;

use super::Correlator;
use super::entry::{Entry, Key, Values};
use super::group::Group;
use super::plan::{Grouping, Plan, PlanKind, bits};
use crate::detect::fold::number;
use crate::detect::rule::Correlation;
use crate::detect::witness::Witness;
use crate::model::{ActId, ClusterId, EventId, Field, FieldRef, Finding, GroupKey};

/// An alert as it is put out, with what a correlation above it asks.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) finding: Finding,
    /// The end of its earliest qualifying window, in nanoseconds since 1970.
    pub(crate) anchor: i64,
    /// The place of its cluster among the horizons.
    pub(crate) place: u32,
    /// Of correlations that others stand on.
    pub(crate) content: Option<Box<Content>>,
}

/// The evidence of an alert, with the times that put it in order.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) is_clamped: bool,
    pub(crate) events: Vec<(i64, EventId)>,
    pub(crate) steps: Vec<(Key, Arc<Witness>)>,
    /// Values of the fields that titles name.
    pub(crate) values: Vec<(Box<str>, Box<str>)>,
}

/// Where a correlation over another finds a value of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfAlert {
    /// In its group, at this place.
    Group(usize),
    Cluster,
}

impl Plan {
    /// The rule at this position is a correlation itself: finds what is grouped by and counted in the groups of its alerts.
    pub(crate) fn over(&mut self, position: usize, inner: &Correlation, inner_id: &str) -> Result<(), String> {
        let place = |name: &str, field: &FieldRef| {
            let groups = &inner.group_by;
            let is_it = |at: &usize, way: usize| match way {
                0 => groups[*at].name.as_ref() == field.name(),
                1 => groups[*at].fields.contains(field),
                _ => groups[*at].name.as_ref() == name,
            };
            let found = (0..3).find_map(|way| (0..groups.len()).find(|at| is_it(at, way)));
            match found {
                Some(at) => Ok(OfAlert::Group(at)),
                None if *field == FieldRef::Fact(Field::Cluster) => Ok(OfAlert::Cluster),
                None => Err(format!("it needs `{name}` of the alerts of `{inner_id}`, which does not group by it")),
            }
        };
        let groups = match &self.grouping {
            Grouping::Needed(fields) => fields.iter().map(|(name, fields)| place(name, &fields[position])).collect::<Result<_, _>>()?,
            Grouping::Usual | Grouping::Fields(_) => Vec::new(),
        };
        let counted = self.count_fields.iter().map(|field| place(field.name(), field)).collect::<Result<_, _>>()?;
        if let Some(chained) = self.chained.get_mut(position) {
            *chained = Some((groups, counted));
        }
        Ok(())
    }

    /// As [`Plan::group`], of an alert of the correlation at this position.
    pub(crate) fn group_of_alert<'a>(
        &'a self,
        cluster: &'a ClusterId,
        key: &'a GroupKey,
        rule: u16,
        each: &mut dyn FnMut(&Arc<str>, Option<&'a str>),
    ) -> bool {
        let (Grouping::Needed(fields), Some(Some((groups, _)))) = (&self.grouping, self.chained.get(usize::from(rule))) else { return false };
        fields.iter().zip(groups).all(|((name, _), place)| {
            let value = of_alert(*place, cluster, key);
            if value.is_some() {
                each(name, value);
            }
            value.is_some()
        })
    }

    /// As [`Plan::values`], of an alert of the correlation at this position.
    pub(crate) fn values_of_alert(&self, cluster: &ClusterId, key: &GroupKey, rule: u16) -> Option<Values> {
        let Some(Some((_, counted))) = self.chained.get(usize::from(rule)) else { return None };
        let texts: Vec<&str> = counted.iter().map(|place| of_alert(*place, cluster, key)).collect::<Option<_>>()?;
        match self.kind {
            PlanKind::Sum | PlanKind::Average | PlanKind::Percentile => Some(Values::One(bits(number(texts.first()?)?))),
            PlanKind::Distinct => Some(Values::One(texts.iter().fold(0, |so_far, text| self.hash(so_far, text)))),
            PlanKind::Single | PlanKind::Count | PlanKind::Temporal | PlanKind::Ordered => Some(Values::None),
        }
    }
}

fn of_alert<'a>(place: OfAlert, cluster: &'a ClusterId, key: &'a GroupKey) -> Option<&'a str> {
    match place {
        OfAlert::Group(at) => key.get(at)?.1.as_deref(),
        OfAlert::Cluster => Some(cluster.as_str()),
    }
}

impl Correlator {
    /// This one stands on the alerts of that one, which has this place in the engine.
    pub(crate) fn stand_on(&mut self, place: usize, below: &Self) {
        self.stands_on.push(place);
        self.lag = self.lag.max(below.lag.saturating_add(below.plan.delay()));
        // An alert below may change for as long as its entries are kept: its entry here must be there to follow.
        self.kept = self.kept.max(self.plan.reach().saturating_add(below.reach()));
    }

    /// The group that alerts of a group of the correlation at this position fall into.
    pub(crate) fn group_over(&self, cluster: &ClusterId, below: &GroupKey, rule: u16) -> Option<GroupKey> {
        let mut key = GroupKey::new();
        let counts = self.plan.group_of_alert(cluster, below, rule, &mut |name, value| key.push((Arc::clone(name), value.map(Arc::from))));
        counts.then_some(key)
    }

    /// An alert of the correlation at this position has changed: its entry follows.
    pub(crate) fn follow(&mut self, shown: &Shown, rule: u16) {
        let Shown { finding, anchor, place, content } = shown;
        let Some(content) = content else { return };
        let Self { plan, scratch, .. } = self;
        super::key_into(scratch, &finding.tenant, &finding.cluster);
        let counts = plan.group_of_alert(&finding.cluster, &finding.group, rule, &mut |name, value| super::add_to_key(scratch, name, value));
        let Some(values) = plan.values_of_alert(&finding.cluster, &finding.group, rule).filter(|_| counts) else { return };
        let is_gone = finding.superseded_by.is_some();
        let name = self.name();
        let at = match self.find(name) {
            Some(at) => at,
            None if is_gone => return,
            None => {
                let Some(key) = self.group_over(&finding.cluster, &finding.group, rule) else { return };
                self.begin(name, Group::new(finding.tenant.clone(), finding.cluster.clone(), key, *place), *anchor)
            }
        };
        let act = self.plan.key.act(&ActId(finding.id.0));
        let (is_late, is_clamped) = (finding.late, content.is_clamped);
        let entry = (!is_gone).then(|| {
            let id = EventId(finding.id.0);
            Entry { time: *anchor, id, act, rule, is_late, is_clamped, is_end: false, values, witness: Arc::new(Witness::of_alert(finding, content)) }
        });
        let Some(Some(group)) = self.groups.get_mut(at as usize) else { return };
        let told = Group::act_of(&self.plan, rule, act);
        group.extra.get_or_insert_default().removed.push(told);
        let capped = group.capped;
        self.followed.insert((at, told), entry.filter(|entry| entry.time > capped));
        self.touch(at);
    }
}
