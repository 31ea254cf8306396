//! Encoders: frames out of slots, packets out.
//!
//! A frame is wrapped, not copied (`buffer.rs`); libx264 reads it within `send`. Encoders want times that rise, so what they get is
//! the timestamp moved up where it does not; what comes out has the exact timestamp and duration that went in (`ring.rs`).

use crate::{
    buffer, color, error, h264, log, pixel, raii,
    ring::{Ring, Times},
    sys as ff, table, x264,
};
use beamline_codec::{EncodedFormat, Error, VideoEncoder, VideoEncoderConfig, framing::annexb_to_length_prefixed};
use beamline_media::{Frame, Packet};
use std::ffi::c_int;

/// A step back of more than this begins anew, so that rate control does not starve until the old time is reached again.
const JUMP_US: i64 = 1_000_000;

/// One encoder.
#[derive(Debug)]
pub(crate) struct Encoder {
    codec: raii::Codec,
    config: VideoEncoderConfig,
    format: EncodedFormat,
    packet: raii::Packet,
    times: Rising,
    ring: Ring,
    drained: bool,
    /// The encoder itself gives start codes where lengths are wanted.
    convert: bool,
}

impl Encoder {
    pub(crate) fn open(config: &VideoEncoderConfig) -> Result<Self, Error> {
        log::install();
        let Some((name, codec)) = table::encoder_of(config.kind) else {
            return Err(Error::NotSupported {
                what: format!("encoding {}", config.kind.0),
                why: format!(
                    "this FFmpeg has no encoder for it that we use ({})",
                    table::encoder_names(config.kind).join(", ")
                ),
            });
        };
        check(config, name)?;
        let mut codec = raii::Codec::new(codec)?;
        set_up(&codec, config)?;
        // SAFETY: the context was just made for this encoder and is ours.
        let options = unsafe { x264::set_up(codec.ptr(), name, config) }?;
        codec.open(options, "open the encoder")?;
        let record = h264::record(codec.extradata())?;
        check_level(config, record.level)?;
        let description = if config.out_of_band {
            Some(record.build()?.into())
        } else {
            None
        };
        let format = EncodedFormat {
            kind: config.kind,
            codec: record.codec_string().to_string(),
            description,
            encoder: name.to_owned(),
        };
        let rate = config.frame_rate.unwrap_or(x264::RATE);
        Ok(Encoder {
            codec,
            config: config.clone(),
            format,
            packet: raii::Packet::new()?,
            times: Rising::new(rate.nth_us(1)),
            ring: Ring::default(),
            drained: false,
            convert: config.out_of_band && name != "libx264",
        })
    }

    /// The frame must be what was configured.
    fn check_frame(&self, frame: &Frame) -> Result<(), Error> {
        let info = frame.info();
        if info.format != self.config.format || info.visible.size() != self.config.size {
            return Err(Error::Config {
                expected: format!("pictures of {} {}", self.config.format, self.config.size),
                got: format!("one of {} {}", info.format, info.visible.size()),
            });
        }
        if self.drained {
            return Err(Error::Config {
                expected: "no picture after the end".into(),
                got: "one".into(),
            });
        }
        Ok(())
    }

    fn take_packet(&mut self) -> Result<Packet, Error> {
        // SAFETY: avcodec_receive_packet has just filled the packet.
        let (pts, dts, flags) = unsafe {
            let packet = &*self.packet.ptr();
            (packet.pts, packet.dts, packet.flags)
        };
        let data = if self.convert {
            annexb_to_length_prefixed(self.packet.as_ref()).into()
        } else {
            self.packet.take_bytes()?
        };
        let times = self.ring.find(pts);
        let mut packet = Packet::new(data);
        packet.timestamp_us = times.timestamp;
        packet.duration_us = times.duration;
        // What was moved for the encoder is moved back, so that without reordering both times are the same.
        let moved = times.timestamp.map_or(0, |timestamp| pts.wrapping_sub(timestamp));
        packet.decode_us = match dts {
            ff::NOPTS => None,
            dts if dts == pts => times.timestamp,
            dts => Some(dts.saturating_sub(self.times.offset.min(moved))),
        };
        packet.key = flags & ff::KEY != 0;
        Ok(packet)
    }
}

