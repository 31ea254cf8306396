//! How long a 1280×720 picture takes on one core: one JSON line per case, milliseconds.
//!
//! `cargo run --release -p beamline-convert --example convert_bench [RUNS]`
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use beamline_convert::{Converter, Error, Source, Target};
use beamline_media::{ColorSpace, Layout, PixelFormat, Size};
use std::time::Instant;

const SIZE: Size = Size::new(1280, 720);
const RUNS: usize = 20;
/// Conversions before the first that counts: pages mapped, caches and clock warm.
const WARM: usize = 5;

/// A picture in plain memory.
struct Picture {
    format: PixelFormat,
    size: Size,
    color: ColorSpace,
    layout: Layout,
    bytes: Vec<u8>,
}

impl Picture {
    fn new(format: PixelFormat, size: Size, color: ColorSpace) -> Result<Self, Box<dyn std::error::Error>> {
        let layout = Layout::aligned(format, size)?;
        let mut seed = 1_u32;
        let noise = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        });
        let bytes = noise.take(layout.len).collect();
        Ok(Picture {
            format,
            size,
            color,
            layout,
            bytes,
        })
    }

    fn source(&self) -> Result<Source<'_>, Error> {
        let plane = |i: usize| {
            (
                &self.bytes[self.layout.planes[i].offset..],
                self.layout.planes[i].stride,
            )
        };
        let planes: Vec<_> = (0..self.format.plane_count()).map(plane).collect();
        Source::from_planes(self.format, self.size, self.color, &planes)
    }

    fn target(&mut self) -> Result<Target<'_>, Error> {
        let (format, size, layout) = (self.format, self.size, self.layout);
        let mut rest = &mut self.bytes[..];
        let mut planes = Vec::new();
        for i in (0..format.plane_count()).rev() {
            let (before, plane) = rest.split_at_mut(layout.planes[i].offset);
            planes.push((plane, layout.planes[i].stride));
            rest = before;
        }
        planes.reverse();
        Target::from_planes(format, size, self.color, planes)
    }
}

fn measure(
    name: &str,
    from: &Picture,
    mut to: Picture,
    runs: usize,
    mut work: impl FnMut(&Source<'_>, &mut Target<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let source = from.source()?;
    let mut target = to.target()?;
    let mut times = Vec::with_capacity(runs);
    for i in 0..WARM + runs {
        let begin = Instant::now();
        work(&source, &mut target)?;
        if i >= WARM {
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    let listed: Vec<String> = times.iter().map(|ms| format!("{ms:.4}")).collect();
    times.sort_by(f64::total_cmp);
    println!(
        r#"{{"case":"{name}","ms_min":{:.4},"ms_median":{:.4},"runs":[{}]}}"#,
        times[0],
        times[times.len() / 2],
        listed.join(",")
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    use PixelFormat as F;
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |n| n.parse())?.max(1);
    let mut converter = Converter::new();
    for format in [F::I420, F::NV12] {
        for (matrix, space) in [("601", ColorSpace::REC601), ("709", ColorSpace::REC709)] {
            for full in [false, true] {
                let range = if full { "full" } else { "limited" };
                let color = ColorSpace {
                    full_range: Some(full),
                    ..space
                };
                let name = format!("{format} {matrix} {range} → rgba");
                let (from, to) = (
                    Picture::new(format, SIZE, color)?,
                    Picture::new(F::RGBA, SIZE, ColorSpace::SRGB)?,
                );
                measure(&name, &from, to, runs, |s, t| converter.convert(s, t))?;
            }
        }
    }
    let video = ColorSpace::REC709;
    let jpeg = ColorSpace {
        full_range: Some(true),
        ..ColorSpace::REC601
    };
    let pairs = [
        (F::I420, video, F::I420, video),
        (F::NV12, video, F::I420, video),
        (F::I420, video, F::NV12, video),
        (F::I420, jpeg, F::I420, video),
        (F::I422, jpeg, F::I420, jpeg),
        (F::YUYV, video, F::I420, video),
        (F::YUYV, video, F::RGBA, ColorSpace::SRGB),
        (F::I420, video, F::RGB24, ColorSpace::SRGB),
        (F::I420P10, video, F::RGBA, ColorSpace::SRGB),
        (F::RGBA, ColorSpace::SRGB, F::I420, video),
        (F::RGBA, ColorSpace::SRGB, F::NV12, video),
        (F::BGRA, ColorSpace::SRGB, F::RGBA, ColorSpace::SRGB),
        (F::RGB24, ColorSpace::SRGB, F::RGBA, ColorSpace::SRGB),
    ];
    for (from, a, to, b) in pairs {
        let name = format!(
            "{from} {} → {to} {}",
            a.matrix_name().unwrap_or("-"),
            b.matrix_name().unwrap_or("-")
        );
        let (from, to) = (Picture::new(from, SIZE, a)?, Picture::new(to, SIZE, b)?);
        measure(&name, &from, to, runs, |s, t| converter.convert(s, t))?;
    }
    let half = Size::new(640, 360);
    for (from, to) in [(F::I420, F::I420), (F::NV12, F::RGBA), (F::RGBA, F::RGBA)] {
        let name = format!("scale {from} 1280×720 → {to} 640×360");
        let (from, to) = (Picture::new(from, SIZE, video)?, Picture::new(to, half, video)?);
        measure(&name, &from, to, runs, |s, t| converter.scale(s, t))?;
    }
    Ok(())
}
