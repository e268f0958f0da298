//! A summary as bytes, and back.

use std::sync::Arc;

use super::super::entry::{Act, Key};
use super::Summary;
use crate::detect::journal::{Reading, Scribe, put_key, put_len, put_number, put_text, put_time};
use crate::detect::witness::Witness;
use crate::model::EventId;

impl Summary {
    /// Appends it.
    pub(in crate::detect::correlate) fn write(&self, to: &mut Scribe) {
        let Self { count, first, last, events, entities, earliest, others, values, is_late, is_clamped, acts } = self;
        put_number(&mut to.to, *count);
        put_time(&mut to.to, *first);
        put_time(&mut to.to, *last);
        put_len(&mut to.to, events.len());
        for (time, id) in events {
            put_time(&mut to.to, *time);
            to.to.extend_from_slice(&id.0);
        }
        put_len(&mut to.to, entities.len());
        entities.iter().for_each(|entity| put_text(&mut to.to, entity));
        for steps in [earliest, others] {
            put_len(&mut to.to, steps.len());
            for (key, witness) in steps {
                put_key(&mut to.to, key);
                to.witness(witness);
            }
        }
        put_len(&mut to.to, values.len());
        for (name, key, value) in values {
            put_text(&mut to.to, name);
            put_key(&mut to.to, key);
            put_text(&mut to.to, value);
        }
        to.to.push(u8::from(*is_late) | u8::from(*is_clamped) << 1);
        let mut sorted: Vec<&Act> = acts.iter().collect();
        sorted.sort_unstable();
        put_len(&mut to.to, sorted.len());
        sorted.into_iter().for_each(|act| to.to.extend_from_slice(&act.0.to_le_bytes()));
    }

    /// Reads it. `None` if these bytes are none.
    pub(in crate::detect::correlate) fn read(from: &mut Reading<'_>) -> Option<Self> {
        let steps = |from: &mut Reading<'_>| -> Option<Vec<(Key, Arc<Witness>)>> { from.list(|from| Some((from.from.key()?, from.witness()?))) };
        let summary = Self {
            count: from.from.number()?,
            first: from.from.time()?,
            last: from.from.time()?,
            events: from.from.list(|from| Some((from.time()?, EventId(from.array()?))))?,
            entities: from.from.list(|from| from.text().map(Arc::from))?.into_iter().collect(),
            earliest: steps(from)?,
            others: steps(from)?,
            values: from.from.list(|from| Some((from.text()?.into(), from.key()?, from.text()?.into())))?,
            ..Self::default()
        };
        let flags = from.from.byte().filter(|flags| *flags < 4)?;
        let acts = from.from.list(|from| from.array().map(|act| Act(u64::from_le_bytes(act))))?.into_iter().collect();
        Some(Self { is_late: flags & 1 != 0, is_clamped: flags & 2 != 0, acts, ..summary })
    }
}
