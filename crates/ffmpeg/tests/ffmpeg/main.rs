//! FFmpeg behind the traits, against the `ffmpeg` and `ffprobe` commands.
#![expect(unsafe_code, reason = "one test writes into a slot behind the encoder's back")]

mod damage;
mod decode;
mod encode;
mod fixtures;
mod lasting;
mod mux;
mod open;
mod own_files;
mod times;
