//! For captures: devices that do as a test wants, and the suite that every backend must pass.

pub mod conformance;
mod fake;

pub use fake::FakeBackend;
