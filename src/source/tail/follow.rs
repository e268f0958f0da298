//! All files of a source: which there are, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::mark::{self, Finished, Inode};
use super::paths::trouble;
use super::stream::{Piece, Streaming};
use super::watched::{Turn, Watched};
use super::{Start, TailSettings};
use crate::model::{Checkpoint, ClusterId, Envelope, Limits, Origin, Parser, PartitionId, Position, Timestamp};
use crate::ports::{Condition, Lag, LagUnit};

/// Hands an envelope over. False: nobody takes any more.
pub(super) type Out<'o> = &'o mut dyn FnMut(Envelope) -> bool;

/// What happened so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) renamed: u64,
    pub(super) cut: u64,
    pub(super) finished: u64,
    pub(super) archives: u64,
    /// Files that held what had been read of another.
    pub(super) repeated: u64,
    pub(super) bytes: u64,
}

/// What the files of a source share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: TailSettings,
    pub(super) parser: Parser,
    /// What was read, so that a copy of it is known.
    pub(super) finished: Finished,
    pub(super) counts: Counts,
    /// Of the checkpoint, what no file was found for yet.
    known: BTreeMap<PartitionId, Position>,
}

impl Shared {
    /// Takes out what the checkpoint knows of an inode.
    pub(super) fn take_known(&mut self, inode: Inode) -> Vec<(PartitionId, Position)> {
        let name = mark::of_inode(&self.settings.source, inode);
        let first = PartitionId::from(name.as_str());
        let names: Vec<PartitionId> =
            self.known.range(first..).map(|(partition, _)| partition).take_while(|partition| partition.0.starts_with(&name)).cloned().collect();
        names.into_iter().filter_map(|partition| self.known.remove_entry(&partition)).collect()
    }
}

/// The files of one source.
#[derive(Debug)]
pub(super) struct Tail {
    shared: Shared,
    files: BTreeMap<Inode, Watched>,
    /// Files that are to be read as streams, in turn.
    lined_up: VecDeque<Inode>,
    stream: Option<Streaming>,
    is_first: bool,
    /// The checkpoint knew this source.
    is_known: bool,
    opened: usize,
    last_object: Option<String>,
    /// What the last listing could not look at.
    listing: Vec<String>,
    /// Files that could not be read when it was their turn.
    troubles: BTreeMap<Inode, String>,
}

impl Tail {
    /// From a checkpoint on.
    pub(super) fn new(settings: TailSettings, from: &Checkpoint) -> Self {
        let name = mark::of_source(&settings.source);
        let first = PartitionId::from(name.as_str());
        let known: BTreeMap<_, _> = from
            .0
            .range(first..)
            .take_while(|(partition, _)| partition.0.starts_with(&name))
            .map(|(partition, upto)| (partition.clone(), *upto))
            .collect();
        let is_known = !known.is_empty();
        let shared = Shared { settings, parser: Parser::new(Limits::default()), finished: Finished::default(), counts: Counts::default(), known };
        Self {
            shared,
            files: BTreeMap::new(),
            lined_up: VecDeque::new(),
            stream: None,
            is_first: true,
            is_known,
            opened: 0,
            last_object: None,
            listing: Vec::new(),
            troubles: BTreeMap::new(),
        }
    }

    /// Looks at what there is. False if nobody takes any more.
    pub(super) fn look(&mut self, now: Timestamp, out: Out<'_>) -> bool {
        let (found, problems) = self.shared.settings.paths.list();
        self.listing = problems;
        let mut missing: BTreeSet<Inode> = self.files.keys().copied().collect();
        let skips = self.is_first && !self.is_known && self.shared.settings.start == Start::End;
        let mut left = 0_usize;
        for found in &found {
            missing.remove(&found.inode);
            if let Some(watched) = self.files.get_mut(&found.inode) {
                self.shared.counts.renamed += u64::from(watched.seen(found, now));
            } else if self.files.len() < self.shared.settings.files_max {
                let cluster = self.cluster(&found.path.to_string_lossy());
                self.files.insert(found.inode, Watched::new(found, cluster, skips, now));
            } else {
                left += 1;
            }
        }
        if left > 0 {
            let max = self.shared.settings.files_max;
            self.listing.insert(0, format!("{left} files are not read, since {max} are: narrow `paths`, or make it several sources"));
        }
        for inode in missing {
            if let Some(watched) = self.files.get_mut(&inode) {
                watched.missed(now);
            }
        }
        self.troubles.retain(|inode, _| self.files.contains_key(inode));
        let is_first = std::mem::replace(&mut self.is_first, false);
        !is_first || self.begin(now, out)
    }

    /// After the first listing: the source is known from now on, and what the checkpoint knows of files that are not there goes.
    fn begin(&mut self, now: Timestamp, out: Out<'_>) -> bool {
        let source = &self.shared.settings.source;
        let partition = PartitionId(format!("{}known", mark::of_source(source)).into());
        self.shared.known.remove(&partition);
        let mut forgets = Vec::new();
        if self.listing.is_empty() {
            let there: BTreeSet<String> = self.files.keys().map(|inode| mark::of_inode(source, *inode)).collect();
            let is_there = |partition: &PartitionId| mark::inode_part(partition).is_some_and(|name| there.contains(name));
            forgets = self.shared.known.keys().filter(|partition| !is_there(partition)).cloned().collect();
            self.shared.known.retain(|partition, _| is_there(partition));
        }
        let origin = Origin {
            tenant: self.shared.settings.tenant.clone(),
            cluster: self.shared.settings.cluster.clone(),
            source: source.clone(),
            partition,
            object: Arc::from(""),
            received: now,
        };
        out(Envelope { forgets, ..Envelope::empty(Arc::new(origin), Position(1)) })
    }

