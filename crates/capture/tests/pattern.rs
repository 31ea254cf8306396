//! What patterns look like, and that they cost nothing but their own drawing.
//!
//! Not covered: the counter after a codec (tests of the package do that).
#![expect(clippy::unwrap_used, reason = "a test may fall over: that is how it fails")]

use beamline_arena::Arena;
use beamline_capture::{Context, Error, Event, Registry, Request, Source, Stamp, counter_cell, read_counter};
use beamline_io::Cancel;
use beamline_media::{ColorSpace, ErrorCode, Frame, PixelFormat, Size};
use beamline_testkit::TestClock;
use std::sync::Arc;

const PATTERNS: [&str; 6] = ["smpte", "gradient", "checkerboard", "ball", "noise", "solid"];
fn context() -> Context {
    Context {
        clock: Arc::new(TestClock::jumping()),
        ..Context::new(Arena::default())
    }
}

fn try_open(url: &str) -> Result<Box<dyn Source>, Error> {
    let registry = Registry::with_builtins();
    registry.open(&registry.parse(url)?, &context())
}

fn open(url: &str) -> Box<dyn Source> {
    try_open(url).unwrap()
}

fn frame(source: &mut dyn Source) -> Frame {
    match source.next(&Cancel::new()).unwrap() {
        Event::Frame(frame) => frame,
        other => panic!("expected a frame but received {other:?}"),
    }
}

fn content(frame: &Frame) -> Vec<Vec<u8>> {
    let rows = |i: usize| 0..frame.info().format.rows(i, frame.info().coded.height);
    (0..frame.plane_count())
        .map(|i| rows(i).flat_map(|y| frame.row(i, y)).copied().collect())
        .collect()
}

#[test]
fn every_pattern_draws_every_format_in_odd_and_tiny_sizes() {
    for name in PATTERNS {
        for format in PixelFormat::ALL {
            for (w, h) in [(1, 1), (1, 9), (9, 1), (2, 2), (3, 5), (63, 23), (65, 25), (322, 182)] {
                let mut source = open(&format!(
                    "pattern:{name}?width={w}&height={h}&format={format}&live=false"
                ));
                for _ in 0..3 {
                    let frame = frame(&mut *source);
                    assert_eq!((frame.info().format, frame.info().coded), (*format, Size::new(w, h)));
                }
            }
        }
    }
}

#[test]
fn the_counter_reads_back_in_every_format_and_cell_size() {
    for format in PixelFormat::ALL {
        for (w, h, cell) in [(64, 24, 4), (65, 25, 4), (128, 48, 8), (322, 182, 8), (1280, 720, 16)] {
            assert_eq!(counter_cell(Size::new(w, h)), Some(cell));
            let url = format!("pattern:noise?width={w}&height={h}&format={format}&live=false&frameRate=30000/1001");
            let mut source = open(&url);
            for n in 0..3 {
                let frame = frame(&mut *source);
                let timestamp_us = frame.info().timestamp_us.unwrap();
                assert_eq!(
                    read_counter(&frame),
                    Some(Stamp { frame: n, timestamp_us }),
                    "{format} {w}×{h}"
                );
            }
        }
    }
}

#[test]
fn no_counter_where_it_does_not_fit_or_is_not_wanted() {
    for url in [
        "pattern:smpte?width=63&height=100",
        "pattern:smpte?width=100&height=23",
        "pattern:smpte?width=640&height=360&counter=false",
    ] {
        assert_eq!(read_counter(&frame(&mut *open(url))), None, "{url}");
    }
}

#[test]
fn the_same_request_gives_the_same_bytes_and_another_seed_others() {
    let picture = |name: &str, more: &str| {
        let mut source = open(&format!("pattern:{name}?width=322&height=182&live=false{more}"));
        drop(frame(&mut *source));
        content(&frame(&mut *source))
    };
    for name in PATTERNS {
        assert!(picture(name, "") == picture(name, ""), "{name}");
    }
    assert!(picture("noise", "&seed=1") != picture("noise", "&seed=2"));
}

