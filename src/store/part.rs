//! A part: a directory with an index, a file of raw blocks, and the table of its ids.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::directory::MmapDirectory;
use tantivy::indexer::LogMergePolicy;
use tantivy::{Index, IndexWriter, ReloadPolicy, SegmentReader};

use crate::model::{Checkpoint, Event, EventId, LedgerPage};
use crate::ports::StoreError;

use super::ids::{self, IdRuns, IdTable};
use super::index::{self, Columns, Indexer};
use super::journal::Mark;
use super::manifest::{FORMAT_VERSION, Manifest, Payload, Stats, check_version, engine_error, io_error, sync_dir, write_durably};
use super::raw::{Loc, RawReader, RawWriter};
use super::record::Restore;
use super::segment::SegmentView;

/// What the engine wants to be allowed for its own way in, in bytes; nothing goes that way.
const ENGINE_BYTES: usize = 15 << 20;

/// A part as a search sees it: what was committed, unchanging.
pub(super) struct PartView {
    pub(super) dir: PathBuf,
    pub(super) seq: u64,
    pub(super) stats: Stats,
    pub(super) raw_len: u64,
    pub(super) segments: Vec<Arc<SegmentView>>,
    pub(super) raw: Arc<RawReader>,
    /// Where the ids of a sealed part lie.
    ids: Option<IdTable>,
}

impl PartView {
    pub(super) fn open(dir: &Path, seq: u64) -> Result<(Self, Payload), StoreError> {
        let raw = Arc::new(RawReader::open(dir)?);
        let index = Index::open_in_dir(dir).map_err(|error| engine_error("open the index", dir, error))?;
        Self::of(&index, dir, seq, raw, &[])
    }

    /// `known`: segments that are open already.
    fn of(index: &Index, dir: &Path, seq: u64, raw: Arc<RawReader>, known: &[Arc<SegmentView>]) -> Result<(Self, Payload), StoreError> {
        let error = |error| engine_error("read the index", dir, error);
        let (_, columns) = index::schema();
        let payload = payload(index, dir)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(error)?;
        let searcher = reader.searcher();
        let open = |segment: &SegmentReader| match known.iter().find(|known| known.segment == segment.segment_id()) {
            Some(known) => Ok(known.clone()),
            None => SegmentView::open(segment, &columns).map(Arc::new),
        };
        let segments = searcher.segment_readers().iter().map(open).collect::<Result<_, _>>();
        let ids = IdTable::open(&dir.join("ids.tab"), payload.stats.events);
        let view =
            Self { dir: dir.to_owned(), seq, stats: payload.stats.clone(), raw_len: payload.raw_len, segments: segments.map_err(error)?, raw, ids };
        Ok((view, payload))
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.ids.is_some() && self.dir.join("manifest.json").exists()
    }

    /// Whether the event can lie here at all.
    pub(super) fn may_hold(&self, time: i64) -> bool {
        self.stats.time_min <= time && time <= self.stats.time_max
    }

    /// The event of an id, if it is here.
    pub(super) fn find(&self, id: &EventId, restore: &dyn Restore) -> Result<Option<Event>, StoreError> {
        first_of(&self.raw, id, self.places(id)?, restore)
    }

    /// Where events lie whose ids begin like this one.
    pub(super) fn places(&self, id: &EventId) -> Result<Vec<Loc>, StoreError> {
        let prefix = ids::prefix(id);
        match &self.ids {
            Some(table) => table.find(prefix, &self.dir),
            None => Ok(self.scan(prefix)),
        }
    }

    fn scan(&self, prefix: u64) -> Vec<Loc> {
        let in_segment = |segment: &Arc<SegmentView>| {
            let docs: Vec<Loc> =
                (0..segment.len).filter(|doc| segment.id.get_val(*doc) == ids::head(prefix)).map(|doc| Loc(segment.loc.get_val(doc))).collect();
            docs
        };
        self.segments.iter().flat_map(in_segment).collect()
    }
}

/// The event at the first of the places that really holds this id.
fn first_of(raw: &RawReader, id: &EventId, places: Vec<Loc>, restore: &dyn Restore) -> Result<Option<Event>, StoreError> {
    for loc in places {
        let (block, _) = raw.block(loc.block())?;
        let event = block.record(loc).and_then(|stored| restore.restore(&stored)).filter(|event| event.id == *id);
        if event.is_some() {
            return Ok(event);
        }
    }
    Ok(None)
}

