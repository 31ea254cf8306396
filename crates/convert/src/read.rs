//! From a picture's rows to rows of single samples, 8 bits each. What already lies that way is borrowed, not copied.

use crate::{
    Source,
    kernel::{self, Narrow},
    layout::{Storage, Yuv},
    simd::wide,
};

/// Reads the samples of a picture of luma and chroma.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    source: Source<'a>,
    pub(crate) shape: Yuv,
    luma: Narrow,
    chroma: Narrow,
}

impl<'a> Reader<'a> {
    /// `full`: how samples of more than 8 bits are scaled down. In studio range the low bits are cut off, in full range the
    /// largest value of one is that of the other.
    pub(crate) fn new(source: Source<'a>, shape: Yuv, full: bool) -> Self {
        let extra = shape.bits - 8;
        let mul = if full {
            let max = (1_u64 << shape.bits) - 1;
            ((65_536 * 255 + max / 2) / max) as u32
        } else {
            65_536 >> extra
        };
        // Chroma's zero is in the middle: it must stay there.
        let middle = 128_i64 * 65_536 - (128_i64 << extra) * i64::from(mul) + 32_768;
        let narrow = |add| Narrow {
            shift: shape.low_bits,
            mul,
            add,
        };
        Reader {
            source,
            shape,
            luma: narrow(32_768),
            chroma: narrow(middle.max(0) as u32),
        }
    }

    fn is_wide(&self) -> bool {
        self.shape.bits > 8
    }

    /// Row `y` of luma; `buf` is used when it must be made.
    pub(crate) fn luma<'b>(&self, y: usize, buf: &'b mut [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        let row = self.source.row(0, y);
        match self.shape.storage {
            Storage::Packed { luma } => wide(
                #[inline(always)]
                || match luma {
                    0 => kernel::pick::<0, 2>(row, buf),
                    _ => kernel::pick::<1, 2>(row, buf),
                },
            ),
            _ if self.is_wide() => self.narrow(self.luma, row, buf),
            _ => return row,
        }
        buf
    }

    /// Row `y` of alpha, when there is alpha.
    pub(crate) fn alpha<'b>(&self, y: usize, buf: &'b mut [u8]) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        let row = self.source.row(self.shape.alpha?, y);
        if !self.is_wide() {
            return Some(row);
        }
        // Alpha is full range whatever the colours are.
        let max = (1_u32 << self.shape.bits) - 1;
        let full = Narrow {
            mul: (65_536 * 255 + max / 2) / max,
            ..self.luma
        };
        self.narrow(full, row, buf);
        Some(buf)
    }

    /// Chroma row `y`: U and V as they are stored, one sample per `sub_x` pixels. Grey has 128 throughout.
    pub(crate) fn chroma<'b>(&self, y: usize, u: &'b mut [u8], v: &'b mut [u8]) -> (&'b [u8], &'b [u8])
    where
        'a: 'b,
    {
        match self.shape.storage {
            Storage::Planar => {
                let (from_u, from_v) = (self.source.row(1, y), self.source.row(2, y));
                if !self.is_wide() {
                    return (from_u, from_v);
                }
                self.narrow(self.chroma, from_u, u);
                self.narrow(self.chroma, from_v, v);
            }
            Storage::Interleaved { v_first } => self.part(self.source.row(1, y), v_first, u, v),
            Storage::Packed { luma } => {
                let row = self.source.row(0, y);
                wide(
                    #[inline(always)]
                    || match luma {
                        0 => {
                            kernel::pick::<1, 4>(row, u);
                            kernel::pick::<3, 4>(row, v);
                        }
                        _ => {
                            kernel::pick::<0, 4>(row, u);
                            kernel::pick::<2, 4>(row, v);
                        }
                    },
                );
            }
            Storage::Luma => {
                u.fill(128);
                v.fill(128);
            }
        }
        (u, v)
    }

    /// Chroma row `y` with one sample per pixel, each sample standing for all its pixels. `half` holds the row as it is stored.
    pub(crate) fn chroma_per_pixel<'b>(
        &self,
        y: usize,
        half: &'b mut [Vec<u8>; 2],
        full: &'b mut [Vec<u8>; 2],
    ) -> (&'b [u8], &'b [u8])
    where
        'a: 'b,
    {
        let width = self.source.size.width as usize;
        let [half_u, half_v] = half;
        let stored = width.div_ceil(self.shape.sub_x);
        let (u, v) = self.chroma(y, &mut half_u[..stored], &mut half_v[..stored]);
        if self.shape.sub_x == 1 {
            return (u, v);
        }
        let [full_u, full_v] = full;
        let (full_u, full_v) = (&mut full_u[..width], &mut full_v[..width]);
        wide(
            #[inline(always)]
            || {
                kernel::double(u, full_u);
                kernel::double(v, full_v);
            },
        );
        (full_u, full_v)
    }

    fn part(&self, row: &[u8], v_first: bool, u: &mut [u8], v: &mut [u8]) {
        let (first, second) = if v_first { (v, u) } else { (u, v) };
        if self.is_wide() {
            let k = self.chroma;
            wide(
                #[inline(always)]
                || {
                    kernel::narrow::<0, 4>(k, row, first);
                    kernel::narrow::<2, 4>(k, row, second);
                },
            );
        } else {
            wide(
                #[inline(always)]
                || {
                    kernel::pick::<0, 2>(row, first);
                    kernel::pick::<1, 2>(row, second);
                },
            );
        }
    }

    fn narrow(&self, k: Narrow, row: &[u8], buf: &mut [u8]) {
        wide(
            #[inline(always)]
            || kernel::narrow::<0, 2>(k, row, buf),
        );
    }
}
