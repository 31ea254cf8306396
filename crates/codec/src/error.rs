//! Why a codec does not work.

use beamline_media::{ErrorCode, FrameError};

/// An error of a decoder, an encoder or a codec string.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody here can do it.
    #[error("{what} is not supported here: {why}")]
    NotSupported {
        /// What was asked for.
        what: String,
        /// What is missing, or what there is instead.
        why: String,
    },
    /// A configuration that cannot be right.
    #[error("expected {expected} but received {got}")]
    Config {
        /// What would be right.
        expected: String,
        /// What came.
        got: String,
    },
    /// The bytes are not what they claim to be.
    #[error("cannot decode {what}: {detail}")]
    Data {
        /// Which bytes.
        what: String,
        /// What is wrong with them.
        detail: String,
    },
    /// No memory for a picture.
    #[error(transparent)]
    Memory(#[from] FrameError),
    /// The codec library failed.
    #[error("{library} failed to {action}: {detail}")]
    Library {
        /// `FFmpeg (libx264)`.
        library: String,
        /// "open the encoder".
        action: &'static str,
        /// In its own words.
        detail: String,
    },
}

impl Error {
    /// What the caller can do.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::NotSupported { .. } => ErrorCode::NotSupported,
            Error::Config { .. } => ErrorCode::InvalidConfig,
            Error::Data { .. } => ErrorCode::Data,
            Error::Memory(e) => e.code(),
            Error::Library { .. } => ErrorCode::Internal,
        }
    }

    /// The finer class.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Error::NotSupported { .. } => "codec-not-supported",
            Error::Config { .. } => "codec-config",
            Error::Data { .. } => "corrupt-packet",
            Error::Memory(_) => "no-memory",
            Error::Library { .. } => "codec-library",
        }
    }
}
