//! Codecs without a codec library: strings, configurations, bitstream framing, and the traits that workers implement.
//!
//! A [`CodecProvider`] (FFmpeg's is in `beamline-ffmpeg`) opens [`VideoDecoder`]s and [`VideoEncoder`]s; a [`Registry`] is the value
//! that the composition root fills with providers and passes down.
//!
//! It links nothing, starts no threads and knows no containers.
//!
//! Start reading at `worker.rs`, then `strings.rs`.

mod config;
mod defaults;
mod error;
pub mod framing;
mod registry;
pub mod strings;
mod worker;

pub use crate::{
    config::{LatencyMode, VideoDecoderConfig, VideoEncoderConfig},
    defaults::{ENCODER_DEFAULTS, EncoderDefaults},
    error::Error,
    registry::Registry,
    worker::{CodecProvider, EncodedFormat, Image, ImageKind, VideoDecoder, VideoEncoder},
};
