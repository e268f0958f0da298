//! The oracle: it issues numbers, remembers how the offer of each ended, and afterwards holds what the program says against that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::bucket::Bucket;
use super::diary::Diary;
use super::events::{Kind, RULES, record};
use super::present::{Present, probe_ms_max};
use super::reference::{self, Expected};
use super::sink::Sink;

/// How the offer of a number stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Sent, and never heard of again: it may be there or not.
    InDoubt,
    /// Confirmed, so it has to be there.
    Acked,
}

/// Numbers that one sender offers together.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) kind: Kind,
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Batch {
    /// The records, a line each.
    pub(crate) fn lines(&self, seed: u64) -> Vec<String> {
        (self.first..self.first + self.count).map(|id| record(seed, id, self.kind)).collect()
    }
}

/// What has to have happened for a run to show anything.
#[derive(Debug, Default)]
pub(crate) struct Sometimes {
    /// An acked batch was offered again.
    pub(crate) duplicates_offered: AtomicU64,
    /// A batch broke off and was offered again.
    pub(crate) retried: AtomicU64,
    /// A batch broke off and was left at that.
    pub(crate) left_in_doubt: AtomicU64,
    /// An answer said: not now.
    pub(crate) refused: AtomicU64,
}

impl Sometimes {
    pub(crate) fn line(&self) -> String {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "duplicates offered {}, broken off and retried {}, left in doubt {}, refused {}",
            read(&self.duplicates_offered),
            read(&self.retried),
            read(&self.left_in_doubt),
            read(&self.refused)
        )
    }
}

/// The oracle of one run.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) seed: u64,
    issued: Mutex<Vec<Option<(Kind, State)>>>,
    pub(crate) sometimes: Sometimes,
    pub(crate) diary: Diary,
    pub(crate) acked: AtomicU64,
    is_over: AtomicBool,
    /// Where the program answers now.
    pub(crate) url: watch::Sender<Option<String>>,
}

impl Oracle {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let (url, _) = watch::channel(None);
        Arc::new(Self {
            seed,
            issued: Mutex::default(),
            sometimes: Sometimes::default(),
            diary: Diary::new(),
            acked: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            url,
        })
    }

    /// New numbers, for one sender.
    pub(crate) fn issue(&self, kind: Kind, count: u64) -> Batch {
        let mut issued = self.issued.lock().unwrap();
        let first = issued.len() as u64;
        issued.extend((0..count).map(|_| None));
        Batch { kind, first, count }
    }

    /// How many numbers were issued.
    pub(crate) fn next(&self) -> u64 {
        self.issued.lock().unwrap().len() as u64
    }

    /// The batch is about to be sent: from now on it may be there.
    pub(crate) fn sent(&self, batch: &Batch) {
        self.set(batch, State::InDoubt);
    }

    /// It did not leave after all.
    pub(crate) fn unsent(&self, batch: &Batch) {
        let mut issued = self.issued.lock().unwrap();
        for id in batch.first..batch.first + batch.count {
            issued[usize::try_from(id).unwrap()] = None;
        }
    }

    /// The batch was confirmed. What was confirmed once stays so.
    pub(crate) fn confirmed(&self, batch: &Batch) {
        self.acked.fetch_add(self.set(batch, State::Acked), Ordering::Relaxed);
    }

    /// Raises the state of a batch; returns how many were raised.
    fn set(&self, batch: &Batch, state: State) -> u64 {
        let mut issued = self.issued.lock().unwrap();
        let mut raised = 0;
        for id in batch.first..batch.first + batch.count {
            let known = &mut issued[usize::try_from(id).unwrap()];
            if known.is_none_or(|(_, known)| known < state) {
                *known = Some((batch.kind, state));
                raised += 1;
            }
        }
        raised
    }

    /// Senders end after the batch that they are at.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Holds what is there against what was issued; `present` is all that the program has.
    pub(crate) fn judge(&self, present: &Present) -> Verdict {
        let issued = self.issued.lock().unwrap();
        let mut verdict =
            Verdict { issued: issued.len() as u64, foreign: present.foreign.clone(), damaged: present.damaged.clone(), ..Verdict::default() };
        for (id, known) in issued.iter().enumerate() {
            let count = present.counts.get(id).copied().unwrap_or(0);
            match known {
                Some((_, State::Acked)) => {
                    verdict.acked += 1;
                    if count == 0 {
                        verdict.lost.push(id as u64);
                    }
                }
                Some((_, State::InDoubt)) => {
                    verdict.survived += u64::from(count > 0);
                    verdict.vanished += u64::from(count == 0);
                }
                None if count > 0 => verdict.foreign.push(format!("number {id} was never sent")),
                None => {}
            }
            if count > 1 {
                verdict.twice.push(id as u64);
            }
        }
        verdict.lost_of = self.diary.of(&verdict.lost);
        verdict
    }

    /// Kinds of all numbers, to be asked many times.
    pub(crate) fn kinds(&self) -> Vec<Option<Kind>> {
        self.issued.lock().unwrap().iter().map(|known| known.map(|(kind, _)| kind)).collect()
    }

    /// The alerts that what is there must have given.
    pub(crate) fn expected(&self, present: &Present) -> BTreeMap<Expected, Option<usize>> {
        let kinds = self.kinds();
        let there = present.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        reference::alerts(self.seed, there.filter_map(|(id, _)| Some((id as u64, (*kinds.get(id)?)?))))
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) issued: u64,
    pub(crate) acked: u64,
    pub(crate) survived: u64,
    pub(crate) vanished: u64,
    pub(crate) lost: Vec<u64>,
    /// What the diary has on them.
    pub(crate) lost_of: Vec<String>,
    pub(crate) twice: Vec<u64>,
    pub(crate) foreign: Vec<String>,
    pub(crate) damaged: Vec<String>,
    pub(crate) remainder: i64,
    pub(crate) alerts: usize,
    pub(crate) alerts_wrong: Vec<String>,
    pub(crate) messages: u64,
    pub(crate) messages_wrong: Vec<String>,
    pub(crate) probe_ms: u128,
}

