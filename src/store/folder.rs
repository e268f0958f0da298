//! What lies in a store's directory, and how it is brought in order at a start.

use std::path::{Path, PathBuf};

use crate::ports::StoreError;

use super::manifest::{FORMAT_VERSION, check_version, io_error, write_durably};
use super::retain::Purged;

/// Refuses a directory of another format. `may_make`: one without a format becomes a store.
pub(super) fn check_format(path: &Path, may_make: bool) -> Result<(), StoreError> {
    let name = path.join("format_version");
    match std::fs::read_to_string(&name) {
        Ok(text) => {
            let found = text
                .trim()
                .parse()
                .map_err(|_| StoreError::Damaged { what: format!("`{}`", name.display()), why: "it is not a number".to_owned() })?;
            check_version(&name, found)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_make => write_durably(&name, format!("{FORMAT_VERSION}\n").as_bytes()),
        Err(error) => Err(io_error("read", &name, error)),
    }
}

/// The parts of a store that have anything committed, by number.
pub(super) fn parts_of(store: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    check_format(store, false)?;
    let found = list(&store.join("parts"))?;
    let purged = Purged::read(store)?;
    Ok(found.into_iter().filter(|(seq, dir)| dir.join("meta.json").exists() && !purged.has(*seq)).collect())
}

/// The parts by number.
pub(super) fn list(parts_dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let error = |error| io_error("list", parts_dir, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parts_dir).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let seq = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('-').next()).and_then(|seq| seq.parse().ok());
        if let Some(seq) = seq {
            found.push((seq, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The index keeps a list of its files that only says which ones it may delete. It is not what a commit rests on, and a part is to open without it.
pub(super) fn mend_list(dir: &Path) -> Result<(), StoreError> {
    let list = dir.join(".managed.json");
    let is_list = |bytes: &[u8]| serde_json::from_slice::<Vec<PathBuf>>(bytes).is_ok();
    match std::fs::read(&list) {
        Ok(bytes) if !is_list(&bytes) => {
            tracing::warn!(file = %list.display(), "cannot read the list of an index's files: it is made anew, and files that nobody needs may stay");
            std::fs::remove_file(&list).map_err(|error| io_error("remove", &list, error))
        }
        _ => Ok(()),
    }
}

/// Removes files that were being written when the process ended.
pub(super) fn sweep(dir: &Path) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(dir).map_err(|error| io_error("list", dir, error))? {
        let path = entry.map_err(|error| io_error("list", dir, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(".tmp") || name.ends_with(".tmp") {
            std::fs::remove_file(&path).map_err(|error| io_error("remove", &path, error))?;
        }
    }
    Ok(())
}
