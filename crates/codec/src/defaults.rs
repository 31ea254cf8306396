//! The one table of encoder defaults per `latencyMode`: what is not asked for is taken from here, and shown by `beamline doctor`
//! and in the guide.

use crate::config::LatencyMode;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderDefaults {
    /// Which mode.
    pub latency_mode: LatencyMode,
    /// x264 preset.
    pub preset: &'static str,
    /// x264 tune, where one is set.
    pub tune: Option<&'static str>,
    /// Rate factor when no bitrate is asked for (x264 `crf`).
    pub crf: f32,
    /// Seconds from key picture to key picture, at most (also the longest fragment of an MP4).
    pub key_interval_s: f32,
    /// B-pictures in a row, at most; `None` leaves it to the preset.
    pub b_frames: Option<u32>,
}

/// The table.
pub const ENCODER_DEFAULTS: &[EncoderDefaults] = &[
    EncoderDefaults {
        latency_mode: LatencyMode::Quality,
        preset: "medium",
        tune: None,
        crf: 23.0,
        key_interval_s: 1.0,
        b_frames: None,
    },
    EncoderDefaults {
        latency_mode: LatencyMode::Realtime,
        preset: "veryfast",
        tune: Some("zerolatency"),
        crf: 23.0,
        key_interval_s: 1.0,
        b_frames: Some(0),
    },
];

impl EncoderDefaults {
    /// The row of a mode.
    #[must_use]
    pub fn of(mode: LatencyMode) -> &'static Self {
        // The table has one row per mode, in order.
        &ENCODER_DEFAULTS[usize::from(mode == LatencyMode::Realtime)]
    }
}
