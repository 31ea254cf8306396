//! FFmpeg's pixel formats and ours.

use crate::sys::{self as ff, AVPixelFormat as Av};
use beamline_media::PixelFormat as Ours;
use std::ffi::c_int;

/// A pair.
#[derive(Debug)]
struct Row {
    ours: Ours,
    av: Av,
    /// FFmpeg's old way to say "full range" by the format.
    full_range: bool,
}

const fn row(ours: Ours, av: Av) -> Row {
    Row {
        ours,
        av,
        full_range: false,
    }
}

const fn full(ours: Ours, av: Av) -> Row {
    Row {
        ours,
        av,
        full_range: true,
    }
}

/// The table. From ours to FFmpeg's the first row counts.
const ROWS: &[Row] = &[
    row(Ours::I420, Av::AV_PIX_FMT_YUV420P),
    row(Ours::I422, Av::AV_PIX_FMT_YUV422P),
    row(Ours::I444, Av::AV_PIX_FMT_YUV444P),
    row(Ours::NV12, Av::AV_PIX_FMT_NV12),
    row(Ours::NV21, Av::AV_PIX_FMT_NV21),
    full(Ours::I420, Av::AV_PIX_FMT_YUVJ420P),
    full(Ours::I422, Av::AV_PIX_FMT_YUVJ422P),
    full(Ours::I444, Av::AV_PIX_FMT_YUVJ444P),
    row(Ours::I420P10, Av::AV_PIX_FMT_YUV420P10LE),
    row(Ours::I422P10, Av::AV_PIX_FMT_YUV422P10LE),
    row(Ours::I444P10, Av::AV_PIX_FMT_YUV444P10LE),
    row(Ours::I420P12, Av::AV_PIX_FMT_YUV420P12LE),
    row(Ours::I422P12, Av::AV_PIX_FMT_YUV422P12LE),
    row(Ours::I444P12, Av::AV_PIX_FMT_YUV444P12LE),
    row(Ours::I420A, Av::AV_PIX_FMT_YUVA420P),
    row(Ours::I422A, Av::AV_PIX_FMT_YUVA422P),
    row(Ours::I444A, Av::AV_PIX_FMT_YUVA444P),
    row(Ours::I420AP10, Av::AV_PIX_FMT_YUVA420P10LE),
    row(Ours::I422AP10, Av::AV_PIX_FMT_YUVA422P10LE),
    row(Ours::I444AP10, Av::AV_PIX_FMT_YUVA444P10LE),
    row(Ours::I422AP12, Av::AV_PIX_FMT_YUVA422P12LE),
    row(Ours::I444AP12, Av::AV_PIX_FMT_YUVA444P12LE),
    row(Ours::RGBA, Av::AV_PIX_FMT_RGBA),
    row(Ours::RGBX, Av::AV_PIX_FMT_RGB0),
    row(Ours::BGRA, Av::AV_PIX_FMT_BGRA),
    row(Ours::BGRX, Av::AV_PIX_FMT_BGR0),
    row(Ours::RGB24, Av::AV_PIX_FMT_RGB24),
    row(Ours::BGR24, Av::AV_PIX_FMT_BGR24),
    row(Ours::YUYV, Av::AV_PIX_FMT_YUYV422),
    row(Ours::UYVY, Av::AV_PIX_FMT_UYVY422),
    row(Ours::GRAY8, Av::AV_PIX_FMT_GRAY8),
    row(Ours::GRAY16, Av::AV_PIX_FMT_GRAY16LE),
    row(Ours::P010, Av::AV_PIX_FMT_P010LE),
];

/// What a picture of a format that we do not have is converted to: FFmpeg picks the one that loses least.
const NEAREST: &[Av] = &[
    Av::AV_PIX_FMT_YUV420P,
    Av::AV_PIX_FMT_YUV422P,
    Av::AV_PIX_FMT_YUV444P,
    Av::AV_PIX_FMT_YUV420P10LE,
    Av::AV_PIX_FMT_YUV422P10LE,
    Av::AV_PIX_FMT_YUV444P10LE,
    Av::AV_PIX_FMT_RGBA,
    Av::AV_PIX_FMT_RGB24,
    Av::AV_PIX_FMT_GRAY8,
    Av::AV_PIX_FMT_GRAY16LE,
    Av::AV_PIX_FMT_NONE,
];

/// Our format for a number of FFmpeg's, and whether that number says "full range".
pub(crate) fn ours(av: c_int) -> Option<(Ours, bool)> {
    ROWS.iter()
        .find(|row| row.av as c_int == av)
        .map(|row| (row.ours, row.full_range))
}

/// FFmpeg's format for ours.
pub(crate) fn av(ours: Ours) -> Option<Av> {
    ROWS.iter().find(|row| row.ours == ours).map(|row| row.av)
}

/// Whether FFmpeg's format says "full range" by itself.
pub(crate) fn says_full_range(av: c_int) -> bool {
    ours(av).is_some_and(|(_, full)| full)
        || av == Av::AV_PIX_FMT_YUVJ440P as c_int
        || av == Av::AV_PIX_FMT_YUVJ411P as c_int
}

/// The nearest format of ours to one that we do not have.
pub(crate) fn nearest(from: Av) -> Option<(Ours, Av)> {
    // SAFETY: the list ends with NONE; the loss is not wanted.
    let best = unsafe {
        let alpha = c_int::from(has_alpha(from));
        ff::avcodec_find_best_pix_fmt_of_list(NEAREST.as_ptr(), from, alpha, std::ptr::null_mut())
    };
    ours(best as c_int).map(|(ours, _)| (ours, best))
}

/// Whether a format can carry alpha (a palette can).
fn has_alpha(av: Av) -> bool {
    const WANTED: u64 = (ff::AV_PIX_FMT_FLAG_ALPHA | ff::AV_PIX_FMT_FLAG_PAL) as u64;
    // SAFETY: descriptors are static.
    unsafe { ff::av_pix_fmt_desc_get(av).as_ref() }.is_some_and(|d| d.flags & WANTED != 0)
}
