//! Size and type before every box (ISO/IEC 14496-12 §4.2).

use std::fmt;

/// A type: four bytes, mostly letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FourCc(pub(super) [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Types that stand at the outermost level of files that we know.
const OUTERMOST: &[&[u8; 4]] = &[
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"uuid", b"sidx", b"ssix",
    b"mfra", b"meta", b"emsg", b"prft", b"pdin", b"udta", b"junk", b"PICT", b"idat",
];

impl FourCc {
    /// Whether a file may begin with it, or go on with it.
    pub(super) fn is_outermost(self) -> bool {
        OUTERMOST.iter().any(|known| **known == self.0)
    }
}

/// How far a box reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// That many bytes, header included.
    Bytes(u64),
    /// To the end of the file.
    ToEnd,
}

/// What [`Header::read`] makes of the bytes at a box's begin.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// A header.
    Whole(Header),
    /// There are fewer bytes than a header has.
    Cut,
    /// It announces fewer bytes than it has itself.
    TooSmall(FourCc, u64),
}

/// Type, extent, and the bytes of the header itself.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: FourCc,
    pub(super) extent: Extent,
    pub(super) len: u64,
}

impl Header {
    /// Reads the header in the first (up to 16) bytes of a box.
    pub(super) fn read(bytes: &[u8]) -> Read {
        let Some((&[a, b, c, d, kind @ ..], behind)) = bytes.split_first_chunk::<8>() else {
            return Read::Cut;
        };
        let kind = FourCc(kind);
        let (size, len) = match u32::from_be_bytes([a, b, c, d]) {
            0 => {
                return Read::Whole(Header {
                    kind,
                    extent: Extent::ToEnd,
                    len: 8,
                });
            }
            1 => match behind.first_chunk::<8>() {
                Some(large) => (u64::from_be_bytes(*large), 16),
                None => return Read::Cut,
            },
            size => (u64::from(size), 8),
        };
        if size < len {
            return Read::TooSmall(kind, size);
        }
        Read::Whole(Header {
            kind,
            extent: Extent::Bytes(size),
            len,
        })
    }
}
