//! A group as bytes, and back.

use super::{Anchored, Group, Plan};
use crate::detect::correlate::summary::Summary;
use crate::detect::journal::{Reading, Scribe, put_key, put_len, put_time};
use crate::model::{AlertId, ClusterId, GroupKey, TenantId};

impl Group {
    /// Appends what it holds. A batch has to be settled.
    pub(in crate::detect::correlate) fn write(&self, to: &mut Scribe) {
        // The scanner and the table of acts are made anew from the entries; nothing waits between batches.
        let Self { owner: _, owner_bytes: _, place: _, entries, acts: _, alerts, scanner: _, has_many: _, floor, capped, extra, .. } = self;
        put_time(&mut to.to, *floor);
        put_time(&mut to.to, *capped);
        put_time(&mut to.to, extra.as_ref().map_or(i64::MIN, |extra| extra.judged));
        put_len(&mut to.to, entries.len());
        entries.iter().for_each(|entry| to.entry(entry));
        put_len(&mut to.to, alerts.len());
        for Anchored { id, anchor, bucket_end, upto, summary, shown } in alerts {
            to.to.extend_from_slice(&id.0);
            put_key(&mut to.to, anchor);
            put_time(&mut to.to, *bucket_end);
            put_key(&mut to.to, upto);
            to.to.extend_from_slice(&shown.to_le_bytes());
            summary.write(to);
        }
    }

    /// Reads what a group of these values holds, of a rule that is run or not any more. `None` if these bytes are none.
    pub(in crate::detect::correlate) fn read(
        (tenant, cluster, key): (TenantId, ClusterId, GroupKey),
        plan: Option<&Plan>,
        place: u32,
        from: &mut Reading<'_>,
    ) -> Option<Self> {
        let mut group = Self::new(tenant, cluster, key, place);
        group.floor = from.from.time()?;
        group.capped = from.from.time()?;
        let judged = from.from.time()?;
        if judged != i64::MIN {
            group.extra.get_or_insert_default().judged = judged;
        }
        group.entries = from.list(Reading::entry)?.into();
        group.alerts = from.list(|from| {
            Some(Anchored {
                id: AlertId(from.from.array()?),
                anchor: from.from.key()?,
                bucket_end: from.from.time()?,
                upto: from.from.key()?,
                shown: u64::from_le_bytes(from.from.array()?),
                summary: Summary::read(from)?,
            })
        })?;
        // Order is what every search in it relies on.
        let is_sorted = group.entries.iter().zip(group.entries.iter().skip(1)).all(|(one, next)| one.key() < next.key());
        let mut is_of_rule = true;
        if let Some(plan) = plan {
            is_of_rule = group.entries.iter().all(|entry| usize::from(entry.rule) < plan.referred);
            group.index_acts(plan);
        }
        (is_sorted && is_of_rule).then_some(group)
    }
}
