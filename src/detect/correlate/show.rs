//! From a group's alerts to findings.

use std::sync::Arc;

use super::chain::Shown;
use super::group::{Anchored, Group};
use super::plan::Plan;
use crate::model::{AlertId, Finding, Timestamp};

impl Group {
    /// Puts out every alert from this one on that differs from what was last put out, and what has become of `old` ones.
    pub(super) fn show(&mut self, plan: &Plan, from: usize, old: &[Anchored], out: &mut Vec<Shown>) {
        for at in from..self.alerts.len() {
            let alert = &mut self.alerts[at];
            if let Some(before) = old.iter().find(|before| before.id == alert.id) {
                alert.shown = before.shown;
            }
            let fingerprint = alert.summary.fingerprint();
            let before = std::mem::replace(&mut alert.shown, fingerprint);
            if before != fingerprint {
                let mut shown = self.shown(plan, &self.alerts[at], None);
                shown.finding.is_new = before == 0;
                out.push(shown);
            }
        }
        for before in old.iter().filter(|before| before.shown != 0) {
            let is_there = self.alerts.iter().any(|alert| alert.id == before.id);
            // Where an earlier stage of an act broke the only window, no alert is left to point to: then it points to itself.
            let holder = self.alerts.iter().rev().find(|alert| alert.anchor <= before.anchor).or(self.alerts.first());
            if !is_there {
                out.push(self.shown(plan, before, Some(holder.map_or(before.id, |holder| holder.id))));
            }
        }
    }

    /// Puts out everything that has not been.
    pub(super) fn show_all(&mut self, plan: &Plan, out: &mut Vec<Shown>) {
        self.show(plan, 0, &[], out);
    }

    fn shown(&self, plan: &Plan, alert: &Anchored, superseded_by: Option<AlertId>) -> Shown {
        let content = plan.is_chained.then(|| Box::new(alert.summary.content()));
        Shown { finding: self.finding(plan, alert, superseded_by), anchor: alert.anchor.0, place: self.place, content }
    }

    fn finding(&self, plan: &Plan, alert: &Anchored, superseded_by: Option<AlertId>) -> Finding {
        let summary = &alert.summary;
        Finding {
            id: alert.id,
            rule: Arc::clone(&plan.header),
            tenant: self.owner.tenant.clone(),
            cluster: self.owner.cluster.clone(),
            group: self.owner.key.clone(),
            title: summary.title(plan),
            first: Timestamp::from_nanos(summary.first),
            last: Timestamp::from_nanos(summary.last),
            count: summary.count,
            events: summary.events(),
            entities: summary.entities(),
            steps: summary.steps(),
            late: summary.is_late,
            evidence_gaps: summary.evidence_gaps(),
            superseded_by,
            is_new: false,
        }
    }
}
