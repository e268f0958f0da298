//! The log of events: one writer, one active part, any number of sealed ones.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::clock::Clock;
use crate::model::{Checkpoint, Duration, Event, EventId, LedgerPage, Timestamp};
use crate::ports::{Commit, EventStore, StoreError};

use super::folder::{check_format, list, mend_list, parts_of, sweep};
use super::journal::{Journal, JournalPieces, Mark};
use super::manifest::{io_error, sync_dir};
use super::part::{ActivePart, PartView};
use super::record::Restore;
use super::retain::Purged;
use super::search::Searcher;
use super::space::is_full;

/// Where the log lies and when a part is cut.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The store's directory (`store.path`).
    pub path: PathBuf,
    /// Events after which a new part begins.
    pub part_events_max: u64,
    /// Raw bytes after which a new part begins.
    pub part_bytes_max: u64,
    /// Time of ingest after which a new part begins, aligned in UTC.
    pub part_span: Duration,
}

impl LogSettings {
    /// The defaults at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), part_events_max: 5_000_000, part_bytes_max: 4 << 30, part_span: Duration::hours(1) }
    }
}

/// What `append` has done since the log was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppendCounts {
    pub stored: u64,
    /// Dropped, since an event of that id is stored.
    pub duplicates: u64,
}

/// What searches see; replaced whole by a flush.
pub(super) type Parts = ArcSwap<Vec<Arc<PartView>>>;

/// The event store. Owns its directory: a second one of another process is refused.
pub struct EventLog {
    pub(super) parts: Arc<Parts>,
    restore: Arc<dyn Restore>,
    pub(super) clock: Clock,
    writer: Mutex<Writer>,
    journal: Journal,
    /// Merges of parts that were cut.
    sealing: Mutex<Vec<std::thread::JoinHandle<()>>>,
    _lock: File,
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("parts", &self.parts.load().len()).finish_non_exhaustive()
    }
}

struct Writer {
    settings: LogSettings,
    active: Option<Active>,
    unflushed: HashSet<EventId>,
    checkpoint: Checkpoint,
    ledger: LedgerPage,
    /// What the last commit names of the journal.
    mark: Option<Mark>,
    epoch: u64,
    next_seq: u64,
    newest_dir: Option<PathBuf>,
    counts: AppendCounts,
    /// Why nothing can be written any more: what has failed may have left the files in a state that only opening them again settles.
    failed: Option<String>,
}

struct Active {
    part: ActivePart,
    /// Start of the span of ingest it belongs to.
    span: Timestamp,
}

impl EventLog {
    /// Opens the log, or makes it. Brings every part back to its last commit. Does blocking IO.
    pub fn open(settings: LogSettings, clock: Clock, restore: Arc<dyn Restore>) -> Result<Self, StoreError> {
        let path = &settings.path.clone();
        let parts_dir = path.join("parts");
        std::fs::create_dir_all(&parts_dir).map_err(|error| io_error("make", &parts_dir, error))?;
        let lock = lock(path)?;
        check_format(path, true)?;
        sync_dir(path)?;
        super::reindex::settle(&parts_dir)?;
        let recovered = Recovered::read(&parts_dir, restore.as_ref())?;
        let parts: Arc<Parts> = Arc::new(ArcSwap::from_pointee(recovered.views));
        let journal = Journal::open(path, recovered.state.mark)?;
        let writer = Mutex::new(Writer::new(settings, recovered.state));
        Ok(Self { parts, restore, clock, writer, journal, sealing: Mutex::default(), _lock: lock })
    }

    /// Goes back to the last commit, after something failed: what was appended since is gone, and comes again from its sources. Searches go on meanwhile.
    /// Does blocking IO.
    ///
    /// # Errors
    /// When the parts can not be read or closed for good: the log stays as it is, and takes nothing in.
    pub fn go_back(&self) -> Result<(), StoreError> {
        self.settle();
        let mut guard = self.writer();
        // Its writer holds the part's lock.
        guard.active = None;
        let settings = guard.settings.clone();
        let recovered = Recovered::read(&settings.path.join("parts"), self.restore.as_ref())?;
        self.journal.go_back(recovered.state.mark);
        *guard = Writer::new(settings, recovered.state);
        self.parts.store(Arc::new(recovered.views));
        Ok(())
    }

