//! Quarter turns and mirror images, plane by plane.

use crate::{Error, Source, Target};
use beamline_media::{PlaneInfo, Rotation};

/// Side of the square tiles in which a quarter turn goes, in groups of pixels: both sides of a tile stay in the cache.
const TILE: usize = 32;

/// A plane that is walked in a turned order: where the walk begins and how far a step goes, in bytes.
#[derive(Clone, Copy, Debug)]
struct Walk {
    /// Offset of the source group that comes to the top left.
    begin: usize,
    /// Bytes to the source group of the next column.
    column: isize,
    /// Bytes to the source group of the next row.
    row: isize,
}

/// Writes `source` turned clockwise, then mirrored.
pub(crate) fn run(source: &Source<'_>, target: &mut Target<'_>, rotation: Rotation, flip: bool) -> Result<(), Error> {
    let format = source.format;
    if format != target.format {
        return Err(Error::Formats {
            from: format,
            to: target.format,
        });
    }
    let expected = if rotation.transposes() {
        source.size.transposed()
    } else {
        source.size
    };
    if expected != target.size {
        return Err(Error::TargetSize {
            expected,
            got: target.size,
        });
    }
    let stays = rotation == Rotation::None && !flip;
    let planes = format.info().planes;
    // The first plane has a group per pixel, or several pixels share a group that cannot be taken apart.
    let apart = planes[0].sub_x == 1 && planes[0].sub_y == 1;
    let square = planes.iter().all(|p| p.sub_x == p.sub_y);
    if !(stays || apart && (square || !rotation.transposes())) {
        return Err(Error::Turn(format));
    }
    for (i, plane) in planes.iter().enumerate() {
        turn(source, target, i, plane, (rotation, flip));
    }
    Ok(())
}

fn turn(source: &Source<'_>, target: &mut Target<'_>, i: usize, plane: &PlaneInfo, how: (Rotation, bool)) {
    let bytes = usize::from(plane.bytes);
    let (from, stride) = source.plane(i);
    let width = source.format.row_bytes(i, source.size.width) / bytes;
    let height = source.format.rows(i, source.size.height);
    let walk = Walk::new((width, height), bytes, stride, how);
    let out_width = target.format.row_bytes(i, target.size.width) / bytes;
    let out_height = target.format.rows(i, target.size.height);
    let (to, to_stride) = target.plane(i);
    for top in (0..out_height).step_by(TILE) {
        for left in (0..out_width).step_by(TILE) {
            let columns = left..(left + TILE).min(out_width);
            for y in top..(top + TILE).min(out_height) {
                let out = &mut to[y * to_stride..][columns.start * bytes..columns.end * bytes];
                let first = walk.at(columns.start, y);
                match bytes {
                    1 => walk.gather::<1>(from, first, out),
                    2 => walk.gather::<2>(from, first, out),
                    3 => walk.gather::<3>(from, first, out),
                    _ => walk.gather::<4>(from, first, out),
                }
            }
        }
    }
}

impl Walk {
    fn new((width, height): (usize, usize), bytes: usize, stride: usize, (rotation, flip): (Rotation, bool)) -> Self {
        // Planes are slices: they and the steps in them are shorter than isize::MAX.
        let (across, down) = (bytes as isize, stride as isize);
        let (right, bottom) = ((width - 1) * bytes, (height - 1) * stride);
        let (begin, column, row, columns) = match rotation {
            Rotation::None => (0, across, down, width),
            Rotation::Quarter => (bottom, -down, across, height),
            Rotation::Half => (bottom + right, -across, -down, width),
            Rotation::ThreeQuarters => (right, down, -across, height),
        };
        if !flip {
            return Walk { begin, column, row };
        }
        Walk {
            begin: begin.wrapping_add_signed(column * (columns as isize - 1)),
            column: -column,
            row,
        }
    }

    fn at(&self, x: usize, y: usize) -> usize {
        self.begin
            .wrapping_add_signed(self.column * x as isize + self.row * y as isize)
    }

    fn gather<const BYTES: usize>(&self, from: &[u8], first: usize, out: &mut [u8]) {
        let mut at = first;
        for out in out.as_chunks_mut::<BYTES>().0 {
            out.copy_from_slice(&from[at..at + BYTES]);
            at = at.wrapping_add_signed(self.column);
        }
    }
}
