//! Pictures in plain memory with guard bytes, and the formulas of H.273 in float64, pixel by pixel.
use beamline_convert::{Source, Target};
use beamline_media::{ColorSpace, Model, PixelFormat, Size};

/// What guards are filled with.
pub(crate) const GUARD: u8 = 0xA5;

/// A picture whose rows are followed by `pad` guard bytes.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) format: PixelFormat,
    pub(crate) size: Size,
    pub(crate) color: ColorSpace,
    pub(crate) planes: Vec<(Vec<u8>, usize)>,
}

impl Picture {
    pub(crate) fn new(format: PixelFormat, size: Size, color: ColorSpace, pad: usize) -> Self {
        let plane = |i: usize| {
            let stride = format.row_bytes(i, size.width) + pad;
            (vec![GUARD; stride * format.rows(i, size.height)], stride)
        };
        Picture {
            format,
            size,
            color,
            planes: (0..format.plane_count()).map(plane).collect(),
        }
    }

    /// Fills each sample by (plane, byte of the row, row); samples of two bytes get that value in their significant bits.
    pub(crate) fn fill(mut self, value: impl Fn(usize, usize, usize) -> u32) -> Self {
        let info = self.format.info();
        let wide = info.bits > 8;
        let low = if self.format == PixelFormat::P010 { 6 } else { 0 };
        for (i, (bytes, stride)) in self.planes.iter_mut().enumerate() {
            let row_bytes = self.format.row_bytes(i, self.size.width);
            for (y, row) in bytes.chunks_mut(*stride).enumerate() {
                if wide {
                    for (x, sample) in row[..row_bytes].chunks_mut(2).enumerate() {
                        let value = (value(i, x, y) & ((1 << info.bits) - 1)) << low;
                        sample.copy_from_slice(&(value as u16).to_le_bytes());
                    }
                } else {
                    for (x, sample) in row[..row_bytes].iter_mut().enumerate() {
                        *sample = value(i, x, y) as u8;
                    }
                }
            }
        }
        self
    }

    /// Noise that is the same each time.
    pub(crate) fn noise(self) -> Self {
        self.fill(|plane, x, y| {
            let mut n = (x as u32)
                .wrapping_mul(0x9E37_79B1)
                .wrapping_add((y as u32).wrapping_mul(0x85EB_CA77))
                .wrapping_add((plane as u32).wrapping_mul(0xC2B2_AE3D));
            n = (n ^ (n >> 15)).wrapping_mul(0x2C1B_3C6D);
            n ^ (n >> 13)
        })
    }

    pub(crate) fn source(&self) -> Source<'_> {
        let planes: Vec<(&[u8], usize)> = self.planes.iter().map(|(b, s)| (&b[..], *s)).collect();
        Source::from_planes(self.format, self.size, self.color, &planes).unwrap()
    }

    pub(crate) fn target(&mut self) -> Target<'_> {
        let planes = self.planes.iter_mut().map(|(b, s)| (&mut b[..], *s));
        Target::from_planes(self.format, self.size, self.color, planes).unwrap()
    }

    pub(crate) fn guards_stand(&self) -> bool {
        self.planes.iter().enumerate().all(|(i, (bytes, stride))| {
            let row = self.format.row_bytes(i, self.size.width);
            bytes.chunks(*stride).all(|r| r[row..].iter().all(|b| *b == GUARD))
        })
    }

    /// The sample at (row byte or, with two bytes each, sample index) of a plane, scaled to 8 bits.
    fn sample(&self, plane: usize, x: usize, y: usize, luma_or_chroma: bool) -> f64 {
        let (bytes, stride) = &self.planes[plane];
        let bits = u32::from(self.format.info().bits);
        if bits == 8 {
            return f64::from(bytes[y * stride + x]);
        }
        let at = y * stride + 2 * x;
        let low = if self.format == PixelFormat::P010 { 6 } else { 0 };
        let value = f64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]) >> low);
        let unit = f64::from(1 << (bits - 8));
        if self.full() {
            let max = f64::from((1_u32 << bits) - 1);
            return if luma_or_chroma {
                value * 255.0 / max
            } else {
                (value - 128.0 * unit) * 255.0 / max + 128.0
            };
        }
        value / unit
    }

    pub(crate) fn full(&self) -> bool {
        self.color.full_range.unwrap_or(self.format.info().model == Model::Gray)
    }

    /// Luma, U and V of a pixel, nearest chroma; or red, green, blue.
    pub(crate) fn pixel(&self, x: usize, y: usize) -> [f64; 3] {
        use PixelFormat as F;
        let f = self.format;
        if f.info().model == Model::Rgb {
            let step = usize::from(f.info().planes[0].bytes);
            let [a, g, b] = [0, 1, 2].map(|c| self.sample(0, x * step + c, y, true));
            return if [F::BGRA, F::BGRX, F::BGR24].contains(&f) {
                [b, g, a]
            } else {
                [a, g, b]
            };
        }
        if f == F::YUYV || f == F::UYVY {
            let l = usize::from(f == F::UYVY);
            let at = |c| self.sample(0, (x / 2) * 4 + c, y, true);
            return [at(l + 2 * (x % 2)), at(1 - l), at(3 - l)];
        }
        let luma = self.sample(0, x, y, true);
        let Some(p) = f.info().planes.get(1) else {
            return [luma, 128.0, 128.0];
        };
        let (x, y) = (x / usize::from(p.sub_x), y / usize::from(p.sub_y));
        match f.plane_count() {
            2 if f == F::NV21 => [
                luma,
                self.sample(1, 2 * x + 1, y, false),
                self.sample(1, 2 * x, y, false),
            ],
            2 => [
                luma,
                self.sample(1, 2 * x, y, false),
                self.sample(1, 2 * x + 1, y, false),
            ],
            _ => [luma, self.sample(1, x, y, false), self.sample(2, x, y, false)],
        }
    }

    /// Alpha of a pixel, 0 to 255.
    pub(crate) fn alpha(&self, x: usize, y: usize) -> f64 {
        let info = self.format.info();
        if !info.alpha {
            return 255.0;
        }
        if info.model == Model::Rgb {
            return self.sample(0, 4 * x + 3, y, true);
        }
        let (bytes, stride) = &self.planes[3];
        if info.bits == 8 {
            return f64::from(bytes[y * stride + x]);
        }
        let at = y * stride + 2 * x;
        f64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) * 255.0 / f64::from((1 << info.bits) - 1)
    }
}

