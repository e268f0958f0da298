//! From rules to correlators, and who feeds whom.

use std::sync::Arc;

use super::{Engine, Feed};
use crate::detect::correlate::chain::Shown;
use crate::detect::correlate::plan::Plan;
use crate::detect::correlate::{Correlator, Limits};
use crate::detect::matcher::Refused;
use crate::detect::rule::{Body, LogSource, Rule, RuleSet};
use crate::detect::watermark::Horizons;
use crate::model::{Event, FieldRef, Finding, GroupKey, Kinds};

/// The rules, those that others stand on before these.
pub(super) fn storeys(rules: &RuleSet) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(rules.rules.len());
    let mut is_placed = vec![false; rules.rules.len()];
    loop {
        let before = order.len();
        for (at, rule) in rules.rules.iter().enumerate() {
            let is_ready = |rule: &usize| is_placed.get(*rule).is_none_or(|is_placed| *is_placed);
            let stands = match &rule.body {
                Body::Single(_) => true,
                Body::Correlation(correlation) => correlation.rules.iter().all(is_ready),
            };
            if stands && !is_placed[at] {
                is_placed[at] = true;
                order.push(at);
            }
        }
        if order.len() == before {
            break;
        }
    }
    // What goes round in circles is refused when it is added.
    order.extend((0..rules.rules.len()).filter(|at| !is_placed[*at]));
    order
}

/// Whether a rule is for others only, and needs no groups of its own: a correlation that raises no alert may still be stood on.
pub(super) fn is_fed_only(rule: &Rule) -> bool {
    rule.is_silent && matches!(rule.body, Body::Single(_))
}

/// What correlators are judged by.
pub(super) struct Parts<'a> {
    pub(super) limits: &'a Limits,
    pub(super) horizons: &'a Horizons,
}

impl Engine {
    pub(super) fn add(&mut self, at: usize, rule: &Rule, refused: &[Refused]) -> Result<(), String> {
        let rules = Arc::clone(&self.rules);
        let mut plan = Plan::new(rule, &self.settings.key)?;
        let referred: Vec<usize> = match &rule.body {
            Body::Single(_) => vec![at],
            Body::Correlation(correlation) => correlation.rules.clone(),
        };
        let mut below: Vec<usize> = Vec::new();
        let mut reads = Kinds::NONE;
        for (position, other) in referred.iter().enumerate() {
            let Some(other_rule) = rules.rules.get(*other) else { return Err("it refers to a rule that is not there".to_owned()) };
            let id = &other_rule.header.id;
            if refused.iter().any(|refused| refused.rule == *other) {
                return Err(format!("it refers to `{id}`, which cannot be run"));
            }
            if let (Body::Correlation(inner), Body::Correlation(_)) = (&other_rule.body, &rule.body) {
                let Some(place) = self.correlators.iter().position(|correlator| correlator.rule == *other) else {
                    return Err(format!("it refers to `{id}`, which does not come before it"));
                };
                plan.over(position, inner, id)?;
                below.push(place);
                reads = reads.or(self.correlators[place].reads);
                continue;
            }
            reads = reads.or(match other_rule.logsource {
                LogSource::Kind(kind) => Kinds::only(kind),
                LogSource::Any | LogSource::NotApplicable(_) => Kinds::ALL,
            });
        }
        for other in &referred {
            self.want(*other, &plan.wanted);
        }
        for (position, other) in (0..u16::MAX).zip(&referred) {
            self.feeds[*other].push(Feed { correlator: self.correlators.len(), position });
        }
        let class = self.horizons.class(reads);
        let mut correlator = Correlator::new(plan, at, class);
        correlator.raises = !rule.is_silent;
        correlator.reads = reads;
        for place in below {
            let inner = &mut self.correlators[place];
            inner.plan.is_chained = true;
            correlator.stand_on(place, inner);
        }
        self.correlators.push(correlator);
        Ok(())
    }

    /// Has each correlator do this, those that others stand on first, and gives what it shows to the correlations over it and to the caller.
    pub(super) fn each(&mut self, out: &mut Vec<Finding>, mut work: impl FnMut(usize, &mut Correlator, &Parts<'_>, &mut Vec<Shown>)) {
        let Self { correlators, shown, feeds, settings, horizons, .. } = self;
        let parts = Parts { limits: &settings.limits, horizons };
        for at in 0..correlators.len() {
            let (below, above) = correlators.split_at_mut(at + 1);
            let Some(correlator) = below.last_mut() else { continue };
            work(at, correlator, &parts, shown);
            for shown in shown.drain(..) {
                if correlator.plan.is_chained {
                    for feed in &feeds[correlator.rule] {
                        if let Some(over) = feed.correlator.checked_sub(at + 1).and_then(|over| above.get_mut(over)) {
                            over.follow(&shown, feed.position);
                        }
                    }
                }
                if correlator.raises {
                    out.push(shown.finding);
                }
            }
        }
    }

    /// Where all rules together take more than they may, those that take most let groups go.
    pub(super) fn make_room(&mut self, out: &mut Vec<Finding>) {
        let bytes_max = self.settings.limits.state_bytes_max;
        let mut total: usize = self.correlators.iter().map(Correlator::bytes).sum();
        while total > bytes_max {
            let Some((most, bytes)) = self.correlators.iter().map(Correlator::bytes).enumerate().max_by_key(|(_, bytes)| *bytes) else { return };
            // No further than to what is left to the others, or to the half: then another may take more.
            let down_to = bytes.saturating_sub(total - bytes_max).max(bytes / 2);
            let is_finite = self.settings.is_finite;
            self.each(out, |at, correlator, parts, shown| {
                if at == most {
                    correlator.shrink(down_to, parts.limits, (!is_finite).then_some(shown));
                }
            });
            let now = self.correlators[most].bytes();
            if now >= bytes {
                return;
            }
            total -= bytes - now;
        }
    }

    /// What rules ask the store for.
    pub(super) fn collect_asks(&mut self) {
        for correlator in &mut self.correlators {
            correlator.asks.drain(..).for_each(|ask| self.rechecks.ask(ask));
        }
    }

    /// What stands on the alerts of a group that is to be judged from the store is to be judged from there as well.
    pub(super) fn recheck_over(&mut self, at: usize, event: &Event, group: &GroupKey, time: i64) {
        for feed in self.feeds[self.correlators[at].rule].clone() {
            let over = &self.correlators[feed.correlator];
            let Some(key) = over.group_over(&event.cluster, group, feed.position).filter(|_| feed.correlator > at) else { continue };
            over.ask(event, key.clone(), time, &mut self.rechecks);
            self.recheck_over(feed.correlator, event, &key, time);
        }
    }

    /// Has the values of these fields kept of what the rule matches, down to the single rules.
    fn want(&mut self, rule: usize, fields: &[FieldRef]) {
        let rules = Arc::clone(&self.rules);
        let place = self.correlators.iter().position(|correlator| correlator.rule == rule);
        let (known, below) = match (&rules.rules[rule].body, place) {
            (Body::Correlation(correlation), Some(place)) => (&mut self.correlators[place].plan.wanted, correlation.rules.as_slice()),
            _ => (&mut self.wanted[rule], [].as_slice()),
        };
        let new: Vec<FieldRef> = fields.iter().filter(|field| !known.contains(field)).cloned().collect();
        if new.is_empty() {
            return;
        }
        known.extend(new);
        below.iter().for_each(|rule| self.want(*rule, fields));
    }
}
