//! One reader's way through a file: demux, decode, choose, pace, hand over.

use super::pace::Pacer;
use crate::{Error, Policy, Runtime, channel::Sender, held::Credits};
use beamline_codec::{Error as CodecError, VideoDecoder, VideoDecoderConfig};
use beamline_container::{Demuxer, Error as ContainerError, TrackInfo, VideoInfo};
use beamline_io::{ByteSource, Cancel};
use beamline_media::{Frame, FramePool, Packet};
use std::sync::Arc;

/// How fast frames come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken.
    #[default]
    Fast,
    /// At their own speed.
    Realtime,
}

/// Which frames, and how.
#[derive(Clone, Debug)]
pub struct FramesOptions {
    /// The first frame whose end lies after this time, in µs.
    pub from_us: Option<i64>,
    /// Up to, not including, the first frame that begins at or after this time, in µs.
    pub to_us: Option<i64>,
    /// How fast.
    pub pace: Pace,
    /// Frames that may wait, at least 1.
    pub queue: usize,
    /// What happens when that many wait.
    pub policy: Policy,
    /// Threads of the decoder; 0 chooses.
    pub threads: u32,
}

impl Default for FramesOptions {
    fn default() -> Self {
        FramesOptions {
            from_us: None,
            to_us: None,
            pace: Pace::Fast,
            queue: 8,
            policy: Policy::Block,
            threads: 0,
        }
    }
}

/// Which packets.
#[derive(Clone, Debug)]
pub struct PacketsOptions {
    /// From the last key packet at or before this time, in µs.
    pub from_us: Option<i64>,
    /// Up to, not including, the first packet that is decoded at or after this time, in µs.
    pub to_us: Option<i64>,
    /// Packets that may wait, at least 1.
    pub queue: usize,
}

impl Default for PacketsOptions {
    fn default() -> Self {
        PacketsOptions {
            from_us: None,
            to_us: None,
            queue: 64,
        }
    }
}

/// Where a cursor's frames go.
pub(crate) struct Sink {
    sender: Sender<Frame>,
    credits: Arc<Credits>,
}

/// Why a cursor stops before the end without an error.
enum Stop {
    Enough,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Failed(error.into())
    }
}

impl Sink {
    pub(crate) fn new(sender: Sender<Frame>, credits: Arc<Credits>) -> Self {
        Sink { sender, credits }
    }

    /// Waits until the user has closed enough frames, then hands one over.
    fn put(&self, frame: Frame) -> Result<(), Stop> {
        if self.credits.exhausted() {
            self.sender.wait(|| !self.credits.exhausted());
        }
        self.sender.push(frame).map_err(|_| Stop::Enough)
    }
}

pub(crate) struct Cursor {
    pub(super) demuxer: Option<Box<dyn Demuxer>>,
    pub(super) runtime: Runtime,
    pub(super) source: Arc<dyn ByteSource>,
    pub(super) track: usize,
    pub(super) info: TrackInfo,
    pub(super) incomplete: Option<String>,
    pub(super) recover: bool,
    pub(super) cancel: Cancel,
}

impl Cursor {
    pub(super) fn open_decoder(
        runtime: &Runtime,
        info: &TrackInfo,
        video: &VideoInfo,
        options: &FramesOptions,
        pool: Arc<FramePool>,
    ) -> Result<Box<dyn VideoDecoder>, Error> {
        let config = VideoDecoderConfig {
            codec: info.codec.clone(),
            description: info.description.clone(),
            coded: video.coded,
            color: video.color,
            rotation: video.rotation,
            pixel_aspect: video.pixel_aspect,
            threads: options.threads,
            ..VideoDecoderConfig::new(info.encoded)
        };
        Ok(runtime.codecs.open_decoder(&config, pool)?)
    }

    /// The cursor's thread, for frames.
    pub(super) fn run_frames(mut self, mut decoder: Box<dyn VideoDecoder>, sink: &Sink, options: &FramesOptions) {
        let cancel = self.cancel.clone();
        let how = self.frames(&mut *decoder, sink, options);
        // The decoder's slots go before the last word, so that who saw the end also sees the memory.
        drop(decoder);
        sink.sender.end(outcome(how, &cancel));
    }

