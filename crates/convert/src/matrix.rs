//! The numbers between luma, colour differences and red, green, blue: H.273 §8.3, in float64, then as fixed point for the kernels.

use crate::{Error, Source, Target};
use beamline_media::{Model, PixelFormat};

/// The weights of red and blue in luma.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weights {
    r: f64,
    b: f64,
}

/// How a picture's luma and chroma bytes mean light.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coding {
    weights: Weights,
    /// Luma 255 (not 235) is white.
    pub(crate) full: bool,
}

/// What is to change between two pictures of luma and chroma.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// Range or matrix.
    Recode(Recode),
}

/// Fixed-point numbers for [`crate::kernel::to_rgb`]: values ×32, so that all sums fit into 16 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToRgb {
    /// ×8192, as the four that follow.
    pub(crate) y: i16,
    pub(crate) rv: i16,
    pub(crate) gu: i16,
    pub(crate) gv: i16,
    pub(crate) bu: i16,
    /// What luma 128 and chroma 128 give, and one half, ×32.
    pub(crate) bias: i16,
}

/// Fixed-point numbers for [`crate::kernel::to_luma`] and [`crate::kernel::to_chroma`], factors all positive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromRgb {
    /// Red, green, blue ×32768.
    pub(crate) y: [i16; 3],
    /// Luma of medium grey (128) and one half, ×128.
    pub(crate) bias: i16,
    /// Red and green (taken off) and blue (added) ×16384.
    pub(crate) u: [u16; 3],
    /// Blue and green (taken off) and red (added) ×16384.
    pub(crate) v: [u16; 3],
}

/// Luma and chroma to luma and chroma. Luma takes from all three, chroma from chroma alone: grey stays grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recode {
    /// Luma from luma, ×8192, as all that follow.
    pub(crate) y: i16,
    pub(crate) yu: i16,
    pub(crate) yv: i16,
    /// What luma 128 and chroma 128 give, and one half, ×32.
    pub(crate) bias: i16,
    /// U from U and V.
    pub(crate) u: [i16; 2],
    /// V from U and V.
    pub(crate) v: [i16; 2],
}

impl Weights {
    fn of(matrix: u8) -> Result<Self, Error> {
        let (r, b) = match matrix {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            5 | 6 => (0.299, 0.114),
            7 => (0.212, 0.087),
            9 => (0.2627, 0.0593),
            other => return Err(Error::Matrix(other)),
        };
        Ok(Weights { r, b })
    }

    fn g(self) -> f64 {
        1.0 - self.r - self.b
    }
}

fn is_gray(format: PixelFormat) -> bool {
    format.info().model == Model::Gray
}

/// Grey pictures are full range unless they say otherwise, as cameras and PNG have them; video is studio range.
pub(crate) fn full_range(format: PixelFormat, said: Option<bool>) -> bool {
    said.unwrap_or(is_gray(format))
}

impl Coding {
    pub(crate) fn of_source(source: &Source<'_>) -> Result<Self, Error> {
        Ok(Coding {
            weights: Weights::of(source.matrix())?,
            full: full_range(source.format, source.color.full_range),
        })
    }

    pub(crate) fn of_target(target: &Target<'_>) -> Result<Self, Error> {
        Ok(Coding {
            weights: Weights::of(target.matrix())?,
            full: full_range(target.format, target.color.full_range),
        })
    }

    /// (black, white minus black) of luma.
    fn luma(self) -> (f64, f64) {
        if self.full { (0.0, 255.0) } else { (16.0, 219.0) }
    }

    /// Steps of a colour difference of 1.
    fn chroma(self) -> f64 {
        if self.full { 255.0 } else { 224.0 }
    }

    pub(crate) fn to_rgb(self) -> ToRgb {
        let (w, (black, span)) = (self.weights, self.luma());
        let y = 255.0 / span;
        let c = 255.0 / self.chroma();
        let (r, b) = (2.0 * (1.0 - w.r) * c, 2.0 * (1.0 - w.b) * c);
        let fixed = |value: f64| (value * 8192.0).round() as i16;
        ToRgb {
            y: fixed(y),
            rv: fixed(r),
            gu: fixed(-b * w.b / w.g()),
            gv: fixed(-r * w.r / w.g()),
            bu: fixed(b),
            // One more for what the two or three cut products lose on average.
            bias: ((128.0 - black) * y * 32.0).round() as i16 + 16 + 1,
        }
    }

