//! The short list of codes that every error of every crate maps to, cut by what the caller can do next.

use crate::{geometry::Size, pixel::PixelFormat};

/// What a caller can do about an error. The finer class is the error's kebab-case `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The object is closed, or not yet in the state that this call needs. Fix the order of calls.
    InvalidState,
    /// An argument or option cannot be right. Fix it; retrying does not help.
    InvalidConfig,
    /// The argument is right, but this build, machine or device cannot do it. Choose something else.
    NotSupported,
    /// The named thing is not there. Look for another.
    NotFound,
    /// The device or peer went away. Open it again when it is back.
    DeviceLost,
    /// Somebody else holds it. Retry later.
    Busy,
    /// The system forbids it. Ask for rights.
    PermissionDenied,
    /// Bytes from outside are not what they claim to be. Skip them, or give up on the source.
    Data,
    /// A bound of memory, slots or disk is reached. Close something, or raise the bound.
    Quota,
    /// It did not happen in time. Retry.
    Timeout,
    /// The caller cancelled it.
    Aborted,
    /// A fault of ours. Report it.
    Internal,
}

impl ErrorCode {
    /// All, with the names as they appear in JavaScript (`BeamlineError.code`).
    const NAMES: &[(ErrorCode, &str)] = &[
        (ErrorCode::InvalidState, "InvalidState"),
        (ErrorCode::InvalidConfig, "InvalidConfig"),
        (ErrorCode::NotSupported, "NotSupported"),
        (ErrorCode::NotFound, "NotFound"),
        (ErrorCode::DeviceLost, "DeviceLost"),
        (ErrorCode::Busy, "Busy"),
        (ErrorCode::PermissionDenied, "PermissionDenied"),
        (ErrorCode::Data, "Data"),
        (ErrorCode::Quota, "Quota"),
        (ErrorCode::Timeout, "Timeout"),
        (ErrorCode::Aborted, "Aborted"),
        (ErrorCode::Internal, "Internal"),
    ];

    /// The name as it appears in JavaScript (`BeamlineError.code`).
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(code, _)| *code == self)
            .map_or("Internal", |(_, name)| name)
    }

    /// The code of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(code, _)| *code)
    }

    /// The code for an error of the operating system.
    #[must_use]
    pub fn of_io(kind: std::io::ErrorKind) -> Self {
        use std::io::ErrorKind as K;
        match kind {
            K::NotFound => ErrorCode::NotFound,
            K::PermissionDenied | K::ReadOnlyFilesystem => ErrorCode::PermissionDenied,
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge | K::OutOfMemory => ErrorCode::Quota,
            K::TimedOut | K::WouldBlock => ErrorCode::Timeout,
            K::Interrupted => ErrorCode::Aborted,
            K::InvalidInput | K::IsADirectory | K::NotADirectory | K::InvalidFilename => ErrorCode::InvalidConfig,
            K::UnexpectedEof | K::InvalidData => ErrorCode::Data,
            K::ResourceBusy | K::AlreadyExists => ErrorCode::Busy,
            K::Unsupported => ErrorCode::NotSupported,
            K::BrokenPipe | K::ConnectionReset | K::NotConnected => ErrorCode::DeviceLost,
            _ => ErrorCode::Internal,
        }
    }
}

/// Why a frame cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A side of 0, or beyond [`crate::MAX_DIMENSION`] or [`crate::MAX_PIXELS`].
    #[error("expected a size of 1×1 to 16384×16384 pixels, at most 2^27 in all, but received {0}")]
    Size(Size),
    /// The visible rectangle is empty or leaves the picture.
    #[error("expected a visible rectangle inside {coded}, but received {rect:?}")]
    Visible {
        /// Size of the picture in memory.
        coded: Size,
        /// What was asked for.
        rect: crate::Rect,
    },
    /// A plane's bytes do not fit into where they are said to lie.
    #[error("plane {plane} of {format} {size} needs {need} bytes from offset {offset}, but there are {have}")]
    Plane {
        /// Which plane.
        plane: usize,
        /// The format.
        format: PixelFormat,
        /// The picture's size.
        size: Size,
        /// Bytes that the plane spans with its stride.
        need: usize,
        /// Where it begins.
        offset: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// A stride shorter than a row.
    #[error("expected a stride of at least {row_bytes} bytes for plane {plane} but received {stride}")]
    Stride {
        /// Which plane.
        plane: usize,
        /// Bytes of a row.
        row_bytes: usize,
        /// What was given.
        stride: usize,
    },
    /// The wrong number of planes.
    #[error("expected {expected} planes for {format} but received {got}")]
    PlaneCount {
        /// The format.
        format: PixelFormat,
        /// Planes that it has.
        expected: usize,
        /// Planes that came.
        got: usize,
    },
    /// No memory for it.
    #[error(transparent)]
    Memory(#[from] beamline_arena::Error),
}

impl FrameError {
    /// What the caller can do.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            FrameError::Memory(e) => memory_code(e),
            _ => ErrorCode::InvalidConfig,
        }
    }
}

fn memory_code(error: &beamline_arena::Error) -> ErrorCode {
    use beamline_arena::Error as E;
    match error {
        E::Empty { .. } | E::Budget { .. } => ErrorCode::Quota,
        E::Timeout { .. } => ErrorCode::Timeout,
        E::Cancelled => ErrorCode::Aborted,
        E::Size { .. } => ErrorCode::InvalidConfig,
        E::Os { source, .. } => ErrorCode::of_io(source.kind()),
        _ => ErrorCode::Internal,
    }
}
