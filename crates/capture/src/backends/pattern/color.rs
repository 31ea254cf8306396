//! From a colour to the numbers that stand for it.

use beamline_media::{ColorSpace, Model, PixelFormat};

/// Red, green, blue: gamma-encoded, 0 is black and 1 white. May lie a little outside (blacker than black).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rgb(pub [f64; 3]);

impl Rgb {
    /// Black.
    pub const BLACK: Rgb = Rgb([0.0; 3]);
    /// White.
    pub const WHITE: Rgb = Rgb([1.0; 3]);

    /// A grey.
    #[must_use]
    pub const fn grey(level: f64) -> Self {
        Rgb([level; 3])
    }

    /// Red, green and blue as bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 3] {
        self.0.map(|v| round(v * 255.0))
    }
}

/// What pictures of that format and height are in: BT.709 from 720 rows on, BT.601 below; RGB is sRGB; grey uses all values.
#[must_use]
pub fn space_of(format: PixelFormat, height: u32) -> ColorSpace {
    let video = if height >= 720 {
        ColorSpace::REC709
    } else {
        ColorSpace::REC601
    };
    match format.info().model {
        Model::Rgb => ColorSpace::SRGB,
        Model::Yuv => video,
        Model::Gray => ColorSpace {
            full_range: Some(true),
            ..video
        },
    }
}

/// Luma and colour differences by a matrix, not yet rounded: luma 0…1, differences −½…½.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    kr: f64,
    kb: f64,
}

impl Matrix {
    /// BT.709 or BT.601.
    #[must_use]
    pub fn of(space: &ColorSpace, height: u32) -> Self {
        match space.matrix_or_guess(height) {
            1 => Matrix { kr: 0.2126, kb: 0.0722 },
            _ => Matrix { kr: 0.299, kb: 0.114 },
        }
    }

    /// [luma, blue difference, red difference].
    #[must_use]
    pub fn apply(&self, Rgb([r, g, b]): Rgb) -> [f64; 3] {
        let y = self.kr * r + (1.0 - self.kr - self.kb) * g + self.kb * b;
        [y, (b - y) / (2.0 * (1.0 - self.kb)), (r - y) / (2.0 * (1.0 - self.kr))]
    }
}

/// Luma in studio range.
#[must_use]
pub fn studio_luma(y: f64) -> u8 {
    round(16.0 + 219.0 * y)
}

/// A colour difference in studio range.
#[must_use]
pub fn studio_chroma(c: f64) -> u8 {
    round(128.0 + 224.0 * c)
}

/// Luma in full range.
#[must_use]
pub fn full_luma(y: f64) -> u8 {
    round(255.0 * y)
}

fn round(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_the_numbers_of_the_standards() {
        let yellow = Rgb([0.75, 0.75, 0.0]);
        for (height, expected) in [(720, [168, 44, 136]), (576, [162, 44, 142])] {
            let space = space_of(PixelFormat::I420, height);
            let [y, u, v] = Matrix::of(&space, height).apply(yellow);
            assert_eq!([studio_luma(y), studio_chroma(u), studio_chroma(v)], expected);
        }
    }
}
