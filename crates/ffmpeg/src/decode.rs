//! Decoders: packets in, frames in slots out.
//!
//! Packets go in with a running number as their time, so that repeated, missing and odd timestamps come back exactly
//! (`ring.rs`). Damaged packets give concealed pictures where the decoder can; pictures before the first point from which decoding
//! is whole are not shown (`AV_CODEC_FLAG_OUTPUT_CORRUPT` is off, as in the `ffmpeg` command).

use crate::{
    buffer::{self, Nursery},
    color, error, log, pixel, raii,
    ring::{Ring, Times},
    scale, sys as ff, table, tracks,
};
use beamline_codec::{Error, VideoDecoder, VideoDecoderConfig};
use beamline_media::{ColorSpace, Frame, FrameInfo, FramePool, MAX_PIXELS, Model, Packet, PixelFormat, Rational, Size};
use std::{
    ffi::c_int,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// More threads than these do not help one decoder, and each frame thread holds a picture.
const MAX_THREADS: usize = 4;

/// One decoder.
#[derive(Debug)]
pub(crate) struct Decoder {
    // Dropped before the nursery, which its callbacks use.
    codec: raii::Codec,
    nursery: Arc<Nursery>,
    packet: raii::Packet,
    frame: raii::Frame,
    ring: Ring,
    config: VideoDecoderConfig,
    drained: bool,
    copies: Arc<AtomicU64>,
}

impl Decoder {
    pub(crate) fn open(
        config: &VideoDecoderConfig,
        pool: Arc<FramePool>,
        copies: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        log::install();
        let row = table::decoder_row(config.kind);
        let Some((row, codec)) = row.and_then(|row| table::decoder_of(row).map(|codec| (row, codec))) else {
            return Err(Error::NotSupported {
                what: format!("decoding {}", config.kind.0),
                why: "it is not on the list of decoders that may be used, or this FFmpeg lacks it".into(),
            });
        };
        let mut codec = raii::Codec::new(codec)?;
        let nursery = Arc::new(Nursery::new(pool));
        if let Some(description) = &config.description {
            codec.set_extradata(description)?;
        }
        set_up(&codec, config, row, &nursery);
        let options = raii::Dict::new().with("apply_cropping", "0");
        codec.open(options.with("max_pixels", &MAX_PIXELS.to_string()), "open the decoder")?;
        Ok(Decoder {
            codec,
            nursery,
            packet: raii::Packet::new()?,
            frame: raii::Frame::new()?,
            ring: Ring::default(),
            config: config.clone(),
            drained: false,
            copies,
        })
    }

    fn fill(&mut self, packet: &Packet) -> Result<(), Error> {
        let code = self.packet.fill(&packet.data);
        if code < 0 {
            return Err(error::codec(self.codec.name(), "take a packet", code));
        }
        let number = self.ring.push(Times {
            timestamp: packet.timestamp_us,
            duration: packet.duration_us,
        });
        // SAFETY: the packet is ours and was just filled.
        unsafe {
            let raw = self.packet.ptr();
            (*raw).pts = number;
            (*raw).dts = ff::NOPTS;
            let flags = [(packet.key, ff::KEY), (packet.discard, ff::DISCARD)];
            (*raw).flags = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).sum();
        }
        Ok(())
    }

    /// What went wrong, in our words: a failed allocation counts more than what FFmpeg made of it.
    fn failure(&self, code: c_int, action: &'static str) -> Error {
        if let Some(failure) = self.nursery.take_failure() {
            return failure.into();
        }
        match code {
            ff::AVERROR_INVALIDDATA | error::INVALID | ff::AVERROR_PATCHWELCOME => Error::Data {
                what: format!("a packet of {}", self.config.kind.0),
                detail: error::text(code),
            },
            _ => error::codec(self.codec.name(), action, code),
        }
    }

    fn take_frame(&mut self) -> Result<Frame, Error> {
        let frame = self.frame.ptr();
        // SAFETY: avcodec_receive_frame has just filled the frame.
        let (number, size, visible) = unsafe { ((*frame).pts, buffer::frame_size(frame), buffer::visible(frame)) };
        let times = self.ring.find(number);
        let mut info = FrameInfo::new(PixelFormat::I420, size);
        info.visible = visible;
        info.timestamp_us = times.timestamp;
        info.duration_us = times.duration;
        info.rotation = self.config.rotation;
        // SAFETY: as above.
        unsafe {
            let said = self.config.pixel_aspect;
            info.pixel_aspect = said
                .or_else(|| tracks::rational((*frame).sample_aspect_ratio))
                .unwrap_or(Rational::ONE);
            let format = (*frame).format;
            info.color = self.color(frame, format);
            if let Some((rotation, flip)) = turn(frame) {
                (info.rotation, info.flip) = (rotation, flip);
            }
            if let Some((format, _)) = pixel::ours(format) {
                info.format = format;
                if let Some(shared) = buffer::to_frame(&self.nursery, frame, info) {
                    return Ok(shared?);
                }
            }
            self.copies.fetch_add(1, Ordering::Relaxed);
            scale::into_slot(frame, info, self.nursery.pool())
        }
    }

    /// Colour: what the bitstream says, then what its format means, then what the container says.
    ///
    /// # Safety
    /// `frame` is valid.
    unsafe fn color(&self, frame: *const ff::AVFrame, format: c_int) -> ColorSpace {
        // SAFETY: the caller's promise.
        let mut said = unsafe { color::of_frame(frame) };
        if pixel::says_full_range(format) {
            said.full_range = Some(true);
        }
        let model = match pixel::ours(format) {
            Some((ours, _)) => ours.info().model,
            None => ff::pixel_format(format)
                .and_then(pixel::nearest)
                .map_or(Model::Yuv, |(ours, _)| ours.info().model),
        };
        match model {
            Model::Rgb => ColorSpace {
                matrix: 0,
                full_range: Some(true),
                ..said.or(self.config.color).or(ColorSpace::SRGB)
            },
            Model::Gray => said.or(self.config.color).or(ColorSpace {
                full_range: Some(true),
                ..ColorSpace::UNSPECIFIED
            }),
            Model::Yuv => said.or(self.config.color),
        }
    }
}

