//! Reading the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ADVANCE, BEGIN, Bytes, CHECK_BYTES, Damaged, ENTRY, GROUP, OWED, SETTLE, VERSION, VERSION_MIN, check_of};
use crate::detect::correlate::entry::{Act, Entry};
use crate::detect::identity::Identity;
use crate::detect::key::ValueKey;
use crate::detect::witness::Witness;
use crate::model::{ClusterId, GroupKey, RuleHeader, TenantId};

/// Headers of the rules in force, by their ids.
pub(in crate::detect) type Headers = BTreeMap<String, Arc<RuleHeader>>;

/// What a piece says next. What a group holds, the entry, how far time has come, or what is owed is still to be read.
#[derive(Debug)]
pub(in crate::detect) enum Operation {
    Begin { key: ValueKey, identities: Vec<Identity> },
    Group { rule: usize, tenant: TenantId, cluster: ClusterId, key: GroupKey },
    Entry { rule: usize, tenant: TenantId, cluster: ClusterId, key: GroupKey },
    Settle,
    Advance,
    Owed { rule: usize, tenant: TenantId, cluster: ClusterId, key: GroupKey },
}

/// A piece that is being read.
#[derive(Debug)]
pub(in crate::detect) struct Reading<'a> {
    pub(in crate::detect) from: Bytes<'a>,
    headers: &'a Headers,
    witnesses: Vec<Arc<Witness>>,
}

impl<'a> Reading<'a> {
    /// Of a piece, if it is as it was written.
    pub(in crate::detect) fn of(piece: &'a [u8], headers: &'a Headers) -> Result<Self, Damaged> {
        let (body, check) = piece.split_last_chunk::<CHECK_BYTES>().ok_or(Damaged("it is cut short"))?;
        if check_of(body) != *check {
            return Err(Damaged("its check does not hold"));
        }
        match body.split_first() {
            Some((VERSION_MIN..=VERSION, rest)) => Ok(Self { from: Bytes(rest), headers, witnesses: Vec::new() }),
            _ => Err(Damaged("it is of another version")),
        }
    }

    /// The next operation; `Ok(None)` at the end.
    pub(in crate::detect) fn next(&mut self) -> Result<Option<Operation>, Damaged> {
        if self.from.is_empty() {
            return Ok(None);
        }
        self.operation().map(Some).ok_or(Damaged("an operation can not be read"))
    }

    fn operation(&mut self) -> Option<Operation> {
        match self.from.byte()? {
            BEGIN => {
                let key = ValueKey::of_bytes(self.from.array()?);
                Some(Operation::Begin { key, identities: self.from.list(|from| from.array().map(Identity))? })
            }
            GROUP => self.whose().map(|(rule, tenant, cluster, key)| Operation::Group { rule, tenant, cluster, key }),
            ENTRY => self.whose().map(|(rule, tenant, cluster, key)| Operation::Entry { rule, tenant, cluster, key }),
            SETTLE => Some(Operation::Settle),
            ADVANCE => Some(Operation::Advance),
            OWED => self.whose().map(|(rule, tenant, cluster, key)| Operation::Owed { rule, tenant, cluster, key }),
            _ => None,
        }
    }

    fn whose(&mut self) -> Option<(usize, TenantId, ClusterId, GroupKey)> {
        let rule = usize::try_from(self.from.number()?).ok()?;
        let tenant = self.from.text()?.parse().ok()?;
        let cluster = self.from.text()?.parse().ok()?;
        let key = self.from.list(|from| {
            let name = Arc::from(from.text()?);
            let value = if from.flag()? { Some(Arc::from(from.text()?)) } else { None };
            Some((name, value))
        })?;
        Some((rule, tenant, cluster, key))
    }

    /// A witness, or the one that was meant.
    pub(in crate::detect) fn witness(&mut self) -> Option<Arc<Witness>> {
        match self.from.number()? {
            0 => {
                let witness = Arc::new(Witness::read(&mut self.from, self.headers)?);
                self.witnesses.push(Arc::clone(&witness));
                Some(witness)
            }
            known => self.witnesses.get(usize::try_from(known - 1).ok()?).map(Arc::clone),
        }
    }

    pub(in crate::detect) fn entry(&mut self) -> Option<Entry> {
        let (time, id, rule) = self.from.key()?;
        let act = Act(u64::from_le_bytes(self.from.array()?));
        let flags = self.from.byte().filter(|flags| *flags < 8)?;
        let values = self.from.list(|from| from.array().map(u64::from_le_bytes))?;
        let witness = self.witness()?;
        Some(Entry {
            time,
            id,
            act,
            rule,
            is_late: flags & 1 != 0,
            is_end: flags & 2 != 0,
            is_clamped: flags & 4 != 0,
            values: values.into(),
            witness,
        })
    }

    /// So many things, each read by this.
    pub(in crate::detect) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.from.len()?;
        (0..len).map(|_| each(self)).collect()
    }
}
