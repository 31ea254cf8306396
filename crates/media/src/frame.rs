//! A picture in shared memory.

use crate::{
    FrameError, PLANES_MAX, PixelFormat, Rational,
    caps::{MAX_DIMENSION, MAX_PIXELS},
    color::ColorSpace,
    frame_pool::{Layout, PlaneLayout},
    geometry::{Rect, Rotation, Size, display_size},
};
use beamline_arena::{Lease, SlotMut};
use std::num::NonZeroU64;

/// What a picture is, besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// How its bytes mean pixels.
    pub format: PixelFormat,
    /// Size of the picture in memory, without padding of rows.
    pub coded: Size,
    /// The part to be shown, inside `coded`.
    pub visible: Rect,
    /// Shape of a pixel as it lies in memory, width to height; both above 0.
    pub pixel_aspect: Rational,
    /// How to turn it to be shown.
    pub rotation: Rotation,
    /// Whether to mirror it left to right after turning.
    pub flip: bool,
    /// How numbers become light.
    pub color: ColorSpace,
    /// When it is shown, in µs.
    pub timestamp_us: Option<i64>,
    /// How long, in µs.
    pub duration_us: Option<i64>,
    /// Which client of a share has handed it over, where it came from there and not from the source: its number at the owner's.
    pub handed_by: Option<NonZeroU64>,
}

impl FrameInfo {
    /// A picture of which all is visible, with nothing else said.
    #[must_use]
    pub fn new(format: PixelFormat, coded: Size) -> Self {
        FrameInfo {
            format,
            coded,
            visible: Rect::all(coded),
            pixel_aspect: Rational::ONE,
            rotation: Rotation::None,
            flip: false,
            color: ColorSpace::UNSPECIFIED,
            timestamp_us: None,
            duration_us: None,
            handed_by: None,
        }
    }

    /// How large it is when shown: the visible part in square pixels, turned (W3C `displayWidth` and `displayHeight`).
    #[must_use]
    pub fn display(&self) -> Size {
        display_size(self.visible.size(), self.pixel_aspect, self.rotation)
    }

    /// Whether size and visible rectangle are possible.
    ///
    /// # Errors
    /// [`FrameError::Size`], [`FrameError::Visible`].
    pub fn check(&self) -> Result<(), FrameError> {
        check_size(self.coded)?;
        if !self.visible.fits(self.coded) {
            return Err(FrameError::Visible {
                coded: self.coded,
                rect: self.visible,
            });
        }
        Ok(())
    }
}

pub(crate) fn check_size(size: Size) -> Result<(), FrameError> {
    let sides = 1..=MAX_DIMENSION;
    let possible = sides.contains(&size.width)
        && sides.contains(&size.height)
        && u64::from(size.width) * u64::from(size.height) <= MAX_PIXELS;
    possible.then_some(()).ok_or(FrameError::Size(size))
}

/// One plane: a lease, where it begins in the slot, bytes from row to row.
#[derive(Clone, Debug)]
pub struct Plane {
    /// The slot that holds it; planes of one frame may lie in several.
    pub lease: Lease,
    /// Bytes from the start of the slot to the first row.
    pub offset: usize,
    /// Bytes from one row to the next, at least a row.
    pub stride: usize,
}

impl Plane {
    /// The bytes from the first row on: `stride` times the rows, the last row without padding.
    #[must_use]
    pub fn bytes(&self, row_bytes: usize, rows: usize) -> &[u8] {
        // Checked when the frame was made (`Frame::new`).
        &self.lease.bytes()[self.offset..self.offset + span(self.stride, row_bytes, rows)]
    }
}

/// Bytes from the first byte of the first row to the last byte of the last.
fn span(stride: usize, row_bytes: usize, rows: usize) -> usize {
    stride * rows.saturating_sub(1) + row_bytes
}

/// A picture that is to be read. Clones share its memory; the last one to go frees it.
///
/// Up to four planes, each with a lease, an offset and a stride of its own.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Everything but the bytes; may be changed freely but for `format` and `coded`, which the planes were checked against.
    info: FrameInfo,
    planes: Planes,
}

#[derive(Clone, Debug)]
enum Planes {
    /// All in one slot: one lease, one count.
    One {
        lease: Lease,
        at: [(usize, usize); PLANES_MAX],
    },
    /// Any other way.
    Many(Vec<Plane>),
}

