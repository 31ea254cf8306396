//! Bits from the highest to the lowest, as MPEG's standards write them.

/// Reads bits; gives `None` for good once they end.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits from the start.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    /// Bits that are left.
    pub(super) fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit != 0)
    }

    /// `count` bits, at most 32, as a number.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count.min(32) {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Passes over `count` bits.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        (count <= self.left()).then(|| self.at += count)
    }

    /// Passes over bits up to a whole byte.
    pub(super) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// `ue(v)` (Rec. H.264 §9.1), at most 2^32 − 2.
    pub(super) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// `se(v)` (Rec. H.264 §9.1.1).
    pub(super) fn se(&mut self) -> Option<i32> {
        let code = self.ue()?;
        let size = (code / 2 + code % 2) as i32;
        Some(if code % 2 == 1 { size } else { -size })
    }
}

/// The bytes of a NAL unit without emulation prevention (Rec. H.264 §7.4.1: the 3 of `00 00 03`).
pub(super) fn without_emulation(nal: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut zeros = 0;
    nal.iter().copied().filter(move |byte| {
        let emulation = zeros >= 2 && *byte == 3;
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        !emulation
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golomb_codes_are_those_of_table_9_1() {
        // 1 010 011 00100 00101
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        assert_eq!([0; 5].map(|_| bits.ue()), [0, 1, 2, 3, 4].map(Some));
        let mut bits = Bits::new(&bytes);
        assert_eq!([0; 5].map(|_| bits.se()), [0, 1, -1, 2, -2].map(Some));
    }

    #[test]
    fn bits_end_where_the_bytes_end() {
        let mut bits = Bits::new(&[0xff]);
        assert_eq!((bits.bits(9), bits.ue(), bits.skip(1)), (None, None, None));
        assert_eq!(Bits::new(&[0; 8]).ue(), None);
        let mut longest = Bits::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(longest.ue(), Some(u32::MAX - 1));
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        let plain: Vec<_> = without_emulation(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 3]).collect();
        assert_eq!(plain, [0, 0, 1, 0, 0, 0, 0, 3, 3]);
    }
}
