//! swscale, for pixel formats that only FFmpeg knows, and for stills. Every use is a copy and is counted by the caller.

use crate::{buffer, color, error, pixel, raii, sys as ff};
use beamline_codec::Error;
use beamline_media::{ColorSpace, Frame, FrameInfo, FramePool, PixelFormat};
use std::ffi::c_int;

/// Accurate rounding, full chroma on both sides: stills and rare formats, where correct counts more than fast.
const FLAGS: c_int = 0x0004_0000 | 0x2000 | 0x4000 | 0x4;

/// How the numbers of one side mean light.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Light {
    /// H.273 matrix to compute with.
    pub(crate) matrix: u8,
    pub(crate) full: bool,
}

impl Light {
    pub(crate) fn of(color: &ColorSpace, height: u32) -> Self {
        Light {
            matrix: color.matrix_or_guess(height),
            full: color.is_full_range(),
        }
    }
}

/// Copies or converts a picture that lies in FFmpeg's memory into a slot of `pool`. `info` says what it is but for the format.
///
/// # Safety
/// `from` is a valid picture in main memory.
pub(crate) unsafe fn into_slot(
    from: *const ff::AVFrame,
    mut info: FrameInfo,
    pool: &FramePool,
) -> Result<Frame, Error> {
    // SAFETY: the caller's promise.
    let number = unsafe { (*from).format };
    let unknown = || Error::NotSupported {
        what: format!("pixel format {number} of FFmpeg"),
        why: "it has no counterpart".into(),
    };
    let source = ff::pixel_format(number).ok_or_else(unknown)?;
    let (format, target) = match pixel::ours(number) {
        // The same format under its "full range" name is the same bytes.
        Some((format, _)) => (format, source),
        None => pixel::nearest(source).ok_or_else(unknown)?,
    };
    info.format = format;
    let mut to = pool.acquire(info, buffer::growing())?;
    let mut planes = [std::ptr::null_mut(); 8];
    let mut strides = [0; 8];
    for (i, (plane, stride)) in to.planes_mut().into_iter().enumerate() {
        planes[i] = plane.as_mut_ptr();
        strides[i] = stride as c_int;
    }
    let light = Light::of(&info.color, info.coded.height);
    // SAFETY: source planes are valid by the caller's promise; the target's are those of `to`, laid out for its format and size.
    unsafe { run(from, source, light, target, light, planes.as_ptr(), strides.as_ptr()) }?;
    Ok(to.freeze())
}

/// Converts a wrapped frame into a new AVFrame of FFmpeg's own memory.
pub(crate) fn to_new(
    from: &raii::Frame,
    source: Light,
    format: PixelFormat,
    target: Light,
) -> Result<raii::Frame, Error> {
    let to = raii::Frame::new()?;
    let wanted = pixel::av(format);
    // SAFETY: both frames are ours and valid; `av_frame_get_buffer` gives the new one planes for its format and size.
    unsafe {
        let src = ff::pixel_format((*from.ptr()).format);
        let (Some(wanted), Some(src)) = (wanted, src) else {
            return Err(error::codec("libswscale", "convert a picture", error::INVALID));
        };
        (*to.ptr()).format = wanted as c_int;
        (*to.ptr()).width = (*from.ptr()).width;
        (*to.ptr()).height = (*from.ptr()).height;
        let code = ff::av_frame_get_buffer(to.ptr(), 0);
        if code < 0 {
            return Err(error::codec("libswscale", "convert a picture", code));
        }
        let frame = to.ptr();
        let (planes, strides) = ((&raw const (*frame).data).cast(), (&raw const (*frame).linesize).cast());
        run(from.ptr(), src, source, wanted, target, planes, strides)?;
        let space = ColorSpace {
            matrix: target.matrix,
            full_range: Some(target.full),
            ..color::of_frame(from.ptr())
        };
        color::to_frame(frame, &space);
    }
    Ok(to)
}

/// # Safety
/// `from` is a valid picture of format `source`; `planes` and `strides` describe a writable one of format `target`, of the same size.
unsafe fn run(
    from: *const ff::AVFrame,
    source: ff::AVPixelFormat,
    light: Light,
    target: ff::AVPixelFormat,
    light_out: Light,
    planes: *const *mut u8,
    strides: *const c_int,
) -> Result<(), Error> {
    // SAFETY: the caller's promise; the context is freed below on every way out.
    unsafe {
        let size = buffer::frame_size(from);
        let (w, h) = (size.width as c_int, size.height as c_int);
        let (no_filter, no_param) = (std::ptr::null_mut(), std::ptr::null());
        let ctx = ff::sws_getContext(w, h, source, w, h, target, FLAGS, no_filter, no_filter, no_param);
        if ctx.is_null() {
            return Err(error::codec("libswscale", "convert a picture", error::INVALID));
        }
        let table = |light: Light| ff::sws_getCoefficients(c_int::from(light.matrix));
        let (full, full_out) = (c_int::from(light.full), c_int::from(light_out.full));
        let (one, none) = (1 << 16, 0);
        // Formats without a matrix answer -1; that is fine.
        ff::sws_setColorspaceDetails(ctx, table(light), full, table(light_out), full_out, none, one, one);
        let data = (&raw const (*from).data).cast();
        let lines = (&raw const (*from).linesize).cast();
        let rows = ff::sws_scale(ctx, data, lines, 0, h, planes, strides);
        ff::sws_freeContext(ctx);
        if rows != h {
            return Err(error::codec(
                "libswscale",
                "convert a picture",
                rows.min(error::INVALID),
            ));
        }
    }
    Ok(())
}
