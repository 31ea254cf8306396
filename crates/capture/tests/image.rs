//! Files as captures.
#![expect(clippy::unwrap_used, reason = "a test may fall over: that is how it fails")]

use beamline_arena::Arena;
use beamline_capture::{Context, Error, Event, Registry, Source};
use beamline_io::Cancel;
use beamline_media::{EncodedKind, ErrorCode, Frame, Packet, PixelFormat, Rational, Size};
use beamline_testkit::TestClock;
use std::{fs, path::Path, sync::Arc};
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn try_open(folder: &Path, url: &str) -> Result<Box<dyn Source>, Error> {
    let registry = Registry::with_builtins();
    let context = Context {
        clock: Arc::new(TestClock::jumping()),
        ..Context::new(Arena::default())
    };
    let url = match url.strip_prefix("raw:") {
        Some(name) => format!("raw:{}/{name}", folder.display()),
        None => format!("{}/{url}", folder.display()),
    };
    registry.open(&registry.parse(&url)?, &context)
}

fn open(folder: &TempDir, url: &str) -> Box<dyn Source> {
    try_open(folder.path(), url).unwrap()
}

fn next(source: &mut dyn Source) -> Event {
    source.next(&Cancel::new()).unwrap()
}

fn frame(source: &mut dyn Source) -> Frame {
    match next(source) {
        Event::Frame(frame) => frame,
        other => panic!("expected a frame but received {other:?}"),
    }
}

fn packet(source: &mut dyn Source) -> Packet {
    match next(source) {
        Event::Packet(packet) => packet,
        other => panic!("expected a packet but received {other:?}"),
    }
}

fn png(width: u8, height: u8, tail: u8) -> Vec<u8> {
    let ihdr = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
    [ihdr.as_slice(), &[0, 0, 0, width, 0, 0, 0, height, tail]].concat()
}

/// Bytes that count up, from `seed` on.
fn counting(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(7).wrapping_add(seed)).collect()
}

fn y4m(tags: &str, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = format!("YUV4MPEG2 {tags}\n").into_bytes();
    for (i, frame) in frames.iter().enumerate() {
        file.extend(if i % 2 == 0 { "FRAME\n" } else { "FRAME Xlong=1\n" }.as_bytes());
        file.extend(frame);
    }
    file
}

fn content(frame: &Frame) -> Vec<u8> {
    let rows = |i: usize| 0..frame.info().format.rows(i, frame.info().coded.height);
    (0..frame.plane_count())
        .flat_map(|i| rows(i).flat_map(move |y| frame.row(i, y)))
        .copied()
        .collect()
}

#[test]
fn y4m_of_every_format_gives_the_bytes_of_the_file() {
    for (tag, format, len) in [
        ("C420jpeg", PixelFormat::I420, 35 + 2 * 12),
        ("C422", PixelFormat::I422, 35 + 2 * 20),
        ("C444", PixelFormat::I444, 3 * 35),
        ("Cmono", PixelFormat::GRAY8, 35),
        ("C420p10", PixelFormat::I420P10, 2 * (35 + 2 * 12)),
        ("C444p10", PixelFormat::I444P10, 2 * 3 * 35),
    ] {
        let frames = [counting(len, 1), counting(len, 2)];
        let files = folder(&[(
            "a.y4m",
            &y4m(&format!("W7 H5 F30000:1001 {tag} XCOLORRANGE=FULL"), &frames),
        )]);
        let mut source = open(&files, "a.y4m");
        let caps = source.caps();
        assert_eq!((caps.pixel_format, caps.size), (Some(format), Size::new(7, 5)));
        assert_eq!(
            (caps.frame_rate, caps.color.full_range),
            (Rational::new(30000, 1001), Some(true))
        );
        for (bytes, at) in frames.iter().zip([0, 33_366]) {
            let frame = frame(&mut *source);
            assert!(content(&frame) == *bytes, "{format}");
            assert_eq!(frame.info().timestamp_us, Some(at));
        }
        assert!(matches!(next(&mut *source), Event::End));
    }
}

#[test]
fn planes_without_padding_come_in_one_piece() {
    let frames = [counting(128 * 4 * 3 / 2, 3)];
    let files = folder(&[("a.y4m", &y4m("W128 H4 F25:1", &frames))]);
    assert!(content(&frame(&mut *open(&files, "a.y4m"))) == frames[0]);
}

#[test]
fn a_truncated_file_gives_its_whole_frames_and_then_says_so() {
    let whole = y4m("W4 H4 F25:1", &[counting(24, 1), counting(24, 2), counting(24, 3)]);
    // In the picture, in its line, and in the middle of the word.
    for cut in [1, 23, 24, 25, 29, 30] {
        let files = folder(&[("a.y4m", &whole[..whole.len() - cut])]);
        let mut source = open(&files, "a.y4m?live=false");
        let mut frames = 0;
        let error = loop {
            match source.next(&Cancel::new()) {
                Ok(Event::Frame(_)) => frames += 1,
                Ok(Event::End) => break None,
                Ok(other) => panic!("{other:?}"),
                Err(e) => break Some(e),
            }
        };
        assert_eq!(frames, 2, "{cut}");
        // 30 bytes less ends exactly between two pictures.
        match error {
            None => assert_eq!(cut, 30),
            Some(e) => {
                assert_eq!((e.code(), e.reason()), (ErrorCode::Data, "truncated"), "{e}");
                assert_eq!(source.next(&Cancel::new()).unwrap_err().reason(), "truncated");
            }
        }
    }
    let files = folder(&[("a.raw", &[0; 25])]);
    let mut source = open(&files, "raw:a.raw?width=4&height=4&format=i420&live=false");
    drop(frame(&mut *source));
    assert_eq!(source.next(&Cancel::new()).unwrap_err().reason(), "truncated");
}

