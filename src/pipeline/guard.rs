//! Events that kill detection: found by what was being detected when the process died, and left out after the second time.
//!
//! While a batch is detected a file names its events. It is written and not synced: a process that dies leaves it behind, and a machine that does has
//! not died of an event. After a death all events of that batch are suspects and are detected one by one, each named alone. One that is named alone
//! by a second death is condemned: it is stored and told of, and no rule sees it any more.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{Event, EventId};

/// Events of one batch that are named; further ones could not be found out.
const NAMED_MAX: usize = 65_536;

/// Suspects that are kept over any number of deaths.
const SUSPECTS_MAX: usize = 1 << 18;

/// Condemned events that are kept, the oldest going first: by then the store has them, so they come to detection no more.
const CONDEMNED_MAX: usize = 256;

/// What is known of earlier deaths, as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    suspects: BTreeSet<EventId>,
    condemned: Vec<EventId>,
}

/// Watches over detection.
#[derive(Debug)]
pub struct Guard {
    dir: PathBuf,
    /// Names what is being detected.
    named: File,
    known: Known,
    buffer: Vec<u8>,
    is_broken: bool,
}

/// How the next events are to be detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    Together,
    Alone,
    Not,
}

impl Guard {
    /// Opens the folder, making it if need be, and learns from how the last process ended.
    ///
    /// # Errors
    /// When the folder can not be read or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let named = File::options().create(true).truncate(false).read(true).write(true).open(dir.join("in-flight"))?;
        // What can not be read says nothing of any event.
        let mut known: Known = fs::read(dir.join("known.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let last = ids(&fs::read(dir.join("in-flight"))?);
        match last.as_slice() {
            [] => {}
            [id] if known.suspects.remove(id) => {
                tracing::error!(event = %id, "an event has killed detection twice: it is stored, and no rule sees it any more");
                known.condemned.push(*id);
                known.condemned.drain(..known.condemned.len().saturating_sub(CONDEMNED_MAX));
            }
            _ => {
                tracing::warn!(events = last.len(), "the last process died while it detected: these events are detected one by one");
                known.suspects.extend(last.into_iter().take(SUSPECTS_MAX.saturating_sub(known.suspects.len())));
            }
        }
        let mut guard = Self { dir: dir.to_owned(), named, known, buffer: Vec::new(), is_broken: false };
        guard.write_known()?;
        guard.named.set_len(0)?;
        Ok(guard)
    }

    fn write_known(&mut self) -> io::Result<()> {
        let (path, temporary) = (self.dir.join("known.json"), self.dir.join("known.json.tmp"));
        fs::write(&temporary, serde_json::to_vec(&self.known)?)?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(temporary, path)?;
        // Before it is forgotten what the process died of.
        File::open(&self.dir)?.sync_all()
    }

    /// Whether no rule is to see this event.
    pub(super) fn is_condemned(&self, id: &EventId) -> bool {
        self.known.condemned.contains(id)
    }

    /// How many of these events go next, and how.
    pub(super) fn next(&self, events: &[Event]) -> (usize, Care) {
        if self.known.suspects.is_empty() && self.known.condemned.is_empty() {
            return (events.len(), Care::Together);
        }
        let care = |event: &Event| match () {
            () if self.is_condemned(&event.id) => Care::Not,
            () if self.known.suspects.contains(&event.id) => Care::Alone,
            () => Care::Together,
        };
        match events.first().map(care) {
            Some(Care::Together) | None => (events.iter().take_while(|event| care(event) == Care::Together).count(), Care::Together),
            Some(other) => (1, other),
        }
    }

    /// These are being detected from now on.
    pub(super) fn begin(&mut self, events: &[Event]) {
        self.buffer.clear();
        let count = u32::try_from(events.len().min(NAMED_MAX)).unwrap_or(0);
        self.buffer.extend_from_slice(&count.to_le_bytes());
        events.iter().take(NAMED_MAX).for_each(|event| self.buffer.extend_from_slice(&event.id.0));
        let written = self.named.write_all_at(&self.buffer, 0);
        self.note(written);
    }

    /// They have been detected: nobody died of them.
    pub(super) fn end(&mut self, events: &[Event]) {
        let written = self.named.write_all_at(&0_u32.to_le_bytes(), 0);
        self.note(written);
        if self.known.suspects.is_empty() {
            return;
        }
        for event in events {
            self.known.suspects.remove(&event.id);
        }
        if self.known.suspects.is_empty() {
            let written = self.write_known();
            self.note(written);
        }
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && !std::mem::replace(&mut self.is_broken, true)
        {
            tracing::warn!(%error, "cannot name what is being detected: an event that kills detection would not be found");
        }
    }
}

/// What a file names; nothing if it is not whole.
fn ids(bytes: &[u8]) -> Vec<EventId> {
    let Some((count, rest)) = bytes.split_first_chunk() else { return Vec::new() };
    let count = u32::from_le_bytes(*count) as usize;
    let named: Vec<EventId> = rest.as_chunks().0.iter().take(count).map(|id| EventId(*id)).collect();
    if named.len() == count { named } else { Vec::new() }
}
