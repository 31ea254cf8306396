//! How decoders and encoders are set up. W3C names where W3C has one.

use beamline_media::{ColorSpace, EncodedKind, PixelFormat, Rational, Rotation, Size};
use bytes::Bytes;

/// What a decoder must know.
#[derive(Clone, Debug)]
pub struct VideoDecoderConfig {
    /// Family.
    pub kind: EncodedKind,
    /// Full codec string.
    pub codec: String,
    /// Out-of-band description (avcC, …).
    pub description: Option<Bytes>,
    /// Size of the pictures as the container says; the bitstream has the last word. 0×0: not known.
    pub coded: Size,
    /// Colour as the container says; fills what the bitstream leaves unsaid.
    pub color: ColorSpace,
    /// Rotation as the container says.
    pub rotation: Rotation,
    /// Shape of a pixel as the container says, which overrides the bitstream; `None`: as that says.
    pub pixel_aspect: Option<Rational>,
    /// Threads of the library; 0 chooses by the cores.
    pub threads: u32,
    /// Pictures at once, no frame threads.
    pub low_latency: bool,
}

impl VideoDecoderConfig {
    /// The least: a family, nothing else said.
    #[must_use]
    pub fn new(kind: EncodedKind) -> Self {
        VideoDecoderConfig {
            kind,
            codec: kind.0.to_owned(),
            description: None,
            coded: Size::default(),
            color: ColorSpace::UNSPECIFIED,
            rotation: Rotation::None,
            pixel_aspect: None,
            threads: 0,
            low_latency: false,
        }
    }
}

/// What matters more (W3C `LatencyMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatencyMode {
    /// The picture.
    #[default]
    Quality,
    /// The time.
    Realtime,
}

/// How an encoder is set up.
#[derive(Clone, Debug)]
pub struct VideoEncoderConfig {
    /// Family.
    pub kind: EncodedKind,
    /// Full codec string that was asked for (`avc1.640028`): gives profile and level. Empty: the encoder chooses.
    pub codec: String,
    /// Format of the pictures: one of the encoder's.
    pub format: PixelFormat,
    /// Size of the pictures (the visible part of what is sent).
    pub size: Size,
    /// Colour of the pictures, written into the stream.
    pub color: ColorSpace,
    /// Shape of a pixel, width to height, written into the stream.
    pub pixel_aspect: Rational,
    /// Pictures per second, for rate control; `None` with variable rate.
    pub frame_rate: Option<Rational>,
    /// Bits per second; `None`: constant quality, as in the table of defaults.
    pub bitrate: Option<u64>,
    /// What matters more.
    pub latency_mode: LatencyMode,
    /// Encoder preset (x264's names); `None`: as in the table of defaults.
    pub preset: Option<String>,
    /// Most pictures from key picture to key picture; `None`: as in the table of defaults.
    pub key_interval: Option<u32>,
    /// Threads of the library; 0 chooses by the cores.
    pub threads: u32,
    /// Packets length-prefixed with the parameter sets in the description (MP4), or Annex B with them in-band.
    pub out_of_band: bool,
}
