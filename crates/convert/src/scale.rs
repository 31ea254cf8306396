//! Pictures of another size: planes are scaled by `fast_image_resize`, formats and colours changed before or after.

use crate::{
    Error, Filter, Source, Target,
    layout::{by_planes, supports},
    route,
    rows::Rows,
};
use beamline_media::{ColorSpace, Layout, PixelFormat, Size};
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

/// The scaler's buffers: pictures between two steps, and planes without padding.
#[derive(Debug, Default)]
pub(crate) struct Scaler {
    pub(crate) filter: Filter,
    resizer: Resizer,
    before: Vec<u8>,
    after: Vec<u8>,
    planes: Planes,
}

/// The scaler wants planes without padding; those that have some go through here.
#[derive(Debug, Default)]
struct Planes {
    from: Vec<u8>,
    to: Vec<u8>,
}

/// What a picture between two steps is.
#[derive(Clone, Copy)]
struct Between {
    format: PixelFormat,
    size: Size,
    color: ColorSpace,
    guess_height: u32,
}

impl Between {
    fn layout(&self) -> Result<Layout, Error> {
        Layout::packed(self.format, self.size).map_err(|_| Error::Size(self.size))
    }

    fn target<'a>(&self, bytes: &'a mut Vec<u8>) -> Result<Target<'a>, Error> {
        let layout = self.layout()?;
        if bytes.len() < layout.len {
            bytes.resize(layout.len, 0);
        }
        let mut rest = &mut bytes[..layout.len];
        let planes = (0..self.format.plane_count()).map(|i| {
            let len = layout.planes[i].stride * self.format.rows(i, self.size.height);
            let (plane, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            (plane, layout.planes[i].stride)
        });
        let mut target = Target::from_planes(self.format, self.size, self.color, planes)?;
        target.guess_height = self.guess_height;
        Ok(target)
    }

    fn source<'a>(&self, bytes: &'a [u8]) -> Result<Source<'a>, Error> {
        let layout = self.layout()?;
        let plane = |i: usize| (&bytes[layout.planes[i].offset..layout.len], layout.planes[i].stride);
        let planes: [_; beamline_media::PLANES_MAX] = std::array::from_fn(plane);
        let planes = &planes[..self.format.plane_count()];
        let mut source = Source::from_planes(self.format, self.size, self.color, planes)?;
        source.guess_height = self.guess_height;
        Ok(source)
    }
}

impl Scaler {
    /// Scales, and converts on the side where the picture between is smaller.
    pub(crate) fn run(&mut self, rows: &mut Rows, source: &Source<'_>, target: &mut Target<'_>) -> Result<(), Error> {
        let (from, to) = (by_planes(source.format), by_planes(target.format));
        if !supports(source.format, target.format) || target.format.info().bits > 8 {
            return Err(Error::Formats {
                from: source.format,
                to: target.format,
            });
        }
        // Before a byte is written: can the colours be changed at all?
        route::check(source, target)?;
        let (late, early) = between(source, target);
        let Scaler {
            before,
            after,
            planes,
            resizer,
            ..
        } = self;
        let options = options(self.filter);
        let convert_late = late.layout()?.len <= early.layout()?.len;
        // Same format and colours: the last step is the scaler's own.
        let plain = from == target.format && !route::changes(source, target)?;
        let first = Between {
            size: source.size,
            ..late
        };
        let mut scaled = |from: &Source<'_>, to: &mut Target<'_>| planes.scale(resizer, &options, from, to);
        if convert_late || plain {
            let source = if from == source.format {
                *source
            } else {
                route::run(rows, source, &mut first.target(before)?)?;
                first.source(before)?
            };
            if plain {
                return scaled(&source, target);
            }
            scaled(&source, &mut late.target(after)?)?;
            return route::run(rows, &late.source(after)?, target);
        }
        route::run(rows, source, &mut early.target(before)?)?;
        let source = early.source(before)?;
        if to == target.format {
            return scaled(&source, target);
        }
        let last = Between {
            size: target.size,
            ..early
        };
        scaled(&source, &mut last.target(after)?)?;
        route::run(rows, &last.source(after)?, target)
    }
}

/// The picture between when it is converted after scaling, and when before.
fn between(source: &Source<'_>, target: &Target<'_>) -> (Between, Between) {
    let late = Between {
        format: by_planes(source.format),
        size: target.size,
        color: source.color,
        guess_height: source.guess_height,
    };
    let early = Between {
        format: by_planes(target.format),
        size: source.size,
        color: target.color,
        guess_height: target.guess_height,
    };
    (late, early)
}

fn options(filter: Filter) -> ResizeOptions {
    ResizeOptions::new().resize_alg(match filter {
        Filter::Nearest => ResizeAlg::Nearest,
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    })
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Scaler(error.to_string())
}

impl Planes {
    /// Every plane by itself, in one format whose planes have one sample per component.
    fn scale(
        &mut self,
        resizer: &mut Resizer,
        options: &ResizeOptions,
        source: &Source<'_>,
        target: &mut Target<'_>,
    ) -> Result<(), Error> {
        let format = source.format;
        let options = options.use_alpha(format == PixelFormat::RGBA || format == PixelFormat::BGRA);
        for (i, plane) in format.info().planes.iter().enumerate() {
            let bytes = usize::from(plane.bytes);
            let samples = match bytes {
                1 => PixelType::U8,
                2 => PixelType::U8x2,
                3 => PixelType::U8x3,
                _ => PixelType::U8x4,
            };
            let (row, height) = (
                format.row_bytes(i, source.size.width),
                format.rows(i, source.size.height),
            );
            let (to_row, to_height) = (
                format.row_bytes(i, target.size.width),
                format.rows(i, target.size.height),
            );
            let from = unpadded(source.plane(i), row, height, &mut self.from);
            let (out, stride) = target.plane(i);
            let padded = stride != to_row;
            let to = if padded {
                if self.to.len() < to_row * to_height {
                    self.to.resize(to_row * to_height, 0);
                }
                &mut self.to[..]
            } else {
                &mut *out
            };
            // Sides are at most 16384.
            let side = |value: usize| value as u32;
            let from = ImageRef::new(side(row / bytes), side(height), from, samples).map_err(failed)?;
            let mut to = Image::from_slice_u8(side(to_row / bytes), side(to_height), to, samples).map_err(failed)?;
            resizer.resize(&from, &mut to, &options).map_err(failed)?;
            if padded {
                for (out, row) in out.chunks_mut(stride).zip(self.to.chunks(to_row)).take(to_height) {
                    out[..to_row].copy_from_slice(row);
                }
            }
        }
        Ok(())
    }
}

fn unpadded<'a>((bytes, stride): (&'a [u8], usize), row: usize, rows: usize, buf: &'a mut Vec<u8>) -> &'a [u8] {
    if stride == row {
        return bytes;
    }
    buf.clear();
    for from in bytes.chunks(stride).take(rows) {
        buf.extend_from_slice(&from[..row]);
    }
    buf
}
