//! Numbers in as few bytes as they need: seven bits a byte, the lowest first, the highest bit says that more follow.

/// Appends a number.
pub(super) fn write(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Appends what a number is more, or less, than the one before. Wraps, so that any two numbers go.
pub(super) fn write_step(from: u64, number: u64, to: &mut Vec<u8>) {
    let step = number.wrapping_sub(from).cast_signed();
    write(((step << 1) ^ (step >> 63)).cast_unsigned(), to);
}

/// Reads from the front of bytes.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // The tenth byte holds one bit.
                return (shift < 63 || *byte <= 1).then_some(number);
            }
        }
        None
    }

    /// The number that [`write_step`] told.
    pub(super) fn step(&mut self, from: u64) -> Option<u64> {
        let folded = self.number()?;
        let step = (folded >> 1) ^ (folded & 1).wrapping_neg();
        Some(from.wrapping_add(step))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text after its length.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.bytes(len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_and_step_comes_back() {
        let numbers = [0, 1, 127, 128, 300, 1 << 32, u64::MAX >> 1, u64::MAX - 1, u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            write(number, &mut bytes);
            numbers.iter().for_each(|from| write_step(*from, number, &mut bytes));
        }
        let mut reader = Reader(&bytes);
        for number in numbers {
            assert_eq!(reader.number(), Some(number));
            numbers.iter().for_each(|from| assert_eq!(reader.step(*from), Some(number)));
        }
        assert!(reader.0.is_empty() && reader.number().is_none());
        assert_eq!(Reader(&[0x80; 11]).number(), None);
        assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).number(), None);
        assert_eq!(Reader(&[5, b'a']).text(), None);
    }
}
