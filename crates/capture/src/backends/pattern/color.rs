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
        self.0.map(|v| quantize(v * 255.0, 8) as u8)
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

/// Luma in studio range, in that many bits.
#[must_use]
pub fn studio_luma(y: f64, bits: u8) -> u16 {
    quantize((16.0 + 219.0 * y) * steps(bits), bits)
}

/// A colour difference in studio range, in that many bits.
#[must_use]
pub fn studio_chroma(c: f64, bits: u8) -> u16 {
    quantize((128.0 + 224.0 * c) * steps(bits), bits)
}

/// Luma in full range, in that many bits.
#[must_use]
pub fn full_luma(y: f64, bits: u8) -> u16 {
    quantize(f64::from(max_of(bits)) * y, bits)
}

/// The largest sample of that many bits, 16 at most.
#[must_use]
pub fn max_of(bits: u8) -> u16 {
    u16::MAX >> (16 - bits)
}

/// What one step of 8 bits is in more of them: in studio range bits are added below.
fn steps(bits: u8) -> f64 {
    f64::from(1u16 << (bits - 8))
}

fn quantize(value: f64, bits: u8) -> u16 {
    value.round().clamp(0.0, f64::from(max_of(bits))) as u16
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
            let at = |bits| [studio_luma(y, bits), studio_chroma(u, bits), studio_chroma(v, bits)];
            assert_eq!(at(8), expected);
            for (deep, byte) in at(12).into_iter().zip(expected) {
                assert!(deep.abs_diff(byte * 16) <= 8, "{deep} of 12 bits for {byte}");
            }
        }
    }

    #[test]
    fn white_is_the_largest_sample_in_full_range_and_235_in_studio_range() {
        for (bits, full, studio) in [(8, 255, 235), (10, 1023, 940), (12, 4095, 3760), (16, 65535, 60160)] {
            assert_eq!((full_luma(1.0, bits), studio_luma(1.0, bits)), (full, studio));
            assert_eq!(
                (full_luma(-0.1, bits), studio_chroma(0.0, bits)),
                (0, 128 << (bits - 8))
            );
        }
    }
}
