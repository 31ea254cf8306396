//! Light in: backends that give frames or packets from devices, patterns and files, behind one trait.
//!
//! A [`Request`] says what is wanted, as an object or as a URL. A [`Registry`] finds the [`Backend`] for it, which opens a
//! [`Source`]; one thread of somebody else's (`flow`) then calls [`Source::next`] until it ends.
//!
//! It decodes nothing (packets stay packets), converts nothing, starts no threads and knows no queues: that is `flow`. It may use
//! media, io, convert and link.
//!
//! Start reading at `backend.rs`, then `backends/mod.rs` for the table of all backends.

mod backend;
pub mod backends;
mod context;
mod control;
mod device;
mod error;
mod pace;
mod registry;
mod request;

pub use crate::{
    backend::{Backend, DeviceWatch, Event, HandOver, Hosting, Source, SourceStats},
    backends::pattern::counter::{Stamp, counter_cell, read_counter},
    context::Context,
    control::{ControlInfo, ControlKind, ControlValue, Controls},
    device::{ChangeType, DeviceChange, DeviceInfo, FormatOffer},
    error::Error,
    registry::Registry,
    request::Request,
};
