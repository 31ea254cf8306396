//! Sizes, rectangles, rotation.

use crate::Rational;
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

    /// The size in square pixels of a picture whose pixels are `aspect` wide to high: the longer side grows, none shrinks (as Chromium does
    /// where W3C text leaves it open). At least 1×1.
    #[must_use]
    pub fn in_square_pixels(self, aspect: Rational) -> Self {
        let grown = |side: u32, by: u32, of: u32| {
            let of = u64::from(of.max(1));
            let rounded = (u64::from(side) * u64::from(by) + of / 2) / of;
            u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
        };
        if aspect.num >= aspect.den {
            Size::new(grown(self.width, aspect.num, aspect.den), self.height)
        } else {
            Size::new(self.width, grown(self.height, aspect.den, aspect.num))
        }
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

/// How large a picture of `visible` pixels is when shown: in square pixels, turned (W3C `displayWidth` and `displayHeight`).
#[must_use]
pub fn display_size(visible: Size, pixel_aspect: Rational, rotation: Rotation) -> Size {
    let size = visible.in_square_pixels(pixel_aspect);
    if rotation.transposes() { size.transposed() } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_that_are_not_square_make_the_longer_side_grow() {
        let shown = |w, h, num, den| {
            let size = Size::new(w, h).in_square_pixels(Rational { num, den });
            (size.width, size.height)
        };
        assert_eq!(shown(720, 576, 16, 11), (1047, 576));
        assert_eq!(shown(720, 480, 8, 9), (720, 540));
        assert_eq!(shown(1440, 1080, 4, 3), (1920, 1080));
        assert_eq!(shown(17, 9, 1, 1), (17, 9));
        // What foreign files say is never an overflow.
        assert_eq!(shown(16_384, 1, u32::MAX, 1), (u32::MAX, 1));
        assert_eq!(shown(1, 16_384, 1, u32::MAX), (1, u32::MAX));
        assert_eq!(shown(3, 5, 0, 1), (3, 5));
    }
}
