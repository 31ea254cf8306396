//! Containers without a container library: what a demuxer and a muxer must do, what a track is, and our own walk over the boxes of
//! MP4 files.
//!
//! A [`ContainerProvider`] (FFmpeg's is in `beamline-ffmpeg`) opens [`Demuxer`]s over `beamline_io` sources and [`Muxer`]s over sinks.
//! [`boxes`] tells whether an MP4 is whole, which FFmpeg does not.
//!
//! It decodes nothing and starts no threads.
//!
//! Start reading at `provider.rs`, then `track.rs`.

pub mod boxes;
mod error;
mod provider;
mod table;
mod track;

pub use crate::{
    error::Error,
    provider::{ContainerProvider, Demuxer, MuxTrack, Muxer, MuxerConfig},
    table::{CONTAINERS, ContainerInfo, container_for_name, container_for_slug},
    track::{AudioInfo, TrackInfo, TrackKind, VideoInfo},
};
