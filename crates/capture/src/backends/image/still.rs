//! Kind and size of a PNG or JPEG by its first bytes, without I/O and without decoding.

use beamline_media::{EncodedKind, FrameError, FrameInfo, PixelFormat, Size};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// Why bytes are no picture that could be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StillError {
    /// Neither of the two.
    #[error("expected a PNG or JPEG")]
    Magic,
    /// It ends, or goes wrong, before it has said its size.
    #[error("expected the size of the picture, but the file ends or goes wrong before it")]
    NoSize,
    /// A size that no frame can have.
    #[error(transparent)]
    Size(#[from] FrameError),
}

/// What the picture is and how large.
///
/// Cost: a few loads for PNG; for JPEG one step per segment before the frame header.
///
/// # Errors
/// [`StillError`].
pub fn parse_still(bytes: &[u8]) -> Result<(EncodedKind, Size), StillError> {
    let (kind, size) = if bytes.starts_with(PNG) {
        (EncodedKind::PNG, png_size(bytes))
    } else if bytes.starts_with(JPEG) {
        (EncodedKind::MJPEG, jpeg_size(bytes))
    } else {
        return Err(StillError::Magic);
    };
    let size = size.ok_or(StillError::NoSize)?;
    FrameInfo::new(PixelFormat::RGBA, size).check()?;
    Ok((kind, size))
}

/// Width and height stand first in IHDR, which stands first (PNG §11.2.2).
fn png_size(bytes: &[u8]) -> Option<Size> {
    let chunk = bytes.get(8..24).filter(|chunk| &chunk[4..8] == b"IHDR")?;
    Some(Size::new(be32(&chunk[8..12])?, be32(&chunk[12..16])?))
}

/// Walks the segments to the frame header (T.81 B.2.2).
fn jpeg_size(bytes: &[u8]) -> Option<Size> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1).filter(|_| bytes[at] == 0xff)?;
        match marker {
            // Fill bytes before a marker, and markers that stand alone.
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            // SOF0 to SOF15, without DHT, JPG and DAC: length, precision, height, width.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let sof = bytes.get(at + 5..at + 9)?;
                return Some(Size::new(be16(&sof[2..])?, be16(&sof[..2])?));
            }
            // The scan, or the end, before any frame header.
            0xda | 0xd9 => return None,
            _ => at += 2 + be16(bytes.get(at + 2..at + 4)?).filter(|len| *len >= 2)? as usize,
        }
    }
}

fn be16(bytes: &[u8]) -> Option<u32> {
    Some(u32::from(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?)))
}

fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [
            PNG,
            &[0, 0, 0, 13],
            b"IHDR",
            &width.to_be_bytes(),
            &height.to_be_bytes(),
        ]
        .concat()
    }

    #[test]
    fn sizes_are_read_from_both_kinds() {
        assert_eq!(
            parse_still(&png(640, 360)).unwrap(),
            (EncodedKind::PNG, Size::new(640, 360))
        );
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08\x01\x68\x02\x80";
        assert_eq!(parse_still(jpeg).unwrap(), (EncodedKind::MJPEG, Size::new(640, 360)));
    }

    #[test]
    fn impossible_pictures_are_refused() {
        assert!(matches!(parse_still(&png(0, 1)), Err(StillError::Size(_))));
        assert!(matches!(parse_still(&png(1 << 30, 1)), Err(StillError::Size(_))));
        assert!(matches!(parse_still(b"GIF89a"), Err(StillError::Magic)));
        assert!(matches!(parse_still(b"\xff\xd8\xff\xe0\0\0"), Err(StillError::NoSize)));
        assert!(matches!(
            parse_still(b"\xff\xd8\xff\xda\0\x02"),
            Err(StillError::NoSize)
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), jpeg in any::<bool>()) {
            let _ = parse_still(&[if jpeg { JPEG } else { PNG }, &bytes].concat());
        }
    }
}