    fn frames(&mut self, decoder: &mut dyn VideoDecoder, sink: &Sink, options: &FramesOptions) -> Result<(), Stop> {
        let mut demuxer = self.demuxer()?;
        if let Some(from) = options.from_us {
            demuxer.seek(self.track, from)?;
        }
        let nominal = self
            .info
            .video()
            .and_then(|v| v.frame_rate)
            .map_or(0, |rate| rate.nth_us(1));
        let mut chosen = Chosen {
            options,
            nominal,
            pacer: Pacer::new(Arc::clone(&self.runtime.clock)),
            sink,
            cancel: &self.cancel,
        };
        loop {
            if sink.sender.is_gone() {
                return Err(Stop::Enough);
            }
            let packet = self.read(&mut *demuxer)?;
            let done = packet.is_none();
            if packet.as_ref().is_some_and(|p| p.track != self.track) {
                continue;
            }
            if let Err(e) = decoder.send(packet.as_ref()) {
                self.forgive(e.into())?;
            }
            loop {
                match decoder.receive() {
                    Ok(Some(frame)) => chosen.offer(frame)?,
                    Ok(None) => break,
                    Err(e) => self.forgive(e.into())?,
                }
            }
            if done {
                return self.at_end();
            }
        }
    }

    /// The cursor's thread, for packets.
    pub(super) fn run_packets(mut self, sender: Sender<Packet>, options: &PacketsOptions) {
        let cancel = self.cancel.clone();
        let how = self.packets(&sender, options);
        sender.end(outcome(how, &cancel));
    }

    fn packets(&mut self, sender: &Sender<Packet>, options: &PacketsOptions) -> Result<(), Stop> {
        let mut demuxer = self.demuxer()?;
        if let Some(from) = options.from_us {
            demuxer.seek(self.track, from)?;
        }
        loop {
            let Some(packet) = self.read(&mut *demuxer)? else {
                return self.at_end();
            };
            if packet.track != self.track {
                continue;
            }
            let at = packet.decode_us.or(packet.timestamp_us);
            if options.to_us.is_some_and(|to| at.is_some_and(|at| at >= to)) {
                return Ok(());
            }
            sender.push(packet).map_err(|_| Stop::Enough)?;
        }
    }

    fn demuxer(&mut self) -> Result<Box<dyn Demuxer>, Error> {
        let mut demuxer = match self.demuxer.take() {
            Some(demuxer) => demuxer,
            None => self.runtime.containers.open(Arc::clone(&self.source), &self.cancel)?,
        };
        demuxer.select(&[self.track]);
        Ok(demuxer)
    }

    /// The file's end, as far as FFmpeg can tell: our own walk over its boxes knows whether there should have been more.
    fn at_end(&self) -> Result<(), Stop> {
        match &self.incomplete {
            Some(detail) if !self.recover => Err(self.truncated(detail).into()),
            _ => Ok(()),
        }
    }

    fn truncated(&self, detail: &str) -> ContainerError {
        ContainerError::Truncated {
            name: self.source.name().to_owned(),
            detail: detail.to_owned(),
        }
    }

    /// The next packet; the end, too, where the data is damaged and the end is to be told by [`Cursor::at_end`].
    fn read(&self, demuxer: &mut dyn Demuxer) -> Result<Option<Packet>, Stop> {
        match demuxer.read() {
            Ok(packet) => Ok(packet),
            Err(e) => self.forgive(e.into()).map(|()| None),
        }
    }

    /// Passes over an error in the data when recovering, and in a file that is known to end too early: what can be decoded comes first,
    /// then [`Cursor::at_end`] says what is missing.
    fn forgive(&self, error: Error) -> Result<(), Stop> {
        let data = matches!(
            &error,
            Error::Codec(CodecError::Data { .. })
                | Error::Container(ContainerError::Data { .. } | ContainerError::Truncated { .. })
        );
        if data && (self.recover || self.incomplete.is_some()) {
            Ok(())
        } else {
            Err(error.into())
        }
    }
}

/// Which of the decoded frames go out, and when.
struct Chosen<'a> {
    options: &'a FramesOptions,
    /// Length of a frame that does not say its own, in µs.
    nominal: i64,
    pacer: Pacer,
    sink: &'a Sink,
    cancel: &'a Cancel,
}

impl Chosen<'_> {
    fn offer(&mut self, frame: Frame) -> Result<(), Stop> {
        let info = frame.info();
        if let Some(at) = info.timestamp_us {
            let end = at + info.duration_us.unwrap_or(self.nominal);
            if self.options.from_us.is_some_and(|from| end <= from && at < from) {
                return Ok(());
            }
            if self.options.to_us.is_some_and(|to| at >= to) {
                return Err(Stop::Enough);
            }
            if self.options.pace == Pace::Realtime
                && !self.pacer.wait_for(at, self.cancel, &|| self.sink.sender.is_gone())
            {
                return Err(Stop::Enough);
            }
        }
        self.sink.put(frame)
    }
}

fn outcome(how: Result<(), Stop>, cancel: &Cancel) -> Result<(), Error> {
    match how {
        Ok(()) | Err(Stop::Enough) if !cancel.is_cancelled() => Ok(()),
        Err(Stop::Failed(error)) if !cancel.is_cancelled() => Err(error),
        _ => Err(Error::Cancelled),
    }
}
