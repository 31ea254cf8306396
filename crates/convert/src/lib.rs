//! Pixels from one form to another: formats, colour matrix and range, scaling, turning.
//!
//! A [`Source`] and a [`Target`] are checked views of a frame or of raw planes; a [`Converter`] goes from one to the other and keeps
//! the buffers between. Any known format can be read and any of 8 bits written ([`supports`]): rows are read into single samples,
//! changed, and written, so that a format costs one reader and one writer and not a function per pair.
//!
//! Chroma is taken as it is stored: the nearest sample where there are fewer than pixels, the mean where pixels share one.
//! It manages no colours beyond matrix and range (no primaries, no transfer functions), and it counts no copies: each function
//! says how often it passes over a plane.
//!
//! Start reading at `view.rs`, then `route.rs`, then `kernel.rs`.

mod converter;
mod error;
mod kernel;
mod layout;
mod matrix;
mod read;
mod rotate;
mod route;
mod rows;
mod scale;
mod simd;
mod view;
mod write;

pub use crate::{
    converter::{Converter, Filter},
    error::Error,
    layout::supports,
    view::{Source, Target},
};
