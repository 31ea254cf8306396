//! The inner loops: one row at a time, over slices of equal length. Plain code that the compiler turns into vectors; what runs
//! per pixel is here and nowhere else. Call through [`crate::simd::wide`].

use crate::matrix::{FromRgb, Recode, ToRgb};

/// `(value - 128) × k / 256`: for a `k` that is a factor ×8192, the product ×32. All in 16 bits, also for luma: the high half of a
/// product of 16 bits is one vector instruction, one of 32 bits is four.
#[inline(always)]
fn part(value: u8, k: i16) -> i16 {
    ((i32::from((i16::from(value) - 128) << 8) * i32::from(k)) >> 16) as i16
}

#[inline(always)]
fn part_of_mean(value: u16, k: u16) -> i16 {
    ((u32::from(value) * u32::from(k)) >> 16) as i16
}

#[inline(always)]
fn byte(value: i16) -> u8 {
    value.clamp(0, 255) as u8
}

/// Luma and chroma of full width to pixels of `STEP` bytes, red at `RED` (0 or 2); `a` is the fourth byte.
#[inline(always)]
pub(crate) fn to_rgb<const RED: usize, const STEP: usize>(k: ToRgb, [y, u, v, a]: [&[u8]; 4], out: &mut [u8]) {
    let rows = y.iter().zip(u).zip(v).zip(a);
    for (out, (((&y, &u), &v), &a)) in out.as_chunks_mut::<STEP>().0.iter_mut().zip(rows) {
        let y = part(y, k.y).wrapping_add(k.bias);
        out[RED] = byte(y.wrapping_add(part(v, k.rv)) >> 5);
        out[1] = byte(y.wrapping_add(part(u, k.gu)).wrapping_add(part(v, k.gv)) >> 5);
        out[2 - RED] = byte(y.wrapping_add(part(u, k.bu)) >> 5);
        if STEP == 4 {
            out[3] = a;
        }
    }
}

/// Pixels of `STEP` bytes, red at `RED`, to rows of red, green, blue and, when there are four bytes, the fourth.
#[inline(always)]
pub(crate) fn split_rgb<const RED: usize, const STEP: usize>(pixels: &[u8], [r, g, b, a]: [&mut [u8]; 4]) {
    let rows = r.iter_mut().zip(g).zip(b).zip(a);
    for (p, (((r, g), b), a)) in pixels.as_chunks::<STEP>().0.iter().zip(rows) {
        *r = p[RED];
        *g = p[1];
        *b = p[2 - RED];
        *a = if STEP == 4 { p[3] } else { 255 };
    }
}

/// Pixels of `FROM` bytes to pixels of `TO` bytes, red and blue changed over or not; the fourth byte is kept or 255.
#[inline(always)]
pub(crate) fn shuffle<const FROM: usize, const TO: usize>(swap: bool, alpha: bool, pixels: &[u8], out: &mut [u8]) {
    for (out, p) in out.as_chunks_mut::<TO>().0.iter_mut().zip(pixels.as_chunks::<FROM>().0) {
        let (first, third) = if swap { (p[2], p[0]) } else { (p[0], p[2]) };
        out[0] = first;
        out[1] = p[1];
        out[2] = third;
        if TO == 4 {
            out[3] = if FROM == 4 && alpha { p[3] } else { 255 };
        }
    }
}

/// Rows of red, green and blue to luma.
#[inline(always)]
pub(crate) fn to_luma(k: FromRgb, [r, g, b]: [&[u8]; 3], out: &mut [u8]) {
    for (out, ((&r, &g), &b)) in out.iter_mut().zip(r.iter().zip(g).zip(b)) {
        let sum = part(r, k.y[0])
            .wrapping_add(part(g, k.y[1]))
            .wrapping_add(part(b, k.y[2]));
        *out = byte(sum.wrapping_add(k.bias) >> 7);
    }
}

/// Rows of red, green and blue ×256 (a mean over a group, see [`group`]) to one chroma row each.
#[inline(always)]
pub(crate) fn to_chroma(k: FromRgb, [r, g, b]: [&[u16]; 3], u: &mut [u8], v: &mut [u8]) {
    /// 128 and one half, ×64. What the cut products lose is as often added as taken off.
    const MIDDLE: i16 = 128 * 64 + 32;
    let rows = u.iter_mut().zip(v).zip(r.iter().zip(g).zip(b));
    for ((u, v), ((&r, &g), &b)) in rows {
        let blue = part_of_mean(b, k.u[2]) - part_of_mean(r, k.u[0]) - part_of_mean(g, k.u[1]);
        let red = part_of_mean(r, k.v[2]) - part_of_mean(b, k.v[0]) - part_of_mean(g, k.v[1]);
        *u = byte((MIDDLE + blue) >> 6);
        *v = byte((MIDDLE + red) >> 6);
    }
}

/// The mean ×256 of each two by two samples of two rows; a last odd column stands for two.
#[inline(always)]
pub(crate) fn group(above: &[u8], below: &[u8], out: &mut [u16]) {
    let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
    for (out, (a, b)) in out.iter_mut().zip(pairs) {
        *out = (u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1])) << 6;
    }
    if let (1, [.., a], [.., b], [.., out]) = (above.len() % 2, above, below, out) {
        *out = (u16::from(*a) + u16::from(*b)) << 7;
    }
}