/// x264's presets. It prints to stderr about others.
const PRESETS: &[&str] = &[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
];

/// Only what the encoder takes, before it says so less clearly.
fn check(config: &VideoEncoderConfig, name: &str) -> Result<(), Error> {
    let expect = |good: bool, expected: String, got: String| {
        if good {
            Ok(())
        } else {
            Err(Error::Config { expected, got })
        }
    };
    let formats = x264::formats(name);
    expect(
        formats.contains(&config.format) || x264::rare_formats(name).contains(&config.format),
        format!("pictures of one of {formats:?}"),
        config.format.to_string(),
    )?;
    let size = config.size;
    let (x, y) = config
        .format
        .info()
        .planes
        .iter()
        .fold((1, 1), |(x, y), p| (p.sub_x.max(x), p.sub_y.max(y)));
    expect(
        size.width > 0
            && size.height > 0
            && size.width.is_multiple_of(u32::from(x))
            && size.height.is_multiple_of(u32::from(y)),
        format!("a width that is a multiple of {x} and a height that is one of {y}"),
        size.to_string(),
    )?;
    let sides = 16_384;
    expect(
        size.width <= sides && size.height <= sides,
        format!("sides of at most {sides} pixels"),
        size.to_string(),
    )?;
    if let Some(preset) = config.preset.as_deref() {
        expect(
            PRESETS.contains(&preset),
            format!("one of the presets {}", PRESETS.join(", ")),
            format!("'{preset}'"),
        )?;
    }
    expect(config.bitrate != Some(0), "a bitrate above 0".into(), "0".into())?;
    let rate = config.frame_rate.map_or(30.0, beamline_media::Rational::as_f64);
    expect(
        (0.01..=1000.0).contains(&rate),
        "a frame rate of 0.01 to 1000".into(),
        rate.to_string(),
    )?;
    let Some(wanted) = h264::wanted(&config.codec)? else {
        return Ok(());
    };
    // A decoder that was chosen by the string must be able to play what comes (WebCodecs: such a config is not supported).
    let held = wanted.avc.holds(size, config.frame_rate, config.bitrate);
    held.map_err(|exceeded| Error::NotSupported {
        what: format!("encoding {}", config.codec),
        why: exceeded.to_string(),
    })
}

/// Whether the level that the encoder has written is no higher than the one that was asked for.
fn check_level(config: &VideoEncoderConfig, written: u8) -> Result<(), Error> {
    let asked = h264::wanted(&config.codec)?.map(|wanted| wanted.avc.level);
    match asked.filter(|asked| written > *asked) {
        Some(asked) => Err(Error::NotSupported {
            what: format!("encoding {}", config.codec),
            why: format!("the encoder needs level {written}/10, not {asked}/10, for it"),
        }),
        None => Ok(()),
    }
}

/// Fields that every encoder of pictures needs.
fn set_up(codec: &raii::Codec, config: &VideoEncoderConfig) -> Result<(), Error> {
    let Some(format) = pixel::av(config.format) else {
        return Err(error::codec(codec.name(), "open the encoder", error::INVALID));
    };
    // SAFETY: the context is ours and not opened yet.
    unsafe {
        let ctx = codec.ptr();
        (*ctx).width = config.size.width as c_int;
        (*ctx).height = config.size.height as c_int;
        (*ctx).pix_fmt = format;
        (*ctx).time_base = ff::MICROS;
        (*ctx).sample_aspect_ratio = buffer::aspect(config.pixel_aspect);
        ff::enum_set!((*ctx).color_range, color::range(&config.color));
        ff::enum_set!((*ctx).color_primaries, c_int::from(config.color.primaries));
        ff::enum_set!((*ctx).color_trc, c_int::from(config.color.transfer));
        ff::enum_set!((*ctx).colorspace, c_int::from(config.color.matrix));
    }
    Ok(())
}

