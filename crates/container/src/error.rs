//! Why a container cannot be read or written.

use beamline_media::ErrorCode;

/// An error of a demuxer or a muxer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no media file that we read.
    #[error("'{name}' is no media file that can be read here: {detail}")]
    NotMedia {
        /// The source's name.
        name: String,
        /// What was found.
        detail: String,
    },
    /// The file ends too early.
    #[error("'{name}' ends too early: {detail}")]
    Truncated {
        /// The source's name.
        name: String,
        /// What is missing.
        detail: String,
    },
    /// The bytes contradict themselves.
    #[error("'{name}' is damaged: {detail}")]
    Data {
        /// The source's name.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// The container or the codec in it cannot be had here.
    #[error("{what} is not supported here: {why}")]
    NotSupported {
        /// What was asked for.
        what: String,
        /// Why not, or what there is instead.
        why: String,
    },
    /// A track or packet that cannot be right.
    #[error("expected {expected} but received {got}")]
    Config {
        /// What would be right.
        expected: String,
        /// What came.
        got: String,
    },
    /// A packet that is decoded before the one before it.
    #[error(
        "expected packets of track {track} in decoding order, at or after {before_us} µs, but received one of {at_us} µs"
    )]
    Order {
        /// Which track.
        track: usize,
        /// When the packet before it is decoded.
        before_us: i64,
        /// When this one is.
        at_us: i64,
    },
    /// A packet that comes so late after the one before it that the container cannot say when.
    #[error(
        "expected packets of track {track} at most {most_us} µs apart, but after {before_us} µs received one of {at_us} µs"
    )]
    Gap {
        /// Which track.
        track: usize,
        /// When the packet before it is decoded.
        before_us: i64,
        /// When this one is.
        at_us: i64,
        /// How far apart they may be.
        most_us: i64,
    },
    /// Bytes do not come or go.
    #[error(transparent)]
    Io(#[from] beamline_io::Error),
    /// The container library failed.
    #[error("{library} failed to {action}: {detail}")]
    Library {
        /// `FFmpeg (mp4)`.
        library: String,
        /// "write the header".
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
            Error::NotMedia { .. } | Error::Truncated { .. } | Error::Data { .. } | Error::Order { .. } => {
                ErrorCode::Data
            }
            Error::NotSupported { .. } => ErrorCode::NotSupported,
            Error::Config { .. } | Error::Gap { .. } => ErrorCode::InvalidConfig,
            Error::Io(e) => ErrorCode::of_io(e.kind()),
            Error::Library { .. } => ErrorCode::Internal,
        }
    }

    /// The finer class.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Error::NotMedia { .. } => "not-media",
            Error::Truncated { .. } => "truncated",
            Error::Data { .. } => "corrupt-file",
            Error::NotSupported { .. } => "container-not-supported",
            Error::Config { .. } => "container-config",
            Error::Order { .. } => "timestamp-order",
            Error::Gap { .. } => "timestamp-gap",
            Error::Io(e) => e.reason(),
            Error::Library { .. } => "container-library",
        }
    }
}
