//! What users hold: an [`Input`] (cursor → decode → frames), an [`Output`] (convert → encode → interleave → mux), a
//! [`CaptureSession`] (policies, decoding of packets, cache), a [`Share`] or a [`SharedOutput`] (frames for other processes), stills.
//!
//! It joins the traits of capture, codec, container, convert and io, and owns their threads, queues, credits and cancellation. It
//! knows neither FFmpeg nor JavaScript: both come in as values ([`Runtime`]) or sit on top.
//!
//! Every queue is a [`channel`](crate::channel()) with a named [`Policy`].
//!
//! Start reading at `runtime.rs`, then `input/cursor.rs`, `output/mod.rs`, `session/mod.rs`, `share/mod.rs`, `watch.rs`.

mod channel;
mod error;
mod held;
mod input;
mod output;
mod runtime;
mod session;
mod share;
mod still;
mod threads;
mod watch;

pub use crate::{
    channel::{Gone, Policy, Pop, Receiver, Refused, Sender, channel},
    error::Error,
    held::{Credits, Held, OPEN_FRAMES_MAX},
    input::{FrameStream, FramesOptions, Input, InputOptions, Pace, PacketStream, PacketsOptions, StreamStats},
    output::{Output, OutputConfig, OutputStats, Report, TrackWriter, VideoTrackConfig, Written},
    runtime::{Copies, Runtime},
    session::{CaptureOptions, CaptureSession, CaptureStats, HeldUp},
    share::{Patience, Share, ShareOptions, ShareStats, SharedOutput, SharedOutputStats, SharedTrackConfig},
    still::{convert_frame, copy_frame, encode_image},
    threads::Threads,
    watch::DeviceChanges,
};
