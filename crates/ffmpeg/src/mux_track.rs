//! One track of a file that is being written: its unit, its packets as FFmpeg takes them.

use crate::{error, raii, sys as ff, tracks};
use beamline_container::{Error, MuxTrack, TrackKind};
use beamline_media::{Packet, Rational};
use std::ffi::c_int;

/// Unit of pictures without a rate.
const VIDEO_TIMESCALE: u32 = 90_000;
/// The least unit of pictures with a rate.
const LEAST_TIMESCALE: u32 = 10_000;

/// From where to where a track lasts.
#[derive(Clone, Copy, Debug)]
struct Span {
    decoded: i64,
    shown: i64,
    end: i64,
}

/// What is remembered of a track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) base: ff::AVRational,
    pub(crate) video: bool,
    /// Length of a packet that does not say its own, in µs.
    usual_us: Option<i64>,
    /// Decoding time of the last packet, in µs and in the track's unit.
    last_us: Option<i64>,
    pub(crate) last: Option<i64>,
    /// Where its first packet is decoded, its first picture shown and its last one ends, in the track's unit.
    span: Option<Span>,
    /// The last packet, not yet written: how long it lasts is only known when the next one comes. (FFmpeg takes it for the end of
    /// the track so far; with reordering and a variable rate that is not when the next picture is decoded.)
    pub(crate) held: Option<(raii::Packet, i64)>,
}

impl Track {
    /// A track in the unit that it is asked to have, or the one that suits it.
    pub(crate) fn new(track: &MuxTrack) -> Self {
        let base = time_base(track);
        Track {
            base: ff::AVRational {
                num: c_int::try_from(base.num).unwrap_or(1),
                den: c_int::try_from(base.den).unwrap_or(c_int::MAX),
            },
            video: track.info.video().is_some(),
            usual_us: usual_us(track),
            last_us: None,
            last: None,
            span: None,
            held: None,
        }
    }

    /// The packet for FFmpeg; its times in the track's unit, decoding time rising.
    pub(crate) fn fill(&mut self, packet: &Packet) -> Result<raii::Packet, Error> {
        let config = |expected: &str, got: String| Error::Config {
            expected: expected.into(),
            got,
        };
        let Some(shown) = packet.timestamp_us.or(packet.decode_us) else {
            return Err(config("a packet with a timestamp", "one without".into()));
        };
        let decoded = packet.decode_us.unwrap_or(shown);
        if let Some(before_us) = self.last_us.filter(|last| decoded < *last) {
            return Err(Error::Order {
                track: packet.track,
                before_us,
                at_us: decoded,
            });
        }
        let length = packet
            .duration_us
            .or(self.usual_us)
            .unwrap_or_else(|| decoded - self.last_us.unwrap_or(decoded));
        let mut dts = tracks::from_us(decoded, self.base);
        if let Some(last) = self.last {
            dts = dts.max(last + 1);
            // MP4 holds steps of 32 bits.
            if dts - last >= i64::from(i32::MAX) {
                return Err(Error::Gap {
                    track: packet.track,
                    before_us: self.last_us.unwrap_or_default(),
                    at_us: decoded,
                    most_us: tracks::to_us(i64::from(i32::MAX), self.base).unwrap_or(i64::MAX),
                });
            }
        }
        let mut filled = raii::Packet::new().map_err(|_| error::container_memory("take a packet"))?;
        let code = filled.fill(&packet.data);
        if code < 0 {
            return Err(error::container("libavcodec", "take a packet", code));
        }
        // SAFETY: the packet is ours and was just filled.
        unsafe {
            let raw = &mut *filled.ptr();
            raw.stream_index = packet.track as c_int;
            raw.dts = dts;
            raw.pts = tracks::from_us(shown, self.base).max(dts);
            // From end to end, so that rounding does not add up.
            raw.duration =
                (tracks::from_us(shown.saturating_add(length), self.base) - tracks::from_us(shown, self.base)).max(0);
            if packet.key {
                raw.flags |= ff::KEY;
            }
            if packet.discard {
                raw.flags |= ff::DISCARD;
            }
            put_trim(raw, packet.trim);
            let (shown, end) = (raw.pts, raw.pts.saturating_add(raw.duration));
            let span = self.span.get_or_insert(Span {
                decoded: dts,
                shown,
                end,
            });
            (span.shown, span.end) = (span.shown.min(shown), span.end.max(end));
        }
        self.last_us = Some(decoded);
        self.last = Some(dts);
        Ok(filled)
    }

    /// The held packet and when it is decoded, in µs; it lasts until `next`. The last one lasts until the track ends: FFmpeg adds up
    /// durations from the first decoding time on, which with reordering and a variable rate may end before the last picture does.
    ///
    /// In the plain form the end of the edit list is where the latest packet ends: none may seem to end behind the last picture.
    pub(crate) fn take(&mut self, next: Option<i64>, fragmented: bool) -> Option<(raii::Packet, i64)> {
        let (packet, at) = self.held.take()?;
        let span = self.span?;
        // SAFETY: the packet is ours.
        let raw = unsafe { &mut *packet.ptr() };
        if let Some(next) = next {
            let until = next - raw.dts;
            raw.duration = match fragmented {
                true => until,
                false => until.min((span.end - raw.pts).max(raw.duration)),
            };
        } else if self.video {
            let whole = span.decoded + (span.end - span.shown) - raw.dts;
            let beyond = match fragmented {
                true => 0,
                false => (raw.pts + whole - span.end).max(0),
            };
            if whole > beyond {
                raw.duration = whole - beyond;
                raw.dts += beyond;
            }
        }
        Some((packet, at))
    }
}

/// Samples to skip, as side data.
///
/// # Safety
/// `packet` is valid and nobody else's.
unsafe fn put_trim(packet: *mut ff::AVPacket, trim: (u32, u32)) {
    if trim == (0, 0) {
        return;
    }
    let mut bytes = [0; 10];
    bytes[..4].copy_from_slice(&trim.0.to_le_bytes());
    bytes[4..8].copy_from_slice(&trim.1.to_le_bytes());
    // SAFETY: the caller's promise; the new side data has as many bytes as asked for. Without memory it is left out: nothing that a
    // file's playability hangs on.
    unsafe {
        let data = ff::av_packet_new_side_data(packet, ff::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES, bytes.len());
        if !data.is_null() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
        }
    }
}

/// The unit of a track's times.
fn time_base(track: &MuxTrack) -> Rational {
    if let Some(base) = track.time_base {
        return base;
    }
    let den = match &track.info.kind {
        TrackKind::Audio(audio) => audio.sample_rate,
        TrackKind::Video(video) => match video.frame_rate {
            Some(rate) => {
                let times = LEAST_TIMESCALE.div_ceil(rate.num.max(1)).next_power_of_two();
                rate.num.saturating_mul(times)
            }
            None => VIDEO_TIMESCALE,
        },
        TrackKind::Other => VIDEO_TIMESCALE,
    };
    Rational {
        num: 1,
        den: den.max(1),
    }
}

/// Length of a packet that does not say its own, in µs.
fn usual_us(track: &MuxTrack) -> Option<i64> {
    match &track.info.kind {
        TrackKind::Video(video) => video.frame_rate.map(|rate| rate.nth_us(1)),
        TrackKind::Audio(audio) => {
            let samples = i64::from(audio.frame_size?);
            Some(samples * 1_000_000 / i64::from(audio.sample_rate.max(1)))
        }
        TrackKind::Other => None,
    }
}
