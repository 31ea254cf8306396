//! What this crate promises, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test may fall over: that is how it fails")]

mod accuracy;
mod bad_input;
mod pairs;
mod picture;
mod rotate;
mod scale;
