//! FFmpeg behind the traits, against the `ffmpeg` and `ffprobe` commands.

mod common;
mod damage;
mod decode;
mod encode;
mod mux;
mod open;