/// Times that always rise, made of times that need not.
#[derive(Debug)]
struct Rising {
    last: Option<i64>,
    /// Added to what comes, after a jump back.
    offset: i64,
    /// One picture at the expected rate.
    step: i64,
}

impl Rising {
    fn new(step: i64) -> Self {
        Rising {
            last: None,
            offset: 0,
            step: step.max(1),
        }
    }

    fn next(&mut self, timestamp: Option<i64>) -> i64 {
        let next = match (self.last, timestamp) {
            (None, None) => 0,
            (None, Some(timestamp)) => timestamp,
            (Some(last), None) => last.saturating_add(self.step),
            (Some(last), Some(timestamp)) => {
                let mut moved = timestamp.saturating_add(self.offset);
                if moved < last.saturating_sub(JUMP_US) {
                    self.offset = last.saturating_add(self.step).saturating_sub(timestamp);
                    moved = timestamp.saturating_add(self.offset);
                }
                moved.max(last.saturating_add(1))
            }
        };
        self.last = Some(next);
        next
    }
}

impl VideoEncoder for Encoder {
    fn send(&mut self, frame: Option<&Frame>, key: bool) -> Result<(), Error> {
        let wrapped = match frame {
            Some(frame) => {
                self.check_frame(frame)?;
                Some(buffer::from_frame(frame)?)
            }
            None => None,
        };
        if let (Some(wrapped), Some(frame)) = (&wrapped, frame) {
            let info = frame.info();
            let pts = self.times.next(info.timestamp_us);
            self.ring.put(
                pts,
                Times {
                    timestamp: info.timestamp_us,
                    duration: info.duration_us,
                },
            );
            let kind = if key {
                ff::AVPictureType::AV_PICTURE_TYPE_I
            } else {
                ff::AVPictureType::AV_PICTURE_TYPE_NONE
            };
            // SAFETY: the wrapped frame is new and ours.
            unsafe {
                (*wrapped.ptr()).pts = pts;
                (*wrapped.ptr()).pict_type = kind;
            }
        } else {
            self.drained = true;
        }
        let raw = wrapped.as_ref().map_or(std::ptr::null_mut(), raii::Frame::ptr);
        // SAFETY: the context is open; the frame is ours, or null for the end. FFmpeg takes references of its own.
        match unsafe { ff::avcodec_send_frame(self.codec.ptr(), raw) } {
            0.. | ff::AVERROR_EOF => Ok(()),
            code => Err(error::codec(self.codec.name(), "encode", code)),
        }
    }

    fn receive(&mut self) -> Result<Option<Packet>, Error> {
        // SAFETY: context and packet are ours; the packet is overwritten.
        match unsafe { ff::avcodec_receive_packet(self.codec.ptr(), self.packet.ptr()) } {
            0.. => {
                let packet = self.take_packet();
                self.packet.unref();
                packet.map(Some)
            }
            error::AGAIN | ff::AVERROR_EOF => Ok(None),
            code => Err(error::codec(self.codec.name(), "encode", code)),
        }
    }

    fn format(&self) -> &EncodedFormat {
        &self.format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rise_whatever_comes() {
        let mut times = Rising::new(40_000);
        let given = [
            Some(0),
            Some(40),
            Some(40),
            Some(30),
            None,
            Some(100_000),
            Some(-5_000_000),
            Some(-4_960_000),
        ];
        let got: Vec<i64> = given.into_iter().map(|t| times.next(t)).collect();
        assert_eq!(got, [0, 40, 41, 42, 40_042, 100_000, 140_000, 180_000]);
    }
}