fn payload(index: &Index, dir: &Path) -> Result<Payload, StoreError> {
    let metas = index.load_metas().map_err(|error| engine_error("read the index", dir, error))?;
    let Some(text) = metas.payload else { return Ok(Payload::default()) };
    let payload: Payload = serde_json::from_str(&text).map_err(|error| engine_error("read the last commit", dir, error))?;
    check_version(dir, payload.format_version)?;
    Ok(payload)
}

/// The last commit, as the index has it; nothing if it can not be read.
pub(super) fn payload_in(dir: &Path) -> Option<Payload> {
    let index = Index::open_in_dir(dir).ok()?;
    payload(&index, dir).ok().filter(|payload| payload.format_version == FORMAT_VERSION)
}

/// The part that takes events in.
pub(super) struct ActivePart {
    dir: PathBuf,
    pub(super) seq: u64,
    index: Index,
    columns: Columns,
    writer: IndexWriter,
    raw: RawWriter,
    reader: Arc<RawReader>,
    indexer: Indexer,
    /// Segments of the last commit.
    segments: Vec<Arc<SegmentView>>,
    ids: IdRuns,
    unflushed: Vec<(u64, Loc)>,
    pub(super) stats: Stats,
}

impl ActivePart {
    /// Makes a new part; the dictionary of an earlier one is taken over.
    pub(super) fn create(dir: &Path, seq: u64, inherit: Option<&Path>) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(|error| io_error("make", dir, error))?;
        let raw = RawWriter::open(dir, 0, inherit)?;
        Self::begin(dir, seq, raw)
    }

    /// Makes an index over blocks that are there, and so far hold nothing that it knows.
    pub(super) fn over(dir: &Path, seq: u64, raw_len: u64) -> Result<Self, StoreError> {
        let raw = RawWriter::open(dir, raw_len, None)?;
        Self::begin(dir, seq, raw)
    }

    fn begin(dir: &Path, seq: u64, raw: RawWriter) -> Result<Self, StoreError> {
        let directory = MmapDirectory::open(dir).map_err(|error| engine_error("open the index", dir, error))?;
        let (schema, _) = index::schema();
        let made = Index::builder().schema(schema).settings(index::settings()).open_or_create(directory);
        let index = made.map_err(|error| engine_error("make the index", dir, error))?;
        sync_dir(dir)?;
        dir.parent().map_or(Ok(()), sync_dir)?;
        Self::with(dir, seq, index, raw, IdRuns::default(), Stats::default())
    }

    /// Opens a part as of its last commit: what is past it is cut off.
    pub(super) fn recover(dir: &Path, seq: u64, restore: &dyn Restore) -> Result<(Self, Payload), StoreError> {
        let index = Index::open_in_dir(dir).map_err(|error| engine_error("open the index", dir, error))?;
        let payload = payload(&index, dir)?;
        let raw = RawWriter::open(dir, payload.raw_len, None)?;
        let ids = recover_ids(dir, &payload, restore)?;
        Ok((Self::with(dir, seq, index, raw, ids, payload.stats.clone())?, payload))
    }

    fn with(dir: &Path, seq: u64, index: Index, raw: RawWriter, ids: IdRuns, stats: Stats) -> Result<Self, StoreError> {
        let writer = index.writer_with_num_threads(1, ENGINE_BYTES).map_err(|error| engine_error("write the index", dir, error))?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(8);
        writer.set_merge_policy(Box::new(policy));
        let (_, columns) = index::schema();
        let reader = Arc::new(RawReader::open(dir)?);
        let (indexer, unflushed) = (Indexer::default(), Vec::new());
        Ok(Self { dir: dir.to_owned(), seq, index, columns, writer, raw, reader, indexer, segments: Vec::new(), ids, unflushed, stats })
    }

    /// Takes an event in.
    pub(super) fn push(&mut self, event: &Event) -> Result<(), StoreError> {
        let loc = self.raw.push(event)?;
        self.index(event, loc)
    }

    /// Takes an event into the index that lies in a block.
    pub(super) fn index(&mut self, event: &Event, loc: Loc) -> Result<(), StoreError> {
        let is_overfull = self.indexer.push(event, loc);
        if self.indexer.is_full() {
            self.write_segment()?;
        }
        self.unflushed.push((ids::prefix(&event.id), loc));
        self.stats.add(event, is_overfull);
        Ok(())
    }

    fn write_segment(&mut self) -> Result<(), StoreError> {
        self.indexer.write(&self.writer, &self.columns).map_err(|error| engine_error("write the index", &self.dir, error))
    }

    /// Whether a committed event of this part has the id.
    pub(super) fn holds(&self, id: &EventId, restore: &dyn Restore) -> Result<bool, StoreError> {
        Ok(first_of(&self.reader, id, self.ids.find(ids::prefix(id)), restore)?.is_some())
    }

    /// Makes all of it durable together with the checkpoint, and with what the engine's journal says of it.
    pub(super) fn commit(&mut self, epoch: u64, checkpoint: &Checkpoint, journal: Option<Mark>, ledger: &LedgerPage) -> Result<PartView, StoreError> {
        let raw_len = self.raw.sync()?;
        self.write_segment()?;
        self.log_ids()?;
        let (checkpoint, stats) = (checkpoint.clone(), self.stats.clone());
        let payload = Payload { format_version: FORMAT_VERSION, epoch, checkpoint, raw_len, stats, journal, ledger: ledger.clone() };
        let text = serde_json::to_string(&payload).map_err(|error| engine_error("describe the commit of", &self.dir, error))?;
        let commit = |writer: &mut IndexWriter| {
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&text);
            prepared.commit()
        };
        commit(&mut self.writer).map_err(|error| engine_error("commit the index", &self.dir, error))?;
        // The engine renames its list of segments and does not sync the directory after that: without this a power cut undoes the commit.
        if !crate::defect::is("no-dir-fsync") {
            sync_dir(&self.dir)?;
        }
        self.ids.add(std::mem::take(&mut self.unflushed));
        self.view()
    }

    fn view(&mut self) -> Result<PartView, StoreError> {
        let view = PartView::of(&self.index, &self.dir, self.seq, self.reader.clone(), &self.segments)?.0;
        self.segments.clone_from(&view.segments);
        Ok(view)
    }

    fn log_ids(&self) -> Result<(), StoreError> {
        use std::io::Write;
        let path = self.dir.join("ids.log");
        let write = || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(&ids::encode(&self.unflushed))?;
            file.sync_data()
        };
        write().map_err(|error| io_error("write", &path, error))
    }

    /// The part with its table of ids on disk, to be asked while [`ActivePart::seal`] is at work. Everything has to be committed.
    pub(super) fn freeze(&mut self) -> Result<PartView, StoreError> {
        self.ids.write(&self.dir.join("ids.tab"))?;
        self.view()
    }

    /// Merges the index to one segment and writes the tables that a part has once nothing is added any more.
    pub(super) fn seal(self) -> Result<PartView, StoreError> {
        let Self { dir, seq, index, mut writer, reader, segments: known, ids, .. } = self;
        let error = |error| engine_error("merge the index", &dir, error);
        let segments = index.searchable_segment_ids().map_err(error)?;
        if segments.len() > 1 {
            writer.merge(&segments).wait().map_err(error)?;
        }
        writer.garbage_collect_files().wait().map_err(error)?;
        writer.wait_merging_threads().map_err(error)?;
        ids.write(&dir.join("ids.tab"))?;
        let payload = payload(&index, &dir)?;
        let (raw_len, stats) = (payload.raw_len, payload.stats.clone());
        let manifest = Manifest { format_version: FORMAT_VERSION, seq, sealed: true, raw_len, stats, commit: Some(payload) };
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| engine_error("describe", &dir, error))?;
        write_durably(&dir.join("manifest.json"), &text)?;
        let _ = std::fs::remove_file(dir.join("ids.log"));
        Ok(PartView::of(&index, &dir, seq, reader, &known)?.0)
    }
}

/// The ids of a part as of its last commit: from their log, or from the records if the log is not what the commit says.
fn recover_ids(dir: &Path, payload: &Payload, restore: &dyn Restore) -> Result<IdRuns, StoreError> {
    let path = dir.join("ids.log");
    let count = payload.stats.events;
    let log = std::fs::read(&path).unwrap_or_default();
    let mut runs = IdRuns::default();
    let entries = match ids::decode(&log, count) {
        Some(entries) => {
            let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
            file.and_then(|file| file.set_len(count * ids::ENTRY_BYTES as u64)).map_err(|error| io_error("cut", &path, error))?;
            entries
        }
        None => {
            let mut entries = Vec::new();
            RawReader::open(dir)?.each(payload.raw_len, |loc, stored| {
                if let Some(event) = stored.and_then(|stored| restore.restore(&stored)) {
                    entries.push((ids::prefix(&event.id), loc));
                }
            })?;
            write_durably(&path, &ids::encode(&entries))?;
            entries
        }
    };
    runs.add(entries);
    Ok(runs)
}
