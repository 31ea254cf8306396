//! NAL units behind one another: with start codes (Rec. H.264 Annex B) or with lengths before them (ISO/IEC 14496-15 §5.3.4.2).

use crate::Error;

/// How NAL units stand in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each behind a start code, `00 00 01` or `00 00 00 01`.
    AnnexB,
    /// Each behind its length in that many bytes (1, 2 or 4), big endian.
    LengthPrefixed(u8),
}

/// `nal_unit_type` (Rec. H.264, table 7-1), 0 for an empty NAL unit.
#[must_use]
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// Whether the bytes begin with a start code.
#[must_use]
pub fn is_annexb(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 1, ..] | [0, 0, 0, 1, ..])
}

/// Where the next `00 00 01` begins, from `from` on.
fn find_start_code(bytes: &[u8], from: usize) -> Option<usize> {
    let mut i = from;
    // The third byte of a start code is 1, the two before are 0: look at every third byte, most are larger.
    while let Some(&third) = bytes.get(i + 2) {
        match third {
            1 if bytes[i] == 0 && bytes[i + 1] == 0 => return Some(i),
            0 => i += 1,
            _ => i += 3,
        }
    }
    None
}

/// The NAL units of an Annex B stream, without start codes and without zero bytes behind them. Bytes before the first start
/// code are passed over.
#[derive(Clone, Debug)]
pub struct AnnexB<'a> {
    bytes: &'a [u8],
    /// Behind the start code of the next NAL unit.
    at: Option<usize>,
}

impl<'a> AnnexB<'a> {
    /// Begins at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        AnnexB {
            bytes,
            at: find_start_code(bytes, 0).map(|code| code + 3),
        }
    }

    /// The next NAL unit and where it begins.
    fn next_at(&mut self) -> Option<(usize, &'a [u8])> {
        loop {
            let begin = self.at?;
            let code = find_start_code(self.bytes, begin);
            self.at = code.map(|code| code + 3);
            let nal = &self.bytes[begin..code.unwrap_or(self.bytes.len())];
            // trailing_zero_8bits, and the first byte of a longer start code.
            let len = nal.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            if len != 0 {
                return Some((begin, &nal[..len]));
            }
        }
    }
}

impl<'a> Iterator for AnnexB<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.next_at().map(|(_, nal)| nal)
    }
}

/// The NAL units of a packet with length prefixes. Ends after the first error.
#[derive(Clone, Debug)]
pub struct LengthPrefixed<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> LengthPrefixed<'a> {
    /// `length_size`: bytes of a length, 1 to 4.
    #[must_use]
    pub fn new(bytes: &'a [u8], length_size: u8) -> Self {
        LengthPrefixed {
            rest: bytes,
            length_size: usize::from(length_size.clamp(1, 4)),
        }
    }
}

impl<'a> Iterator for LengthPrefixed<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let Some((prefix, behind)) = rest.split_at_checked(self.length_size) else {
            return Some(Err(cut(self.length_size, rest.len())));
        };
        let len = prefix.iter().fold(0usize, |len, byte| len << 8 | usize::from(*byte));
        let Some((nal, behind)) = behind.split_at_checked(len) else {
            return Some(Err(cut(len, behind.len())));
        };
        self.rest = behind;
        Some(Ok(nal))
    }
}

fn cut(announced: usize, there: usize) -> Error {
    Error::Data {
        what: "an H.264 packet with length prefixes".to_owned(),
        detail: format!("expected {announced} bytes more, but only {there} are left"),
    }
}

/// Rewrites an Annex B stream with 4-byte lengths. A NAL unit beyond 4 GiB, which no standard allows, is left out.
#[must_use]
pub fn annexb_to_length_prefixed(bytes: &[u8]) -> Vec<u8> {
    // A start code of 3 bytes becomes a length of 4, so the result can be longer.
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for nal in AnnexB::new(bytes) {
        if let Ok(len) = u32::try_from(nal.len()) {
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(nal);
        }
    }
    out
}