    /// A searcher over what is committed now, beside a process that writes. Sees no later commit. Does blocking IO.
    pub fn open_read_only(path: &Path, restore: Arc<dyn Restore>) -> Result<Searcher, StoreError> {
        let mut views = Vec::new();
        for (seq, dir) in parts_of(path)? {
            views.push(Arc::new(PartView::open(&dir, seq)?.0));
        }
        Ok(Searcher::new(Arc::new(ArcSwap::from_pointee(views)), restore))
    }

    /// A searcher that sees every flush.
    pub fn searcher(&self) -> Searcher {
        Searcher::new(self.parts.clone(), self.restore.clone())
    }

    /// The engine's journal as of the last checkpoint, if there is one that tells its state; to be read before the first flush.
    pub fn journal(&self) -> Option<JournalPieces> {
        self.journal.pieces()
    }

    /// The ledger as of the last checkpoint.
    pub fn ledger(&self) -> LedgerPage {
        self.writer().ledger.clone()
    }

    /// What was stored and what was dropped.
    pub fn counts(&self) -> AppendCounts {
        self.writer().counts
    }

    /// As `EventStore::checkpoint`. Blocks while a flush is under way.
    pub fn writer_checkpoint(&self) -> Checkpoint {
        self.writer().checkpoint.clone()
    }

    /// Waits until parts that were cut are merged. Blocks.
    pub fn settle(&self) {
        let handles = std::mem::take(&mut *self.sealing.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            let _ = handle.join();
        }
    }

    /// Where the store lies, and the span of a part.
    pub(super) fn place(&self) -> (PathBuf, Duration) {
        let writer = self.writer();
        (writer.settings.path.clone(), writer.settings.part_span)
    }

