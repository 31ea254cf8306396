//! Pictures as rows that were prepared once: drawing one is copying rows into the slot.

use super::{
    color::{Matrix, Rgb},
    layout::encode_row,
};
use beamline_media::{FrameMut, PixelFormat, Size};

/// The still part of a picture: few different rows, each over a stretch of the height.
#[derive(Debug)]
pub(crate) struct Bands {
    rows: Vec<Vec<Rgb>>,
    /// (first row of the picture, index in `rows`), first rows rising.
    starts: Vec<(u32, usize)>,
}

impl Bands {
    /// One row all the way down.
    pub(crate) fn all(row: Vec<Rgb>) -> Self {
        Bands {
            rows: vec![row],
            starts: vec![(0, 0)],
        }
    }

    /// Stretches of these rows: (where it begins, which row). A stretch that would begin with or before the last one is left out.
    pub(crate) fn new(rows: Vec<Vec<Rgb>>, stretches: impl IntoIterator<Item = (u32, usize)>) -> Self {
        let mut starts: Vec<(u32, usize)> = Vec::new();
        for (start, row) in stretches {
            if starts.last().is_none_or(|(last, _)| start > *last) {
                starts.push((start, row));
            }
        }
        Bands { rows, starts }
    }

    fn row_at(&self, y: u32) -> usize {
        let after = self.starts.partition_point(|(start, _)| *start <= y);
        self.starts[after.saturating_sub(1)].1
    }
}

/// [`Bands`] in the bytes of one format and size.
#[derive(Debug)]
pub(crate) struct Template {
    planes: Vec<PlaneRows>,
}

#[derive(Debug)]
struct PlaneRows {
    rows: Vec<Vec<u8>>,
    /// Per row of the plane, which of `rows`.
    of_row: Vec<u32>,
}

impl Template {
    pub(crate) fn new(format: PixelFormat, size: Size, matrix: &Matrix, bands: &Bands) -> Self {
        let plane = |i: usize| PlaneRows {
            rows: bands.rows.iter().map(|r| encode_row(format, i, matrix, r)).collect(),
            of_row: (0..format.rows(i, size.height))
                .map(|y| bands.row_at(y as u32 * u32::from(format.info().planes[i].sub_y)) as u32)
                .collect(),
        };
        Template {
            planes: (0..format.plane_count()).map(plane).collect(),
        }
    }

    /// Writes the whole picture. Cost: one pass of stores, the rows themselves stay in the cache.
    pub(crate) fn draw(&self, frame: &mut FrameMut) {
        for (i, plane) in self.planes.iter().enumerate() {
            let (bytes, stride) = frame.plane_mut(i);
            for (to, of) in bytes.chunks_mut(stride).zip(&plane.of_row) {
                let row = &plane.rows[*of as usize];
                to[..row.len()].copy_from_slice(row);
            }
        }
    }
}

/// One colour as wide as the picture, to fill stretches of rows with.
#[derive(Debug)]
pub(crate) struct Ink {
    format: PixelFormat,
    planes: Vec<Vec<u8>>,
}

impl Ink {
    pub(crate) fn new(format: PixelFormat, width: u32, matrix: &Matrix, color: Rgb) -> Self {
        let row = vec![color; width as usize];
        Ink {
            format,
            planes: (0..format.plane_count())
                .map(|i| encode_row(format, i, matrix, &row))
                .collect(),
        }
    }

    /// Fills pixels `from..to` of row `y`. Groups of pixels that share their colour are filled whole, so keep both even; rows that
    /// share it are coloured by the first.
    pub(crate) fn fill(&self, frame: &mut FrameMut, y: u32, from: u32, to: u32) {
        for (i, ink) in self.planes.iter().enumerate() {
            let plane = self.format.info().planes[i];
            if !y.is_multiple_of(u32::from(plane.sub_y)) {
                continue;
            }
            let (bytes, stride) = frame.plane_mut(i);
            let begin = (y / u32::from(plane.sub_y)) as usize * stride;
            let group = |x: u32| (x.div_ceil(u32::from(plane.sub_x)) * u32::from(plane.bytes)) as usize;
            bytes[begin + group(from)..begin + group(to)].copy_from_slice(&ink[group(from)..group(to)]);
        }
    }
}
