//! Numbers, texts and hashes as bytes, and back. Reading is bounded by what is there and never panics.

use crate::model::EventId;

/// Appends a number, seven bits a byte, the lowest first.
pub(in crate::detect) fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// Appends a length.
pub(in crate::detect) fn put_len(to: &mut Vec<u8>, len: usize) {
    put_number(to, len as u64);
}

/// Appends a text with its length.
pub(in crate::detect) fn put_text(to: &mut Vec<u8>, text: &str) {
    put_len(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

/// Appends a time, in nanoseconds.
pub(in crate::detect) fn put_time(to: &mut Vec<u8>, nanos: i64) {
    to.extend_from_slice(&nanos.to_le_bytes());
}

/// What is still to be read. Every method gives `None` at what can not be.
#[derive(Debug, Clone, Copy)]
pub(in crate::detect) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(in crate::detect) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(in crate::detect) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::detect) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(in crate::detect) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(in crate::detect) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(in crate::detect) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(in crate::detect) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // Each number has one spelling only.
            if shift == 63 && bits > 1 || shift > 0 && byte == 0 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A count of things that take a byte each at least, so that it can not be more than what is left.
    pub(in crate::detect) fn len(&mut self) -> Option<usize> {
        let len = usize::try_from(self.number()?).ok()?;
        (len <= self.0.len()).then_some(len)
    }

    pub(in crate::detect) fn text(&mut self) -> Option<&'a str> {
        let len = self.len()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    pub(in crate::detect) fn time(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(in crate::detect) fn position(&mut self) -> Option<u16> {
        u16::try_from(self.number()?).ok()
    }

    /// So many things, each read by this.
    pub(in crate::detect) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.len()?;
        (0..len).map(|_| each(self)).collect()
    }

    /// The key of an entry: time, event, position.
    pub(in crate::detect) fn key(&mut self) -> Option<(i64, EventId, u16)> {
        Some((self.time()?, EventId(self.array()?), self.position()?))
    }
}

/// Appends the key of an entry.
pub(in crate::detect) fn put_key(to: &mut Vec<u8>, key: &(i64, EventId, u16)) {
    put_time(to, key.0);
    to.extend_from_slice(&key.1.0);
    put_number(to, u64::from(key.2));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for (bytes, expected) in [
            (&[0_u8][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x80, 1], Some(128)),
            (&[0x80, 0], None),
            (&[0x80], None),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some(u64::MAX)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], None),
        ] {
            assert_eq!(Bytes(bytes).number(), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_put_is_read(number: u64, text: String, time: i64, id: [u8; 16], rule: u16) {
            let mut to = Vec::new();
            put_number(&mut to, number);
            put_text(&mut to, &text);
            put_key(&mut to, &(time, EventId(id), rule));
            let mut from = Bytes(&to);
            prop_assert_eq!(from.number(), Some(number));
            prop_assert_eq!(from.text(), Some(text.as_str()));
            prop_assert_eq!(from.key(), Some((time, EventId(id), rule)));
            prop_assert!(from.is_empty());
        }
    }
}