    fn cluster(&self, path: &str) -> ClusterId {
        let settings = &self.shared.settings;
        let named = settings.cluster_pattern.as_ref().and_then(|pattern| pattern.captures(path)?.get(1)?.as_str().parse().ok());
        named.unwrap_or_else(|| settings.cluster.clone())
    }

    /// One turn for each file that has something. Whether anybody still takes, and whether there may be more.
    pub(super) fn read(&mut self, now: Timestamp, out: Out<'_>) -> (bool, bool) {
        let due: Vec<Inode> = self.files.values().filter(|watched| watched.is_due(now)).map(|watched| watched.inode).collect();
        let mut has_more = false;
        for inode in due {
            match self.turn(inode, now, out) {
                (false, _) => return (false, false),
                (true, more) => has_more |= more,
            }
        }
        match self.stream(now, out) {
            (false, _) => (false, false),
            (true, more) => (true, has_more | more),
        }
    }

    fn turn(&mut self, inode: Inode, now: Timestamp, out: Out<'_>) -> (bool, bool) {
        let Some(watched) = self.files.get_mut(&inode) else { return (true, false) };
        let was_open = watched.is_open();
        let turn = watched.next(&mut self.shared, now);
        let is_open = watched.is_open();
        self.opened = self.opened + usize::from(is_open) - usize::from(was_open);
        if is_open && self.opened > self.shared.settings.open_max {
            watched.close();
            self.opened -= usize::from(!watched.is_open());
        }
        if turn.is_ok() {
            self.troubles.remove(&inode);
        }
        match turn {
            Ok(Turn::Nothing) => (true, false),
            Ok(Turn::Gives(envelope)) => {
                if !envelope.payloads.is_empty() {
                    self.last_object = Some(watched.object().to_owned());
                }
                (out(envelope), true)
            }
            Ok(Turn::Streams) => {
                watched.is_streaming = true;
                self.lined_up.push_back(inode);
                (true, false)
            }
            Ok(Turn::Over(envelope)) => {
                self.opened -= usize::from(watched.is_open());
                self.files.remove(&inode);
                (envelope.is_none_or(out), false)
            }
            Err(error) => {
                watched.fail();
                self.troubles.insert(inode, trouble(watched.path(), &error));
                (true, false)
            }
        }
    }

    /// A turn for the stream that is open, or for the next one.
    fn stream(&mut self, now: Timestamp, out: Out<'_>) -> (bool, bool) {
        let Some(inode) = self.stream.as_ref().map(|stream| stream.inode).or_else(|| self.lined_up.pop_front()) else { return (true, false) };
        let Some(watched) = self.files.get_mut(&inode) else {
            self.stream = None;
            return (true, true);
        };
        let was_open = watched.is_open();
        if self.stream.is_none() {
            match Streaming::start(watched, &mut self.shared, now) {
                Ok(stream) => self.stream = stream,
                Err(error) => drop(self.troubles.insert(inode, trouble(watched.path(), &error))),
            }
            self.opened = self.opened + usize::from(watched.is_open()) - usize::from(was_open);
        }
        let Some(stream) = &mut self.stream else {
            watched.is_streaming = false;
            watched.fail();
            return (true, !self.lined_up.is_empty());
        };
        match stream.next(&mut self.shared) {
            Ok(Piece::Passed) => (true, true),
            Ok(Piece::Gives(envelope)) => (out(envelope), true),
            Ok(Piece::Last(envelope)) => {
                self.last_object = Some(watched.object().to_owned());
                let upto = stream.upto;
                self.stream = None;
                let ended = watched.streamed(&mut self.shared, upto, now);
                if let Err(error) = ended {
                    self.troubles.insert(inode, trouble(watched.path(), &error));
                }
                (out(envelope), true)
            }
            Err(error) => {
                self.stream = None;
                watched.is_streaming = false;
                watched.fail();
                self.troubles.insert(inode, trouble(watched.path(), &error));
                (true, false)
            }
        }
    }

    /// How the source is.
    pub(super) fn condition(&self) -> Condition {
        let counts = &self.shared.counts;
        let mut problems = self.listing.iter().chain(self.troubles.values());
        let first = problems.next().cloned();
        let more = problems.count();
        let problem = first.map(|first| if more == 0 { first } else { format!("{first} (and {more} more)") });
        let counted = [
            ("files_watched", self.files.len() as u64),
            ("files_open", self.opened as u64),
            ("files_renamed", counts.renamed),
            ("files_cut", counts.cut),
            ("files_finished", counts.finished),
            ("files_repeated", counts.repeated),
            ("archives_read", counts.archives),
            ("bytes_read", counts.bytes),
        ];
        let amount = self.files.values().map(Watched::waiting).sum();
        Condition {
            problem,
            lag: Some(Lag { amount, unit: LagUnit::Bytes, seconds: None }),
            last_object: self.last_object.clone(),
            counts: counted.into(),
        }
    }
}
