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
    /// Somebody else's callback failed, in its own words.
    #[error("reading or writing '{name}' failed: {message}")]
    Callback {
        /// Its name.
        name: String,
        /// The words of the failure.
        message: String,
    },
}

impl Error {
    /// The system's kind of error, where it was the system.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Os { source, .. } => source.kind(),
            Error::Cancelled => ErrorKind::Interrupted,
            Error::NotSeekable { .. } => ErrorKind::Unsupported,
            Error::Callback { .. } => ErrorKind::Other,
        }
    }

    pub(crate) fn os(action: &'static str, name: &str) -> impl FnOnce(std::io::Error) -> Self {
        let name = name.to_owned();
        move |source| Error::Os { action, name, source }
    }
}
