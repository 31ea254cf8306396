//! What is to be written.

use crate::Error;
use beamline_codec::{LatencyMode, strings};
use beamline_container::{CONTAINERS, ContainerInfo, container_for_name, container_for_slug};
use beamline_media::{EncodedKind, FrameInfo, Rational, Size};

/// Bits per second that make no sense above or below.
const BITRATES: std::ops::RangeInclusive<u64> = 1_000..=2_000_000_000;

/// How a file is written.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    /// Slug of the container; `None`: by the ending of the sink's name.
    pub container: Option<String>,
    /// In fragments (a crash leaves a playable file), or plain with the index in front.
    pub fragmented: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        OutputConfig {
            container: None,
            fragmented: true,
        }
    }
}

impl OutputConfig {
    pub(super) fn container_for(&self, name: &str) -> Result<&'static ContainerInfo, Error> {
        let found = match &self.container {
            Some(slug) => container_for_slug(slug),
            None => container_for_name(name),
        };
        found.ok_or_else(|| Error::Argument {
            name: "container",
            expected: format!(
                "one of {} (or a file name that ends so)",
                CONTAINERS.iter().map(|c| c.slug).collect::<Vec<_>>().join(", ")
            ),
            got: self.container.clone().unwrap_or_else(|| format!("'{name}'")),
        })
    }
}

/// A track of pictures to be encoded. What is `None` is taken from the first frame, or from the encoder's table of defaults.
#[derive(Clone, Debug, Default)]
pub struct VideoTrackConfig {
    /// Codec string (`avc1.640028`) or family (`h264`).
    pub codec: String,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub frame_rate: Option<Rational>,
    /// Bits per second.
    pub bitrate: Option<u64>,
    /// What matters more.
    pub latency_mode: LatencyMode,
    /// Encoder preset.
    pub preset: Option<String>,
    /// Most pictures from key picture to key picture.
    pub key_interval: Option<u32>,
    /// Threads of the encoder; 0 chooses.
    pub threads: u32,
    /// Frames that may wait for the encoder, at least 1.
    pub queue: usize,
}

impl VideoTrackConfig {
    /// The family, when everything that is said is possible.
    pub(super) fn check(&self) -> Result<EncodedKind, Error> {
        let parsed = strings::parse(&self.codec)?;
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if side.is_some_and(|s| s == 0 || s > beamline_media::MAX_DIMENSION) {
                return Err(Error::Argument {
                    name,
                    expected: format!("1 to {} pixels", beamline_media::MAX_DIMENSION),
                    got: side.unwrap_or_default().to_string(),
                });
            }
        }
        if let Some(bitrate) = self.bitrate
            && !BITRATES.contains(&bitrate)
        {
            return Err(Error::Argument {
                name: "bitrate",
                expected: format!("{} to {} bits per second", BITRATES.start(), BITRATES.end()),
                got: bitrate.to_string(),
            });
        }
        if let (Some(avc), Some(width), Some(height)) = (parsed.as_avc(), self.width, self.height) {
            // Known already; without a size the encoder says so at the first frame.
            let held = avc.holds(Size::new(width, height), self.frame_rate, self.bitrate);
            held.map_err(|exceeded| beamline_codec::Error::NotSupported {
                what: format!("encoding {}", self.codec),
                why: exceeded.to_string(),
            })?;
        }
        Ok(parsed.kind())
    }

    /// Whether a rate that nobody has said, but a frame's length suggests, is within the level that was asked for. It is a hint for rate
    /// control: one short first picture must not make a track impossible.
    pub(super) fn allows(&self, size: Size, rate: Rational) -> bool {
        let avc = strings::parse(&self.codec).ok().and_then(|parsed| parsed.as_avc());
        avc.is_none_or(|avc| avc.holds(size, Some(rate), None).is_ok())
    }

    /// The size to encode: what is said; one side alone scales the other as much; even, as 4:2:0 wants it, only when scaled.
    pub(super) fn size_for(&self, first: &FrameInfo) -> Size {
        let visible = first.visible.size();
        let even = |n: f64| ((n / 2.0).round() as u32 * 2).max(2);
        let (w, h) = (f64::from(visible.width), f64::from(visible.height));
        match (self.width, self.height) {
            (None, None) => visible,
            (Some(width), Some(height)) => Size::new(width, height),
            (Some(width), None) => Size::new(width, even(f64::from(width) * h / w)),
            (None, Some(height)) => Size::new(even(f64::from(height) * w / h), height),
        }
    }
}