#[test]
fn bars_have_the_numbers_of_the_standards() {
    // (size, colour space, white 75 %, yellow, blue) as luma, blue and red difference.
    let hd = (
        1920,
        1080,
        ColorSpace::REC709,
        [[180, 128, 128], [168, 44, 136], [28, 212, 120]],
    );
    let sd = (
        720,
        576,
        ColorSpace::REC601,
        [[180, 128, 128], [162, 44, 142], [35, 212, 114]],
    );
    for (w, h, space, expected) in [hd, sd] {
        let frame = frame(&mut *open(&format!("pattern:smpte?width={w}&height={h}&counter=false")));
        assert_eq!(frame.info().color, space);
        for (bar, expected) in [0, 1, 6].into_iter().zip(expected) {
            let x = (w * (2 * bar + 1)) / 14;
            let got = [frame.row(0, 0)[x], frame.row(1, 0)[x / 2], frame.row(2, 0)[x / 2]];
            assert_eq!(got, expected, "bar {bar} of {w}×{h}");
        }
    }
    let rgb = frame(&mut *open("pattern:smpte?format=rgb24&counter=false"));
    assert_eq!(rgb.info().color, ColorSpace::SRGB);
    assert_eq!(rgb.row(0, 0)[..3], [191, 191, 191]);
}

/// A sample as a number of its own depth, which the name tells.
fn sample(row: &[u8], index: usize, slug: &str) -> f64 {
    let wide = || u16::from_le_bytes([row[2 * index], row[2 * index + 1]]);
    f64::from(match slug {
        "p010" => {
            assert_eq!(wide() & 63, 0, "the low bits of {slug}");
            wide() >> 6
        }
        _ if slug.ends_with("p10") || slug.ends_with("p12") || slug == "gray16" => wide(),
        _ => u16::from(row[index]),
    })
}

/// Luma, blue and red difference, or red, green and blue, or grey; then alpha where there is one. Places are told by the name.
fn pixel(frame: &Frame, x: usize, y: usize) -> Vec<f64> {
    let slug = frame.info().format.slug();
    let at = |plane: usize, index: usize, y: usize| sample(frame.row(plane, y), index, slug);
    let (half, pair) = (x / 2, x / 2 * 4);
    match slug {
        "gray8" | "gray16" => vec![at(0, x, y)],
        "nv12" | "p010" => vec![at(0, x, y), at(1, half * 2, y / 2), at(1, half * 2 + 1, y / 2)],
        "nv21" => vec![at(0, x, y), at(1, half * 2 + 1, y / 2), at(1, half * 2, y / 2)],
        "yuyv" => vec![at(0, 2 * x, y), at(0, pair + 1, y), at(0, pair + 3, y)],
        "uyvy" => vec![at(0, 2 * x + 1, y), at(0, pair, y), at(0, pair + 2, y)],
        _ if slug.starts_with('i') => {
            let sub_x = if slug.starts_with("i444") { 1 } else { 2 };
            let sub_y = if slug.starts_with("i420") { 2 } else { 1 };
            let mut all = vec![at(0, x, y), at(1, x / sub_x, y / sub_y), at(2, x / sub_x, y / sub_y)];
            all.extend((frame.plane_count() == 4).then(|| at(3, x, y)));
            all
        }
        _ => {
            let letters = slug.trim_end_matches("24");
            let places = "rgba".chars().filter_map(|c| letters.find(c));
            places.map(|place| at(0, x * letters.len() + place, y)).collect()
        }
    }
}

/// What [`pixel`] should give for a colour, by the formulas of BT.601 and BT.709.
fn expected(format: PixelFormat, height: usize, [r, g, b]: [f64; 3]) -> Vec<f64> {
    let slug = format.slug();
    let (kr, kb) = if height < 720 { (0.299, 0.114) } else { (0.2126, 0.0722) };
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let bits = match slug {
        "gray16" => 16,
        _ if slug.ends_with("p10") || slug == "p010" => 10,
        _ if slug.ends_with("p12") => 12,
        _ => 8,
    };
    let (step, max) = (f64::from(1 << (bits - 8)), f64::from((1 << bits) - 1));
    let mut values = match slug {
        "gray8" | "gray16" => vec![max * y],
        _ if slug.starts_with("rgb") || slug.starts_with("bgr") => vec![max * r, max * g, max * b],
        _ => vec![
            step * (16.0 + 219.0 * y),
            step * (128.0 + 112.0 * (b - y) / (1.0 - kb)),
            step * (128.0 + 112.0 * (r - y) / (1.0 - kr)),
        ],
    };
    let has_alpha = matches!(slug, "rgba" | "bgra" | "i420a" | "i422a" | "i444a") || slug.contains("ap1");
    values.extend(has_alpha.then_some(max));
    values
}