fn weights(matrix: u8) -> (f64, f64, f64) {
    let (r, b) = match matrix {
        1 => (0.2126, 0.0722),
        9 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    (r, 1.0 - r - b, b)
}

/// H.273: luma and chroma bytes to red, green, blue ×255, not cut off.
pub(crate) fn to_rgb([y, u, v]: [f64; 3], matrix: u8, full: bool) -> [f64; 3] {
    let (kr, kg, kb) = weights(matrix);
    let (y, c) = if full {
        (y / 255.0, 255.0)
    } else {
        ((y - 16.0) / 219.0, 224.0)
    };
    let (u, v) = ((u - 128.0) / c, (v - 128.0) / c);
    let (r, b) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
    [r, (y - kr * r - kb * b) / kg, b].map(|c| c * 255.0)
}

/// H.273: red, green, blue ×255 to luma and chroma bytes, not cut off.
pub(crate) fn to_yuv(rgb: [f64; 3], matrix: u8, full: bool) -> [f64; 3] {
    let (kr, kg, kb) = weights(matrix);
    let [r, g, b] = rgb.map(|c| c / 255.0);
    let y = kr * r + kg * g + kb * b;
    let (u, v) = ((b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr)));
    let (black, span, c) = if full {
        (0.0, 255.0, 255.0)
    } else {
        (16.0, 219.0, 224.0)
    };
    [black + y * span, 128.0 + u * c, 128.0 + v * c]
}

/// What a pixel of the target should hold, given a value of the source (both said to be of their colours).
fn expected(from: &Picture, to: &Picture, value: [f64; 3]) -> [f64; 3] {
    let matrix = |p: &Picture| p.color.matrix_or_guess(p.size.height);
    let (m_from, m_to) = (matrix(from), matrix(to));
    match (from.format.info().model, to.format.info().model) {
        (Model::Rgb, Model::Rgb) => value,
        (_, Model::Rgb) => to_rgb(value, m_from, from.full()),
        (Model::Rgb, _) => to_yuv(value, m_to, to.full()),
        // Grey has no matrix of its own.
        (Model::Gray, _) | (_, Model::Gray) => to_yuv(to_rgb([value[0], 128.0, 128.0], 6, from.full()), 6, to.full()),
        _ => to_yuv(to_rgb(value, m_from, from.full()), m_to, to.full()),
    }
}

/// The largest difference between `to` and the formulas applied to `from`.
pub(crate) fn worst(from: &Picture, to: &Picture) -> f64 {
    let (width, height) = (from.size.width as usize, from.size.height as usize);
    let info = to.format.info();
    let group = info.planes.get(1).unwrap_or(&info.planes[0]);
    let (sx, sy) = (usize::from(group.sub_x), usize::from(group.sub_y));
    let mut worst = 0.0_f64;
    let mut see = |want: f64, got: f64| worst = worst.max((want.clamp(0.0, 255.0) - got).abs());
    for y in 0..height {
        for x in 0..width {
            let got = to.pixel(x, y);
            let want = expected(from, to, from.pixel(x, y));
            if info.model == Model::Rgb {
                (0..3).for_each(|c| see(want[c], got[c]));
            } else {
                see(want[0], got[0]);
            }
            if to.format.info().alpha {
                see(from.alpha(x, y), to.alpha(x, y));
            }
            if info.model == Model::Yuv && x % sx == 0 && y % sy == 0 {
                let mut sum = [0.0; 3];
                let mut count = 0.0;
                for (gy, gx) in
                    (y..(y + sy).min(height)).flat_map(|gy| (x..(x + sx).min(width)).map(move |gx| (gy, gx)))
                {
                    let p = from.pixel(gx, gy);
                    (0..3).for_each(|c| sum[c] += p[c]);
                    count += 1.0;
                }
                let want = expected(from, to, sum.map(|s| s / count));
                see(want[1], got[1]);
                see(want[2], got[2]);
            }
        }
    }
    worst
}

pub(crate) fn with_range(color: ColorSpace, full: bool) -> ColorSpace {
    ColorSpace {
        full_range: Some(full),
        ..color
    }
}
