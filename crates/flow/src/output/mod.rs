//! A media file to be written: frames are converted if they must be, encoded, interleaved with packets that come as they are, and
//! muxed into a sink.
//!
//! ```text
//! VideoWriter  ─[queue]─ encode thread ─┐
//! PacketWriter ─[queue]─────────────────┼─ mux thread: interleave → Muxer → ByteSink
//! Output::copy ─ cursor of an Input ────┘
//! ```
//!
//! The file begins when every track has its first word; it is complete when [`Output::close`] says so.

mod config;
mod encode;
mod mux;
mod open;
mod prepare;
mod shared;
mod writer;

pub use config::{OutputConfig, VideoTrackConfig};
pub use open::{Output, OutputStats};
pub use shared::Report;
pub use writer::{TrackWriter, Written};