/// Fields of the context that are not options.
fn set_up(codec: &raii::Codec, config: &VideoDecoderConfig, row: &table::DecoderRow, nursery: &Arc<Nursery>) {
    let (threads, kind) = threads(config, row.frame_threads);
    // SAFETY: the context is ours and not opened yet. `opaque` stays valid: the decoder keeps the nursery until the context is gone.
    unsafe {
        let ctx = codec.ptr();
        (*ctx).opaque = Arc::as_ptr(nursery).cast_mut().cast();
        (*ctx).get_buffer2 = Some(buffer::get_buffer);
        (*ctx).pkt_timebase = ff::MICROS;
        (*ctx).thread_count = threads;
        (*ctx).thread_type = kind;
        if config.low_latency {
            (*ctx).flags |= ff::AV_CODEC_FLAG_LOW_DELAY as c_int;
        }
        // As the `ffmpeg` command does: some streams are cropped by what the container says.
        if config.coded != Size::default() {
            (*ctx).width = c_int::try_from(config.coded.width).unwrap_or(0);
            (*ctx).height = c_int::try_from(config.coded.height).unwrap_or(0);
        }
        #[cfg(not(ffmpeg_6_0))]
        {
            // Unset, 5.1 calls back on one thread only (build-and-border.md, trap 3).
            (*ctx).thread_safe_callbacks = 1;
        }
    }
}

/// Threads and their kind. Frame threads add a picture of delay each: never with low latency.
fn threads(config: &VideoDecoderConfig, frames: bool) -> (c_int, c_int) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = match config.threads {
        0 => cores.min(MAX_THREADS),
        asked => asked.min(64) as usize,
    };
    let (frame, slice) = (ff::FF_THREAD_FRAME as c_int, ff::FF_THREAD_SLICE as c_int);
    let kind = if frames && !config.low_latency {
        frame | slice
    } else {
        slice
    };
    (count as c_int, kind)
}

/// Turning that the bitstream itself asks for (SEI, EXIF).
///
/// # Safety
/// `frame` is valid.
unsafe fn turn(frame: *const ff::AVFrame) -> Option<(beamline_media::Rotation, bool)> {
    let kind = ff::AVFrameSideDataType::AV_FRAME_DATA_DISPLAYMATRIX;
    // SAFETY: the caller's promise; side data lives as long as the frame and holds `size` bytes.
    let bytes = unsafe {
        let data = ff::av_frame_get_side_data(frame, kind).as_ref()?;
        std::slice::from_raw_parts(data.data, data.size)
    };
    color::of_matrix(bytes)
}

impl VideoDecoder for Decoder {
    fn send(&mut self, packet: Option<&Packet>) -> Result<(), Error> {
        if self.drained {
            self.reset();
        }
        let raw = match packet {
            // An empty packet would mean the end.
            Some(packet) if packet.data.is_empty() => {
                return Err(Error::Data {
                    what: format!("a packet of {}", self.config.kind.0),
                    detail: "it is empty".into(),
                });
            }
            Some(packet) => {
                self.fill(packet)?;
                self.packet.ptr()
            }
            None => {
                self.drained = true;
                std::ptr::null_mut()
            }
        };
        // SAFETY: the context is open; the packet is ours, or null for the end.
        let code = unsafe { ff::avcodec_send_packet(self.codec.ptr(), raw) };
        self.packet.unref();
        match code {
            0.. | ff::AVERROR_EOF => Ok(()),
            code => Err(self.failure(code, "decode")),
        }
    }

    fn receive(&mut self) -> Result<Option<Frame>, Error> {
        // SAFETY: context and frame are ours; the frame is overwritten.
        let code = unsafe { ff::avcodec_receive_frame(self.codec.ptr(), self.frame.ptr()) };
        match code {
            0.. => {
                let frame = self.take_frame();
                self.frame.unref();
                frame.map(Some)
            }
            error::AGAIN | ff::AVERROR_EOF => Ok(None),
            code => Err(self.failure(code, "decode")),
        }
    }

    fn reset(&mut self) {
        self.codec.flush();
        self.ring.clear();
        self.drained = false;
    }
}
