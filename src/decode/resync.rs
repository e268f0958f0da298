//! After something that is no record: where the next one may start.
//!
//! That is the next line that is indented no deeper than the bad value was and does not close anything: with a record a line the next
//! line, with records printed over many lines the next record. What lies between is one reject.

use crate::model::RejectReason;

/// Indentation past this is all the same.
const COLUMN_MAX: usize = 64;

/// A bad range whose end is being looked for, over as many windows as it takes.
#[derive(Debug)]
pub(super) struct Resync {
    /// Offset of its first byte in the payload.
    pub(super) offset: u64,
    pub(super) reason: RejectReason,
    pub(super) detail: String,
    /// Its first bytes, where it is longer than the windows so far.
    pub(super) bytes: Vec<u8>,
    column: usize,
}

/// How far the search got in a window.
pub(super) enum Found {
    /// The bad range ends here.
    At(usize),
    /// Up to here the window belongs to the range; more is needed to tell.
    NotBefore(usize),
}

impl Resync {
    /// The bad value starts `column` bytes into its line.
    pub(super) fn new(offset: u64, column: usize, reason: RejectReason, detail: String) -> Self {
        Self { offset, reason, detail, bytes: Vec::new(), column: column.min(COLUMN_MAX) }
    }

    /// So many more of its bytes have been passed; the first of them are kept.
    pub(super) fn with(mut self, passed: &[u8], bytes_max: usize) -> Self {
        let room = bytes_max.saturating_sub(self.bytes.len()).min(passed.len());
        self.bytes.extend_from_slice(passed.get(..room).unwrap_or_default());
        self
    }

    /// Searches from `from` on.
    pub(super) fn find(&self, window: &[u8], from: usize, is_last: bool) -> Found {
        let mut at = from;
        loop {
            let Some(line_end) = memchr::memchr2(b'\n', b'\r', window.get(at..).unwrap_or_default()).map(|found| at + found) else {
                return if is_last { Found::At(window.len()) } else { Found::NotBefore(window.len()) };
            };
            let mut next = line_end + 1;
            let mut column = 0;
            loop {
                match window.get(next) {
                    None if is_last => return Found::At(line_end),
                    None => return Found::NotBefore(line_end),
                    Some(b'\n' | b'\r') => column = 0,
                    Some(b' ' | b'\t') if column <= self.column => column += 1,
                    Some(b' ' | b'\t' | b'}' | b']' | b',') => break,
                    Some(_) if column > self.column => break,
                    Some(_) => return Found::At(line_end),
                }
                next += 1;
                // A run of blank lines may be longer than any window.
                if next - line_end > (COLUMN_MAX + 2) * 16 {
                    return Found::At(line_end);
                }
            }
            at = next;
        }
    }
}
