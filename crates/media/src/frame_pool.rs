//! Memory for the pictures of one source.

use crate::{FrameError, FrameInfo, FrameMut, PLANES_MAX, PixelFormat, frame::check_size, geometry::Size};
use beamline_arena::{Arena, Pool, PoolConfig, SizeClass, Wait};
use std::sync::Mutex;

/// Rows and planes begin on multiples of this: the widest SIMD that FFmpeg uses.
const ALIGN: usize = 64;
/// Bytes behind each plane that SIMD readers may run over (`../reference/build-and-border.md`, trap 8: 16 + 63).
const TAIL: usize = 16 + 63;

/// Where a plane lies in its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaneLayout {
    /// Bytes from the start of the slot.
    pub offset: usize,
    /// Bytes from row to row.
    pub stride: usize,
}

/// Where the planes of a picture lie, and how many bytes that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The planes; those beyond the format's are 0.
    pub planes: [PlaneLayout; PLANES_MAX],
    /// Bytes in all.
    pub len: usize,
}

impl Layout {
    /// Planes one behind the other, rows aligned to 64 bytes.
    ///
    /// # Errors
    /// [`FrameError::Size`].
    pub fn aligned(format: PixelFormat, size: Size) -> Result<Self, FrameError> {
        Self::build(
            format,
            size,
            |row| row.next_multiple_of(ALIGN),
            |end| (end + TAIL).next_multiple_of(ALIGN),
        )
    }

    /// Planes and rows without any padding, as files and `copyTo` have them.
    ///
    /// # Errors
    /// [`FrameError::Size`].
    pub fn packed(format: PixelFormat, size: Size) -> Result<Self, FrameError> {
        Self::build(format, size, |row| row, |end| end)
    }

    fn build(
        format: PixelFormat,
        size: Size,
        stride: impl Fn(usize) -> usize,
        next: impl Fn(usize) -> usize,
    ) -> Result<Self, FrameError> {
        check_size(size)?;
        let mut layout = Layout {
            planes: Default::default(),
            len: 0,
        };
        for i in 0..format.plane_count() {
            let stride = stride(format.row_bytes(i, size.width));
            layout.planes[i] = PlaneLayout {
                offset: layout.len,
                stride,
            };
            layout.len = next(layout.len + stride * format.rows(i, size.height));
        }
        Ok(layout)
    }
}

/// Gives empty frames of whatever format is asked for, all from one source's pool. Remembers the last format, so that a steady
/// stream costs one slot and nothing else per frame.
#[derive(Debug)]
pub struct FramePool {
    pool: Pool,
    last: Mutex<Option<(PixelFormat, Size, Layout, SizeClass)>>,
}

impl FramePool {
    /// Frames from a new pool of `arena`.
    #[must_use]
    pub fn new(arena: &Arena, config: PoolConfig) -> Self {
        FramePool {
            pool: arena.pool(config),
            last: Mutex::new(None),
        }
    }

    /// The pool behind it.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// An empty frame: its bytes are whatever was there before.
    ///
    /// # Errors
    /// [`FrameError::Size`], [`FrameError::Memory`].
    pub fn acquire(&self, info: FrameInfo, wait: Wait<'_>) -> Result<FrameMut, FrameError> {
        let (layout, class) = self.class_for(info.format, info.coded)?;
        FrameMut::new(info, class.acquire(wait)?, &layout)
    }

    /// Wakes those who wait in [`FramePool::acquire`], so that they look at their `cancelled` again.
    pub fn interrupt(&self) {
        let last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((.., class)) = &*last {
            class.interrupt();
        }
    }

    fn class_for(&self, format: PixelFormat, size: Size) -> Result<(Layout, SizeClass), FrameError> {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((f, s, layout, class)) = &*last
            && (*f, *s) == (format, size)
        {
            return Ok((*layout, class.clone()));
        }
        let layout = Layout::aligned(format, size)?;
        let class = self.pool.class(layout.len)?;
        *last = Some((format, size, layout, class.clone()));
        Ok((layout, class))
    }
}
