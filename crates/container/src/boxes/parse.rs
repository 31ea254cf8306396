//! Boxes and numbers inside a box that is in memory. Whatever leads behind the end is as if it were not there.

use super::header::{Extent, FourCc, Header, Read};

/// The boxes inside a box's content. Ends at the first that is damaged.
pub(super) struct Children<'a>(&'a [u8]);

pub(super) fn children(content: &[u8]) -> Children<'_> {
    Children(content)
}

impl<'a> Iterator for Children<'a> {
    type Item = (FourCc, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let all = std::mem::take(&mut self.0);
        let Read::Whole(header) = Header::read(all) else {
            return None;
        };
        let size = match header.extent {
            Extent::ToEnd => all.len(),
            Extent::Bytes(size) => usize::try_from(size).ok()?,
        };
        let (whole, behind) = all.split_at_checked(size)?;
        self.0 = behind;
        Some((header.kind, &whole[header.len as usize..]))
    }
}

/// The content of the first box of that type.
pub(super) fn child<'a>(content: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(content).find(|(k, _)| k.0 == *kind).map(|(_, inside)| inside)
}

/// The content of the first box at the end of that path.
pub(super) fn descend<'a>(content: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(content, |inside, kind| child(inside, kind))
}

/// 32 bits at `at`, big endian.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

/// 64 bits at `at`, big endian.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}

/// Version and flags of a full box.
pub(super) fn version_and_flags(content: &[u8]) -> Option<(u8, u32)> {
    u32_at(content, 0).map(|word| ((word >> 24) as u8, word & 0x00ff_ffff))
}

/// A field that is 32 bits wide in version 0 and 64 bits in version 1, behind others that widen with it: `before` is where it
/// stands in version 0 and in version 1.
pub(super) fn versioned(content: &[u8], before: (usize, usize)) -> Option<u64> {
    match version_and_flags(content)?.0 {
        0 => u32_at(content, before.0).map(u64::from),
        _ => u64_at(content, before.1),
    }
}
