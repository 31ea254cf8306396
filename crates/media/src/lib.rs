//! The vocabulary of media, without I/O: pixel formats, colour, geometry, time, frames, packets, caps, error codes.
//!
//! A [`Frame`] is a picture whose planes lie in shared memory ([`beamline_arena`]); a [`Packet`] is compressed media. Everything
//! that areas exchange is one of the two, with [`Caps`] to say beforehand what will come.
//!
//! It reads no files, starts no threads, converts no pixels (that is `beamline-convert`).
//!
//! Start reading at `pixel.rs`, then `frame.rs`.

mod caps;
mod color;
mod error;
mod frame;
mod frame_pool;
mod geometry;
mod packet;
mod pixel;
mod time;

pub use crate::{
    caps::{Caps, MAX_DIMENSION, MAX_PIXELS},
    color::ColorSpace,
    error::{ErrorCode, FrameError},
    frame::{Frame, FrameInfo, FrameMut, Plane},
    frame_pool::{FramePool, Layout, PlaneLayout},
    geometry::{Rect, Rotation, Size, display_size},
    packet::{EncodedKind, Packet},
    pixel::{FormatInfo, Model, PLANES_MAX, PixelFormat, PlaneInfo},
    time::{Clock, Rational, SystemClock, TIMESTAMP_MAX_US},
};
