//! Which files: paths, folders and patterns, and what is left out of them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::mark::Inode;

/// Folders within folders.
const FOLDERS_DEEP_MAX: usize = 64;

/// Names looked at in one listing. Past it the rest is not looked at.
const NAMES_MAX: usize = 1_000_000;

/// Bytes of one pattern.
const PATTERN_BYTES_MAX: usize = 4096;

/// A file as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) inode: Inode,
    pub(super) size: u64,
    /// When it was written last, in nanoseconds since 1970.
    pub(super) modified: i64,
}

impl Found {
    pub(super) fn of(path: &Path, meta: &fs::Metadata) -> Self {
        let modified = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
        Self { path: path.to_owned(), inode: Inode { device: meta.dev(), number: meta.ino() }, size: meta.len(), modified }
    }
}

/// Where to look, and what counts.
#[derive(Debug, Clone)]
struct Pattern {
    root: PathBuf,
    /// `None`: whatever is the root or lies in it.
    matches: Option<Regex>,
}

/// The files that a source reads.
#[derive(Debug, Clone)]
pub struct Paths {
    patterns: Vec<Pattern>,
    excludes: Vec<(Regex, bool)>,
}

impl Paths {
    /// Of paths and patterns: `*` is anything but `/`, `**` anything, `?` one character. A path that is a folder is everything in it. An exclude without a `/`
    /// is held against the name of a file alone.
    ///
    /// # Errors
    /// Says which pattern is wrong, and why.
    pub fn parse(paths: &[String], excludes: &[String]) -> Result<Self, String> {
        let patterns = paths.iter().map(|path| pattern(path)).collect::<Result<_, _>>()?;
        let excludes = excludes.iter().map(|exclude| Ok((glob(exclude)?, !exclude.contains('/')))).collect::<Result<_, String>>()?;
        Ok(Self { patterns, excludes })
    }

    /// All files that are there, each once, however many names lead to it: the first of them counts. What could not be looked at is told.
    pub(super) fn list(&self) -> (Vec<Found>, Vec<String>) {
        let mut walk =
            Walk { paths: self, matches: None, found: Vec::new(), problems: Vec::new(), inodes: BTreeSet::new(), folders: BTreeSet::new(), names: 0 };
        for pattern in &self.patterns {
            walk.matches = pattern.matches.as_ref();
            walk.folders.clear();
            walk.visit(&pattern.root, 0);
        }
        if walk.names > NAMES_MAX {
            walk.problems.push(format!("more than {NAMES_MAX} names: narrow `paths`; the rest is not read"));
        }
        (walk.found, walk.problems)
    }

    fn excludes(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.excludes.iter().any(|(glob, is_name)| glob.is_match(if *is_name { name } else { path }))
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let Some(first) = text.find(['*', '?']) else {
        if text.is_empty() {
            return Err("a path is empty".to_owned());
        }
        return Ok(Pattern { root: PathBuf::from(text), matches: None });
    };
    let folder = text.get(..first).unwrap_or_default().rfind('/');
    let root = match folder {
        Some(0) => "/",
        Some(slash) => text.get(..slash).unwrap_or_default(),
        None => ".",
    };
    // Below `.` names are listed as `./x`.
    let named = if folder.is_none() { format!("./{text}") } else { text.to_owned() };
    Ok(Pattern { root: PathBuf::from(root), matches: Some(glob(&named)?) })
}

fn glob(text: &str) -> Result<Regex, String> {
    if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern must have 1 to {PATTERN_BYTES_MAX} bytes"));
    }
    let mut regex = String::from("^(?s:");
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (part, len) = match next {
            '*' if rest.starts_with("**/") => ("(?:.*/)?", 3),
            '*' if rest.starts_with("**") => (".*", 2),
            '*' => ("[^/]*", 1),
            '?' => ("[^/]", 1),
            _ => ("", next.len_utf8()),
        };
        if part.is_empty() {
            regex.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
        } else {
            regex.push_str(part);
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    regex.push_str(")$");
    Regex::new(&regex).map_err(|_| format!("the pattern `{}` has too many wildcards", text.escape_debug()))
}

struct Walk<'p> {
    paths: &'p Paths,
    matches: Option<&'p Regex>,
    found: Vec<Found>,
    problems: Vec<String>,
    inodes: BTreeSet<Inode>,
    folders: BTreeSet<Inode>,
    names: usize,
}

