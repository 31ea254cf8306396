//! What threads have to say to JavaScript, and how a batch of it is written down.

use crate::error::BindingError;
use beamline_flow::{CaptureSession, Input, Share, SharedOutput};
use beamline_io::{Reply, SinkRequest};
use beamline_media::Frame;
use bytes::Bytes;
use napi::{Either, bindgen_prelude::Uint8Array};

/// One thing to say.
#[derive(Debug)]
pub(crate) enum Event {
    /// A stream has something, or has ended.
    Ready(f64),
    /// A writer has room, or nobody to write for.
    Room(f64),
    /// A capture's format has changed.
    Format(f64),
    /// A request is answered.
    Done {
        request: u32,
        outcome: Result<Outcome, BindingError>,
    },
    /// A source of JavaScript's is to be read.
    Read {
        source: u32,
        offset: u64,
        len: usize,
        reply: Reply<Bytes>,
    },
    /// A sink of JavaScript's is to be written.
    Sink {
        sink: u32,
        request: SinkRequest,
        reply: Reply<()>,
    },
    /// In development: JavaScript has stored into a frame of another process. Once per process.
    Stray,
}

/// What an answered request gives.
#[derive(Debug)]
pub(crate) enum Outcome {
    Json(String),
    Bytes(Bytes),
    Frame(Frame),
    Input(Input),
    Capture(CaptureSession),
    Share(Share),
    SharedOutput(SharedOutput),
}

/// A field of a batch.
pub(crate) type Field = Either<f64, Either<String, Uint8Array>>;

pub(crate) fn number(n: impl Into<f64>) -> Field {
    Either::A(n.into())
}

pub(crate) fn text(s: String) -> Field {
    Either::B(Either::A(s))
}

pub(crate) fn bytes(b: Vec<u8>) -> Field {
    Either::B(Either::B(Uint8Array::new(b)))
}

/// First field of each event, then its fields: `src/native/events.ts` has the same table.
pub(crate) mod kind {
    /// `[READY, stream]`
    pub(crate) const READY: f64 = 1.0;
    /// `[ROOM, writer]`
    pub(crate) const ROOM: f64 = 2.0;
    /// `[DONE, request, text]`
    pub(crate) const DONE: f64 = 3.0;
    /// `[FAILED, request, error as JSON]`
    pub(crate) const FAILED: f64 = 4.0;
    /// `[BYTES, request, bytes]`
    pub(crate) const BYTES: f64 = 5.0;
    /// `[READ, source, reply, offset, length]`
    pub(crate) const READ: f64 = 6.0;
    /// `[SINK, sink, reply, operation, bytes or number]`
    pub(crate) const SINK: f64 = 7.0;
    /// `[STRAY]`
    pub(crate) const STRAY: f64 = 8.0;
    /// `[FORMAT, capture]`
    pub(crate) const FORMAT: f64 = 9.0;
}
