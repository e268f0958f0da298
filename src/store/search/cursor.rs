//! Where a page ended: time and id of its last event, with a checksum, in hex.

use crate::model::EventId;

/// The place after an event in the order of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) time: i64,
    pub(super) id: EventId,
}

impl Cursor {
    pub(super) fn write(self) -> String {
        let mut bytes = self.time.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.id.0);
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() != 56 || !text.is_ascii() {
            return None;
        }
        let bytes: Vec<u8> =
            (0..28).map(|at| text.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect::<Option<_>>()?;
        let sum = u32::from_be_bytes(bytes.get(24..)?.try_into().ok()?);
        let time = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
        let id = EventId(bytes.get(8..24)?.try_into().ok()?);
        (crc32fast::hash(bytes.get(..24)?) == sum).then_some(Self { time, id })
    }
}
