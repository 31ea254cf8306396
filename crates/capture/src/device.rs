//! What `listDevices` and `watchDevices` tell.

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

/// What has become of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeType {
    /// It can be opened now.
    Added,
    /// It offers something else now.
    Changed,
    /// It is gone.
    Removed,
}

/// A change of what can be opened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceChange {
    /// What has become of it.
    #[serde(rename = "type")]
    pub change: ChangeType,
    /// The device as it is now, or was last.
    pub device: DeviceInfo,
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
