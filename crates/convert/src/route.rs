//! The four ways between pictures: each one pass over the source, row by row through buffers of a few rows.

use crate::{
    Error, Source, Target, kernel,
    layout::{Rgb, Shape, Storage, Yuv},
    matrix::{Change, Coding, FromRgb, Recode, ToRgb, change},
    read::Reader,
    rows::Rows,
    simd::wide,
    write,
};

/// Writes `source` in the target's format and colours. The sizes are the same.
pub(crate) fn run(rows: &mut Rows, source: &Source<'_>, target: &mut Target<'_>) -> Result<(), Error> {
    let formats = Error::Formats {
        from: source.format,
        to: target.format,
    };
    let same = source.format == target.format;
    let (Some(from), Some(to)) = (Shape::of(source.format), Shape::of(target.format)) else {
        return if same { copy(source, target) } else { Err(formats) };
    };
    let change = match (from, to) {
        (Shape::Yuv(_), Shape::Yuv(_)) => change(source, target)?,
        _ => Change::None,
    };
    if same && matches!(change, Change::None) {
        return copy(source, target);
    }
    if target.format.info().bits > 8 {
        return Err(formats);
    }
    rows.fit(source.size.width as usize);
    match (from, to) {
        (Shape::Yuv(from), Shape::Rgb(to)) => {
            let coding = Coding::of_source(source)?;
            let reader = Reader::new(*source, from, coding.full);
            yuv_to_rgb(rows, &reader, target, to, coding.to_rgb());
        }
        (Shape::Yuv(from), Shape::Yuv(to)) => {
            let full = crate::matrix::full_range(source.format, source.color.full_range.or(target.color.full_range));
            let reader = Reader::new(*source, from, full);
            yuv_to_yuv(rows, &reader, target, &to, change);
        }
        (Shape::Rgb(from), Shape::Yuv(to)) => {
            let k = Coding::of_target(target)?.of_rgb();
            rgb_to_yuv(rows, source, from, target, &to, k);
        }
        (Shape::Rgb(from), Shape::Rgb(to)) => rgb_to_rgb(source, from, target, to),
    }
    Ok(())
}

/// Whether the colours of both are known; what [`run`] would say about them.
pub(crate) fn check(source: &Source<'_>, target: &Target<'_>) -> Result<(), Error> {
    match (Shape::of(source.format), Shape::of(target.format)) {
        (Some(Shape::Yuv(_)), Some(Shape::Rgb(_))) => Coding::of_source(source).map(drop),
        (Some(Shape::Rgb(_)), Some(Shape::Yuv(_))) => Coding::of_target(target).map(drop),
        _ => changes(source, target).map(drop),
    }
}

/// Whether the target's samples mean something else, when both are luma and chroma.
pub(crate) fn changes(source: &Source<'_>, target: &Target<'_>) -> Result<bool, Error> {
    match (Shape::of(source.format), Shape::of(target.format)) {
        (Some(Shape::Yuv(_)), Some(Shape::Yuv(_))) => Ok(!matches!(change(source, target)?, Change::None)),
        _ => Ok(false),
    }
}

/// Row by row, or a plane at once where neither has padding.
fn copy(source: &Source<'_>, target: &mut Target<'_>) -> Result<(), Error> {
    for i in 0..source.format.plane_count() {
        let row_bytes = source.format.row_bytes(i, source.size.width);
        let rows = source.format.rows(i, source.size.height);
        let ((from, a), (to, b)) = (source.plane(i), target.plane(i));
        if a == row_bytes && b == row_bytes {
            to[..row_bytes * rows].copy_from_slice(&from[..row_bytes * rows]);
        } else {
            for (to, from) in to.chunks_mut(b).zip(from.chunks(a)).take(rows) {
                to[..row_bytes].copy_from_slice(&from[..row_bytes]);
            }
        }
    }
    Ok(())
}

