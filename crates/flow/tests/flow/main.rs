//! Inputs, outputs, captures and stills with FFmpeg underneath.
#![expect(clippy::unwrap_used, reason = "a test may fall over: that is how it fails")]
#![expect(clippy::print_stdout, reason = "times that a test pins are printed")]

#[path = "../support/mod.rs"]
mod support;

mod damaged;
mod devices;
mod full_disk;
mod input;
mod interleave;
mod order;
mod output;
mod reserve;
mod sequence;
mod session;
mod share;
mod sinks;
mod stills;
