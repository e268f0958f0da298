//! Horizons, to and from the journal, and from one set of rules to the next.

use super::{Horizons, SHARED};
use crate::detect::journal::{Bytes, put_len, put_text, put_time};
use crate::model::{ClusterId, Kinds, TenantId};

impl Horizons {
    /// The cluster of each place, by number.
    fn names(&self) -> Vec<Option<&(TenantId, ClusterId)>> {
        let mut names = vec![None; self.places.len() + 1];
        let known = self.places.iter().map(|(name, place)| (*place as usize, name));
        known.for_each(|(place, name)| {
            if let Some(slot) = names.get_mut(place) {
                *slot = Some(name);
            }
        });
        names
    }

    /// Appends, by place, how far each class is judged, where that is not as it was told before; all of it for a whole.
    pub(in crate::detect) fn write(&mut self, is_whole: bool, to: &mut Vec<u8>) {
        let kinds: Vec<String> = self.classes.iter().map(|kinds| serde_json::to_string(kinds).unwrap_or_default()).collect();
        let mut rows: Vec<(usize, Vec<(usize, i64)>)> = Vec::new();
        self.told.resize(self.judged.len(), Vec::new());
        for (class, (judged, told)) in self.judged.iter().zip(&mut self.told).enumerate() {
            told.resize(judged.len(), i64::MIN);
            for (place, (now, before)) in judged.iter().zip(told).enumerate() {
                if *now != i64::MIN && (is_whole || now != before) {
                    *before = *now;
                    rows.push((place, vec![(class, *now)]));
                }
            }
        }
        rows.sort_by_key(|(place, _)| *place);
        rows.dedup_by(|next, row| {
            let is_same = next.0 == row.0;
            if is_same {
                row.1.append(&mut next.1);
            }
            is_same
        });
        let names = self.names();
        put_len(to, rows.len());
        for (place, judged) in rows {
            let name = names.get(place).copied().flatten();
            to.push(u8::from(name.is_some()));
            if let Some((tenant, cluster)) = name {
                put_text(to, tenant.as_str());
                put_text(to, cluster.as_str());
            }
            put_len(to, judged.len());
            for (class, time) in judged {
                put_text(to, kinds.get(class).map_or("", String::as_str));
                put_time(to, time);
            }
        }
    }

    /// Reads what was written. `None` if these bytes are none.
    pub(in crate::detect) fn read(&mut self, from: &mut Bytes<'_>) -> Option<()> {
        for _ in 0..from.len()? {
            let place = if from.flag()? {
                let (tenant, cluster) = (from.text()?.parse().ok()?, from.text()?.parse().ok()?);
                self.place(&tenant, &cluster)
            } else {
                SHARED
            };
            for _ in 0..from.len()? {
                let kinds: Kinds = serde_json::from_str(from.text()?).ok()?;
                let time = from.time()?;
                self.raise(place, kinds, time);
            }
        }
        Some(())
    }

    /// Rules that read these kinds, if there are any, are judged so far in this place, or farther.
    fn raise(&mut self, place: u32, kinds: Kinds, time: i64) {
        let class = self.classes.iter().position(|known| *known == kinds);
        if let Some(judged) = class.and_then(|class| self.judged.get_mut(class)) {
            if judged.len() <= place as usize {
                judged.resize(place as usize + 1, i64::MIN);
            }
            if let Some(known) = judged.get_mut(place as usize) {
                *known = time.max(*known);
            }
        }
    }

    /// Nothing is known any more of how far anything is judged.
    pub(in crate::detect) fn clear(&mut self) {
        self.judged.iter_mut().for_each(Vec::clear);
        self.told.clear();
        self.general.fill(i64::MIN);
    }

    /// Takes over how far the classes that both know are judged.
    pub(in crate::detect) fn adopt(&mut self, old: &Self) {
        for (at, name) in old.names().into_iter().enumerate() {
            let place = name.map_or(SHARED, |(tenant, cluster)| self.place(tenant, cluster));
            for (kinds, judged) in old.classes.iter().zip(&old.judged) {
                if let Some(time) = judged.get(at) {
                    self.raise(place, *kinds, *time);
                }
            }
        }
    }
}