fn yuv_to_rgb(rows: &mut Rows, reader: &Reader<'_>, target: &mut Target<'_>, to: Rgb, k: ToRgb) {
    let Rows {
        luma,
        alpha,
        opaque,
        stored,
        full,
        ..
    } = rows;
    for y in 0..target.size.height as usize {
        let sub_y = reader.shape.sub_y;
        // A chroma row that was spread to full width for the row above still stands there.
        let (u, v) = if y % sub_y == 0 || reader.shape.sub_x == 1 {
            reader.chroma_per_pixel(y / sub_y, stored, full)
        } else {
            (&full[0][..], &full[1][..])
        };
        let luma = reader.luma(y, luma);
        let kept = if to.alpha { reader.alpha(y, alpha) } else { None };
        let parts = [luma, u, v, kept.unwrap_or(opaque)];
        let out = target.row(0, y);
        wide(
            #[inline(always)]
            || match (to.step, to.blue_first) {
                (3, false) => kernel::to_rgb::<0, 3>(k, parts, out),
                (3, true) => kernel::to_rgb::<2, 3>(k, parts, out),
                (_, false) => kernel::to_rgb::<0, 4>(k, parts, out),
                (_, true) => kernel::to_rgb::<2, 4>(k, parts, out),
            },
        );
    }
}

fn yuv_to_yuv(rows: &mut Rows, reader: &Reader<'_>, target: &mut Target<'_>, to: &Yuv, change: Change) {
    let width = target.size.width as usize;
    let made = width.div_ceil(to.sub_x);
    for y in 0..target.size.height as usize {
        if y % to.sub_y == 0 && to.storage != Storage::Luma {
            resample(rows, reader, target.size.height as usize, y, to);
            let [u, v] = &mut rows.made;
            if let Change::Recode(k) = change {
                let (u, v) = (&mut u[..made], &mut v[..made]);
                wide(
                    #[inline(always)]
                    || kernel::recode_chroma(k, u, v),
                );
            }
            write::chroma(target, to, y / to.sub_y, &u[..made], &v[..made]);
        }
        if to.alpha.is_some() {
            let kept = reader.alpha(y, &mut rows.alpha);
            write::alpha(target, to, y, kept);
        }
        let recoded = &mut rows.rgb[0][0][..];
        let luma = reader.luma(y, &mut rows.luma);
        let luma = match change {
            Change::None => luma,
            Change::Recode(k) => {
                let chroma = (k.mixes())
                    .then(|| reader.chroma_per_pixel(y / reader.shape.sub_y, &mut rows.stored, &mut rows.full));
                recode_luma(k, luma, chroma, recoded);
                &*recoded
            }
        };
        write::luma(target, to, y, luma);
        write::packed(target, to, y, luma, &rows.made[0][..made], &rows.made[1][..made]);
    }
}

fn recode_luma(k: Recode, luma: &[u8], chroma: Option<(&[u8], &[u8])>, out: &mut [u8]) {
    wide(
        #[inline(always)]
        || match chroma {
            Some((u, v)) => kernel::recode_mixed(k, [luma, u, v], out),
            None => kernel::recode_luma(k, luma, out),
        },
    );
}

/// The chroma samples of the target's chroma row that begins at picture row `y`, into `rows.made`: means where the target has
/// fewer, repeated where it has more.
fn resample(rows: &mut Rows, reader: &Reader<'_>, height: usize, y: usize, to: &Yuv) {
    let Rows {
        stored, below, made, ..
    } = rows;
    let from = reader.shape;
    let width = made[0].len();
    let (have, want) = (width.div_ceil(from.sub_x), width.div_ceil(to.sub_x));
    let first = y / from.sub_y;
    let last = (y + to.sub_y - 1).min(height - 1) / from.sub_y;
    let [a_u, a_v] = stored;
    let [b_u, b_v] = below;
    let (a_u, a_v) = reader.chroma(first, &mut a_u[..have], &mut a_v[..have]);
    let (b_u, b_v) = if last == first {
        (a_u, a_v)
    } else {
        reader.chroma(last, &mut b_u[..have], &mut b_v[..have])
    };
    for (out, (above, under)) in made.iter_mut().zip([(a_u, b_u), (a_v, b_v)]) {
        let out = &mut out[..want];
        wide(
            #[inline(always)]
            || match from.sub_x.cmp(&to.sub_x) {
                std::cmp::Ordering::Less => kernel::halve(above, under, out),
                std::cmp::Ordering::Equal => kernel::mean(above, under, out),
                std::cmp::Ordering::Greater => kernel::double(above, out),
            },
        );
    }
}

