//! Whether decoding can begin at an H.264 packet.

use super::{
    bits::without_emulation,
    nal::{AnnexB, Framing, LengthPrefixed, nal_type},
};

const SLICE: std::ops::RangeInclusive<u8> = 1..=4;
const IDR: u8 = 5;
const SEI: u8 = 6;
/// `payloadType` of the recovery point message (Rec. H.264 §D.1).
const RECOVERY_POINT: usize = 6;

/// What a packet is for somebody who begins to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// It needs packets before it.
    None,
    /// An IDR picture: nothing behind it looks back.
    Idr,
    /// A recovery point: from here on pictures become right, some behind it may be lost (an open group of pictures).
    RecoveryPoint,
}

impl Key {
    /// Whether decoding can begin here.
    #[must_use]
    pub fn is_key(self) -> bool {
        self != Key::None
    }
}

/// Looks at the NAL headers up to the first slice. A packet that is cut is judged by what is whole of it.
///
/// Cost: the bytes before the first slice (Annex B), a few loads (length prefixes).
#[must_use]
pub fn key_of(packet: &[u8], framing: Framing) -> Key {
    match framing {
        Framing::AnnexB => judge(AnnexB::new(packet)),
        Framing::LengthPrefixed(size) => judge(LengthPrefixed::new(packet, size).map_while(Result::ok)),
    }
}

fn judge<'a>(nals: impl Iterator<Item = &'a [u8]>) -> Key {
    let mut key = Key::None;
    for nal in nals {
        match nal_type(nal) {
            IDR => return Key::Idr,
            slice if SLICE.contains(&slice) => return key,
            SEI if has_recovery_point(nal) => key = Key::RecoveryPoint,
            _ => {}
        }
    }
    // Without a slice there is no picture to begin with.
    Key::None
}

/// Whether one of the messages is a recovery point (Rec. H.264 §7.3.2.3).
fn has_recovery_point(nal: &[u8]) -> bool {
    let mut bytes = without_emulation(nal).skip(1);
    while let (Some(kind), Some(size)) = (sei_number(&mut bytes), sei_number(&mut bytes)) {
        if kind == RECOVERY_POINT {
            return true;
        }
        if size > 0 && bytes.nth(size - 1).is_none() {
            break;
        }
    }
    false
}

/// Type or size of a message: bytes of 255 and a rest, added up.
fn sei_number(bytes: &mut impl Iterator<Item = u8>) -> Option<usize> {
    let mut sum = 0usize;
    loop {
        let byte = bytes.next()?;
        sum = sum.saturating_add(usize::from(byte));
        if byte != 255 {
            return Some(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(nals: &[&[u8]]) -> Key {
        let annexb = nals
            .iter()
            .flat_map(|n| [&[0, 0, 0, 1], *n].concat())
            .collect::<Vec<_>>();
        let prefixed = nals
            .iter()
            .flat_map(|n| [&[0, n.len() as u8], *n].concat())
            .collect::<Vec<_>>();
        let key = key_of(&annexb, Framing::AnnexB);
        assert_eq!(key_of(&prefixed, Framing::LengthPrefixed(2)), key);
        key
    }

    #[test]
    fn an_idr_picture_is_a_key() {
        assert_eq!(both(&[&[9, 0xf0], &[0x67, 1], &[0x68, 1], &[0x65, 0x88]]), Key::Idr);
        assert!(Key::Idr.is_key());
    }

    #[test]
    fn a_recovery_point_is_a_key_also_as_the_second_message() {
        let user_data = [&[6, 5, 2, 7, 7][..], &[6, 1, 0xc0, 0x80]].concat();
        assert_eq!(both(&[&user_data, &[0x41, 0x9a]]), Key::RecoveryPoint);
        // Its size counts bytes without emulation prevention.
        let emulated = [&[6, 5, 3, 0, 0, 3, 1][..], &[6, 1, 0xc0, 0x80]].concat();
        assert_eq!(both(&[&emulated, &[0x41, 0x9a]]), Key::RecoveryPoint);
    }

    #[test]
    fn other_pictures_and_parameter_sets_alone_are_none() {
        assert_eq!(both(&[&[0x41, 0x9a, 2]]), Key::None);
        assert_eq!(both(&[&[6, 5, 2, 7, 7, 0x80], &[0x41, 0x9a]]), Key::None);
        assert_eq!(both(&[&[0x67, 1], &[0x68, 1]]), Key::None);
        assert_eq!(both(&[&[6, 6, 1, 0xc0, 0x80]]), Key::None);
        assert_eq!(key_of(&[], Framing::AnnexB), Key::None);
        assert!(!Key::None.is_key());
    }
}
