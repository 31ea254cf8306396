//! What will come, said before it comes.

use crate::{ColorSpace, EncodedKind, PixelFormat, Rational, Rotation, Size};
use serde::Serialize;

/// The longest side of a picture, in pixels.
pub const MAX_DIMENSION: u32 = 16_384;
/// The most pixels of a picture: 2^27, a 16K × 8K picture.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The format of a stream of pictures, raw or compressed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Caps {
    /// Raw pixels of this format; `None` when packets come, or nobody knows yet.
    pub pixel_format: Option<PixelFormat>,
    /// Packets of this codec; `None` when frames come, or nobody knows yet.
    pub encoded: Option<EncodedKind>,
    /// Size of the pictures; 0×0 as long as nobody knows.
    pub size: Size,
    /// Pictures per second, when steady.
    pub frame_rate: Option<Rational>,
    /// Their colour space, as far as it is known.
    pub color: ColorSpace,
    /// How they must be turned to be shown.
    pub rotation: Rotation,
}

impl Caps {
    /// Raw pictures with nothing else said.
    #[must_use]
    pub fn raw(format: PixelFormat, size: Size) -> Self {
        Caps {
            pixel_format: Some(format),
            encoded: None,
            size,
            frame_rate: None,
            color: ColorSpace::UNSPECIFIED,
            rotation: Rotation::None,
        }
    }

    /// Nothing is known yet: of a source that says what it gives with its first picture.
    #[must_use]
    pub fn unknown() -> Self {
        Caps {
            pixel_format: None,
            ..Caps::raw(PixelFormat::I420, Size::new(0, 0))
        }
    }

    /// Packets with nothing else said.
    #[must_use]
    pub fn encoded(kind: EncodedKind, size: Size) -> Self {
        Caps {
            pixel_format: None,
            encoded: Some(kind),
            ..Caps::raw(PixelFormat::I420, size)
        }
    }
}
