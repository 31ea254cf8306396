//! Everything that can go wrong between bytes and users: the errors of the parts, and our own.

use beamline_media::ErrorCode;
use std::sync::Arc;

/// An error of an input, an output, a capture or a still.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes do not come or go.
    #[error(transparent)]
    Io(#[from] beamline_io::Error),
    /// A container cannot be read or written.
    #[error(transparent)]
    Container(#[from] beamline_container::Error),
    /// A codec does not work.
    #[error(transparent)]
    Codec(#[from] beamline_codec::Error),
    /// Pixels cannot be converted.
    #[error(transparent)]
    Convert(#[from] beamline_convert::Error),
    /// A capture does not work.
    #[error(transparent)]
    Capture(#[from] beamline_capture::Error),
    /// A share cannot be made.
    #[error(transparent)]
    Link(#[from] beamline_link::Error),
    /// A frame cannot be made.
    #[error(transparent)]
    Frame(#[from] beamline_media::FrameError),
    /// The object was closed before.
    #[error("{what} is closed")]
    Closed {
        /// Which object.
        what: &'static str,
    },
    /// A call at the wrong time.
    #[error("{what}")]
    State {
        /// What is wrong and what would be right.
        what: String,
        /// Kebab-case class.
        reason: &'static str,
    },
    /// An argument that cannot be right.
    #[error("expected {expected} for '{name}' but received {got}")]
    Argument {
        /// Which argument.
        name: &'static str,
        /// What would be right.
        expected: String,
        /// What came.
        got: String,
    },
    /// A frame or packet that does not come after the one before it.
    #[error("expected a {what} after {before_us} µs, that of the item before, but received {at_us} µs")]
    Order {
        /// Which time: "timestamp", "decoding time".
        what: &'static str,
        /// Time of the last item that was taken.
        before_us: i64,
        /// Time of this one.
        at_us: i64,
    },
    /// No memory for a further picture of a shared output came back in time.
    #[error("no memory for a frame came free within {ms} ms: {}", holders(*.frames, *.readers))]
    Held {
        /// How long it was waited for, in ms.
        ms: u64,
        /// Frames in use, all that may be; of a hosted one those that are open here.
        frames: u32,
        /// Readers that hold any; `None` where only the host knows them.
        readers: Option<usize>,
    },
    /// The same error that ended the thing before.
    #[error("{0}")]
    Earlier(Arc<Error>),
    /// The caller cancelled.
    #[error("the operation was cancelled")]
    Cancelled,
    /// A fault of ours.
    #[error("internal error: {what}; please report it")]
    Internal {
        /// What happened.
        what: String,
    },
}

fn holders(frames: u32, readers: Option<usize>) -> String {
    match readers {
        Some(readers) => {
            format!("{frames} frames of this output are open or held by its readers ({readers} of them hold some)")
        }
        None => format!("{frames} frames of this output are open here, and its host grants no more"),
    }
}

impl Error {
    /// What the caller can do.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Io(e) => ErrorCode::of_io(e.kind()),
            Error::Container(e) => e.code(),
            Error::Codec(e) => e.code(),
            Error::Convert(e) => e.code(),
            Error::Capture(e) => e.code(),
            Error::Link(e) => e.code(),
            Error::Frame(e) => e.code(),
            Error::Closed { .. } | Error::State { .. } => ErrorCode::InvalidState,
            Error::Argument { .. } | Error::Order { .. } => ErrorCode::InvalidConfig,
            Error::Earlier(e) => e.code(),
            Error::Held { .. } => ErrorCode::Quota,
            Error::Cancelled => ErrorCode::Aborted,
            Error::Internal { .. } => ErrorCode::Internal,
        }
    }

    /// The finer class, kebab-case.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Error::Io(e) => e.reason(),
            Error::Container(e) => e.reason(),
            Error::Codec(e) => e.reason(),
            Error::Convert(e) => e.reason(),
            Error::Capture(e) => e.reason(),
            Error::Link(e) => e.reason(),
            Error::Frame(e) => match e.code() {
                ErrorCode::Quota => "no-memory",
                _ => "invalid-frame",
            },
            Error::Closed { .. } => "closed",
            Error::State { reason, .. } => reason,
            Error::Argument { .. } => "invalid-argument",
            Error::Order { .. } => "timestamp-order",
            Error::Earlier(e) => e.reason(),
            Error::Held { .. } => "frames-not-closed",
            Error::Cancelled => "cancelled",
            Error::Internal { .. } => "internal",
        }
    }

    /// What to do next, where there is something to say beyond the message.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let Error::Capture(e) = self
            && let Some(hint) = e.hint()
        {
            return Some(hint.to_owned());
        }
        let hint = match (self.code(), self.reason()) {
            (_, "no-such-file") => {
                "look at the spelling; a relative path begins at the folder in which the process runs"
            }
            (_, "read-failed") => "`cause` is what read() has thrown",
            (_, "write-failed") => "`cause` is what the target has thrown",
            (ErrorCode::InvalidConfig, "timestamp-order") => {
                "this item was not written; the output goes on with the next one"
            }
            (_, "disk-full") => "free some space; abort() tells whether what was written before is playable",
            (_, "truncated") => {
                "the file is incomplete: copy it again, or pass recover: true to take what can be decoded"
            }
            (_, "corrupt-packet") => "pass recover: true to skip what cannot be decoded",
            (_, "frames-not-closed") => {
                "close frames after write() (frame.close(), or `using`); stats().clients tells which readers hold how many, of a hosted \
                 share the host's capture.clients"
            }
            (_, "host-closed") => "close() this output; the name may be hosted anew, or shared by whoever makes it",
            (_, "share-ended") => "open the output again when the host has closed its capture and opened it anew",
            (_, "output-aborted") => "open the share again when its process produces anew",
            (ErrorCode::Quota, "no-memory") => "close frames that are no longer needed",
            (_, "not-media") => {
                "runtime.ffmpeg.version tells which FFmpeg reads files here; `ffprobe FILE` shows what it sees"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The number that a callback gave its failure, where that is what went wrong.
    #[must_use]
    pub fn failure(&self) -> Option<u32> {
        match self {
            Error::Io(beamline_io::Error::Callback { failure, .. })
            | Error::Container(beamline_container::Error::Io(beamline_io::Error::Callback { failure, .. })) => {
                failure.number
            }
            Error::Earlier(e) => e.failure(),
            _ => None,
        }
    }

    /// The same error for another one who asks.
    #[must_use]
    pub fn again(error: &Arc<Error>) -> Self {
        match &**error {
            Error::Earlier(inner) => Error::Earlier(Arc::clone(inner)),
            Error::Cancelled => Error::Cancelled,
            _ => Error::Earlier(Arc::clone(error)),
        }
    }
}
