//! A media file to be read: tracks, and any number of cursors over them.
//!
//! ```text
//! ByteSource ─ Demuxer ─ packets ─┬─ PacketStream                    (one thread per cursor)
//!                                 └─ VideoDecoder ─ pace ─ FrameStream
//! ```
//!
//! Each cursor has a demuxer, a decoder and a thread of its own over the same source, so two loops may run side by side.

mod cursor;
mod open;
mod pace;
mod stream;

pub use cursor::{FramesOptions, Pace, PacketsOptions};
pub use open::{Input, InputOptions};
pub(crate) use pace::Pacer;
pub use stream::{FrameStream, PacketStream, StreamStats};