    /// Whether a part is being merged.
    pub(super) fn is_sealing(&self) -> bool {
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|handle| !handle.is_finished())
    }

    /// No search sees this part any more.
    pub(super) fn forget_part(&self, seq: u64) {
        self.parts.rcu(|known| known.iter().filter(|part| part.seq != seq).cloned().collect::<Vec<_>>());
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stored(&self, writer: &Writer, id: &EventId, time: Timestamp) -> Result<bool, StoreError> {
        if crate::defect::is("dedup-off") {
            return Ok(false);
        }
        if writer.unflushed.contains(id) {
            return Ok(true);
        }
        let active = writer.active.as_ref().map(|active| &active.part);
        if let Some(part) = active
            && part.holds(id, self.restore.as_ref())?
        {
            return Ok(true);
        }
        let parts = self.parts.load();
        for part in parts.iter().filter(|part| part.may_hold(time.nanos()) && active.is_none_or(|active| active.seq != part.seq)) {
            if part.find(id, self.restore.as_ref())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As `EventStore::append`. Blocks.
    pub fn append_blocking(&self, events: &[Event]) -> Result<(), StoreError> {
        let mut guard = self.writer();
        let writer = &mut *guard;
        writer.check()?;
        let now = self.clock.now();
        self.cut_if_due(writer, now);
        for event in events {
            if self.is_stored(writer, &event.id, event.time)? {
                writer.counts.duplicates += 1;
                continue;
            }
            let pushed = writer.active(now).and_then(|part| part.push(event));
            writer.note(pushed)?;
            writer.unflushed.insert(event.id);
            writer.counts.stored += 1;
        }
        Ok(())
    }

    /// As `EventStore::flush`, of what is there of a journal, and without a word of the ledger. Blocks.
    pub fn flush_blocking(&self, upto: &Checkpoint) -> Result<(), StoreError> {
        let ledger = self.ledger();
        self.commit_blocking(upto, &ledger)
    }

    fn commit_blocking(&self, upto: &Checkpoint, ledger: &LedgerPage) -> Result<(), StoreError> {
        let mut guard = self.writer();
        let writer = &mut *guard;
        writer.check()?;
        let mut mark = self.journal.mark();
        if crate::defect::is("journal-without-cursor") {
            mark = crate::defect::keep(serde_json::to_string(&mark).ok()).and_then(|kept| serde_json::from_str(&kept).ok()).flatten();
        }
        if writer.unflushed.is_empty() && *upto == writer.checkpoint && *ledger == writer.ledger && (mark.is_none() || mark == writer.mark) {
            return Ok(());
        }
        let now = self.clock.now();
        let epoch = writer.epoch + 1;
        let committed = writer.active(now).and_then(|part| part.commit(epoch, upto, mark, ledger));
        let view = Arc::new(writer.note(committed)?);
        writer.epoch = epoch;
        writer.checkpoint = upto.clone();
        writer.ledger = ledger.clone();
        writer.mark = mark;
        writer.unflushed.clear();
        publish(&self.parts, view);
        self.journal.committed();
        Ok(())
    }

    /// Ends the active part when its span is over or it is full; merging goes on beside.
    fn cut_if_due(&self, writer: &mut Writer, now: Timestamp) {
        let settings = &writer.settings;
        let is_due = |active: &mut Active| {
            let stats = &active.part.stats;
            let is_full = stats.events >= settings.part_events_max || stats.raw_bytes >= settings.part_bytes_max;
            stats.events > 0 && (is_full || active.span != now.bucket(settings.part_span))
        };
        if !writer.unflushed.is_empty() {
            return;
        }
        let Some(mut active) = writer.active.take_if(is_due) else { return };
        match active.part.freeze() {
            Ok(view) => publish(&self.parts, Arc::new(view)),
            Err(error) => tracing::warn!(%error, "the ids of a part are read from its index until it is merged"),
        }
        let parts = self.parts.clone();
        let seal = move || match active.part.seal() {
            Ok(view) => publish(&parts, Arc::new(view)),
            Err(error) => tracing::warn!(%error, "a part stays unmerged until the next start"),
        };
        let mut sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        sealing.retain(|handle| !handle.is_finished());
        sealing.push(std::thread::spawn(seal));
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Puts a part in the place of its earlier self.
fn publish(parts: &Parts, view: Arc<PartView>) {
    parts.rcu(|known| {
        let mut next: Vec<Arc<PartView>> = known.iter().filter(|part| part.seq != view.seq).cloned().collect();
        next.push(view.clone());
        next
    });
}

/// What a start finds, and a return to the last commit.
struct Recovered {
    views: Vec<Arc<PartView>>,
    state: State,
}

/// What the last commit says.
#[derive(Default)]
struct State {
    checkpoint: Checkpoint,
    ledger: LedgerPage,
    mark: Option<Mark>,
    epoch: u64,
    next_seq: u64,
    newest_dir: Option<PathBuf>,
}

impl Recovered {
    /// Brings every part back to its last commit, and closes the one that was being written.
    fn read(parts_dir: &Path, restore: &dyn Restore) -> Result<Self, StoreError> {
        let found = list(parts_dir)?;
        let (next_seq, newest_dir) = found.last().map_or((1, None), |(seq, dir)| (seq + 1, Some(dir.clone())));
        let mut state = State { next_seq, newest_dir, ..State::default() };
        let mut views = Vec::new();
        let purged = Purged::read(parts_dir.parent().unwrap_or(parts_dir))?;
        for (seq, dir) in found {
            if purged.has(seq) {
                super::retain::remove(&dir)?;
                continue;
            }
            sweep(&dir)?;
            mend_list(&dir)?;
            // A part without its list of segments was being made when the process ended: nothing was committed to it.
            if !dir.join("meta.json").exists() {
                std::fs::remove_dir_all(&dir).map_err(|error| io_error("remove", &dir, error))?;
                continue;
            }
            let (view, payload) = match PartView::open(&dir, seq)? {
                (view, payload) if view.is_sealed() => (view, payload),
                _ => {
                    let (part, payload) = ActivePart::recover(&dir, seq, restore)?;
                    match part.seal() {
                        Ok(view) => (view, payload),
                        Err(error) if is_full(&dir) => {
                            tracing::warn!(%error, "a part stays unmerged until there is room");
                            PartView::open(&dir, seq)?
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            if payload.epoch >= state.epoch {
                (state.epoch, state.checkpoint) = (payload.epoch, payload.checkpoint);
                (state.mark, state.ledger) = (payload.journal, payload.ledger);
            }
            views.push(Arc::new(view));
        }
        Ok(Self { views, state })
    }
}

impl Writer {
    fn new(settings: LogSettings, state: State) -> Self {
        let State { checkpoint, ledger, mark, epoch, next_seq, newest_dir } = state;
        let (active, unflushed, counts, failed) = (None, HashSet::new(), AppendCounts::default(), None);
        Self { settings, active, unflushed, checkpoint, ledger, mark, epoch, next_seq, newest_dir, counts, failed }
    }

    fn check(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(why) => Err(StoreError::Io {
                what: format!("write to `{}` before a restart, since this failed: {why}", self.settings.path.display()),
                source: std::io::ErrorKind::Other.into(),
            }),
            None => Ok(()),
        }
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failed = Some(error.to_string());
        }
        result
    }

    fn active(&mut self, now: Timestamp) -> Result<&mut ActivePart, StoreError> {
        if self.active.is_none() {
            let span = now.bucket(self.settings.part_span);
            let hour: String = span.to_string().chars().filter(|c| c.is_ascii_digit()).take(10).collect();
            let dir = self.settings.path.join("parts").join(format!("{:08}-{hour}", self.next_seq));
            let part = ActivePart::create(&dir, self.next_seq, self.newest_dir.as_deref())?;
            self.next_seq += 1;
            self.newest_dir = Some(dir);
            self.active = Some(Active { part, span });
        }
        Ok(&mut self.active.as_mut().expect("it was made above if there was none").part)
    }
}

/// Owns the directory until it is dropped.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let name = path.join("lock");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&name).map_err(|error| io_error("open", &name, error))?;
    if file.try_lock().is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        return Err(StoreError::Held { what: format!("`{}`", path.display()), holder: format!("process {}", holder.trim()) });
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(std::process::id().to_string().as_bytes())
    };
    write(&mut file).map_err(|error| io_error("write", &name, error))?;
    Ok(file)
}

/// Runs work that blocks so that the other tasks of the runtime go on.
pub(super) fn off_runtime<T>(work: impl FnOnce() -> T) -> T {
    let is_multi = tokio::runtime::Handle::try_current().is_ok_and(|h| h.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
    if is_multi { tokio::task::block_in_place(work) } else { work() }
}

#[async_trait]
impl EventStore for EventLog {
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        Ok(off_runtime(|| self.writer_checkpoint()))
    }

    async fn contains(&self, ids: &[(EventId, Timestamp)]) -> Result<Vec<bool>, StoreError> {
        off_runtime(|| {
            let writer = self.writer();
            ids.iter().map(|(id, time)| self.is_stored(&writer, id, *time)).collect()
        })
    }

    async fn append(&self, events: &[Event]) -> Result<(), StoreError> {
        off_runtime(|| self.append_blocking(events))
    }

    async fn flush(&self, commit: &Commit<'_>) -> Result<(), StoreError> {
        match commit.journal {
            Some(piece) => self.journal.append(piece, self.clock.now()).await?,
            None => self.journal.forget(),
        }
        off_runtime(|| self.commit_blocking(commit.upto, commit.ledger))
    }
}
