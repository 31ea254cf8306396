//! Test pictures without hardware: `pattern:smpte?width=1920&height=1080&frameRate=60&live=false`.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `width`, `height` | 1280, 720 | any size that a frame can have |
//! | `frameRate` | 30 | above 0, up to 1000 |
//! | `format` | `i420` | one of [`layout::formats`] |
//! | `live` | `true` | paced by the clock, timestamps on it; `false`: as fast as they are taken, timestamps n / rate |
//! | `frames` | – | ends after so many |
//! | `counter` | `true` | burns number and timestamp into the picture: `counter.rs` |
//! | `color` | `#808080` | of `solid` |
//! | `seed` | 0 | of `noise` |
//!
//! The same request gives the same bytes (but for the counter of a live one, which tells the time). Colours are BT.709 in studio
//! range from 720 rows on, BT.601 below; RGB is full-range sRGB; grey is full-range luma; alpha is opaque.
//!
//! Start reading at `source.rs`; `pictures.rs` is the table of patterns.

pub mod color;
pub mod counter;
pub mod layout;
mod moving;
mod pictures;
mod source;
mod template;

use crate::{
    Backend, Context, DeviceInfo, Error, FormatOffer, Request, Source,
    request::{MAX_RATE, bad},
};
use beamline_media::{MAX_DIMENSION, Rational, Size};
use pictures::{PATTERNS, PatternKind};

/// The backend.
#[derive(Clone, Copy, Debug)]
pub struct Pattern;

/// What its URLs begin with.
const SCHEME: &str = "pattern:";

impl Backend for Pattern {
    fn slug(&self) -> &'static str {
        "pattern"
    }

    fn kind(&self) -> &'static str {
        "pattern"
    }

    fn examples(&self) -> &'static [&'static str] {
        &["pattern:smpte?width=1920&height=1080&frameRate=60"]
    }

    fn list(&self) -> Vec<DeviceInfo> {
        let device = |kind: &PatternKind| DeviceInfo {
            id: format!("{SCHEME}{}", kind.slug),
            kind: self.kind(),
            name: kind.name.into(),
            bus: None,
            formats: layout::formats().map(offer).collect(),
        };
        PATTERNS.iter().map(device).collect()
    }

    fn parse(&self, url: &str) -> Option<Result<Request, Error>> {
        url.starts_with(SCHEME).then(|| {
            let request = Request::from_url(url)?;
            find(&request.device)?;
            Ok(request)
        })
    }

    fn open(&self, request: &Request, context: &Context) -> Result<Box<dyn Source>, Error> {
        context.cancel.check()?;
        let kind = find(&request.device)?;
        Ok(Box::new(source::PatternSource::open(kind, request, context)?))
    }
}

fn offer(format: beamline_media::PixelFormat) -> FormatOffer {
    FormatOffer {
        pixel_format: Some(format),
        encoded: None,
        min_size: Size::new(1, 1),
        max_size: Size::new(MAX_DIMENSION, MAX_DIMENSION),
        min_frame_rate: Rational { num: 1, den: u32::MAX },
        max_frame_rate: Rational { num: MAX_RATE, den: 1 },
    }
}

fn find(device: &str) -> Result<&'static PatternKind, Error> {
    let name = device.strip_prefix(SCHEME).unwrap_or(device);
    let known = || PATTERNS.iter().map(|p| p.slug).collect();
    PATTERNS
        .iter()
        .find(|p| p.slug == name)
        .ok_or_else(|| Error::UnknownPattern {
            name: name.into(),
            known: known(),
        })
}

/// `#rrggbb`.
fn parse_color(text: &str) -> Result<color::Rgb, Error> {
    let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.is_ascii());
    let value = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
    // `from_str_radix` takes a sign.
    let value = value.filter(|_| text.bytes().skip(1).all(|b| b.is_ascii_hexdigit()));
    let [_, r, g, b] = value
        .ok_or_else(|| bad("color", "a colour as #rrggbb", text))?
        .to_be_bytes();
    Ok(color::Rgb([r, g, b].map(|v| f64::from(v) / 255.0)))
}
