//! A bit reader over bytes that a peer chose: it answers `None` past the end.

use std::borrow::Cow;

/// Reads big-endian bits from the front of a slice.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Begins at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, position: 0 }
    }

    /// One bit.
    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(bit == 1)
    }

    /// `count` bits, at most 32.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Passes over `count` bits.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        let position = self.position.checked_add(count)?;
        if position > self.bytes.len() * 8 {
            return None;
        }
        self.position = position;
        Some(())
    }

    /// An unsigned Exp-Golomb code (ISO/IEC 14496-10, 9.1), at most 32 bits long.
    pub fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some((1u32 << zeros) - 1 + rest)
    }

    /// A signed Exp-Golomb code (ISO/IEC 14496-10, 9.1.1).
    pub fn signed_exp_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.exp_golomb()?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

/// A NAL unit's payload without its emulation prevention bytes (00 00 03 → 00 00).
pub fn without_emulation_prevention(nal: &[u8]) -> Cow<'_, [u8]> {
    if !nal.windows(3).any(|window| window == [0, 0, 3]) {
        return Cow::Borrowed(nal);
    }
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_the_front() {
        // 1 | 010 | 00110 | 1111111
        let mut bits = BitReader::new(&[0b1010_0011, 0b0111_1111]);
        assert_eq!(bits.exp_golomb(), Some(0));
        assert_eq!(bits.exp_golomb(), Some(1));
        assert_eq!(bits.exp_golomb(), Some(5));
        assert_eq!(bits.bits(7), Some(127));
        assert_eq!(bits.flag(), None);
    }

    #[test]
    fn endless_zeros_are_no_code() {
        assert_eq!(BitReader::new(&[0; 16]).exp_golomb(), None);
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        assert_eq!(&*without_emulation_prevention(&[0, 0, 3, 1, 0, 0, 3]), &[0, 0, 1, 0, 0]);
        assert_eq!(&*without_emulation_prevention(&[0, 1, 3]), &[0, 1, 3]);
    }
}
