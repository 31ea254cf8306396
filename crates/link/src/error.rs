//! What can go wrong between processes.

use crate::{message::MessageError, wire::Failure};
use beamline_media::{ErrorCode, FrameError};

/// Why a share cannot be made or joined, or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that cannot be one.
    #[error(
        "expected the name of a share (letters, digits, '-', '_', '.', at most 64) or a path to a socket but received '{0}'"
    )]
    Name(String),
    /// Nobody shares under this name.
    #[error("nobody shares '{0}'")]
    NotFound(String),
    /// Somebody shares under this name already.
    #[error("'{0}' is shared already")]
    Taken(String),
    /// The other side is another user's process.
    #[error("'{0}' belongs to another user")]
    Stranger(String),
    /// The owner has refused us, or has told why its source ended.
    #[error("{}", .0.message)]
    Told(Failure),
    /// The other process is gone.
    #[error("the process that shares '{0}' has ended")]
    Gone(String),
    /// Whoever took our frames takes no more.
    #[error("the process that hosts '{0}' has closed it: nobody takes frames any more")]
    Ended(String),
    /// A share of ours that is closed, or whose source has ended.
    #[error("the share '{0}' is closed: nobody can join it any more")]
    Closed(String),
    /// The other side does not speak as it must.
    #[error("the other process broke the protocol: {0}")]
    Protocol(String),
    /// A frame that does not come from this share, or was told already.
    #[error("expected a frame of this share, told once, but received another")]
    NotOurs,
    /// Nothing came within the time that a greeting may take.
    #[error("'{0}' did not answer in time")]
    Timeout(String),
    /// No end of a share.
    #[error("expected an end that invite() has made and this process has inherited as fd {fd}, but it is {what}")]
    NoInvitation {
        /// Its number.
        fd: u32,
        /// What it is instead.
        what: String,
    },
    /// An end of a share that was joined by it already.
    #[error("the end of a share at fd {0} was used already: each is good for one process, once")]
    UsedInvitation(u32),
    /// Too many ends are out.
    #[error("{most} ends of '{name}' are out and unused, as many as may: close those that no child has taken")]
    Invitations {
        /// The share.
        name: String,
        /// How many may be.
        most: usize,
    },
    /// The caller has cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Shared memory.
    #[error(transparent)]
    Arena(#[from] beamline_arena::Error),
    /// A frame whose planes do not fit its slots.
    #[error("the other process told of a frame that cannot be: {0}")]
    Frame(#[from] FrameError),
    /// An entry that cannot be read.
    #[error("the other process told of a frame that cannot be: {0}")]
    Message(#[from] MessageError),
    /// What the system says.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn os(what: impl Into<String>, errno: impl Into<std::io::Error>) -> Self {
        Error::Os {
            what: what.into(),
            source: errno.into(),
        }
    }

    /// The shared code, by what the caller can do next.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Name(_) | Error::NotOurs => ErrorCode::InvalidConfig,
            Error::NotFound(_) | Error::NoInvitation { .. } => ErrorCode::NotFound,
            Error::Taken(_) | Error::UsedInvitation(_) => ErrorCode::Busy,
            Error::Stranger(_) => ErrorCode::PermissionDenied,
            Error::Told(failure) => failure.code(),
            Error::Gone(_) => ErrorCode::DeviceLost,
            Error::Ended(_) | Error::Closed(_) => ErrorCode::InvalidState,
            Error::Protocol(_) | Error::Frame(_) | Error::Message(_) => ErrorCode::Data,
            Error::Timeout(_) => ErrorCode::Timeout,
            Error::Cancelled => ErrorCode::Aborted,
            Error::Arena(beamline_arena::Error::Foreign { .. }) => ErrorCode::Data,
            Error::Arena(_) | Error::Invitations { .. } => ErrorCode::Quota,
            Error::Os { source, .. } => ErrorCode::of_io(source.kind()),
        }
    }

    /// The finer class.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Error::Name(_) => "share-name",
            Error::NotOurs => "frame-of-another-share",
            Error::NotFound(_) => "no-such-share",
            Error::Taken(_) => "share-taken",
            Error::Stranger(_) => "share-of-another-user",
            Error::Told(failure) => &failure.reason,
            Error::Gone(_) => "owner-gone",
            Error::Ended(_) => "host-closed",
            Error::Closed(_) => "closed",
            Error::Protocol(_) | Error::Frame(_) | Error::Message(_) => "share-protocol",
            Error::Timeout(_) => "share-silent",
            Error::NoInvitation { .. } => "no-share-fd",
            Error::UsedInvitation(_) => "share-fd-used",
            Error::Invitations { .. } => "share-fds-out",
            Error::Cancelled => "cancelled",
            Error::Arena(beamline_arena::Error::Foreign { .. }) => "share-protocol",
            Error::Arena(_) => "shared-memory",
            Error::Os { .. } => "io",
        }
    }
}
