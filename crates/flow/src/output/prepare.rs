//! Making frames fit the encoder: nothing at all when they do, else one pass, counted.

use super::config::VideoTrackConfig;
use crate::{Error, Runtime, convert_frame};
use beamline_convert::Converter;
use beamline_media::{ColorSpace, EncodedKind, Frame, FrameInfo, FramePool, Model, PixelFormat, Rational, Rect, Size};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Decides once, from the first frame; converts each frame that is not as decided.
pub(super) struct Prepare {
    runtime: Runtime,
    format: PixelFormat,
    size: Size,
    color: ColorSpace,
    pixel_aspect: Rational,
    pool: Arc<FramePool>,
    converter: Converter,
}

impl Prepare {
    pub(super) fn new(
        runtime: &Runtime,
        kind: EncodedKind,
        config: &VideoTrackConfig,
        first: &FrameInfo,
    ) -> Result<Self, Error> {
        let formats = runtime.codecs.encoder_formats(kind)?;
        let as_it_is = formats.contains(&first.format);
        let format = if as_it_is {
            first.format
        } else {
            closest(&formats, first.format)
        };
        let wanted = config.size_for(first);
        let size = whole_groups(format, wanted);
        let color = color_for(first, format, size);
        let pixel_aspect = shape_for(first, wanted);
        Ok(Prepare {
            runtime: runtime.clone(),
            format,
            size,
            color,
            pixel_aspect,
            pool: runtime.frame_pool("output"),
            converter: Converter::new(),
        })
    }

    pub(super) fn format(&self) -> PixelFormat {
        self.format
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn color(&self) -> ColorSpace {
        self.color
    }

    pub(super) fn pixel_aspect(&self) -> Rational {
        self.pixel_aspect
    }

    /// The frame as the encoder takes it: itself, or a converted copy.
    pub(super) fn frame(&mut self, frame: Frame, copies: &AtomicU64) -> Result<Frame, Error> {
        let visible = whole_groups(self.format, frame.info().visible.size());
        if frame.info().format == self.format && visible == self.size {
            // An odd last row or column that 4:2:0 cannot hold is left out, without touching a pixel.
            return Ok(if visible == frame.info().visible.size() {
                frame
            } else {
                cropped(frame, visible)
            });
        }
        let info = FrameInfo {
            color: self.color,
            timestamp_us: frame.info().timestamp_us,
            duration_us: frame.info().duration_us,
            rotation: frame.info().rotation,
            pixel_aspect: self.pixel_aspect,
            ..FrameInfo::new(self.format, self.size)
        };
        copies.fetch_add(1, Ordering::Relaxed);
        self.runtime.copies.add(1);
        convert_frame(&mut self.converter, &frame, info, &self.pool)
    }
}

fn cropped(frame: Frame, size: Size) -> Frame {
    frame.with_info(|info| {
        info.visible = Rect {
            width: size.width,
            height: size.height,
            ..info.visible
        };
    })
}

/// The size without a last column or row that would be less than a whole group of the format's planes.
fn whole_groups(format: PixelFormat, size: Size) -> Size {
    let most = |of: fn(&beamline_media::PlaneInfo) -> u8| format.info().planes.iter().map(of).max().unwrap_or(1);
    let down = |n: u32, group: u8| (n - n % u32::from(group)).max(u32::from(group));
    Size::new(
        down(size.width, most(|p| p.sub_x)),
        down(size.height, most(|p| p.sub_y)),
    )
}

/// The encoder's format that loses least: the first of the same model, else its first.
fn closest(formats: &[PixelFormat], from: PixelFormat) -> PixelFormat {
    let same = |f: &&PixelFormat| f.info().model == from.info().model && f.info().bits >= from.info().bits.min(8);
    let convertible = |f: &&PixelFormat| beamline_convert::supports(from, **f);
    let best = formats
        .iter()
        .filter(convertible)
        .find(same)
        .or_else(|| formats.iter().find(convertible));
    best.copied().unwrap_or(PixelFormat::I420)
}

/// Shape of the encoded pixels. Square ones stay square whatever the size: who says a size means it as it is shown. Of others the
/// picture's shape is kept, so scaling them to the size in which they are shown makes them square.
fn shape_for(first: &FrameInfo, wanted: Size) -> Rational {
    let (from, shape) = (first.visible.size(), first.pixel_aspect);
    if shape.num == shape.den || from == wanted {
        return shape;
    }
    let product = |a: u32, b: u32, c: u32| u128::from(a) * u128::from(b) * u128::from(c);
    let kept = Rational::reduced(
        product(shape.num, from.width, wanted.height),
        product(shape.den, from.height, wanted.width),
    );
    // Less than half a pixel off is as near as a size can come.
    kept.filter(|kept| wanted.in_square_pixels(*kept) != wanted)
        .unwrap_or(Rational::ONE)
}

/// Colour of the encoded pictures: the frames' own; for RGB frames the usual one of that size.
fn color_for(first: &FrameInfo, format: PixelFormat, size: Size) -> ColorSpace {
    if first.format.info().model == Model::Rgb && format.info().model == Model::Yuv {
        return if size.height >= 720 {
            ColorSpace::REC709
        } else {
            ColorSpace::REC601
        };
    }
    first.color
}
