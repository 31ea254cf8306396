//! What tests need: a clock that they own, sources that misbehave on purpose, suites that hold every implementation of a trait to it.
//!
//! It is a dev-dependency only, and not a place for tests of one crate. It may use every crate but node. Instantiate the suites from
//! `tests/`, never from `#[cfg(test)]`: there a crate under test is another crate than the one that this one was built with.
//!
//! Start reading at `capture/conformance.rs`.

mod bytes;
pub mod capture;
mod clock;

pub use crate::{
    bytes::{FailingBytes, ShortReads, StallingBytes},
    clock::TestClock,
};
