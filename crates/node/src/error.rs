//! Errors cross the border as values; TypeScript throws them, in one place.

use beamline_flow::Error;
use beamline_media::ErrorCode;
use napi::Either;
use napi_derive::napi;
use serde::Serialize;

/// An error on its way to JavaScript.
#[napi(object)]
#[derive(Clone, Debug, Serialize)]
pub struct BindingError {
    /// One of the shared codes.
    pub code: String,
    /// The finer class, kebab-case.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// What to do next, or nothing.
    pub hint: Option<String>,
    /// The number of what JavaScript itself has thrown: see `replyRead`.
    pub cause: Option<u32>,
}

/// A value or an error.
pub(crate) type BindingResult<T> = Either<T, BindingError>;

impl From<&Error> for BindingError {
    fn from(error: &Error) -> Self {
        BindingError {
            code: error.code().name().into(),
            reason: error.reason().into(),
            message: error.to_string(),
            hint: error.hint(),
            cause: error.failure(),
        }
    }
}

impl From<Error> for BindingError {
    fn from(error: Error) -> Self {
        (&error).into()
    }
}

impl BindingError {
    /// An error of the border itself.
    pub(crate) fn new(code: ErrorCode, reason: &str, message: impl Into<String>) -> Self {
        BindingError {
            code: code.name().into(),
            reason: reason.into(),
            message: message.into(),
            hint: None,
            cause: None,
        }
    }

    /// The number stands for nothing any more.
    pub(crate) fn closed(what: &str) -> Self {
        BindingError::new(ErrorCode::InvalidState, "closed", format!("{what} is closed"))
    }

    /// Options that TypeScript should have refused.
    pub(crate) fn options(error: &serde_json::Error) -> Self {
        BindingError::new(
            ErrorCode::InvalidConfig,
            "invalid-argument",
            format!("options cannot be read: {error}"),
        )
    }
}

/// From our results to the border's.
pub(crate) fn cross<T>(result: Result<T, BindingError>) -> BindingResult<T> {
    match result {
        Ok(value) => Either::A(value),
        Err(error) => Either::B(error),
    }
}
