//! Sizes, rectangles, rotation.

use serde::Serialize;
use std::fmt;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Size {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// Width, then height.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Size { width, height }
    }

    /// The size with the sides changed over.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Size {
            width: self.height,
            height: self.width,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// A rectangle in pixels, from the top left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Rect {
    /// Columns to its left.
    pub x: u32,
    /// Rows above it.
    pub y: u32,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

impl Rect {
    /// The whole of a picture.
    #[must_use]
    pub const fn all(size: Size) -> Self {
        Rect {
            x: 0,
            y: 0,
            width: size.width,
            height: size.height,
        }
    }

    /// Its size.
    #[must_use]
    pub const fn size(self) -> Size {
        Size {
            width: self.width,
            height: self.height,
        }
    }

    /// Whether it is not empty and lies inside a picture of `size`.
    #[must_use]
    pub fn fits(self, size: Size) -> bool {
        self.width > 0
            && self.height > 0
            && self.x.checked_add(self.width).is_some_and(|right| right <= size.width)
            && self
                .y
                .checked_add(self.height)
                .is_some_and(|bottom| bottom <= size.height)
    }
}

/// How far a picture must be turned clockwise before it is shown (W3C WebCodecs, `VideoFrame.rotation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Rotation {
    /// As it lies in memory.
    #[default]
    None,
    /// 90° clockwise.
    Quarter,
    /// 180°.
    Half,
    /// 270° clockwise.
    ThreeQuarters,
}

impl Rotation {
    /// In degrees: 0, 90, 180 or 270.
    #[must_use]
    pub const fn degrees(self) -> u32 {
        match self {
            Rotation::None => 0,
            Rotation::Quarter => 90,
            Rotation::Half => 180,
            Rotation::ThreeQuarters => 270,
        }
    }

    /// From degrees: rounded to a quarter turn, half-way values up, any multiple of a full turn taken off (as WebCodecs does).
    #[must_use]
    pub fn from_degrees(degrees: f64) -> Self {
        if !degrees.is_finite() {
            return Rotation::None;
        }
        match ((degrees / 90.0 + 0.5).floor()).rem_euclid(4.0) as u32 {
            1 => Rotation::Quarter,
            2 => Rotation::Half,
            3 => Rotation::ThreeQuarters,
            _ => Rotation::None,
        }
    }

    /// Whether width and height change places.
    #[must_use]
    pub const fn transposes(self) -> bool {
        matches!(self, Rotation::Quarter | Rotation::ThreeQuarters)
    }
}