impl Walk<'_> {
    fn visit(&mut self, path: &Path, depth: usize) {
        self.names += 1;
        if self.names > NAMES_MAX {
            return;
        }
        let text = path.to_string_lossy();
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            // What a pattern or a folder leads to may go at any time, and what is named may come.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.problem(path, &error),
        };
        if meta.is_dir() {
            self.folder(path, &meta, depth);
        } else if meta.is_file() && self.matches.is_none_or(|glob| glob.is_match(&text)) && !self.paths.excludes(&text) {
            let found = Found::of(path, &meta);
            if self.inodes.insert(found.inode) {
                self.found.push(found);
            }
        }
    }

    fn folder(&mut self, path: &Path, meta: &fs::Metadata, depth: usize) {
        // A folder that links lead to twice is looked at once.
        if depth > FOLDERS_DEEP_MAX || !self.folders.insert(Inode { device: meta.dev(), number: meta.ino() }) {
            return;
        }
        match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(mut entries) => {
                entries.sort_by_key(fs::DirEntry::file_name);
                entries.iter().for_each(|entry| self.visit(&entry.path(), depth + 1));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.problem(path, &error),
        }
    }

    fn problem(&mut self, path: &Path, error: &io::Error) {
        self.problems.push(trouble(path, error));
    }
}

/// What could not be read, why, and what helps.
pub(super) fn trouble(path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => ": let the user of this service read it (and enter its folders); it is tried again",
        _ => "; it is tried again",
    };
    format!("cannot read `{}`: {error}{advice}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(glob(pattern).unwrap().is_match(path), expected, "{pattern} {path}");
    }

    #[test]
    fn patterns() {
        check("/var/log/*.log", "/var/log/a.log", true);
        check("/var/log/*.log", "/var/log/a/b.log", false);
        check("/var/log/**/*.log", "/var/log/a/b/c.log", true);
        check("/var/log/**/*.log", "/var/log/c.log", true);
        check("/var/log/**", "/var/log/a/b", true);
        check("/var/log/a?.log", "/var/log/ab.log", true);
        check("/var/log/a?.log", "/var/log/a.log", false);
        check("/var/log/a.log", "/var/log/aXlog", false);
        check("/x[1]+.log", "/x[1]+.log", true);
    }

    #[test]
    fn files_are_listed_once_and_special_ones_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("pods/a")).unwrap();
        fs::create_dir_all(at("containers")).unwrap();
        for name in ["pods/a/0.log", "pods/a/0.log.gz", "pods/a/0.log.tmp"] {
            fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(at("pods/a/0.log"), at("containers/a.log")).unwrap();
        std::os::unix::fs::symlink(at("pods"), at("pods/a/loop")).unwrap();
        std::os::unix::net::UnixListener::bind(at("pods/a/1.log")).unwrap();
        let list = |paths: &[&str], excludes: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|path| at(path).to_string_lossy().into_owned()).collect();
            let excludes: Vec<String> = excludes.iter().map(|exclude| (*exclude).to_owned()).collect();
            let (found, problems) = Paths::parse(&paths, &excludes).unwrap().list();
            assert_eq!(problems, Vec::<String>::new());
            found.iter().map(|found| found.path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(list(&["containers", "pods"], &["*.tmp"]), ["containers/a.log", "pods/a/0.log.gz"]);
        assert_eq!(list(&["pods/*/*.log"], &[]), ["pods/a/0.log"]);
        assert_eq!(list(&["pods/a/0.log"], &[]), ["pods/a/0.log"]);
        assert_eq!(list(&["**/0.log"], &["**/pods/**"]), [] as [&str; 0]);
        assert_eq!(list(&["nothing/*.log", "nowhere"], &[]), [] as [&str; 0]);
    }
}