    pub(crate) fn of_rgb(self) -> FromRgb {
        let (w, (black, span)) = (self.weights, self.luma());
        let y = span / 255.0;
        let c = self.chroma() / 255.0;
        let luma = |value: f64| (value * y * 32768.0).round() as i16;
        let chroma = |value: f64| (value * c * 16384.0).round() as u16;
        let (u, v) = (0.5 / (1.0 - w.b), 0.5 / (1.0 - w.r));
        FromRgb {
            y: [luma(w.r), luma(w.g()), luma(w.b)],
            bias: ((black + 128.0 * y) * 128.0).round() as i16 + 64 + 1,
            u: [chroma(w.r * u), chroma(w.g() * u), chroma(0.5)],
            v: [chroma(w.b * v), chroma(w.g() * v), chroma(0.5)],
        }
    }
}

/// What changes from a picture of luma (and chroma) to another. Between two of the same kind only what both say and say
/// differently: an unsaid range or matrix is nobody's reason to touch samples. Between grey and colour what is usual for each.
pub(crate) fn change(source: &Source<'_>, target: &Target<'_>) -> Result<Change, Error> {
    let (from, to) = (source.color, target.color);
    let same_kind = is_gray(source.format) == is_gray(target.format);
    let range = match (from.full_range, to.full_range) {
        (Some(a), Some(b)) => (a, b),
        (a, b) if same_kind => {
            let one = full_range(source.format, a.or(b));
            (one, one)
        }
        (a, b) => (full_range(source.format, a), full_range(target.format, b)),
    };
    let said = |matrix: u8| !matches!(matrix, 0 | 2);
    let colored = !is_gray(source.format) && !is_gray(target.format);
    let matrix = if colored && said(from.matrix) && said(to.matrix) && from.matrix != to.matrix {
        (Weights::of(from.matrix)?, Weights::of(to.matrix)?)
    } else {
        let any = Weights { r: 0.299, b: 0.114 };
        (any, any)
    };
    let from = Coding {
        weights: matrix.0,
        full: range.0,
    };
    let to = Coding {
        weights: matrix.1,
        full: range.1,
    };
    Ok(if from == to {
        Change::None
    } else {
        Change::Recode(Recode::between(from, to))
    })
}

impl Recode {
    /// Through red, green and blue, without cutting them off in between.
    fn between(from: Coding, to: Coding) -> Self {
        let (a, b) = (from.weights, to.weights);
        // Red, green and blue of a step of U, of V.
        let of_u = [0.0, -2.0 * (1.0 - a.b) * a.b / a.g(), 2.0 * (1.0 - a.b)];
        let of_v = [2.0 * (1.0 - a.r), -2.0 * (1.0 - a.r) * a.r / a.g(), 0.0];
        let luma = |c: [f64; 3]| b.r * c[0] + b.g() * c[1] + b.b * c[2];
        let u = |c: [f64; 3]| (c[2] - luma(c)) / (2.0 * (1.0 - b.b));
        let v = |c: [f64; 3]| (c[0] - luma(c)) / (2.0 * (1.0 - b.r));
        let ((black_a, span_a), (black_b, span_b)) = (from.luma(), to.luma());
        let (y, c) = (span_b / span_a, to.chroma() / from.chroma());
        let mixed = span_b / from.chroma();
        let fixed = |value: f64| (value * 8192.0).round() as i16;
        Recode {
            y: fixed(y),
            yu: fixed(luma(of_u) * mixed),
            yv: fixed(luma(of_v) * mixed),
            bias: ((black_b + (128.0 - black_a) * y) * 32.0).round() as i16 + 16 + 1,
            u: [fixed(u(of_u) * c), fixed(u(of_v) * c)],
            v: [fixed(v(of_u) * c), fixed(v(of_v) * c)],
        }
    }

    /// Whether luma takes from chroma.
    pub(crate) fn mixes(&self) -> bool {
        self.yu != 0 || self.yv != 0
    }
}
