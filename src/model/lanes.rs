//! Sixteen or sixty-four bytes of a text at once: which of them are of a kind, a bit each, the first lowest.

use wide::u8x16;

/// Sixteen bytes that stand together.
#[derive(Clone, Copy)]
pub(crate) struct Lane(u8x16);

impl Lane {
    pub(crate) const BYTES: usize = 16;

    /// Of these.
    #[inline]
    pub(crate) fn of(bytes: &[u8; Self::BYTES]) -> Self {
        Self(u8x16::new(*bytes))
    }

    /// Which are this byte.
    #[inline]
    pub(crate) fn are(self, byte: u8) -> u32 {
        self.are_any([byte])
    }

    /// Which are one of these.
    #[inline]
    pub(crate) fn are_any<const N: usize>(self, bytes: [u8; N]) -> u32 {
        any_of(self.0, bytes).to_bitmask()
    }
}

#[inline]
fn any_of<const N: usize>(lane: u8x16, bytes: [u8; N]) -> u8x16 {
    bytes.into_iter().fold(u8x16::splat(0), |any, byte| any | lane.simd_eq(u8x16::splat(byte)))
}

/// Bytes of a block, and bits of what is said of them.
const BLOCK: usize = 64;

/// Bytes that stand together.
pub(crate) struct Block([u8x16; 4]);

impl Block {
    /// Of these.
    pub(crate) fn of(bytes: &[u8; BLOCK]) -> Self {
        let mut lanes = [u8x16::splat(0); 4];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.as_chunks::<16>().0) {
            *lane = u8x16::new(*bytes);
        }
        Self(lanes)
    }

    #[inline]
    fn bits(&self, is: impl Fn(u8x16) -> u8x16) -> u64 {
        self.0.iter().rev().fold(0, |bits, lane| bits << 16 | u64::from(is(*lane).to_bitmask()))
    }

    /// Which are this byte.
    #[inline]
    pub(crate) fn are(&self, byte: u8) -> u64 {
        self.bits(|lane| lane.simd_eq(u8x16::splat(byte)))
    }

    /// Which are one of these bytes.
    #[inline]
    pub(crate) fn are_any<const N: usize>(&self, bytes: [u8; N]) -> u64 {
        self.bits(|lane| any_of(lane, bytes))
    }

    /// Which lie between these two, both included.
    #[inline]
    pub(crate) fn within(&self, first: u8, last: u8) -> u64 {
        self.bits(|lane| lane.max(u8x16::splat(first)).min(u8x16::splat(last)).simd_eq(lane))
    }
}

/// Calls `to` with each block and where it starts; the last is filled up with zeros.
#[inline]
pub(crate) fn each_block(bytes: &[u8], mut to: impl FnMut(usize, &Block)) {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for (nth, block) in blocks.iter().enumerate() {
        to(nth * BLOCK, &Block::of(block));
    }
    if !rest.is_empty() {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        to(blocks.len() * BLOCK, &Block::of(&block));
    }
}

/// Calls `to` with the place of each bit.
#[inline]
pub(crate) fn each_bit(mut bits: u64, mut to: impl FnMut(usize)) {
    while bits != 0 {
        to(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// What is said of the bytes of block after block.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bits {
    before: u64,
    now: u64,
}

impl Bits {
    /// Of the next block.
    #[inline]
    pub(crate) fn next(self, now: u64) -> Self {
        Self { before: self.now, now }
    }

    /// Of this block.
    pub(crate) fn now(self) -> u64 {
        self.now
    }

    /// Said of the byte so many places before; fewer than a block.
    #[inline]
    pub(crate) fn back(self, places: u32) -> u64 {
        self.now << places | self.before >> (u64::BITS - places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_bit() {
        let bytes: Vec<u8> = (0..=u8::MAX).chain(0..100).collect();
        let (mut lines, mut digits, mut twos) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = Bits::default();
        each_block(&bytes, |start, block| {
            each_bit(block.are(b'\n'), |at| lines.push(start + at));
            each_bit(block.within(b'0', b'9'), |at| digits.push(start + at));
            last = last.next(block.within(60, 64));
            each_bit(last.now() & last.back(1) & last.back(3), |at| twos.push(start + at));
        });
        assert_eq!(lines, [10, 266]);
        assert_eq!(digits, (48..58).chain(304..314).collect::<Vec<_>>());
        assert_eq!(twos, [63, 64, 319, 320]);
    }
}
