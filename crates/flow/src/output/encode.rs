//! The encode thread of one track of pictures.

use super::{config::VideoTrackConfig, mux::Item, prepare::Prepare, shared::Shared};
use crate::{
    Error, Runtime,
    channel::{Pop, Receiver, Sender},
};
use beamline_codec::{VideoEncoder, VideoEncoderConfig};
use beamline_container::{MuxTrack, TrackInfo, TrackKind, VideoInfo};
use beamline_media::{EncodedKind, Frame, Rational, TIMESTAMP_MAX_US};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A frame on its way to the encoder.
pub(super) struct Job {
    pub(super) frame: Frame,
    pub(super) key: bool,
}

/// What the track did so far; written by its thread alone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frames: AtomicU64,
    pub(super) packets: AtomicU64,
    pub(super) copies: AtomicU64,
    pub(super) encoder: OnceLock<(String, String)>,
}

pub(super) struct EncodeTrack {
    pub(super) runtime: Runtime,
    pub(super) config: VideoTrackConfig,
    pub(super) kind: EncodedKind,
    pub(super) counters: Arc<Counters>,
    pub(super) shared: Arc<Shared>,
}

/// The thread is idle for as long as nobody writes; this only bounds one sleep.
const IDLE: Duration = Duration::from_secs(3600);

impl EncodeTrack {
    /// The thread: ends with the track, or when nobody muxes any more.
    pub(super) fn run(self, frames: &Receiver<Job>, packets: &Sender<Item>) {
        packets.end(self.encode(frames, packets).map_err(|e| self.shared.fail(e)));
    }

    fn encode(&self, frames: &Receiver<Job>, packets: &Sender<Item>) -> Result<(), Error> {
        let Some(first) = next(frames)? else { return Ok(()) };
        let mut prepare = Prepare::new(&self.runtime, self.kind, &self.config, first.frame.info())?;
        let mut encoder = self.open(&prepare, &first.frame)?;
        let track = self.track(&*encoder, &prepare, &first.frame);
        if packets.push(Item::Format(Box::new(track))).is_err() {
            return Ok(());
        }
        let mut job = Some(first);
        loop {
            let done = job.is_none();
            if let Some(job) = job {
                let frame = prepare.frame(job.frame, &self.counters.copies)?;
                encoder.send(Some(&frame), job.key)?;
                self.counters.frames.fetch_add(1, Ordering::Relaxed);
            } else {
                encoder.send(None, false)?;
            }
            while let Some(packet) = encoder.receive()? {
                self.counters.packets.fetch_add(1, Ordering::Relaxed);
                if packets.push(Item::Packet(packet)).is_err() {
                    return Ok(());
                }
            }
            if done {
                return Ok(());
            }
            job = next(frames)?;
        }
    }

    fn open(&self, prepare: &Prepare, first: &Frame) -> Result<Box<dyn VideoEncoder>, Error> {
        let config = VideoEncoderConfig {
            kind: self.kind,
            codec: self.config.codec.clone(),
            format: prepare.format(),
            size: prepare.size(),
            color: prepare.color(),
            pixel_aspect: prepare.pixel_aspect(),
            frame_rate: self
                .config
                .frame_rate
                .or_else(|| rate_of(first).filter(|rate| self.config.allows(prepare.size(), *rate))),
            bitrate: self.config.bitrate,
            latency_mode: self.config.latency_mode,
            preset: self.config.preset.clone(),
            key_interval: self.config.key_interval,
            threads: self.config.threads,
            out_of_band: true,
        };
        let encoder = self.runtime.codecs.open_encoder(&config)?;
        let format = encoder.format();
        let _ = self
            .counters
            .encoder
            .set((format.encoder.clone(), format.codec.clone()));
        Ok(encoder)
    }

    fn track(&self, encoder: &dyn VideoEncoder, prepare: &Prepare, first: &Frame) -> MuxTrack {
        let format = encoder.format();
        MuxTrack {
            info: TrackInfo {
                id: 0,
                encoded: format.kind,
                codec: format.codec.clone(),
                description: format.description.clone(),
                kind: TrackKind::Video(VideoInfo {
                    coded: prepare.size(),
                    frame_rate: self.config.frame_rate.or_else(|| rate_of(first)),
                    color: prepare.color(),
                    rotation: first.info().rotation,
                    pixel_aspect: Some(prepare.pixel_aspect()),
                }),
                time_base: Rational::ONE,
                start_us: None,
                duration_us: None,
                bitrate: self.config.bitrate,
                packets: None,
                language: None,
            },
            time_base: None,
        }
    }
}

/// The rate that the first frame's length suggests.
fn rate_of(first: &Frame) -> Option<Rational> {
    let us = first.info().duration_us.filter(|us| (500..=10_000_000).contains(us))?;
    Rational::from_rate(1e6 / us as f64)
}

fn next(frames: &Receiver<Job>) -> Result<Option<Job>, Error> {
    loop {
        match frames.pop_timeout(IDLE) {
            Pop::Item(job) => return check(job).map(Some),
            Pop::Empty => {}
            Pop::End(None) => return Ok(None),
            Pop::End(Some(error)) => return Err(Error::again(&error)),
        }
    }
}

fn check(job: Job) -> Result<Job, Error> {
    match job.frame.info().timestamp_us {
        Some(us) if us.abs() <= TIMESTAMP_MAX_US => Ok(job),
        other => Err(Error::Argument {
            name: "frame.timestamp",
            expected: "a timestamp in µs: a file needs to know when a picture is shown".into(),
            got: format!("{other:?}"),
        }),
    }
}
