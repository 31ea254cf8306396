//! What moves over a pattern's ground. Where it is depends on the number of the picture alone.

use super::{
    color::{Matrix, Rgb},
    layout::{Sample, layout_of, padding_of},
    template::Ink,
};
use beamline_media::{FrameMut, Model, PixelFormat, Size};
use std::fmt::Debug;

/// Draws over the ground.
pub(crate) trait Moving: Send + Debug {
    /// Called once, before the first picture.
    fn prepare(&mut self, format: PixelFormat, matrix: &Matrix);

    /// Draws picture `n`.
    fn draw(&mut self, frame: &mut FrameMut, n: u64);
}

/// A disc that bounces off the edges: 5 pixels right and 3 down per picture and 1000 pixels of width.
#[derive(Debug)]
pub(crate) struct Ball {
    size: Size,
    diameter: u32,
    /// First and last column of each of its rows, from its left edge.
    rows: Vec<(u32, u32)>,
    ink: Option<Ink>,
}

impl Ball {
    pub(crate) fn new(size: Size) -> Self {
        let diameter = (size.width.min(size.height) / 5).max(1);
        let r = f64::from(diameter) / 2.0;
        let half = |y: u32| {
            let dy = f64::from(y) + 0.5 - r;
            (r * r - dy * dy).max(0.0).sqrt()
        };
        let rows = (0..diameter)
            .map(|y| ((r - half(y)).round() as u32, (r + half(y)).round() as u32))
            .collect();
        Ball {
            size,
            diameter,
            rows,
            ink: None,
        }
    }

    /// Top left corner in picture `n`.
    fn place(&self, n: u64) -> (u32, u32) {
        let step = u64::from(self.size.width / 1000).max(1);
        let bounce = |way: u64, room: u32| {
            let there = (way % (2 * u64::from(room)).max(1)) as u32;
            if there > room { 2 * room - there } else { there }
        };
        (
            bounce(n.wrapping_mul(5 * step), self.size.width - self.diameter),
            bounce(n.wrapping_mul(3 * step), self.size.height - self.diameter),
        )
    }
}

impl Moving for Ball {
    fn prepare(&mut self, format: PixelFormat, matrix: &Matrix) {
        self.ink = Some(Ink::new(format, self.size.width, matrix, Rgb([0.9, 0.6, 0.1])));
    }

    fn draw(&mut self, frame: &mut FrameMut, n: u64) {
        let Some(ink) = &self.ink else { return };
        let (left, top) = self.place(n);
        for (y, (from, to)) in self.rows.iter().enumerate() {
            let (from, to) = ((left + from) & !1, (left + to).next_multiple_of(2).min(self.size.width));
            if from < to {
                ink.fill(frame, top + y as u32, from, to);
            }
        }
    }
}

/// Every pixel a grey by chance, the same for the same seed and number.
#[derive(Debug)]
pub(crate) struct Noise {
    seed: u64,
    format: PixelFormat,
    row: Vec<u8>,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Noise {
            seed,
            format: PixelFormat::I420,
            row: Vec::new(),
        }
    }
}

impl Moving for Noise {
    fn prepare(&mut self, format: PixelFormat, _: &Matrix) {
        self.format = format;
    }

    fn draw(&mut self, frame: &mut FrameMut, n: u64) {
        let size = frame.info().coded;
        let row_bytes = self.format.row_bytes(0, size.width);
        let group = layout_of(self.format).map_or(&[][..], |planes| planes[0]);
        let mut state = mix(self.seed ^ mix(n));
        let is_deep = self.format.info().bits > 8;
        // Whole groups of two pixels and whole words, two bytes a pixel at most; what is beyond the row is not copied.
        let random_bytes = size.width as usize * if is_deep { 2 } else { 1 };
        self.row.resize(random_bytes.next_multiple_of(8), 0);
        let (bytes, stride) = frame.plane_mut(0);
        for to in bytes.chunks_mut(stride) {
            for word in self.row.chunks_exact_mut(8) {
                state = state.wrapping_add(STEP);
                word.copy_from_slice(&mix(state).to_le_bytes());
            }
            if is_deep {
                scatter_deep(self.format, &self.row, &mut to[..row_bytes]);
            } else {
                scatter(group, &mut self.row, &mut to[..row_bytes]);
            }
        }
    }
}

/// The golden ratio's odd constant of splitmix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// splitmix64: a good 64-bit hash of a counter.
fn mix(state: u64) -> u64 {
    let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Grey levels as the bytes of the first plane. Other bytes of a group (chroma, alpha) stay as the ground has them.
fn scatter(group: &[Sample], greys: &mut [u8], row: &mut [u8]) {
    let is_luma = matches!(group[0], Sample::Y(_)) || matches!(group.get(1), Some(Sample::Y(_)));
    if is_luma {
        for grey in greys.iter_mut() {
            *grey = 16 + ((u16::from(*grey) * 220) >> 8) as u8;
        }
    }
    match group {
        [_] => row.copy_from_slice(&greys[..row.len()]),
        [Sample::Y(_), ..] => pairs(greys, row, 0),
        [_, Sample::Y(_), ..] => pairs(greys, row, 1),
        [_, _, _] => row.chunks_exact_mut(3).zip(greys).for_each(|(to, g)| to.fill(*g)),
        _ => row
            .chunks_exact_mut(4)
            .zip(greys)
            .for_each(|(to, g)| to.copy_from_slice(&[*g, *g, *g, 255])),
    }
}

/// Grey levels of 16 bits as the two-byte samples of the first plane, which above 8 bits always is luma alone.
fn scatter_deep(format: PixelFormat, greys: &[u8], row: &mut [u8]) {
    let bits = format.info().bits;
    let (black, levels) = match format.info().model {
        Model::Gray => (0, 1 << bits),
        _ => (16 << (bits - 8), (219 << (bits - 8)) + 1),
    };
    for (to, grey) in row.chunks_exact_mut(2).zip(greys.chunks_exact(2)) {
        let grey = u32::from(u16::from_le_bytes([grey[0], grey[1]]));
        let sample = (black + ((grey * levels) >> 16)) << padding_of(format);
        to.copy_from_slice(&(sample as u16).to_le_bytes());
    }
}

fn pairs(greys: &[u8], row: &mut [u8], at: usize) {
    for (to, grey) in row.chunks_exact_mut(2).zip(greys) {
        to[at] = *grey;
    }
}
