//! Bytes in and out, with cancellation. Knows no media.
//!
//! A [`ByteSource`] is read at offsets by several readers at once; a [`ByteSink`] is written by one. [`Cancel`] ends any wait in
//! this house. Sources: [`FileSource`], [`BytesSource`], [`CallbackSource`] (somebody else's thread answers). Sinks: [`FileSink`],
//! [`CallbackSink`], [`MemorySink`].
//!
//! It starts no threads and has no network yet (HTTP ranges come with the netcam issue, behind a feature).
//!
//! Start reading at `source.rs`.

mod callback;
mod cancel;
mod error;
mod file_sink;
mod sink;
mod source;

pub use crate::{
    callback::{CallbackSink, CallbackSource, Reply, SinkRequest},
    cancel::{Cancel, CancelHook},
    error::{Error, Failure},
    file_sink::FileSink,
    sink::{ByteSink, MemorySink},
    source::{ByteSource, BytesSource, FileSource},
};
