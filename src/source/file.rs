//! Files and folders: a finite replay, read as streams in pieces. Nothing is deleted or changed, and nothing is resumed: ids make reading twice harmless.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::codec;
use crate::model::{
    Checkpoint, ClusterId, Envelope, Form, InflateLimits, Origin, PartitionId, Position, Reject, RejectReason, SourceId, TenantId, Timestamp,
};
use crate::ports::{Source, SourceError};

/// Bytes of one piece.
const PIECE_BYTES: usize = 1 << 20;

/// Decompressed bytes of one compressed file.
const FILE_BYTES_MAX: u64 = 16 << 30;

/// Folders within folders.
const FOLDERS_DEEP_MAX: usize = 64;

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    /// As messages and provenance show it.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "-".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Stdin => expanded(io::stdin()),
            Self::File(path) => expanded(File::open(path)?),
        }
    }
}

fn expanded(from: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let limits = InflateLimits { decoded_bytes_max: FILE_BYTES_MAX, ..InflateLimits::default() };
    Ok(Box::new(codec::open(from, &limits)?))
}

/// What could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    pub why: String,
}

/// The files under these paths, in the order of their names within each; `-` is standard input. Special files are left out; a
/// folder that is reached twice by links is read once.
pub fn walk(paths: &[PathBuf]) -> (Vec<Input>, Vec<Problem>) {
    let (mut inputs, mut problems) = (Vec::new(), Vec::new());
    let mut folders = HashSet::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input::Stdin);
        } else {
            visit(path, 0, &mut folders, &mut inputs, &mut problems);
        }
    }
    (inputs, problems)
}

fn visit(path: &Path, depth: usize, folders: &mut HashSet<PathBuf>, inputs: &mut Vec<Input>, problems: &mut Vec<Problem>) {
    let mut problem = |why: String| problems.push(Problem { path: path.display().to_string(), why });
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(error) => return problem(error.to_string()),
    };
    if kind.is_file() {
        return inputs.push(Input::File(path.to_owned()));
    }
    if !kind.is_dir() {
        // A pipe or device named on the command line is meant; one found in a folder is not.
        if depth == 0 {
            inputs.push(Input::File(path.to_owned()));
        }
        return;
    }
    if depth > FOLDERS_DEEP_MAX {
        return problem("folders nested deeper than the limit".to_owned());
    }
    if !fs::canonicalize(path).map(|real| folders.insert(real)).unwrap_or(true) {
        return;
    }
    match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(mut entries) => {
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                visit(&entry.path(), depth + 1, folders, inputs, problems);
            }
        }
        Err(error) => problem(error.to_string()),
    }
}

/// Whose records the files hold.
#[derive(Debug, Clone)]
pub struct Whose {
    pub source: SourceId,
    pub tenant: TenantId,
    pub cluster: ClusterId,
    pub received: Timestamp,
}

/// The pieces of the inputs, one after the other. Problems are kept for a report.
#[derive(Debug)]
pub struct Pieces {
    inputs: std::vec::IntoIter<Input>,
    open: Option<Open>,
    whose: Whose,
    problems: Arc<Mutex<Vec<Problem>>>,
}

struct Open {
    origin: Arc<Origin>,
    from: Box<dyn Read + Send>,
    offset: u64,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("object", &self.origin.object).field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Pieces {
    /// Of these inputs. What can not be opened or read is added to `problems`.
    pub fn new(inputs: Vec<Input>, whose: Whose, problems: Arc<Mutex<Vec<Problem>>>) -> Self {
        Self { inputs: inputs.into_iter(), open: None, whose, problems }
    }

    fn note(&self, path: &str, why: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(Problem { path: path.to_owned(), why });
    }

    fn open_next(&mut self) -> Option<Open> {
        loop {
            let input = self.inputs.next()?;
            let name = input.name();
            match input.open() {
                Ok(from) => {
                    let whose = &self.whose;
                    let origin = Arc::new(Origin {
                        tenant: whose.tenant.clone(),
                        cluster: whose.cluster.clone(),
                        source: whose.source.clone(),
                        partition: PartitionId(format!("file/{name}").into()),
                        object: name.into(),
                        received: whose.received,
                    });
                    return Some(Open { origin, from, offset: 0 });
                }
                Err(error) => self.note(&name, error.to_string()),
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = Envelope;

    fn next(&mut self) -> Option<Envelope> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_next()?,
        };
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let outcome = Read::by_ref(&mut open.from).take(PIECE_BYTES as u64).read_to_end(&mut piece);
        let (origin, offset) = (Arc::clone(&open.origin), open.offset);
        open.offset += piece.len() as u64;
        let mut rejects = Vec::new();
        let is_last = match outcome {
            Ok(read) => read < PIECE_BYTES,
            Err(error) => {
                let detail = format!("cannot read on: {error}");
                self.note(&origin.object, format!("{detail} (after {} bytes; what stands before was read)", open.offset));
                rejects.push(Reject {
                    offset: open.offset,
                    len: 0,
                    reason: codec::fault_of(&error).unwrap_or(RejectReason::BadCompression),
                    detail,
                    bytes: Vec::new(),
                });
                true
            }
        };
        if !is_last {
            self.open = Some(open);
        }
        let payloads = vec![(Position(offset), piece)];
        Some(Envelope { form: Form::Piece { at: offset }, is_last, payloads, rejects, ..Envelope::empty(origin, Position(0)) })
    }
}

/// Files as a source that ends. A thread of its own reads ahead, so that waiting for the next piece can be given up at any time.
#[derive(Debug)]
pub struct FileSource {
    id: SourceId,
    from: mpsc::Receiver<Envelope>,
}

impl FileSource {
    /// Starts reading.
    pub fn start(pieces: Pieces) -> Self {
        let id = pieces.whose.source.clone();
        let (to, from) = mpsc::channel(2);
        std::thread::spawn(move || {
            for envelope in pieces {
                if to.blocking_send(envelope).is_err() {
                    break;
                }
            }
        });
        Self { id, from }
    }
}

#[async_trait]
impl Source for FileSource {
    fn id(&self) -> SourceId {
        self.id.clone()
    }

    async fn next(&mut self) -> Result<Option<Envelope>, SourceError> {
        Ok(self.from.recv().await)
    }

    async fn commit(&mut self, _upto: &Checkpoint) -> Result<(), SourceError> {
        Ok(())
    }
}