fn rgb_to_yuv(rows: &mut Rows, source: &Source<'_>, from: Rgb, target: &mut Target<'_>, to: &Yuv, k: FromRgb) {
    let height = source.size.height as usize;
    let made = (source.size.width as usize).div_ceil(to.sub_x);
    for top in (0..height).step_by(to.sub_y) {
        let count = to.sub_y.min(height - top);
        for (i, part) in rows.rgb.iter_mut().enumerate().take(count) {
            split(source.row(0, top + i), from, part);
        }
        if to.storage != Storage::Luma {
            let [above, below] = &rows.rgb;
            let below = if count == 2 { below } else { above };
            let [u, v] = &mut rows.made;
            let (u, v) = (&mut u[..made], &mut v[..made]);
            mean_chroma(k, above, below, &mut rows.means, to.sub_x, [u, v]);
            write::chroma(target, to, top / to.sub_y, &rows.made[0][..made], &rows.made[1][..made]);
        }
        for i in 0..count {
            let [r, g, b, a] = &rows.rgb[i];
            let luma = &mut rows.luma[..];
            wide(
                #[inline(always)]
                || kernel::to_luma(k, [r, g, b], luma),
            );
            write::luma(target, to, top + i, luma);
            write::alpha(target, to, top + i, from.alpha.then_some(&a[..]));
            write::packed(target, to, top + i, luma, &rows.made[0][..made], &rows.made[1][..made]);
        }
    }
}

fn split(pixels: &[u8], from: Rgb, part: &mut [Vec<u8>; 4]) {
    let [r, g, b, a] = part;
    let out = [&mut r[..], &mut g[..], &mut b[..], &mut a[..]];
    wide(
        #[inline(always)]
        || match (from.step, from.blue_first) {
            (3, false) => kernel::split_rgb::<0, 3>(pixels, out),
            (3, true) => kernel::split_rgb::<2, 3>(pixels, out),
            (_, false) => kernel::split_rgb::<0, 4>(pixels, out),
            (_, true) => kernel::split_rgb::<2, 4>(pixels, out),
        },
    );
}

/// One chroma row from two rows of red, green and blue (the same one twice where there is only one).
fn mean_chroma(
    k: FromRgb,
    above: &[Vec<u8>; 4],
    below: &[Vec<u8>; 4],
    means: &mut [Vec<u16>; 3],
    sub_x: usize,
    [u, v]: [&mut [u8]; 2],
) {
    for (out, (a, b)) in means.iter_mut().zip(above.iter().zip(below)) {
        let out = &mut out[..u.len()];
        wide(
            #[inline(always)]
            || match sub_x {
                1 => kernel::single(a, out),
                _ => kernel::group(a, b, out),
            },
        );
    }
    let [r, g, b] = means;
    let (r, g, b) = (&r[..u.len()], &g[..u.len()], &b[..u.len()]);
    wide(
        #[inline(always)]
        || kernel::to_chroma(k, [r, g, b], u, v),
    );
}

fn rgb_to_rgb(source: &Source<'_>, from: Rgb, target: &mut Target<'_>, to: Rgb) {
    let alpha = from.alpha && to.alpha;
    let swap = from.blue_first != to.blue_first;
    for y in 0..source.size.height as usize {
        let (row, out) = (source.row(0, y), target.row(0, y));
        wide(
            #[inline(always)]
            || match (from.step, to.step, swap) {
                (3, 3, _) => kernel::shuffle::<3, 3>(swap, alpha, row, out),
                (3, _, _) => kernel::shuffle::<3, 4>(swap, alpha, row, out),
                (_, 3, _) => kernel::shuffle::<4, 3>(swap, alpha, row, out),
                _ => kernel::shuffle::<4, 4>(swap, alpha, row, out),
            },
        );
    }
}
