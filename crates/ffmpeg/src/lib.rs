//! FFmpeg behind the codec and container traits: the only crate that links it.
//!
//! [`Ffmpeg`] implements [`beamline_codec::CodecProvider`] and [`beamline_container::ContainerProvider`]. Only what stands in the
//! table of allowed decoders and demuxers (`table.rs`) is ever opened. Decoders write straight into slots of the arena, encoders
//! read straight from them.
//!
//! It decides nothing about streams as a whole, starts no threads of its own (libraries do) and prints nothing: FFmpeg's log goes to
//! `tracing`, target `ffmpeg`.
//!
//! Start reading at `provider.rs`, then `buffer.rs`.
#![expect(
    unsafe_code,
    reason = "architecture.md §1: FFmpeg is C; this crate is where its pointers end"
)]

mod avio;
mod buffer;
mod color;
mod cut;
mod decode;
mod demux;
mod encode;
mod error;
mod front;
mod h264;
mod image;
mod info;
mod log;
mod mux;
mod mux_track;
mod pixel;
mod provider;
mod raii;
mod refusal;
mod ring;
mod scale;
mod sys;
mod table;
mod target;
mod tracks;
mod x264;

pub use crate::{
    info::{Info, Library, info},
    provider::{Ffmpeg, provider},
};
