//! Single pictures: converted frames and encoded stills.

use crate::{Error, Runtime};
use beamline_arena::Wait;
use beamline_codec::{Image, ImageKind};
use beamline_convert::{Converter, Source, Target};
use beamline_media::{ColorSpace, Frame, FrameInfo, FrameMut, FramePool, Model, PixelFormat, Rational, Rect, Rotation};

/// A new frame with `info` in a slot of `pool`, filled with the visible part of `frame`: converted, scaled where sizes differ.
///
/// Cost: one pass (two where both change). The caller counts it.
///
/// # Errors
/// [`Error::Convert`], [`Error::Frame`].
pub fn convert_frame(
    converter: &mut Converter,
    frame: &Frame,
    info: FrameInfo,
    pool: &FramePool,
) -> Result<Frame, Error> {
    let source = Source::of(frame)?;
    let mut made = pool.acquire(info, Wait::Grow)?;
    converter.scale(&source, &mut Target::of(&mut made)?)?;
    Ok(made.freeze())
}

/// A copy of `frame` that nobody else holds: same format, packed anew, the visible part alone.
///
/// # Errors
/// [`Error::Convert`], [`Error::Frame`].
pub fn copy_frame(runtime: &Runtime, frame: &Frame, pool: &FramePool) -> Result<Frame, Error> {
    runtime.copies.add(1);
    copy_into(frame, |info| Ok(pool.acquire(info, Wait::Grow)?))
}

/// The same, into the picture that `acquire` makes. The caller counts it.
pub(crate) fn copy_into(
    frame: &Frame,
    acquire: impl FnOnce(FrameInfo) -> Result<FrameMut, Error>,
) -> Result<Frame, Error> {
    let info = *frame.info();
    let size = info.visible.size();
    let source = Source::of(frame)?;
    let mut made = acquire(FrameInfo {
        coded: size,
        visible: Rect::all(size),
        ..info
    })?;
    Converter::new().scale(&source, &mut Target::of(&mut made)?)?;
    Ok(made.freeze())
}

/// Encodes the visible part of `frame`, turned as it is to be shown. Pixels that are not square stay so: the still says their shape.
///
/// # Errors
/// [`Error::Codec`], [`Error::Convert`], [`Error::Argument`] for a quality outside 0 to 1.
pub fn encode_image(runtime: &Runtime, frame: &Frame, kind: ImageKind) -> Result<Image, Error> {
    if let ImageKind::Jpeg { quality } = kind
        && !(0.0..=1.0).contains(&quality)
    {
        return Err(Error::Argument {
            name: "quality",
            expected: "0 to 1".into(),
            got: quality.to_string(),
        });
    }
    let pool = runtime.frame_pool("still");
    let mut converter = Converter::new();
    let info = *frame.info();
    let formats = runtime.codecs.image_formats(kind);
    let turned = info.rotation != Rotation::None || info.flip;
    if formats.contains(&info.format) && !turned {
        return Ok(runtime.codecs.encode_image(frame, kind)?);
    }
    let format = still_format(&formats, info.format);
    let size = info.visible.size();
    runtime.copies.add(1 + u64::from(turned));
    let upright = FrameInfo {
        color: still_color(kind, &info),
        pixel_aspect: info.pixel_aspect,
        ..FrameInfo::new(format, size)
    };
    let converted = convert_frame(&mut converter, frame, upright, &pool)?;
    if !turned {
        return Ok(runtime.codecs.encode_image(&converted, kind)?);
    }
    let aspect = info.pixel_aspect;
    let (size, pixel_aspect) = if info.rotation.transposes() {
        let turned = Rational {
            num: aspect.den,
            den: aspect.num,
        };
        (size.transposed(), turned)
    } else {
        (size, aspect)
    };
    let mut made = pool.acquire(
        FrameInfo {
            color: upright.color,
            pixel_aspect,
            ..FrameInfo::new(format, size)
        },
        Wait::Grow,
    )?;
    converter.rotate(
        &Source::of(&converted)?,
        &mut Target::of(&mut made)?,
        info.rotation,
        info.flip,
    )?;
    Ok(runtime.codecs.encode_image(&made.freeze(), kind)?)
}

/// RGB stills hold sRGB; JPEG holds full-range BT.601, as JFIF says.
fn still_color(kind: ImageKind, info: &FrameInfo) -> ColorSpace {
    match kind {
        ImageKind::Png => ColorSpace::SRGB,
        ImageKind::Jpeg { .. } => ColorSpace {
            full_range: Some(true),
            matrix: 6,
            ..info.color
        },
    }
}

/// The still's format that keeps what the frame has: alpha when there is alpha, grey when there is only grey.
fn still_format(formats: &[PixelFormat], from: PixelFormat) -> PixelFormat {
    let fits = |f: &&PixelFormat| {
        beamline_convert::supports(from, **f)
            && f.info().alpha == from.info().alpha
            && (f.info().model == Model::Gray) == (from.info().model == Model::Gray)
    };
    let any = |f: &&PixelFormat| beamline_convert::supports(from, **f);
    formats
        .iter()
        .find(fits)
        .or_else(|| formats.iter().find(any))
        .copied()
        .unwrap_or(PixelFormat::RGBA)
}
