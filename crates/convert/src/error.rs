//! Why a picture cannot be converted. Every error is found before the first byte is written.

use beamline_media::{ErrorCode, PixelFormat, Rect, Size};

/// What is wrong with the pictures that were given, or what this crate cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A side of 0, or more pixels than any frame may have.
    #[error("expected a size of 1×1 to 16384×16384 pixels, at most 2^27 in all, but received {0}")]
    Size(Size),
    /// The rectangle is empty or leaves the picture.
    #[error("expected a rectangle inside {size}, but received {rect:?}")]
    Rect {
        /// Size of the whole picture.
        size: Size,
        /// What was asked for.
        rect: Rect,
    },
    /// The rectangle begins inside a group of pixels that share their colour.
    #[error("expected x to be a multiple of {x} and y of {y} for {format}, but received {rect:?}")]
    Alignment {
        /// The format.
        format: PixelFormat,
        /// What was asked for.
        rect: Rect,
        /// Pixels per group in x.
        x: u32,
        /// Rows per group.
        y: u32,
    },
    /// The wrong number of planes.
    #[error("expected {expected} planes for {format}, but received {got}")]
    PlaneCount {
        /// The format.
        format: PixelFormat,
        /// Planes that it has.
        expected: usize,
        /// Planes that came.
        got: usize,
    },
    /// A stride shorter than a row.
    #[error("expected a stride of at least {row_bytes} bytes for plane {plane}, but received {stride}")]
    Stride {
        /// Which plane.
        plane: usize,
        /// Bytes of a row.
        row_bytes: usize,
        /// What was given.
        stride: usize,
    },
    /// A plane has too few bytes.
    #[error("expected at least {need} bytes for plane {plane} of {format} {size}, but received {have}")]
    Plane {
        /// Which plane.
        plane: usize,
        /// The format.
        format: PixelFormat,
        /// The picture's size.
        size: Size,
        /// Bytes from its first row to the end of its last.
        need: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// Source and target must have the same size here, or sizes that fit the turn.
    #[error("expected a target of {expected}, but received {got}")]
    TargetSize {
        /// The size that the source gives.
        expected: Size,
        /// The target's.
        got: Size,
    },
    /// No way leads from one format to the other.
    #[error("expected a pair of formats that can be converted, but received {from} → {to}")]
    Formats {
        /// Of the source.
        from: PixelFormat,
        /// Of the target.
        to: PixelFormat,
    },
    /// A matrix that is not one of luma and two colour differences by constant weights.
    #[error("expected the H.273 matrix 1, 4, 5, 6, 7 or 9, but received {0}")]
    Matrix(u8),
    /// A format that cannot be turned this way.
    #[error("expected a format whose groups of pixels are square, but received {0}")]
    Turn(PixelFormat),
    /// The scaler refused what was checked before.
    #[error("the scaler failed: {0}")]
    Scaler(String),
}

impl Error {
    /// What the caller can do.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Formats { .. } | Error::Matrix(_) | Error::Turn(_) => ErrorCode::NotSupported,
            Error::Scaler(_) => ErrorCode::Internal,
            _ => ErrorCode::InvalidConfig,
        }
    }

    /// The finer class, in kebab-case.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Error::Size(_) => "impossible-size",
            Error::Rect { .. } => "rect-outside",
            Error::Alignment { .. } => "rect-alignment",
            Error::PlaneCount { .. } => "plane-count",
            Error::Stride { .. } => "stride-too-short",
            Error::Plane { .. } => "plane-too-short",
            Error::TargetSize { .. } => "target-size",
            Error::Formats { .. } => "format-pair",
            Error::Matrix(_) => "matrix",
            Error::Turn(_) => "turn-format",
            Error::Scaler(_) => "scaler",
        }
    }
}