#[test]
fn bars_are_right_to_the_last_bit_in_every_format_of_any_size() {
    for (w, h) in [(322, 182), (321, 181), (1281, 721)] {
        for format in PixelFormat::ALL {
            let url = format!("pattern:smpte?width={w}&height={h}&format={format}&counter=false");
            let frame = frame(&mut *open(&url));
            for (bar, rgb) in [
                (0, [1, 1, 1]),
                (1, [1, 1, 0]),
                (3, [0, 1, 0]),
                (5, [1, 0, 0]),
                (6, [0, 0, 1]),
            ] {
                let rgb = rgb.map(|level| f64::from(level) * 0.75);
                // The middle of the bar, at the top and lower down; the bars end at two thirds of the height.
                for y in [0, h / 2] {
                    let got = pixel(&frame, w * (2 * bar + 1) / 14, y);
                    let right = expected(*format, h, rgb);
                    let near = got
                        .iter()
                        .zip(&right)
                        .all(|(got, right)| (got - right).abs() <= 0.500_001);
                    assert!(
                        near && got.len() == right.len(),
                        "{format} {w}×{h}, bar {bar}, row {y}: {got:?} for {right:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn deep_noise_uses_every_bit_and_stays_in_its_range() {
    for (format, least, most) in [
        ("i420p10", 64, 940),
        ("i444ap12", 256, 3760),
        ("p010", 64, 940),
        ("gray16", 0, 65535),
    ] {
        let url = format!("pattern:noise?width=640&height=360&format={format}&counter=false");
        let frame = frame(&mut *open(&url));
        let lumas: Vec<u32> = (0..360)
            .flat_map(|y| (0..640).map(move |x| (x, y)))
            .map(|(x, y)| pixel(&frame, x, y)[0] as u32)
            .collect();
        let (darkest, brightest) = (*lumas.iter().min().unwrap(), *lumas.iter().max().unwrap());
        assert!(
            darkest >= least && brightest <= most,
            "{format}: {darkest} to {brightest}"
        );
        // 230 400 samples come near both ends, and half of them are odd.
        assert!(
            darkest - least < 8 && most - brightest < 8,
            "{format}: {darkest} to {brightest}"
        );
        let odd = lumas.iter().filter(|luma| **luma % 2 == 1).count();
        assert!((100_000..130_000).contains(&odd), "{format}: {odd} odd samples");
    }
}

#[test]
fn noise_stays_in_studio_range_and_leaves_colour_alone() {
    for format in [PixelFormat::I420, PixelFormat::YUYV, PixelFormat::UYVY] {
        let url = format!("pattern:noise?width=640&height=360&format={format}&counter=false");
        let planes = content(&frame(&mut *open(&url)));
        let lumas: Vec<u8> = match format.slug() {
            "i420" => planes[0].clone(),
            "yuyv" => planes[0].iter().step_by(2).copied().collect(),
            _ => planes[0].iter().skip(1).step_by(2).copied().collect(),
        };
        assert_eq!(
            (lumas.iter().min(), lumas.iter().max()),
            (Some(&16), Some(&235)),
            "{format}"
        );
        assert!(planes[1..].iter().flatten().all(|chroma| *chroma == 128));
    }
}

#[test]
fn the_ball_moves_and_stays_inside() {
    let mut source = open("pattern:ball?width=320&height=180&counter=false&live=false");
    let mut last = Vec::new();
    let mut bright = Vec::new();
    for _ in 0..200 {
        let planes = content(&frame(&mut *source));
        assert!(planes != last);
        bright.push(planes[0].iter().filter(|y| **y > 100).count());
        last = planes;
    }
    let (least, most) = (bright.iter().min().unwrap(), bright.iter().max().unwrap());
    assert!(*least > 700 && most - least < 50, "{least} to {most} pixels of ball");
}

#[test]
fn a_live_pattern_tells_the_clock_and_any_other_counts_from_zero() {
    let registry = Registry::with_builtins();
    for (live, start) in [(true, 5_000_000), (false, 0)] {
        let clock = Arc::new(TestClock::jumping());
        clock.advance(5_000_000);
        let context = Context { clock, ..context() };
        let url = format!("pattern:solid?frameRate=30000/1001&width=16&height=16&live={live}");
        let mut source = registry.open(&registry.parse(&url).unwrap(), &context).unwrap();
        assert_eq!(source.live(), live);
        for n in [0, 33_366, 66_733, 100_100] {
            let frame = frame(&mut *source);
            assert_eq!(frame.info().timestamp_us, Some(start + n));
        }
    }
}

#[test]
fn a_live_pattern_that_nobody_asks_loses_pictures_and_counts_them() {
    let clock = Arc::new(TestClock::manual());
    let registry = Registry::with_builtins();
    let context = Context {
        clock: clock.clone(),
        ..context()
    };
    let request = Request::from_url("pattern:solid?width=64&height=24&frameRate=100").unwrap();
    let mut source = registry.open(&request, &context).unwrap();
    drop(frame(&mut *source));
    // Four frames late is what a driver would have kept.
    clock.advance(50_000);
    assert_eq!(read_counter(&frame(&mut *source)).unwrap().frame, 1);
    assert_eq!(source.stats().dropped, 0);
    clock.advance(1_000_000);
    let late = frame(&mut *source);
    assert_eq!(read_counter(&late).unwrap().frame, 105);
    assert_eq!((source.stats().captured, source.stats().dropped), (3, 103));
}

#[test]
fn a_frame_takes_one_slot_and_no_copy() {
    let registry = Registry::with_builtins();
    for name in PATTERNS {
        let context = context();
        let request = registry
            .parse(&format!("pattern:{name}?width=640&height=360&live=false"))
            .unwrap();
        let mut source = registry.open(&request, &context).unwrap();
        for n in 1..=20 {
            drop(frame(&mut *source));
            let stats = context.arena.stats();
            assert_eq!((stats.allocations, stats.high_water), (n, 1), "{name}");
        }
        assert_eq!(source.copies_per_frame(), 0);
    }
}

#[test]
fn frames_ends_it() {
    let mut source = open("pattern:solid?frames=2&live=false&width=8&height=8");
    drop((frame(&mut *source), frame(&mut *source)));
    assert!(matches!(source.next(&Cancel::new()), Ok(Event::End)));
    assert!(matches!(
        open("pattern:solid?frames=0").next(&Cancel::new()),
        Ok(Event::End)
    ));
}

#[test]
fn what_does_not_exist_is_told_with_what_does() {
    for (url, code, word) in [
        ("pattern:nope", ErrorCode::InvalidConfig, "checkerboard"),
        ("pattern:", ErrorCode::InvalidConfig, "smpte"),
        ("pattern:smpte?colour=red", ErrorCode::InvalidConfig, "frames"),
        ("pattern:smpte?color=red", ErrorCode::InvalidConfig, "live"),
        ("pattern:solid?color=red", ErrorCode::InvalidConfig, "#rrggbb"),
        ("pattern:solid?color=%23%2b12345", ErrorCode::InvalidConfig, "#rrggbb"),
        ("pattern:noise?seed=-1", ErrorCode::InvalidConfig, "whole number"),
        ("pattern:smpte?live=yes", ErrorCode::InvalidConfig, "true or false"),
        ("pattern:smpte?format=rgb565", ErrorCode::InvalidConfig, "nv12"),
        (
            "pattern:smpte?width=16384&height=16384",
            ErrorCode::InvalidConfig,
            "2^27",
        ),
    ] {
        let error = try_open(url).unwrap_err();
        assert_eq!(error.code(), code, "{url}: {error}");
        assert!(error.to_string().contains(word), "{url}: {error}");
    }
}

#[test]
fn a_solid_has_its_colour_in_every_format() {
    let of = |format: &str| {
        frame(&mut *open(&format!(
            "pattern:solid?color=%23ff8000&counter=false&format={format}"
        )))
    };
    assert_eq!(of("rgba").row(0, 719)[5116..], [255, 128, 0, 255]);
    assert_eq!(of("bgr24").row(0, 0)[..3], [0, 128, 255]);
    // 16 + 219 · (0.2126 + 0.7152 · 128 / 255)
    assert_eq!(of("nv12").row(0, 0)[0], 141);
    assert_eq!(of("gray8").row(0, 0)[0], 146);
}