impl Frame {
    /// A frame of planes that lie anywhere.
    ///
    /// # Errors
    /// [`FrameError`] when sizes are impossible or a plane does not fit into its slot.
    pub fn new(info: FrameInfo, planes: Vec<Plane>) -> Result<Self, FrameError> {
        info.check()?;
        let expected = info.format.plane_count();
        if planes.len() != expected {
            return Err(FrameError::PlaneCount {
                format: info.format,
                expected,
                got: planes.len(),
            });
        }
        for (i, plane) in planes.iter().enumerate() {
            check_plane(&info, i, plane.offset, plane.stride, plane.lease.len())?;
        }
        let one = planes.iter().all(|p| p.lease.same_slot(&planes[0].lease));
        let planes = if one {
            let mut at = [(0, 0); PLANES_MAX];
            for (to, plane) in at.iter_mut().zip(&planes) {
                *to = (plane.offset, plane.stride);
            }
            Planes::One {
                lease: planes[0].lease.clone(),
                at,
            }
        } else {
            Planes::Many(planes)
        };
        Ok(Frame { info, planes })
    }

    /// A frame of planes that all lie in one slot, each at its offset and stride; those beyond the format's are not looked at. No allocation.
    ///
    /// # Errors
    /// [`FrameError`] when sizes are impossible or a plane does not fit into the slot.
    pub fn in_one_slot(info: FrameInfo, lease: Lease, at: [(usize, usize); PLANES_MAX]) -> Result<Self, FrameError> {
        info.check()?;
        for (i, (offset, stride)) in at.iter().enumerate().take(info.format.plane_count()) {
            check_plane(&info, i, *offset, *stride, lease.len())?;
        }
        let planes = Planes::One { lease, at };
        Ok(Frame { info, planes })
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &FrameInfo {
        &self.info
    }

    /// The same picture with other words about it. Format and coded size stay.
    #[must_use]
    pub fn with_info(mut self, change: impl FnOnce(&mut FrameInfo)) -> Self {
        let (format, coded) = (self.info.format, self.info.coded);
        change(&mut self.info);
        self.info.format = format;
        self.info.coded = coded;
        if !self.info.visible.fits(coded) {
            self.info.visible = Rect::all(coded);
        }
        self
    }

    /// Lease, offset and stride of plane `i`.
    ///
    /// # Panics
    /// When there is no such plane.
    #[must_use]
    pub fn plane(&self, i: usize) -> (&Lease, usize, usize) {
        match &self.planes {
            Planes::One { lease, at } => (lease, at[i].0, at[i].1),
            Planes::Many(planes) => (&planes[i].lease, planes[i].offset, planes[i].stride),
        }
    }

    /// How many planes.
    #[must_use]
    pub fn plane_count(&self) -> usize {
        self.info.format.plane_count()
    }

    /// The bytes of plane `i`, from its first row to the end of its last, and the stride.
    #[must_use]
    pub fn plane_bytes(&self, i: usize) -> (&[u8], usize) {
        let (lease, offset, stride) = self.plane(i);
        let format = self.info.format;
        let len = span(
            stride,
            format.row_bytes(i, self.info.coded.width),
            format.rows(i, self.info.coded.height),
        );
        // Checked when the frame was made.
        (&lease.bytes()[offset..offset + len], stride)
    }

    /// Row `y` of plane `i`, without padding.
    #[must_use]
    pub fn row(&self, i: usize, y: usize) -> &[u8] {
        let (bytes, stride) = self.plane_bytes(i);
        &bytes[y * stride..][..self.info.format.row_bytes(i, self.info.coded.width)]
    }

    /// The distinct slots that hold it.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        let (one, many) = match &self.planes {
            Planes::One { lease, .. } => (Some(lease), &[][..]),
            Planes::Many(planes) => (None, &planes[..]),
        };
        let distinct = many
            .iter()
            .enumerate()
            .filter(move |(i, p)| !many[..*i].iter().any(|before| before.lease.same_slot(&p.lease)))
            .map(|(_, p)| &p.lease);
        one.into_iter().chain(distinct)
    }

    /// The frame for writing, when nobody else holds its memory, no other process may write it, and it lies in one slot.
    ///
    /// # Errors
    /// The frame itself, unchanged: then copy it.
    pub fn try_into_mut(self) -> Result<FrameMut, Frame> {
        match self.planes {
            Planes::One { lease, at } => match lease.try_into_mut() {
                Ok(slot) => Ok(FrameMut {
                    info: self.info,
                    slot,
                    at,
                }),
                Err(lease) => Err(Frame {
                    info: self.info,
                    planes: Planes::One { lease, at },
                }),
            },
            planes => Err(Frame {
                info: self.info,
                planes,
            }),
        }
    }
}

