//! How a format's bytes lie: the few shapes that readers and writers know.
//!
//! A new format that has one of these shapes needs one line here, another shape needs a reader and a writer as well.

use beamline_media::{Model, PixelFormat};

/// Where luma, chroma and alpha lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Luma, U, V and perhaps alpha, each in a plane.
    Planar,
    /// Luma in a plane, the two chroma samples side by side in another.
    Interleaved {
        /// V stands before U.
        v_first: bool,
    },
    /// Two pixels in four bytes of one plane.
    Packed {
        /// Place of the first luma sample: 0 for YUYV, 1 for UYVY. The chroma samples stand at the other parity.
        luma: usize,
    },
    /// Luma alone.
    Luma,
}

/// Luma with or without colour differences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Yuv {
    /// Pixels per chroma sample in x.
    pub(crate) sub_x: usize,
    /// Rows per chroma row.
    pub(crate) sub_y: usize,
    pub(crate) storage: Storage,
    /// Significant bits per sample; above 8 a sample has two bytes.
    pub(crate) bits: u32,
    /// Unused low bits below the significant ones.
    pub(crate) low_bits: u32,
    /// The plane of alpha.
    pub(crate) alpha: Option<usize>,
}

/// Red, green and blue side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rgb {
    /// Blue comes first.
    pub(crate) blue_first: bool,
    /// Bytes per pixel: 3 or 4.
    pub(crate) step: usize,
    /// Whether the fourth byte is alpha.
    pub(crate) alpha: bool,
}

/// What a reader or writer must know of a format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Yuv(Yuv),
    Rgb(Rgb),
}

impl Shape {
    /// The shape of a format; `None` for one that this crate does not know.
    pub(crate) fn of(format: PixelFormat) -> Option<Shape> {
        let info = format.info();
        match info.model {
            Model::Rgb => Rgb::of(format).map(Shape::Rgb),
            Model::Gray | Model::Yuv => {
                let storage = storage(format)?;
                let chroma = info.planes.get(1).or(info.planes.first())?;
                Some(Shape::Yuv(Yuv {
                    sub_x: usize::from(chroma.sub_x),
                    sub_y: usize::from(chroma.sub_y),
                    storage,
                    bits: u32::from(info.bits),
                    low_bits: if format == PixelFormat::P010 { 6 } else { 0 },
                    alpha: info.alpha.then(|| info.planes.len() - 1),
                }))
            }
        }
    }
}

impl Rgb {
    fn of(format: PixelFormat) -> Option<Rgb> {
        use PixelFormat as F;
        [F::RGBA, F::RGBX, F::BGRA, F::BGRX, F::RGB24, F::BGR24]
            .contains(&format)
            .then(|| Rgb {
                blue_first: [F::BGRA, F::BGRX, F::BGR24].contains(&format),
                step: usize::from(format.info().planes[0].bytes),
                alpha: format.info().alpha,
            })
    }
}

/// Formats that are not planar.
const STORAGE: &[(PixelFormat, Storage)] = &[
    (PixelFormat::NV12, Storage::Interleaved { v_first: false }),
    (PixelFormat::P010, Storage::Interleaved { v_first: false }),
    (PixelFormat::NV21, Storage::Interleaved { v_first: true }),
    (PixelFormat::YUYV, Storage::Packed { luma: 0 }),
    (PixelFormat::UYVY, Storage::Packed { luma: 1 }),
    (PixelFormat::GRAY8, Storage::Luma),
    (PixelFormat::GRAY16, Storage::Luma),
];

fn storage(format: PixelFormat) -> Option<Storage> {
    let listed = STORAGE.iter().find(|(f, _)| *f == format).map(|(_, storage)| *storage);
    listed.or((format.plane_count() >= 3).then_some(Storage::Planar))
}

/// Whether [`crate::Converter`] can make `to` out of `from`: every known format can be read; formats of 8 bits can be written, and
/// the same format always.
#[must_use]
pub fn supports(from: PixelFormat, to: PixelFormat) -> bool {
    from == to || (Shape::of(from).is_some() && Shape::of(to).is_some() && to.info().bits == 8)
}

/// Formats whose planes cannot be scaled each by itself, and those with the same samples whose planes can: 8 bits, no two pixels
/// in one group.
const BY_PLANES: &[(PixelFormat, PixelFormat)] = &[
    (PixelFormat::YUYV, PixelFormat::I422),
    (PixelFormat::UYVY, PixelFormat::I422),
    (PixelFormat::I420P10, PixelFormat::I420),
    (PixelFormat::I420P12, PixelFormat::I420),
    (PixelFormat::I422P10, PixelFormat::I422),
    (PixelFormat::I422P12, PixelFormat::I422),
    (PixelFormat::I444P10, PixelFormat::I444),
    (PixelFormat::I444P12, PixelFormat::I444),
    (PixelFormat::I420AP10, PixelFormat::I420A),
    (PixelFormat::I420AP12, PixelFormat::I420A),
    (PixelFormat::I422AP10, PixelFormat::I422A),
    (PixelFormat::I422AP12, PixelFormat::I422A),
    (PixelFormat::I444AP10, PixelFormat::I444A),
    (PixelFormat::I444AP12, PixelFormat::I444A),
    (PixelFormat::P010, PixelFormat::NV12),
    (PixelFormat::GRAY16, PixelFormat::GRAY8),
];

/// The format in which a picture of `format` is scaled.
pub(crate) fn by_planes(format: PixelFormat) -> PixelFormat {
    BY_PLANES
        .iter()
        .find(|(f, _)| *f == format)
        .map_or(format, |(_, to)| *to)
}
