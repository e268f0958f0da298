//! The index made anew from the records: they are the truth, the index only leads to them.
//!
//! A part is built beside the old one, over the same file of blocks, and takes its place by two renames; a crash between them is settled at the next start.

use std::path::{Path, PathBuf};

use crate::ports::StoreError;

use super::event_log::lock;
use super::folder::{check_format, list, mend_list, sweep};
use super::manifest::{Manifest, Payload, io_error, sync_dir};
use super::part::{ActivePart, PartView, payload_in};
use super::raw::{self, RawReader};
use super::record::Restore;
use super::retain::Purged;

/// What the names of folders begin with that are being made, and of those whose place is being taken.
const NEW: &str = "reindex-";
const OLD: &str = "was-";

/// What was done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Reindexed {
    /// Parts that were made anew.
    pub parts: u64,
    /// Events in them.
    pub events: u64,
    /// Parts that were left as they are, since nothing is wrong with their index.
    pub whole: u64,
    /// What can not be had back, and parts that can not be made anew.
    pub problems: Vec<String>,
}

/// Makes the index of every part anew of which the index can not be read or has not all events; with `all` of every part. Owns the directory meanwhile.
/// `each` hears of the events done so far. Blocks.
///
/// # Errors
/// When the directory is no store, one of another version, or held by another process. What is wrong with a part is in the report, and the part stays as it is.
pub fn reindex(path: &Path, all: bool, restore: &dyn Restore, mut each: impl FnMut(u64)) -> Result<Reindexed, StoreError> {
    check_format(path, false)?;
    let _lock = lock(path)?;
    let parts_dir = path.join("parts");
    settle(&parts_dir)?;
    let purged = Purged::read(path)?;
    let mut done = Reindexed::default();
    for (seq, dir) in list(&parts_dir)? {
        // A part without blocks was being made when the process ended.
        if purged.has(seq) || !raw::file_in(&dir).exists() {
            continue;
        }
        sweep(&dir)?;
        mend_list(&dir)?;
        if !all && is_whole(&dir, seq) {
            done.whole += 1;
            continue;
        }
        match rebuild(&dir, seq, restore, &mut done, &mut each) {
            Ok(()) => done.parts += 1,
            Err(error) => done.problems.push(format!("`{}` stays as it is: {}", dir.display(), super::verify::told(&error))),
        }
    }
    Ok(done)
}

fn is_whole(dir: &Path, seq: u64) -> bool {
    PartView::open(dir, seq).is_ok_and(|(part, payload)| {
        let indexed: u64 = part.segments.iter().map(|segment| u64::from(segment.len)).sum();
        indexed == payload.stats.events && (part.is_sealed() || !dir.join("manifest.json").exists())
    })
}

/// The last commit of a part: from its index, or from the manifest that it got when it was sealed.
fn commit_of(dir: &Path) -> Option<Payload> {
    let of_manifest = || {
        let text = std::fs::read(dir.join("manifest.json")).ok()?;
        serde_json::from_slice::<Manifest>(&text).ok()?.commit
    };
    payload_in(dir).or_else(of_manifest)
}

fn rebuild(dir: &Path, seq: u64, restore: &dyn Restore, done: &mut Reindexed, each: &mut impl FnMut(u64)) -> Result<(), StoreError> {
    let commit = commit_of(dir);
    let raw_len = match &commit {
        Some(commit) => commit.raw_len,
        None => RawReader::open(dir)?.whole_len()?,
    };
    let new = beside(dir, NEW);
    remove(&new)?;
    std::fs::create_dir(&new).map_err(|error| io_error("make", &new, error))?;
    raw::link(dir, &new)?;
    let mut part = ActivePart::over(&new, seq, raw_len)?;
    let (mut failed, mut unreadable) = (None, 0_u64);
    RawReader::open(&new)?.each(raw_len, |loc, stored| {
        let Some(event) = stored.and_then(|stored| restore.restore(&stored)) else {
            unreadable += 1;
            return;
        };
        if failed.is_none() {
            failed = part.index(&event, loc).err();
            done.events += 1;
            if done.events.is_multiple_of(10_000) {
                each(done.events);
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let mut problem = |text: String| done.problems.push(format!("`{}`: {text}", dir.display()));
    if unreadable > 0 {
        problem(format!("{unreadable} records are no events any more: they are kept and no search finds them"));
    }
    let commit = commit.unwrap_or_else(|| {
        problem("its last commit is lost with its index: sources go on from an earlier one, and what is stored is not stored again".to_owned());
        Payload::default()
    });
    if commit.stats.events > part.stats.events + unreadable {
        problem(format!("{} events were committed and {} are there", commit.stats.events, part.stats.events));
    }
    part.commit(commit.epoch, &commit.checkpoint, commit.journal, &commit.ledger)?;
    part.seal()?;
    let old = beside(dir, OLD);
    std::fs::rename(dir, &old).map_err(|error| io_error("rename", dir, error))?;
    std::fs::rename(&new, dir).map_err(|error| io_error("rename", &new, error))?;
    dir.parent().map_or(Ok(()), sync_dir)?;
    remove(&old)
}

fn beside(dir: &Path, what: &str) -> PathBuf {
    dir.with_file_name(format!("{what}{}", dir.file_name().and_then(|name| name.to_str()).unwrap_or_default()))
}

fn remove(dir: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", dir, error)),
        _ => Ok(()),
    }
}

/// Ends what a crash broke off: a part that was taken out of its place goes back there if no other has it.
pub(super) fn settle(parts_dir: &Path) -> Result<(), StoreError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(parts_dir).map_err(|error| io_error("list", parts_dir, error))? {
        found.push(entry.map_err(|error| io_error("list", parts_dir, error))?.path());
    }
    for dir in found {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(NEW) {
            remove(&dir)?;
        } else if let Some(place) = name.strip_prefix(OLD).map(|name| dir.with_file_name(name)) {
            if place.exists() {
                remove(&dir)?;
            } else {
                std::fs::rename(&dir, &place).map_err(|error| io_error("rename", &dir, error))?;
                sync_dir(parts_dir)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
