//! Why bytes do not come or go.

use std::io::ErrorKind;

/// An I/O error with what was tried on what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system said no.
    #[error("cannot {action} '{name}': {source}")]
    Os {
        /// "open", "read", "write", …
        action: &'static str,
        /// Path or other name.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The caller cancelled, or the other side of a callback is gone.
    #[error("the operation was cancelled")]
    Cancelled,
    /// The sink or source only goes forward.
    #[error("'{name}' cannot seek: it only goes forward")]
    NotSeekable {
        /// Its name.
        name: String,
    },
    /// Somebody else's callback failed.
    #[error("{} '{name}' failed: {failure}", if *.reading { "reading" } else { "writing" })]
    Callback {
        /// Its name.
        name: String,
        /// Whether it was to give bytes; else it was to take them.
        reading: bool,
        /// In its own words.
        failure: Failure,
    },
}

/// How a callback failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In its own words.
    pub message: String,
    /// Under which number the other side keeps what it has thrown.
    pub number: Option<u32>,
}

impl<T: Into<String>> From<T> for Failure {
    fn from(message: T) -> Self {
        Failure {
            message: message.into(),
            number: None,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error {
    /// The system's kind of error, where it was the system.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Os { source, .. } => source.kind(),
            Error::Cancelled => ErrorKind::Interrupted,
            Error::NotSeekable { .. } => ErrorKind::Unsupported,
            // Not a fault of ours: what gives wrong bytes, or takes none any more.
            Error::Callback { reading: true, .. } => ErrorKind::InvalidData,
            Error::Callback { reading: false, .. } => ErrorKind::BrokenPipe,
        }
    }

    /// The finer class, kebab-case.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match (self, self.kind()) {
            (Error::Callback { reading: true, .. }, _) => "read-failed",
            (Error::Callback { reading: false, .. }, _) => "write-failed",
            (_, ErrorKind::StorageFull) => "disk-full",
            (_, ErrorKind::NotFound) => "no-such-file",
            (_, ErrorKind::PermissionDenied) => "not-allowed",
            (_, ErrorKind::IsADirectory) => "is-a-directory",
            (_, ErrorKind::Interrupted) => "cancelled",
            _ => "io",
        }
    }

    pub(crate) fn os(action: &'static str, name: &str) -> impl FnOnce(std::io::Error) -> Self {
        let name = name.to_owned();
        move |source| Error::Os { action, name, source }
    }
}