/// The same in place, without a copy. False, and nothing changed, when that cannot be: some start code has three bytes, or zero
/// bytes stand behind a NAL unit.
#[must_use]
pub fn annexb_to_length_prefixed_in_place(bytes: &mut [u8]) -> bool {
    let mut end = 0;
    let mut nals = AnnexB::new(bytes);
    while let Some((begin, nal)) = nals.next_at() {
        // Exactly four bytes lie between the last NAL unit and this one.
        if begin != end + 4 || u32::try_from(nal.len()).is_err() {
            return false;
        }
        end = begin + nal.len();
    }
    if end != bytes.len() {
        return false;
    }
    // Each start code is found before its own bytes are overwritten, and lengths are only written behind the search.
    let mut begin = 4;
    while begin <= bytes.len() {
        let next = find_start_code(bytes, begin).map_or(bytes.len(), |code| code - 1);
        let len = (next - begin) as u32;
        bytes[begin - 4..begin].copy_from_slice(&len.to_be_bytes());
        begin = next + 4;
    }
    true
}

/// Rewrites a packet with length prefixes as Annex B, with start codes of four bytes. Empty NAL units are left out.
///
/// # Errors
/// [`Error::Data`] when a length leads behind the end.
pub fn length_prefixed_to_annexb(bytes: &[u8], length_size: u8) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for nal in LengthPrefixed::new(bytes, length_size) {
        let nal = nal?;
        if !nal.is_empty() {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(nal);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = &[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x65, 3];

    #[test]
    fn start_codes_of_three_and_four_bytes_and_zeros_behind_are_no_part_of_a_nal() {
        let mixed = [
            9, 0, 0, 1, 0x67, 1, 0, 0, 0, 0, 1, 0x68, 0, 0, 1, 0, 0, 0, 1, 0x65, 2, 0, 0,
        ];
        let nals: Vec<_> = AnnexB::new(&mixed).collect();
        assert_eq!(nals, [&[0x67, 1][..], &[0x68], &[0x65, 2]]);
        assert_eq!(AnnexB::new(&[1, 2, 3]).count(), 0);
        assert_eq!(AnnexB::new(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn annexb_becomes_length_prefixed_and_back() {
        let prefixed = annexb_to_length_prefixed(TWO);
        assert_eq!(prefixed, [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x65, 3]);
        assert_eq!(length_prefixed_to_annexb(&prefixed, 4).unwrap(), TWO);
    }

    #[test]
    fn in_place_gives_the_same_bytes_as_the_copy() {
        let mut bytes = TWO.to_vec();
        assert!(annexb_to_length_prefixed_in_place(&mut bytes));
        assert_eq!(bytes, annexb_to_length_prefixed(TWO));
        // A NAL unit of 256 bytes: its length, 00 00 01 00, looks like a start code.
        let mut long = [&[0, 0, 0, 1][..], &[7; 256], &[0, 0, 0, 1, 8]].concat();
        let copied = annexb_to_length_prefixed(&long);
        assert!(annexb_to_length_prefixed_in_place(&mut long));
        assert_eq!(long, copied);
    }

    #[test]
    fn in_place_changes_nothing_when_it_cannot() {
        for fixed in [
            &[0, 0, 1, 7][..],
            &[0, 0, 0, 1, 7, 0],
            &[0, 0, 0, 1, 7, 0, 0, 1, 8],
            &[5, 0, 0, 0, 1, 7],
        ] {
            let mut bytes = fixed.to_vec();
            assert!(!annexb_to_length_prefixed_in_place(&mut bytes), "{fixed:?}");
            assert_eq!(bytes, fixed);
        }
        assert!(annexb_to_length_prefixed_in_place(&mut []));
    }

    #[test]
    fn a_length_behind_the_end_is_told() {
        let error = length_prefixed_to_annexb(&[0, 0, 0, 9, 1, 2], 4).unwrap_err();
        assert!(
            error.to_string().contains("expected 9 bytes more, but only 2"),
            "{error}"
        );
        assert!(length_prefixed_to_annexb(&[0, 0], 4).is_err());
        assert_eq!(
            length_prefixed_to_annexb(&[1, 9, 0, 1, 8], 1).unwrap(),
            [0, 0, 0, 1, 9, 0, 0, 0, 1, 8]
        );
    }
}
