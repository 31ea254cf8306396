//! The table of patterns, and those that stand still.

use super::{
    color::Rgb,
    moving::{Ball, Moving, Noise},
    parse_color,
    template::Bands,
};
use crate::{Error, Request};
use beamline_media::Size;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct PatternKind {
    /// Its identity: kebab-case.
    pub(crate) slug: &'static str,
    /// For people.
    pub(crate) name: &'static str,
    /// Options that only it has.
    pub(crate) options: &'static [&'static str],
    build: fn(&Request, Size) -> Result<Picture, Error>,
}

/// What is to be drawn: a still ground, and what moves over it.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) ground: Bands,
    pub(crate) moving: Option<Box<dyn Moving>>,
}

impl PatternKind {
    pub(crate) fn build(&self, request: &Request, size: Size) -> Result<Picture, Error> {
        (self.build)(request, size)
    }
}

/// The table.
pub(crate) const PATTERNS: &[PatternKind] = &[
    PatternKind {
        slug: "smpte",
        name: "SMPTE colour bars, 75 %",
        options: &[],
        build: |_, size| Ok(still(smpte(size))),
    },
    PatternKind {
        slug: "gradient",
        name: "Ramps from black to white, red, green and blue",
        options: &[],
        build: |_, size| Ok(still(gradient(size))),
    },
    PatternKind {
        slug: "checkerboard",
        name: "Checkerboard, eight squares high",
        options: &[],
        build: |_, size| Ok(still(checkerboard(size))),
    },
    PatternKind {
        slug: "ball",
        name: "Ball that bounces",
        options: &[],
        build: |_, size| {
            Ok(Picture {
                ground: solid(size, Rgb::grey(0.15)),
                moving: Some(Box::new(Ball::new(size))),
            })
        },
    },
    PatternKind {
        slug: "noise",
        name: "Grey noise, the same for the same seed",
        options: &["seed"],
        build: |request, size| {
            let seed = request.number("seed", "a whole number below 2^64")?.unwrap_or(0);
            Ok(Picture {
                ground: solid(size, Rgb::grey(0.5)),
                moving: Some(Box::new(Noise::new(seed))),
            })
        },
    },
    PatternKind {
        slug: "solid",
        name: "One colour",
        options: &["color"],
        build: |request, size| {
            let color = request.options.get("color").map_or("#808080", String::as_str);
            Ok(still(solid(size, parse_color(color)?)))
        },
    },
];

fn still(ground: Bands) -> Picture {
    Picture { ground, moving: None }
}

fn solid(size: Size, color: Rgb) -> Bands {
    Bands::all(vec![color; size.width as usize])
}

/// SMPTE EG 1: seven bars, reverse bars, and −I, white, +Q, black, PLUGE (−4 %, 0, +4 %), black.
fn smpte(size: Size) -> Bands {
    const L: f64 = 0.75;
    const BARS: [Rgb; 7] = [
        Rgb([L, L, L]),
        Rgb([L, L, 0.0]),
        Rgb([0.0, L, L]),
        Rgb([0.0, L, 0.0]),
        Rgb([L, 0.0, L]),
        Rgb([L, 0.0, 0.0]),
        Rgb([0.0, 0.0, L]),
    ];
    const REVERSE: [Rgb; 7] = [BARS[6], Rgb::BLACK, BARS[4], Rgb::BLACK, BARS[2], Rgb::BLACK, BARS[0]];
    const MINUS_I: Rgb = Rgb([0.0, 33.0 / 255.0, 76.0 / 255.0]);
    const PLUS_Q: Rgb = Rgb([50.0 / 255.0, 0.0, 106.0 / 255.0]);
    // In twelfths of a bar.
    let bottom = [
        (15, MINUS_I),
        (15, Rgb::WHITE),
        (15, PLUS_Q),
        (15, Rgb::BLACK),
        (4, Rgb::grey(-0.04)),
        (4, Rgb::BLACK),
        (4, Rgb::grey(0.04)),
        (12, Rgb::BLACK),
    ];
    let width = size.width as usize;
    let rows = vec![
        stripes(width, &BARS.map(|c| (12, c))),
        stripes(width, &REVERSE.map(|c| (12, c))),
        stripes(width, &bottom),
    ];
    let at = |twelfths: u32| (size.height * twelfths / 12) & !1;
    Bands::new(rows, [(0, 0), (at(8), 1), (at(9), 2)])
}

/// Stripes side by side, as wide as their weights, all edges on even columns.
fn stripes(width: usize, stripes: &[(usize, Rgb)]) -> Vec<Rgb> {
    let total: usize = stripes.iter().map(|(weight, _)| weight).sum();
    let mut row = Vec::with_capacity(width);
    let mut sum = 0;
    for (weight, color) in stripes {
        sum += weight;
        let end = if sum == total {
            width
        } else {
            (width * sum / total) & !1
        };
        row.resize(end.max(row.len()), *color);
    }
    row
}

fn gradient(size: Size) -> Bands {
    let last = f64::from(size.width - 1).max(1.0);
    let ramp = |[r, g, b]: [f64; 3]| {
        let at = |x: u32| f64::from(x) / last;
        (0..size.width)
            .map(|x| Rgb([r * at(x), g * at(x), b * at(x)]))
            .collect()
    };
    let rows = vec![
        ramp([1.0, 1.0, 1.0]),
        ramp([1.0, 0.0, 0.0]),
        ramp([0.0, 1.0, 0.0]),
        ramp([0.0, 0.0, 1.0]),
    ];
    let at = |quarter: u32| (size.height * quarter / 4) & !1;
    Bands::new(rows, (0..4).map(|i| (at(i), i as usize)))
}

fn checkerboard(size: Size) -> Bands {
    let side = ((size.height / 8) & !1).max(2);
    let row = |first: u32| {
        let color = |x: u32| {
            if (x / side + first).is_multiple_of(2) {
                Rgb::WHITE
            } else {
                Rgb::BLACK
            }
        };
        (0..size.width).map(color).collect()
    };
    let squares = (0..size.height.div_ceil(side)).map(|i| (i * side, i as usize % 2));
    Bands::new(vec![row(0), row(1)], squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_kebab_case() {
        for (i, p) in PATTERNS.iter().enumerate() {
            assert!(p.slug.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", p.slug);
            assert!(
                PATTERNS[..i].iter().all(|q| q.slug != p.slug),
                "{} stands twice",
                p.slug
            );
        }
    }

    #[test]
    fn stripes_fill_every_width_exactly() {
        for width in 1..100 {
            assert_eq!(stripes(width, &[(12, Rgb::BLACK); 7]).len(), width);
        }
    }
}
