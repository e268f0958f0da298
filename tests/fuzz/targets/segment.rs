//! Any bytes as a file of the log: reading ends, and no frame comes twice.
#![no_main]

use bartizan::segment::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    if std::fs::write(dir.path().join(format!("{:020}.seg", 0)), bytes).is_err() {
        return;
    }
    let mut reader = Reader::new(dir.path(), 0);
    let mut next = 0;
    while let Ok(Some(frame)) = reader.next(u64::MAX) {
        assert!(frame.seq >= next);
        next = frame.seq + 1;
    }
});