#[test]
fn a_loop_goes_on_with_the_time() {
    let files = folder(&[
        ("a.y4m", &y4m("W2 H2 F10:1", &[counting(6, 1), counting(6, 2)])),
        ("s1.png", &png(1, 1, 1)),
        ("s2.png", &png(1, 1, 2)),
    ]);
    let mut source = open(&files, "a.y4m?loop=true&live=false");
    for n in 0..5u8 {
        let frame = frame(&mut *source);
        assert_eq!(frame.info().timestamp_us, Some(i64::from(n) * 100_000));
        assert!(content(&frame) == counting(6, 1 + n % 2));
    }
    let mut source = open(&files, "s%d.png?loop=true&frameRate=10");
    for n in 0..5u64 {
        let packet = packet(&mut *source);
        assert_eq!(packet.timestamp_us, Some(n as i64 * 100_000));
        assert_eq!(source.picture_id(), Some(n % 2));
        assert_eq!(packet.data.last(), Some(&(1 + n as u8 % 2)));
    }
}

#[test]
fn an_empty_loop_ends() {
    let files = folder(&[("a.y4m", b"YUV4MPEG2 W2 H2\n"), ("a.raw", b"")]);
    assert!(matches!(next(&mut *open(&files, "a.y4m?loop=true")), Event::End));
    let url = "raw:a.raw?width=2&height=2&format=gray8&loop=true";
    assert!(matches!(next(&mut *open(&files, url)), Event::End));
}

#[test]
fn a_sequence_gives_its_files_and_tells_when_the_size_changes() {
    let jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\0\x05\0\x06\x03";
    let files = folder(&[
        ("s0004.png", &png(8, 9, 0)),
        ("s0005.png", &png(8, 9, 1)),
        ("s0006.png", jpeg),
        ("s0008.png", &png(8, 9, 2)),
    ]);
    let mut source = open(&files, "s%04d.png?frameRate=50");
    assert_eq!(source.caps().encoded, Some(EncodedKind::PNG));
    assert!(source.live());
    assert_eq!(packet(&mut *source).data, png(8, 9, 0));
    assert_eq!(packet(&mut *source).timestamp_us, Some(20_000));
    let Event::Caps(caps) = next(&mut *source) else {
        panic!("expected new caps");
    };
    assert_eq!((caps.encoded, caps.size), (Some(EncodedKind::MJPEG), Size::new(6, 5)));
    let last = packet(&mut *source);
    assert_eq!((last.timestamp_us, last.key), (Some(40_000), true));
    assert!(matches!(next(&mut *source), Event::End));
    assert_eq!(source.stats().captured, 3);
}

#[test]
fn raw_needs_to_be_told_what_it_is() {
    let files = folder(&[("a.raw", &counting(24, 5))]);
    for (url, word) in [
        ("raw:a.raw", "width"),
        ("raw:a.raw?width=4", "height"),
        ("raw:a.raw?width=4&height=4", "format"),
    ] {
        let error = try_open(files.path(), url).unwrap_err();
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::InvalidConfig, "missing-option")
        );
        assert!(error.to_string().contains(word), "{error}");
    }
    let mut source = open(&files, "raw:a.raw?width=4&height=2&format=rgb24&frameRate=5");
    assert!(content(&frame(&mut *source)) == counting(24, 5));
}

#[test]
fn bad_files_are_refused_with_what_was_expected() {
    let files = folder(&[
        ("a.y4m", b"RIFF"),
        ("b.y4m", b"YUV4MPEG2 W2 H2"),
        ("c.y4m", b"YUV4MPEG2 W2 H2 It\n"),
        ("d.y4m", b"YUV4MPEG2 W999999 H2\n"),
        ("e.y4m", b"YUV4MPEG2 W2 H2\n"),
        ("a.png", b"GIF89a"),
        ("b.jpg", b""),
    ]);
    for (url, code) in [
        ("a.y4m", ErrorCode::Data),
        ("b.y4m", ErrorCode::Data),
        ("c.y4m", ErrorCode::NotSupported),
        ("d.y4m", ErrorCode::Data),
        ("e.y4m?width=4", ErrorCode::InvalidConfig),
        ("e.y4m?format=nv12", ErrorCode::InvalidConfig),
        ("e.y4m?start=1", ErrorCode::InvalidConfig),
        ("none.y4m", ErrorCode::NotFound),
        ("a.png", ErrorCode::Data),
        ("b.jpg", ErrorCode::Data),
        ("x%03d.png", ErrorCode::NotFound),
        ("no-such-folder/x%03d.png", ErrorCode::NotFound),
    ] {
        let error = try_open(files.path(), url).unwrap_err();
        assert_eq!(error.code(), code, "{url}: {error}");
    }
}

#[test]
fn a_picture_that_is_lost_in_a_live_replay_is_left_out_not_delayed() {
    let frames: Vec<_> = (0..20).map(|i| counting(6, i)).collect();
    let files = folder(&[("a.y4m", &y4m("W2 H2 F10:1", &frames))]);
    let clock = Arc::new(TestClock::manual());
    let context = Context {
        clock: clock.clone(),
        ..Context::new(Arena::default())
    };
    let registry = Registry::with_builtins();
    let url = format!("{}/a.y4m", files.path().display());
    let mut source = registry.open(&registry.parse(&url).unwrap(), &context).unwrap();
    drop(frame(&mut *source));
    clock.advance(1_000_000);
    let late = frame(&mut *source);
    assert_eq!(late.info().timestamp_us, Some(1_000_000));
    assert!(content(&late) == frames[10]);
    assert_eq!(source.stats().dropped, 9);
}