/// Samples ×256.
#[inline(always)]
pub(crate) fn single(row: &[u8], out: &mut [u16]) {
    for (out, &value) in out.iter_mut().zip(row) {
        *out = u16::from(value) << 8;
    }
}

/// The rounded mean of each two by two samples of two rows.
#[inline(always)]
pub(crate) fn halve(above: &[u8], below: &[u8], out: &mut [u8]) {
    let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
    for (out, (a, b)) in out.iter_mut().zip(pairs) {
        *out = ((u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]) + 2) >> 2) as u8;
    }
    if let (1, [.., a], [.., b], [.., out]) = (above.len() % 2, above, below, out) {
        *out = ((u16::from(*a) + u16::from(*b)).div_ceil(2)) as u8;
    }
}

/// The rounded mean of two rows.
#[inline(always)]
pub(crate) fn mean(above: &[u8], below: &[u8], out: &mut [u8]) {
    for (out, (&a, &b)) in out.iter_mut().zip(above.iter().zip(below)) {
        *out = (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
    }
}

/// Each sample twice; the last once when `out` is odd.
#[inline(always)]
pub(crate) fn double(row: &[u8], out: &mut [u8]) {
    // Not `fill`: that becomes a call per pair.
    for (out, &value) in out.as_chunks_mut::<2>().0.iter_mut().zip(row) {
        *out = [value, value];
    }
    if let (1, [.., last], [.., out]) = (out.len() % 2, row, out) {
        *out = *last;
    }
}

/// The bytes at `AT`, `AT + STEP`, ….
#[inline(always)]
pub(crate) fn pick<const AT: usize, const STEP: usize>(row: &[u8], out: &mut [u8]) {
    for (out, group) in out.iter_mut().zip(row.as_chunks::<STEP>().0) {
        *out = group[AT];
    }
}

/// Two rows side by side.
#[inline(always)]
pub(crate) fn interleave(first: &[u8], second: &[u8], out: &mut [u8]) {
    for (out, (&a, &b)) in out.as_chunks_mut::<2>().0.iter_mut().zip(first.iter().zip(second)) {
        *out = [a, b];
    }
}

/// Two luma samples and one of each chroma to four bytes, luma at `LUMA` and `LUMA + 2`. An odd last luma sample stands twice.
#[inline(always)]
pub(crate) fn pack<const LUMA: usize>(y: &[u8], u: &[u8], v: &[u8], out: &mut [u8]) {
    let (luma, chroma) = (LUMA, 1 - LUMA);
    let (groups, odd) = y.as_chunks::<2>();
    for (out, (y, (&u, &v))) in out
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(groups.iter().zip(u.iter().zip(v)))
    {
        out[luma] = y[0];
        out[luma + 2] = y[1];
        out[chroma] = u;
        out[chroma + 2] = v;
    }
    if let ([y], [.., u], [.., v], Some(out)) = (odd, u, v, out.last_chunk_mut::<4>()) {
        out[luma] = *y;
        out[luma + 2] = *y;
        out[chroma] = *u;
        out[chroma + 2] = *v;
    }
}

/// How samples of two bytes become one: `((sample >> shift) × mul + add) / 65536`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow {
    pub(crate) shift: u32,
    pub(crate) mul: u32,
    pub(crate) add: u32,
}

/// The samples of two bytes at `AT`, `AT + STEP`, … as bytes.
#[inline(always)]
pub(crate) fn narrow<const AT: usize, const STEP: usize>(k: Narrow, row: &[u8], out: &mut [u8]) {
    for (out, group) in out.iter_mut().zip(row.as_chunks::<STEP>().0) {
        let sample = u32::from(u16::from_le_bytes([group[AT], group[AT + 1]])) >> k.shift;
        *out = ((sample * k.mul + k.add) >> 16).min(255) as u8;
    }
}

/// Luma of another range.
#[inline(always)]
pub(crate) fn recode_luma(k: Recode, row: &[u8], out: &mut [u8]) {
    for (out, &y) in out.iter_mut().zip(row) {
        *out = byte(part(y, k.y).wrapping_add(k.bias) >> 5);
    }
}

/// Luma of another matrix, from luma and chroma of full width.
#[inline(always)]
pub(crate) fn recode_mixed(k: Recode, [y, u, v]: [&[u8]; 3], out: &mut [u8]) {
    for (out, ((&y, &u), &v)) in out.iter_mut().zip(y.iter().zip(u).zip(v)) {
        let sum = part(y, k.y).wrapping_add(part(u, k.yu)).wrapping_add(part(v, k.yv));
        *out = byte(sum.wrapping_add(k.bias) >> 5);
    }
}

/// Chroma of another range or matrix, in place.
#[inline(always)]
pub(crate) fn recode_chroma(k: Recode, u: &mut [u8], v: &mut [u8]) {
    /// 128 and one half, ×32, and one for what the cut products lose on average.
    const MIDDLE: i16 = 128 * 32 + 16 + 1;
    for (u, v) in u.iter_mut().zip(v) {
        let (a, b) = (*u, *v);
        *u = byte(part(a, k.u[0]).wrapping_add(part(b, k.u[1])).wrapping_add(MIDDLE) >> 5);
        *v = byte(part(a, k.v[0]).wrapping_add(part(b, k.v[1])).wrapping_add(MIDDLE) >> 5);
    }
}
