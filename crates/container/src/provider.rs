//! What a container library must be able to do for us. All of it runs on a thread that the caller owns.

use crate::{Error, TrackInfo, table::ContainerInfo};
use beamline_io::{ByteSink, ByteSource, Cancel};
use beamline_media::{Packet, Rational};
use std::{fmt::Debug, sync::Arc};

/// Reads packets from one source, from front to back, with a position of its own.
pub trait Demuxer: Send {
    /// The container's slug as the library knows it (`mp4`, `matroska`, …).
    fn format(&self) -> &str;

    /// The tracks, in the order of the file.
    fn tracks(&self) -> &[TrackInfo];

    /// The longest track's length in µs, when known.
    fn duration_us(&self) -> Option<i64>;

    /// The next packet of any track that was not switched off, in file order; `None` at the end.
    ///
    /// Times are those of the presentation: edit lists and priming are taken into account.
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::Truncated`], [`Error::Io`].
    fn read(&mut self) -> Result<Option<Packet>, Error>;

    /// Which tracks to read: packets of the others are skipped as early as the library can.
    fn select(&mut self, tracks: &[usize]);

    /// Goes to the last key packet of `track` at or before `to_us` (the first one, when there is none).
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::Io`], [`Error::NotSupported`] for sources that only go forward.
    fn seek(&mut self, track: usize, to_us: i64) -> Result<(), Error>;
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub struct MuxerConfig {
    /// Which container.
    pub container: &'static ContainerInfo,
    /// In fragments, so that a crash leaves a playable file; else the plain form with the index in front.
    pub fragmented: bool,
}

/// A track to be written.
#[derive(Clone, Debug)]
pub struct MuxTrack {
    /// What it is; `description`, sizes and rates are taken from here.
    pub info: TrackInfo,
    /// Unit of its times in the file; `None`: the muxer chooses (a multiple of the frame rate, the sample rate).
    pub time_base: Option<Rational>,
}

/// Writes packets into one sink.
pub trait Muxer: Send {
    /// A further track, before [`Muxer::start`]; gives its number for [`Packet::track`].
    ///
    /// # Errors
    /// [`Error::NotSupported`] when the container cannot hold it; [`Error::Config`].
    fn add_track(&mut self, track: &MuxTrack) -> Result<usize, Error>;

    /// All tracks are known: begins the file.
    ///
    /// # Errors
    /// [`Error::Library`], [`Error::Io`].
    fn start(&mut self) -> Result<(), Error>;

    /// Writes one packet. Packets of one track come in decoding order; the tracks are interleaved by the caller, roughly by time.
    ///
    /// # Errors
    /// [`Error::Order`], [`Error::Config`], [`Error::Library`], [`Error::Io`] (a full disk).
    fn write(&mut self, packet: &Packet) -> Result<(), Error>;

    /// Completes the file.
    ///
    /// # Errors
    /// [`Error::Library`], [`Error::Io`].
    fn finish(&mut self) -> Result<(), Error>;

    /// Gives up: lets go of the sink, keeping what is playable. True when something playable is there (a whole fragment); else the
    /// sink was discarded.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn abort(&mut self) -> Result<bool, Error>;

    /// Bytes given to the sink so far.
    fn bytes_written(&self) -> u64;

    /// Whole fragments that have reached the sink (0 in the plain form).
    fn fragments(&self) -> u64;
}

/// A container library.
pub trait ContainerProvider: Send + Sync + Debug {
    /// Opens a source and reads its index.
    ///
    /// # Errors
    /// [`Error::NotMedia`], [`Error::Truncated`], [`Error::NotSupported`], [`Error::Io`].
    fn open(&self, source: Arc<dyn ByteSource>, cancel: &Cancel) -> Result<Box<dyn Demuxer>, Error>;

    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::NotSupported`], [`Error::Library`].
    fn create(&self, sink: Box<dyn ByteSink>, config: &MuxerConfig, cancel: &Cancel) -> Result<Box<dyn Muxer>, Error>;
}
