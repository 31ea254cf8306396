//! Stills: PNG and JPEG of the visible part of a frame. Rotation is the caller's.

use crate::{
    buffer, error, log, pixel, raii,
    scale::{self, Light},
    sys as ff, table,
};
use beamline_codec::{Error, Image, ImageKind};
use beamline_media::{Frame, PixelFormat, Rational};
use std::ffi::c_int;

/// BT.601 (as BT.470 BG), which JFIF files are by definition, over the full range.
const JFIF: Light = Light { matrix: 5, full: true };

/// Formats that stills are made from, best first. A JPEG's YUV is BT.601 over the full range: other pictures are converted here.
pub(crate) fn formats(kind: ImageKind) -> &'static [PixelFormat] {
    match kind {
        ImageKind::Png => &[PixelFormat::RGB24, PixelFormat::RGBA, PixelFormat::GRAY8],
        ImageKind::Jpeg { .. } => &[PixelFormat::I420, PixelFormat::I422, PixelFormat::I444],
    }
}

/// Encodes one.
pub(crate) fn encode(frame: &Frame, kind: ImageKind) -> Result<Image, Error> {
    log::install();
    let format = frame.info().format;
    if !formats(kind).contains(&format) {
        return Err(Error::Config {
            expected: format!("a picture of one of {:?}", formats(kind)),
            got: format.to_string(),
        });
    }
    let picture = buffer::from_frame(frame)?;
    let shape = frame.info().pixel_aspect;
    let (bytes, media_type) = match kind {
        ImageKind::Png => (run("png", &picture, shape, png_options(), None)?, "image/png"),
        ImageKind::Jpeg { quality } => {
            let picture = to_jfif(frame, picture)?;
            (
                run("mjpeg", &picture, shape, raii::Dict::new(), Some(quality))?,
                "image/jpeg",
            )
        }
    };
    Ok(Image { bytes, media_type })
}

/// Filters chosen row by row: a still is worth the time.
fn png_options() -> raii::Dict {
    raii::Dict::new().with("pred", "mixed")
}

/// The picture as JFIF wants it: as it is, or by way of RGB, which is where matrices meet.
fn to_jfif(frame: &Frame, picture: raii::Frame) -> Result<raii::Frame, Error> {
    let info = frame.info();
    let light = Light::of(&info.color, info.coded.height);
    let same = light.full && matches!(light.matrix, 5 | 6);
    let picture = if same {
        picture
    } else {
        let rgb = Light { matrix: 1, full: true };
        let between = scale::to_new(&picture, light, PixelFormat::RGB24, rgb)?;
        scale::to_new(&between, rgb, info.format, JFIF)?
    };
    let number = match info.format.slug() {
        "i422" => ff::AVPixelFormat::AV_PIX_FMT_YUVJ422P,
        "i444" => ff::AVPixelFormat::AV_PIX_FMT_YUVJ444P,
        _ => ff::AVPixelFormat::AV_PIX_FMT_YUVJ420P,
    };
    // SAFETY: the frame is ours; the format is the same layout under the name that means full range.
    unsafe {
        (*picture.ptr()).format = number as c_int;
        ff::enum_set!((*picture.ptr()).color_range, 2);
    }
    Ok(picture)
}

/// One picture through an encoder of its own.
fn run(
    name: &'static str,
    picture: &raii::Frame,
    shape: Rational,
    options: raii::Dict,
    quality: Option<f32>,
) -> Result<bytes::Bytes, Error> {
    let codec = table::find_encoder(name).ok_or_else(|| Error::NotSupported {
        what: format!("encoding {name}"),
        why: "this FFmpeg lacks the encoder".into(),
    })?;
    let mut codec = raii::Codec::new(codec)?;
    // SAFETY: context and picture are ours; the context is not opened yet.
    unsafe {
        let (ctx, frame) = (codec.ptr(), picture.ptr());
        (*ctx).width = (*frame).width;
        (*ctx).height = (*frame).height;
        // Written as pHYs or as JFIF's density.
        (*ctx).sample_aspect_ratio = buffer::aspect(shape);
        let format = ff::pixel_format((*frame).format).ok_or_else(|| error::codec(name, "encode", error::INVALID))?;
        (*ctx).pix_fmt = format;
        (*ctx).time_base = ff::MICROS;
        (*ctx).thread_count = 1;
        if pixel::says_full_range((*frame).format) {
            ff::enum_set!((*ctx).color_range, 2);
        }
        if let Some(quality) = quality {
            let quality = if quality.is_finite() {
                quality.clamp(0.0, 1.0)
            } else {
                0.9
            };
            // 1.0 is FFmpeg's scale of 2, 0.0 its 31.
            let scale = (2.0 + (1.0 - quality) * 29.0).round() as c_int * ff::FF_QP2LAMBDA as c_int;
            (*ctx).flags |= ff::AV_CODEC_FLAG_QSCALE as c_int;
            (*ctx).global_quality = scale;
            (*frame).quality = scale;
        }
    }
    codec.open(options, "open the encoder")?;
    let mut packet = raii::Packet::new()?;
    // SAFETY: the context is open; picture and packet are ours; null ends the stream.
    let code = unsafe {
        let mut code = ff::avcodec_send_frame(codec.ptr(), picture.ptr());
        if code >= 0 {
            code = ff::avcodec_send_frame(codec.ptr(), std::ptr::null());
        }
        if code >= 0 {
            code = ff::avcodec_receive_packet(codec.ptr(), packet.ptr());
        }
        code
    };
    if code < 0 {
        return Err(error::codec(name, "encode", code));
    }
    packet.take_bytes()
}
