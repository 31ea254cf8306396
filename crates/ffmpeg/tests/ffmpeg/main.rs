//! FFmpeg behind the traits, against the `ffmpeg` and `ffprobe` commands.
#![expect(unsafe_code, reason = "one test writes into a slot behind the encoder's back")]

mod common;
mod damage;
mod decode;
mod encode;
mod mux;
mod open;
