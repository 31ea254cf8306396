//! Compressed media.

use bytes::Bytes;
use serde::Serialize;

/// A family of compressed media by its slug: `h264`, `mjpeg`, `png`, `aac`, … The codec crate knows the full strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct EncodedKind(pub &'static str);

impl EncodedKind {
    /// H.264, length-prefixed or Annex B by the stream's description.
    pub const H264: EncodedKind = EncodedKind("h264");
    /// One JPEG per packet.
    pub const MJPEG: EncodedKind = EncodedKind("mjpeg");
    /// One PNG per packet.
    pub const PNG: EncodedKind = EncodedKind("png");
    /// Raw AAC frames with an AudioSpecificConfig in the description.
    pub const AAC: EncodedKind = EncodedKind("aac");
}

/// One compressed picture or block of sound. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The bytes.
    pub data: Bytes,
    /// When it is shown, in µs. After edit lists: may be negative for what is decoded but not shown.
    pub timestamp_us: Option<i64>,
    /// When it is decoded, in µs; differs with B-frames.
    pub decode_us: Option<i64>,
    /// How long it is shown, in µs.
    pub duration_us: Option<i64>,
    /// Whether decoding can begin here.
    pub key: bool,
    /// Which track of its container: the index in `Demuxer::tracks`, or in order of `Muxer::add_track`.
    pub track: usize,
    /// Whether it is only decoded, never shown (edit lists, priming).
    pub discard: bool,
    /// Samples to take off the start and the end of the decoded sound.
    pub trim: (u32, u32),
}

impl Packet {
    /// A packet of bytes with nothing else said.
    #[must_use]
    pub fn new(data: Bytes) -> Self {
        Packet {
            data,
            timestamp_us: None,
            decode_us: None,
            duration_us: None,
            key: false,
            track: 0,
            discard: false,
            trim: (0, 0),
        }
    }
}
