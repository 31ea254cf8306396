//! What is read and what is written: pictures in anybody's memory, checked once.

use crate::Error;
use beamline_media::{
    ColorSpace, Frame, FrameMut, MAX_DIMENSION, MAX_PIXELS, PLANES_MAX, PixelFormat, PlaneInfo, Rect, Size,
};

/// A picture to read: a frame, a part of one, or raw planes. Small and copied freely; owns nothing.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub(crate) format: PixelFormat,
    pub(crate) size: Size,
    pub(crate) color: ColorSpace,
    /// Height by which an unsaid matrix is guessed: that of the whole picture, not of the part or of a scaled copy.
    pub(crate) guess_height: u32,
    planes: [(&'a [u8], usize); PLANES_MAX],
}

/// A picture to write: a frame, or raw planes.
#[derive(Debug)]
pub struct Target<'a> {
    pub(crate) format: PixelFormat,
    pub(crate) size: Size,
    pub(crate) color: ColorSpace,
    pub(crate) guess_height: u32,
    planes: [(&'a mut [u8], usize); PLANES_MAX],
}

impl<'a> Source<'a> {
    /// The visible part of a frame.
    ///
    /// # Errors
    /// [`Error::Alignment`] when the visible rectangle begins inside a group of pixels that share their colour.
    pub fn of(frame: &'a Frame) -> Result<Self, Error> {
        Self::crop(frame, frame.info().visible)
    }

    /// A part of a frame, in pixels of its coded size.
    ///
    /// # Errors
    /// [`Error::Rect`], [`Error::Alignment`]: x and y are never rounded, that would move the picture.
    pub fn crop(frame: &'a Frame, rect: Rect) -> Result<Self, Error> {
        let info = frame.info();
        check_rect(info.format, info.coded, rect)?;
        let mut planes: [(&[u8], usize); PLANES_MAX] = Default::default();
        for (i, (to, p)) in planes.iter_mut().zip(info.format.info().planes).enumerate() {
            let (bytes, stride) = frame.plane_bytes(i);
            let begin = offset(p, rect, stride);
            let len = span(info.format, i, rect.size(), stride).unwrap_or(usize::MAX);
            *to = (&bytes[begin..begin + len], stride);
        }
        Ok(Source {
            format: info.format,
            size: rect.size(),
            color: info.color,
            guess_height: info.coded.height,
            planes,
        })
    }

    /// Raw planes, each from its first row on, with the bytes from row to row.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::PlaneCount`], [`Error::Stride`], [`Error::Plane`].
    pub fn from_planes(
        format: PixelFormat,
        size: Size,
        color: ColorSpace,
        planes: &[(&'a [u8], usize)],
    ) -> Result<Self, Error> {
        check_planes(
            format,
            size,
            planes.iter().map(|(bytes, stride)| (bytes.len(), *stride)),
        )?;
        let mut to: [(&[u8], usize); PLANES_MAX] = Default::default();
        to[..planes.len()].copy_from_slice(planes);
        Ok(Source {
            format,
            size,
            color,
            guess_height: size.height,
            planes: to,
        })
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Its size in pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// How its numbers become light.
    #[must_use]
    pub fn color(&self) -> ColorSpace {
        self.color
    }

    /// The matrix to compute with.
    pub(crate) fn matrix(&self) -> u8 {
        self.color.matrix_or_guess(self.guess_height)
    }

    /// Row `y` of plane `i`, without padding.
    #[inline]
    pub(crate) fn row(&self, i: usize, y: usize) -> &'a [u8] {
        let (bytes, stride) = self.planes[i];
        &bytes[y * stride..][..self.format.row_bytes(i, self.size.width)]
    }

    /// The bytes of plane `i` and its stride.
    pub(crate) fn plane(&self, i: usize) -> (&'a [u8], usize) {
        self.planes[i]
    }
}

impl<'a> Target<'a> {
    /// The visible part of a frame that is being written.
    ///
    /// # Errors
    /// [`Error::Rect`], [`Error::Alignment`] when the visible rectangle is not possible for the format.
    pub fn of(frame: &'a mut FrameMut) -> Result<Self, Error> {
        let info = *frame.info();
        check_rect(info.format, info.coded, info.visible)?;
        let mut planes: [(&mut [u8], usize); PLANES_MAX] = Default::default();
        let rect = info.visible;
        for (i, (to, (bytes, stride))) in planes.iter_mut().zip(frame.planes_mut()).enumerate() {
            let begin = offset(&info.format.info().planes[i], rect, stride);
            let len = span(info.format, i, rect.size(), stride).unwrap_or(usize::MAX);
            *to = (&mut bytes[begin..begin + len], stride);
        }
        Ok(Target {
            format: info.format,
            size: rect.size(),
            color: info.color,
            guess_height: info.coded.height,
            planes,
        })
    }

    /// Raw planes, each from its first row on, with the bytes from row to row. Bytes between rows are not written.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::PlaneCount`], [`Error::Stride`], [`Error::Plane`].
    pub fn from_planes(
        format: PixelFormat,
        size: Size,
        color: ColorSpace,
        planes: impl IntoIterator<Item = (&'a mut [u8], usize)>,
    ) -> Result<Self, Error> {
        let mut to: [(&mut [u8], usize); PLANES_MAX] = Default::default();
        let mut got = 0;
        for plane in planes {
            if let Some(to) = to.get_mut(got) {
                *to = plane;
            }
            got += 1;
        }
        let seen = (0..got).map(|i| to.get(i).map_or((0, 0), |(bytes, stride)| (bytes.len(), *stride)));
        check_planes(format, size, seen)?;
        Ok(Target {
            format,
            size,
            color,
            guess_height: size.height,
            planes: to,
        })
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Its size in pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// How its numbers are to become light.
    #[must_use]
    pub fn color(&self) -> ColorSpace {
        self.color
    }

    /// The matrix to compute with.
    pub(crate) fn matrix(&self) -> u8 {
        self.color.matrix_or_guess(self.guess_height)
    }

    /// Row `y` of plane `i`, without padding.
    #[inline]
    pub(crate) fn row(&mut self, i: usize, y: usize) -> &mut [u8] {
        let len = self.format.row_bytes(i, self.size.width);
        let (bytes, stride) = &mut self.planes[i];
        &mut bytes[y * *stride..][..len]
    }

    /// The bytes of plane `i` and its stride.
    pub(crate) fn plane(&mut self, i: usize) -> (&mut [u8], usize) {
        let (bytes, stride) = &mut self.planes[i];
        (bytes, *stride)
    }
}

/// Bytes from the first byte of the first row to the last byte of the last; `None` beyond the address space.
fn span(format: PixelFormat, plane: usize, size: Size, stride: usize) -> Option<usize> {
    stride
        .checked_mul(format.rows(plane, size.height) - 1)?
        .checked_add(format.row_bytes(plane, size.width))
}

fn offset(plane: &PlaneInfo, rect: Rect, stride: usize) -> usize {
    let (x, y) = (rect.x / u32::from(plane.sub_x), rect.y / u32::from(plane.sub_y));
    y as usize * stride + x as usize * usize::from(plane.bytes)
}

fn check_size(size: Size) -> Result<(), Error> {
    let sides = 1..=MAX_DIMENSION;
    let possible = sides.contains(&size.width)
        && sides.contains(&size.height)
        && u64::from(size.width) * u64::from(size.height) <= MAX_PIXELS;
    possible.then_some(()).ok_or(Error::Size(size))
}

fn check_rect(format: PixelFormat, size: Size, rect: Rect) -> Result<(), Error> {
    if !rect.fits(size) {
        return Err(Error::Rect { size, rect });
    }
    let group = |of: fn(&PlaneInfo) -> u8| u32::from(format.info().planes.iter().map(of).max().unwrap_or(1));
    let (x, y) = (group(|p| p.sub_x), group(|p| p.sub_y));
    if !rect.x.is_multiple_of(x) || !rect.y.is_multiple_of(y) {
        return Err(Error::Alignment { format, rect, x, y });
    }
    Ok(())
}

fn check_planes(
    format: PixelFormat,
    size: Size,
    planes: impl ExactSizeIterator<Item = (usize, usize)>,
) -> Result<(), Error> {
    check_size(size)?;
    let (expected, got) = (format.plane_count(), planes.len());
    if got != expected {
        return Err(Error::PlaneCount { format, expected, got });
    }
    for (plane, (have, stride)) in planes.enumerate() {
        let row_bytes = format.row_bytes(plane, size.width);
        if stride < row_bytes {
            return Err(Error::Stride {
                plane,
                row_bytes,
                stride,
            });
        }
        let need = span(format, plane, size, stride).unwrap_or(usize::MAX);
        if have < need {
            return Err(Error::Plane {
                plane,
                format,
                size,
                need,
                have,
            });
        }
    }
    Ok(())
}
