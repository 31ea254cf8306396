//! What JavaScript says about frames, read and checked: words about them, and where planes lie in its buffers.

use crate::{error::BindingError, frame_layout::color_from};
use beamline_flow::Error;
use beamline_media::{ErrorCode, FrameError, FrameInfo, PLANES_MAX, PixelFormat, Rect, Rotation, Size};
use serde::Deserialize;

/// Where bytes are to go, as `copyTo` says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CopySpec {
    pub(crate) format: Option<usize>,
    pub(crate) rect: [u32; 4],
    pub(crate) color: Option<[i32; 4]>,
    pub(crate) layout: Vec<[usize; 2]>,
}

/// A frame made from bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BytesSpec {
    pub(crate) format: usize,
    pub(crate) coded: [u32; 2],
    pub(crate) layout: Vec<[usize; 2]>,
    #[serde(flatten)]
    pub(crate) words: Words,
}

/// What may be said anew about a frame; `None` leaves it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Words {
    pub(crate) visible: Option<[u32; 4]>,
    pub(crate) rotation: Option<f64>,
    pub(crate) flip: Option<bool>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) duration: Option<i64>,
    pub(crate) no_duration: Option<bool>,
    pub(crate) color: Option<[i32; 4]>,
}

impl Words {
    pub(crate) fn put_on(&self, info: &mut FrameInfo) {
        if let Some([x, y, width, height]) = self.visible {
            info.visible = Rect { x, y, width, height };
        }
        if let Some(degrees) = self.rotation {
            info.rotation = Rotation::from_degrees(degrees);
        }
        info.flip = self.flip.unwrap_or(info.flip);
        info.timestamp_us = self.timestamp.or(info.timestamp_us);
        info.duration_us = if self.no_duration == Some(true) {
            None
        } else {
            self.duration.or(info.duration_us)
        };
        info.color = self.color.map_or(info.color, color_from);
    }
}

pub(crate) fn format_from(index: usize) -> Result<PixelFormat, BindingError> {
    PixelFormat::ALL.get(index).copied().ok_or_else(|| {
        BindingError::new(
            ErrorCode::InvalidConfig,
            "invalid-argument",
            format!("there is no pixel format number {index}"),
        )
    })
}

pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, BindingError> {
    serde_json::from_str(json).map_err(|e| BindingError::options(&e))
}

fn layout_error(format: PixelFormat, got: usize) -> BindingError {
    Error::from(FrameError::PlaneCount {
        format,
        expected: format.plane_count(),
        got,
    })
    .into()
}

/// Ranges of the planes in a buffer of `have` bytes.
fn ranges(
    format: PixelFormat,
    size: Size,
    layout: &[[usize; 2]],
    have: usize,
) -> Result<Vec<(usize, usize, usize)>, BindingError> {
    if layout.len() != format.plane_count() {
        return Err(layout_error(format, layout.len()));
    }
    let mut ranges = Vec::with_capacity(PLANES_MAX);
    for (plane, &[offset, stride]) in layout.iter().enumerate() {
        let row_bytes = format.row_bytes(plane, size.width);
        if stride < row_bytes {
            return Err(Error::from(FrameError::Stride {
                plane,
                row_bytes,
                stride,
            })
            .into());
        }
        let need = stride
            .saturating_mul(format.rows(plane, size.height).saturating_sub(1))
            .saturating_add(row_bytes);
        let end = offset.saturating_add(need);
        if end > have {
            return Err(Error::from(FrameError::Plane {
                plane,
                format,
                size,
                need,
                offset,
                have,
            })
            .into());
        }
        ranges.push((offset, end, stride));
    }
    Ok(ranges)
}

pub(crate) fn shared_planes<'a>(
    data: &'a [u8],
    format: PixelFormat,
    size: Size,
    layout: &[[usize; 2]],
) -> Result<Vec<(&'a [u8], usize)>, BindingError> {
    Ok(ranges(format, size, layout, data.len())?
        .into_iter()
        .map(|(a, b, stride)| (&data[a..b], stride))
        .collect())
}

/// Cuts a buffer into planes that may be written at the same time: they must not overlap.
pub(crate) fn split<'a>(
    into: &'a mut [u8],
    format: PixelFormat,
    size: Size,
    layout: &[[usize; 2]],
) -> Result<Vec<(&'a mut [u8], usize)>, BindingError> {
    let ranges = ranges(format, size, layout, into.len())?;
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|i| ranges[*i].0);
    let mut planes: Vec<Option<(&mut [u8], usize)>> = ranges.iter().map(|_| None).collect();
    let (mut rest, mut begin) = (into, 0);
    for i in order {
        let (from, to, stride) = ranges[i];
        if from < begin {
            return Err(BindingError::new(
                ErrorCode::InvalidConfig,
                "invalid-argument",
                "the planes of `layout` overlap",
            ));
        }
        let (plane, after) = std::mem::take(&mut rest)[from - begin..].split_at_mut(to - from);
        planes[i] = Some((plane, stride));
        (rest, begin) = (after, to);
    }
    Ok(planes.into_iter().flatten().collect())
}
