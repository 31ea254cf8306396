//! What can go wrong with a capture.

use beamline_media::{ErrorCode, FrameError, PixelFormat};

/// Why a device cannot be opened, or gives nothing more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No backend knows such a device or URL.
    #[error("expected a device or URL such as {}, but received '{device}'", known.join(", "))]
    UnknownDevice {
        /// What was asked for.
        device: String,
        /// Examples of what there is.
        known: Vec<&'static str>,
    },
    /// The URL is well known, but this build has no backend for it.
    #[error("no backend here opens '{device}': {what} need one that this build does not have; it has {}", known.join(", "))]
    NoBackend {
        /// What was asked for.
        device: String,
        /// What it is.
        what: &'static str,
        /// Slugs of the backends that there are.
        known: Vec<&'static str>,
    },
    /// A file with a container is an input, not a capture.
    #[error("'{path}' is a video file: open it with openInput, not as a capture")]
    VideoFile {
        /// The file.
        path: String,
    },
    /// No such test pattern.
    #[error("expected a pattern of {}, but received '{name}'", known.join(", "))]
    UnknownPattern {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// An option that this backend does not have.
    #[error("expected options of {} for '{backend}', but received '{option}'", known.join(", "))]
    UnknownOption {
        /// The backend's slug.
        backend: &'static str,
        /// What was given.
        option: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A value that an option cannot have.
    #[error("expected {expected} for '{option}', but received '{got}'")]
    BadOption {
        /// The option.
        option: String,
        /// What it takes.
        expected: String,
        /// What came.
        got: String,
    },
    /// An option without which it cannot be opened.
    #[error("expected {expected} for '{device}', but it is missing")]
    MissingOption {
        /// The device.
        device: String,
        /// The option and its form.
        expected: &'static str,
    },
    /// A pixel format that exists, but not here.
    #[error("expected a format of {} for '{backend}', but received '{format}'", slugs(known))]
    Format {
        /// The backend's slug.
        backend: &'static str,
        /// What was asked for.
        format: PixelFormat,
        /// What there is.
        known: Vec<PixelFormat>,
    },
    /// No file fits a numbered name.
    #[error("expected files named as '{pattern}', but found none")]
    NothingFound {
        /// The name with its `%d`.
        pattern: String,
    },
    /// The file ends inside a picture. All pictures before it were given.
    #[error("'{name}' ends inside picture {picture}: expected {expected} bytes, but {got} are left")]
    Truncated {
        /// The file.
        name: String,
        /// Which picture, from 0.
        picture: u64,
        /// Bytes that it needs.
        expected: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// The file is not what it claims to be.
    #[error("'{name}' cannot be read: {why}")]
    BadFile {
        /// The file.
        name: String,
        /// What was expected and what came.
        why: String,
    },
    /// The file is what it claims to be, but of a kind that is not read here.
    #[error("'{name}' cannot be read here: {why}")]
    UnsupportedFile {
        /// The file.
        name: String,
        /// What would be read, and what came.
        why: String,
    },
    /// The device is gone.
    #[error("the device '{device}' is gone")]
    DeviceLost {
        /// Its id.
        device: String,
    },
    /// A control that the device does not have.
    #[error("expected a control of {}, but received '{name}'", known.join(", "))]
    UnknownControl {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Sizes, or memory for a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Another process that shares its frames, or would.
    #[error(transparent)]
    Link(#[from] beamline_link::Error),
    /// The system.
    #[error(transparent)]
    Io(beamline_io::Error),
    /// The wait was cancelled.
    #[error("waiting for a picture was cancelled")]
    Cancelled,
}

impl From<beamline_io::Error> for Error {
    fn from(error: beamline_io::Error) -> Self {
        match error {
            beamline_io::Error::Cancelled => Error::Cancelled,
            other => Error::Io(other),
        }
    }
}

fn slugs(formats: &[PixelFormat]) -> String {
    formats.iter().map(|f| f.slug()).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// What the caller can do.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::UnknownDevice { .. }
            | Error::VideoFile { .. }
            | Error::UnknownPattern { .. }
            | Error::UnknownOption { .. }
            | Error::BadOption { .. }
            | Error::MissingOption { .. } => ErrorCode::InvalidConfig,
            Error::NoBackend { .. } | Error::Format { .. } | Error::UnsupportedFile { .. } => ErrorCode::NotSupported,
            Error::NothingFound { .. } | Error::UnknownControl { .. } => ErrorCode::NotFound,
            Error::Truncated { .. } | Error::BadFile { .. } => ErrorCode::Data,
            Error::DeviceLost { .. } => ErrorCode::DeviceLost,
            Error::Frame(e) => e.code(),
            Error::Link(e) => e.code(),
            Error::Io(e) => ErrorCode::of_io(e.kind()),
            Error::Cancelled => ErrorCode::Aborted,
        }
    }

    /// The finer class, in kebab-case.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Error::UnknownDevice { .. } => "unknown-device",
            Error::NoBackend { .. } => "no-backend",
            Error::VideoFile { .. } => "video-file",
            Error::UnknownPattern { .. } => "unknown-pattern",
            Error::UnknownOption { .. } => "unknown-option",
            Error::BadOption { .. } => "bad-option",
            Error::MissingOption { .. } => "missing-option",
            Error::Format { .. } => "unsupported-format",
            Error::NothingFound { .. } => "nothing-found",
            Error::Truncated { .. } => "truncated",
            Error::BadFile { .. } => "bad-file",
            Error::UnsupportedFile { .. } => "unsupported-file",
            Error::DeviceLost { .. } => "device-lost",
            Error::UnknownControl { .. } => "unknown-control",
            Error::Frame(FrameError::Memory(_)) => "memory",
            Error::Frame(FrameError::Size(_)) => "impossible-size",
            Error::Frame(_) => "impossible-frame",
            Error::Link(e) => e.reason(),
            Error::Io(e) => e.reason(),
            Error::Cancelled => "cancelled",
        }
    }

    /// What to do about it, where that is more than the message says.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::VideoFile { .. } => Some(
                "const input = await openInput(path); input.video.frames({ pace: 'realtime' }) plays it at its own speed",
            ),
            Error::UnknownDevice { .. } => Some("listDevices() tells what is there"),
            Error::Link(beamline_link::Error::NotFound(_)) => Some(
                "source.share(name) in the other process makes it; listDevices({ kind: 'shared' }) tells what is shared now",
            ),
            Error::Link(beamline_link::Error::Told(failure)) if failure.reason == "share-budget" => Some(
                "a lower `hold` is set aside more easily (shared:NAME?hold=2); other readers that end make room, and so does more memory for the source",
            ),
            Error::Link(beamline_link::Error::Told(failure)) if failure.reason == "share-past-formats" => Some(
                "close frames when the format changes (formatchange), or copy what is to be kept (frame.writable(), frame.copyTo()); then open the share anew",
            ),
            Error::NothingFound { .. } => Some("%05d stands for five digits with leading zeros, %d for digits without"),
            Error::Frame(FrameError::Memory(_)) => Some("close frames, or ask for a smaller picture"),
            _ => None,
        }
    }
}