/// How much of a list is shown.
const SHOWN: usize = 8;

fn some<T: std::fmt::Debug>(what: &str, list: &[T]) -> Option<String> {
    let shown = list.get(..list.len().min(SHOWN)).unwrap_or_default();
    (!list.is_empty()).then(|| format!("{what}: {} ({shown:?})", list.len()))
}

impl Verdict {
    /// Everything that is not as promised.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let lists = [
            some("lost", &self.lost).map(|lost| format!("{lost}\n{}", self.lost_of.join("\n"))),
            some("twice", &self.twice),
            some("never issued", &self.foreign),
            some("damaged", &self.damaged),
            some("alerts", &self.alerts_wrong),
            some("messages", &self.messages_wrong),
            (self.probe_ms > probe_ms_max()).then(|| format!("a fresh record was found only after {} ms", self.probe_ms)),
            (self.remainder != 0).then(|| format!("the ledger has a remainder of {}", self.remainder)),
        ];
        lists.into_iter().flatten().collect()
    }

    /// One line of figures.
    pub(crate) fn line(&self) -> String {
        format!(
            "issued {} acked {} lost {} twice {} in doubt: survived {} vanished {} foreign {} damaged {} remainder {} alerts {} wrong {} messages {} wrong {} probe {} ms",
            self.issued,
            self.acked,
            self.lost.len(),
            self.twice.len(),
            self.survived,
            self.vanished,
            self.foreign.len(),
            self.damaged.len(),
            self.remainder,
            self.alerts,
            self.alerts_wrong.len(),
            self.messages,
            self.messages_wrong.len(),
            self.probe_ms
        )
    }
}

/// The receivers and sources around one program, none of which is ever faulted.
pub(crate) struct Around {
    pub(crate) sink: Sink,
    pub(crate) bucket: Bucket,
    /// Where files grow.
    pub(crate) files: PathBuf,
    #[cfg(feature = "scale")]
    pub(crate) cluster: super::kafka::Cluster,
}

impl Around {
    /// Files go into this folder.
    pub(crate) async fn start(dir: &Path) -> Self {
        let files = dir.join("files");
        std::fs::create_dir_all(&files).unwrap();
        Self {
            sink: Sink::start().await,
            bucket: Bucket::start().await,
            files,
            #[cfg(feature = "scale")]
            cluster: super::kafka::Cluster::start(),
        }
    }

    /// What the configuration of the program has for them. Files go into this folder.
    pub(crate) fn config(&self, dir: &Path) -> String {
        let rules = dir.join("rules.yml");
        std::fs::write(&rules, RULES).unwrap();
        let files = format!("[[source]]\nname = \"files\"\nkind = \"file\"\npaths = [{:?}]\n", self.files.join("*.log"));
        #[cfg(feature = "scale")]
        let cluster = self.cluster.config();
        #[cfg(not(feature = "scale"))]
        let cluster = "";
        format!("[detect]\nrules = [{rules:?}]\nsilent_after_s = 0\n{}{}{files}{cluster}", self.sink.config(dir), self.bucket.config(dir))
    }
}
