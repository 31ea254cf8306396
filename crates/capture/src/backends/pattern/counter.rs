//! Number and timestamp burned into a picture, so that a test can tell which picture it holds, after a codec and a file too.
//!
//! The block lies in the top left corner: 16 × 6 square cells, black or white, colour neutral. A cell is `c` pixels wide and high
//! ([`counter_cell`]): 16 in pictures from 512×720 on, else 8 from 128×48 on, else 4 from 64×24 on; a smaller picture has no
//! block. Each row of cells is a 16-bit word, its highest bit left, white for 1:
//!
//! | row | word |
//! |---|---|
//! | 0, 1 | number of the picture modulo 2^32, high word first |
//! | 2, 3, 4 | timestamp in µs modulo 2^48, high word first |
//! | 5 | CRC-16/CCITT-FALSE (polynomial 0x1021, initial 0xffff) of the ten bytes of rows 0 to 4, high byte first |
//!
//! To read a cell, take the mean luma (or green) of its middle, from a quarter to three quarters in both directions: more than 128
//! is white (of deeper samples the highest eight bits count). A picture whose checksum is wrong has no block, was scaled or is damaged.

use super::{
    color::{Matrix, Rgb},
    layout::padding_of,
    template::Ink,
};
use beamline_media::{Frame, FrameMut, Model, PixelFormat, Rect, Size};

/// Cells per row of the block.
const COLUMNS: u32 = 16;
/// Rows of cells.
const ROWS: usize = 6;

/// What a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the picture, from 0, modulo 2^32.
    pub frame: u32,
    /// Its timestamp in µs, modulo 2^48.
    pub timestamp_us: i64,
}

impl Stamp {
    /// The rows of the block.
    fn words(self) -> [u16; ROWS] {
        let (n, t) = (self.frame, self.timestamp_us);
        let mut words = [
            (n >> 16) as u16,
            n as u16,
            (t >> 32) as u16,
            (t >> 16) as u16,
            t as u16,
            0,
        ];
        words[ROWS - 1] = crc16(&words[..ROWS - 1]);
        words
    }

    fn from_words(words: [u16; ROWS]) -> Option<Self> {
        let join = |words: &[u16]| words.iter().fold(0u64, |sum, w| sum << 16 | u64::from(*w));
        (crc16(&words[..ROWS - 1]) == words[ROWS - 1]).then(|| Stamp {
            frame: join(&words[..2]) as u32,
            timestamp_us: join(&words[2..5]) as i64,
        })
    }
}

/// Pixels per side of a cell in pictures of that size; `None` when the block does not fit.
#[must_use]
pub fn counter_cell(size: Size) -> Option<u32> {
    [(16, 512, 720), (8, 128, 48), (4, 64, 24)]
        .into_iter()
        .find(|(_, width, height)| size.width >= *width && size.height >= *height)
        .map(|(cell, ..)| cell)
}

/// What the block in a picture says: of the visible part, before any rotation. `None` when there is none, or its checksum is wrong.
///
/// Reads every format that there is. Cost: a few thousand loads.
#[must_use]
pub fn read_counter(frame: &Frame) -> Option<Stamp> {
    let visible = frame.info().visible;
    let cell = counter_cell(visible.size())?;
    let mut words = [0u16; ROWS];
    for (row, word) in (0..).zip(&mut words) {
        for column in 0..COLUMNS {
            let middle = Rect {
                x: visible.x + column * cell + cell / 4,
                y: visible.y + row * cell + cell / 4,
                width: cell / 2,
                height: cell / 2,
            };
            *word = *word << 1 | u16::from(mean_luma(frame, middle) > 128);
        }
    }
    Stamp::from_words(words)
}

fn mean_luma(frame: &Frame, rect: Rect) -> u32 {
    let (offset, step) = luma_place(frame.info().format);
    let bits = frame.info().format.info().bits;
    let shift = u32::from(bits) - 8 + padding_of(frame.info().format);
    let mut sum = 0;
    for y in rect.y..rect.y + rect.height {
        let row = frame.row(0, y as usize);
        for x in rect.x..rect.x + rect.width {
            let at = offset + x as usize * step;
            let sample = if bits > 8 {
                u32::from(u16::from_le_bytes([row[at], row[at + 1]])) >> shift
            } else {
                u32::from(row[at])
            };
            sum += sample;
        }
    }
    sum / (rect.width * rect.height)
}

/// Byte of the first pixel's luma (green in RGB) in the first plane, and bytes from pixel to pixel.
fn luma_place(format: PixelFormat) -> (usize, usize) {
    let info = format.info();
    let plane = info.planes[0];
    let step = usize::from(plane.bytes) / usize::from(plane.sub_x);
    let offset = match info.model {
        Model::Rgb => 1,
        _ => usize::from(format == PixelFormat::UYVY),
    };
    (offset, step)
}

/// CRC-16/CCITT-FALSE of the words, high byte first.
fn crc16(words: &[u16]) -> u16 {
    words.iter().flat_map(|w| w.to_be_bytes()).fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}

/// Draws blocks.
#[derive(Debug)]
pub(crate) struct Counter {
    cell: u32,
    black: Ink,
    white: Ink,
}

impl Counter {
    /// `None` when the picture is too small.
    pub(crate) fn new(format: PixelFormat, size: Size, matrix: &Matrix) -> Option<Self> {
        let cell = counter_cell(size)?;
        let ink = |color| Ink::new(format, cell * COLUMNS, matrix, color);
        Some(Counter {
            cell,
            black: ink(Rgb::BLACK),
            white: ink(Rgb::WHITE),
        })
    }

    pub(crate) fn draw(&self, frame: &mut FrameMut, n: u64, timestamp_us: i64) {
        let stamp = Stamp {
            frame: n as u32,
            timestamp_us,
        };
        for (row, word) in (0..).zip(stamp.words()) {
            let top = row * self.cell;
            self.black.fill(frame, top, 0, self.cell * COLUMNS);
            for column in (0..COLUMNS).filter(|c| word << c & 0x8000 != 0) {
                self.white
                    .fill(frame, top, column * self.cell, (column + 1) * self.cell);
            }
            self.repeat(frame, top);
        }
    }

    /// Copies the first pixel row of a row of cells down to its others.
    fn repeat(&self, frame: &mut FrameMut, top: u32) {
        let format = frame.info().format;
        for i in 0..format.plane_count() {
            let sub_y = u32::from(format.info().planes[i].sub_y);
            let len = format.row_bytes(i, self.cell * COLUMNS);
            let (bytes, stride) = frame.plane_mut(i);
            let from = (top / sub_y) as usize * stride;
            for row in 1..(self.cell / sub_y) as usize {
                bytes.copy_within(from..from + len, from + row * stride);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_is_documented() {
        // "12345678" of the usual check string "123456789" has 0xa12b; words only take an even number of bytes.
        let words: Vec<_> = b"12345678"
            .chunks(2)
            .map(|w| u16::from_be_bytes([w[0], w[1]]))
            .collect();
        assert_eq!(crc16(&words), 0xa12b);
    }

    #[test]
    fn words_come_back_as_the_stamp_they_were() {
        for stamp in [(0, 0), (1, 33_333), (u32::MAX, (1 << 48) - 1), (7_654_321, 1 << 40)] {
            let stamp = Stamp {
                frame: stamp.0,
                timestamp_us: stamp.1,
            };
            assert_eq!(Stamp::from_words(stamp.words()), Some(stamp));
            let mut damaged = stamp.words();
            damaged[3] ^= 4;
            assert_eq!(Stamp::from_words(damaged), None);
        }
    }
}
