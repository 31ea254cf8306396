//! What `listDevices` tells.

use beamline_media::{EncodedKind, PixelFormat, Rational, Size};
use serde::Serialize;

/// A device that could be opened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceInfo {
    /// Opens it as `device`; unique, and the same after a re-plug.
    pub id: String,
    /// [`crate::Backend::kind`].
    pub kind: &'static str,
    /// For people.
    pub name: String,
    /// Where it is plugged in, where that means something.
    pub bus: Option<String>,
    /// What it can give, best first.
    pub formats: Vec<FormatOffer>,
}

/// One form in which a device can give its pictures: any size from `min_size` to `max_size`, any rate between the two.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FormatOffer {
    /// Raw pixels of this format, or
    pub pixel_format: Option<PixelFormat>,
    /// packets of this codec.
    pub encoded: Option<EncodedKind>,
    /// The smallest picture.
    pub min_size: Size,
    /// The largest; the same as the smallest for a fixed size.
    pub max_size: Size,
    /// Pictures per second, slowest.
    pub min_frame_rate: Rational,
    /// Pictures per second, fastest.
    pub max_frame_rate: Rational,
}
