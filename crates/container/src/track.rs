//! What a track is, before any of its packets is read.

use beamline_media::{ColorSpace, EncodedKind, Rational, Rotation, Size};
use bytes::Bytes;

/// What a track carries.
#[derive(Clone, Debug, PartialEq)]
pub enum TrackKind {
    /// Pictures.
    Video(VideoInfo),
    /// Sound.
    Audio(AudioInfo),
    /// Subtitles, data, …
    Other,
}

/// Pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoInfo {
    /// Size as the container says.
    pub coded: Size,
    /// Average pictures per second, when known.
    pub frame_rate: Option<Rational>,
    /// Colour as the container or the bitstream's header says.
    pub color: ColorSpace,
    /// How to turn it to be shown.
    pub rotation: Rotation,
    /// Shape of a pixel, width to height, as the container says, else the bitstream's header; `None` when neither does (square, mostly).
    pub pixel_aspect: Option<Rational>,
}

/// Sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioInfo {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Samples per packet, where fixed (AAC: 1024).
    pub frame_size: Option<u32>,
    /// Samples at the start that are decoded but not heard (encoder delay).
    pub priming: u32,
}

/// A track.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackInfo {
    /// The file's own number for it.
    pub id: u64,
    /// Family of its packets.
    pub encoded: EncodedKind,
    /// Full codec string (`avc1.4d401f`, `mp4a.40.2`), or the family where no string is known.
    pub codec: String,
    /// Out-of-band description (avcC, AudioSpecificConfig, …).
    pub description: Option<Bytes>,
    /// What it carries.
    pub kind: TrackKind,
    /// Unit of its times in the file, in seconds.
    pub time_base: Rational,
    /// When its first packet is shown, in µs, when known.
    pub start_us: Option<i64>,
    /// Its length in µs, when known.
    pub duration_us: Option<i64>,
    /// Its bits per second, when known.
    pub bitrate: Option<u64>,
    /// Number of packets as the index says, when it does.
    pub packets: Option<u64>,
    /// ISO 639-2 language, when said.
    pub language: Option<String>,
}

impl TrackInfo {
    /// The pictures' side, if it is a video track.
    #[must_use]
    pub fn video(&self) -> Option<&VideoInfo> {
        match &self.kind {
            TrackKind::Video(v) => Some(v),
            _ => None,
        }
    }

    /// The sound's side, if it is an audio track.
    #[must_use]
    pub fn audio(&self) -> Option<&AudioInfo> {
        match &self.kind {
            TrackKind::Audio(a) => Some(a),
            _ => None,
        }
    }
}