/// Bytes that plane `i` spans, when they fit.
fn check_plane(info: &FrameInfo, i: usize, offset: usize, stride: usize, have: usize) -> Result<usize, FrameError> {
    let row_bytes = info.format.row_bytes(i, info.coded.width);
    let rows = info.format.rows(i, info.coded.height);
    if stride < row_bytes {
        return Err(FrameError::Stride {
            plane: i,
            row_bytes,
            stride,
        });
    }
    let need = stride.saturating_mul(rows - 1).saturating_add(row_bytes);
    if offset.checked_add(need).is_none_or(|end| end > have) {
        return Err(FrameError::Plane {
            plane: i,
            format: info.format,
            size: info.coded,
            need,
            offset,
            have,
        });
    }
    Ok(need)
}

/// A picture that is being written: nobody else sees it before [`FrameMut::freeze`].
#[derive(Debug)]
pub struct FrameMut {
    /// What it will be.
    info: FrameInfo,
    slot: SlotMut,
    at: [(usize, usize); PLANES_MAX],
}

impl FrameMut {
    /// A frame over a slot, laid out as `layout` says.
    ///
    /// # Errors
    /// [`FrameError`] when it does not fit.
    pub fn new(info: FrameInfo, slot: SlotMut, layout: &Layout) -> Result<Self, FrameError> {
        info.check()?;
        let mut at = [(0, 0); PLANES_MAX];
        let mut free = 0;
        for (i, to) in at.iter_mut().enumerate().take(info.format.plane_count()) {
            let PlaneLayout { offset, stride } = layout.planes[i];
            let need = check_plane(&info, i, offset, stride, slot.len())?;
            // They are written at the same time, so they come one behind the other.
            if offset < free {
                let (format, size) = (info.format, info.coded);
                return Err(FrameError::Plane {
                    plane: i,
                    format,
                    size,
                    need,
                    offset,
                    have: 0,
                });
            }
            free = offset + need;
            *to = (offset, stride);
        }
        Ok(FrameMut { info, slot, at })
    }

    /// What it will be.
    #[must_use]
    pub fn info(&self) -> &FrameInfo {
        &self.info
    }

    /// Changes words about it; format and coded size stay.
    pub fn set_info(&mut self, change: impl FnOnce(&mut FrameInfo)) {
        let (format, coded) = (self.info.format, self.info.coded);
        change(&mut self.info);
        self.info.format = format;
        self.info.coded = coded;
    }

    /// The bytes of plane `i`, from its first row to the end of its last, and the stride.
    pub fn plane_mut(&mut self, i: usize) -> (&mut [u8], usize) {
        let (offset, stride) = self.at[i];
        let format = self.info.format;
        let len = span(
            stride,
            format.row_bytes(i, self.info.coded.width),
            format.rows(i, self.info.coded.height),
        );
        (&mut self.slot[offset..offset + len], stride)
    }

    /// All planes at once (offset order is plane order), each with its stride.
    pub fn planes_mut(&mut self) -> Vec<(&mut [u8], usize)> {
        let format = self.info.format;
        let coded = self.info.coded;
        let mut rest: &mut [u8] = &mut self.slot;
        let mut begin = 0;
        let mut planes = Vec::with_capacity(format.plane_count());
        for (i, &(offset, stride)) in self.at.iter().enumerate().take(format.plane_count()) {
            let len = span(stride, format.row_bytes(i, coded.width), format.rows(i, coded.height));
            let (plane, after) = std::mem::take(&mut rest)[offset - begin..].split_at_mut(len);
            planes.push((plane, stride));
            rest = after;
            begin = offset + len;
        }
        planes
    }

    /// Shows it to others: from now on it is to be read.
    #[must_use]
    pub fn freeze(self) -> Frame {
        let mut info = self.info;
        if !info.visible.fits(info.coded) {
            info.visible = Rect::all(info.coded);
        }
        Frame {
            info,
            planes: Planes::One {
                lease: self.slot.freeze(),
                at: self.at,
            },
        }
    }
}
