//! Sequences of stills as a capture: each picture is decoded once, however often it comes.

use crate::support::{LONG, pattern, runtime};
use beamline_codec::ImageKind;
use beamline_flow::{CaptureOptions, CaptureSession, Pop, Runtime, encode_image};
use beamline_io::Cancel;
use beamline_media::{Frame, PixelFormat, Size};
use std::path::Path;

/// Writes a sequence of stills and gives the pictures.
fn sequence(runtime: &Runtime, folder: &Path, kind: ImageKind, ending: &str, format: &str) -> Vec<Frame> {
    let pictures = pattern(
        runtime,
        &format!("pattern:smpte?width=160&height=90&live=false&frames=5&format={format}"),
    );
    for (n, frame) in pictures.iter().enumerate() {
        let image = encode_image(runtime, frame, kind).unwrap();
        std::fs::write(folder.join(format!("{n:03}.{ending}")), &image.bytes).unwrap();
    }
    pictures
}

#[test]
fn sequences_are_decoded_looped_and_kept() {
    for (kind, ending, format) in [
        (ImageKind::Png, "png", "RGBA"),
        (ImageKind::Jpeg { quality: 0.9 }, "jpg", "I420"),
    ] {
        let runtime = runtime();
        let folder = tempfile::tempdir().unwrap();
        let pictures = sequence(&runtime, folder.path(), kind, ending, format);
        let url = format!(
            "{}/%03d.{ending}?live=false&loop=true&frameRate=50",
            folder.path().display()
        );
        let request = runtime.backends.parse(&url).unwrap();
        let session = CaptureSession::open(&runtime, &request, Cancel::new()).unwrap();
        assert_eq!(session.caps().size, Size::new(160, 90));
        let stream = session.frames(CaptureOptions::default()).unwrap();
        for n in 0..23_usize {
            let Pop::Item(held) = stream.pop_timeout(LONG) else {
                panic!("no frame {n}");
            };
            let info = held.frame.info();
            assert_eq!(info.timestamp_us, Some(n as i64 * 20_000), "{ending}");
            assert_eq!(info.visible.size(), Size::new(160, 90));
            if ending == "png" {
                assert_eq!(info.format, PixelFormat::RGBA);
                let same = (0..90).all(|y| held.frame.row(0, y) == pictures[n % 5].row(0, y));
                assert!(same, "picture {n} is not the one that was written");
            } else {
                let (a, b) = (held.frame.row(0, 45), pictures[n % 5].row(0, 45));
                let off: i32 = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs())
                    .sum();
                assert!(off < 160 * 20, "{off}");
            }
        }
        let stats = session.stats();
        println!("{ending}: {stats:?}");
        assert_eq!(stats.decoded, 5, "each picture once");
        assert!(stats.cached >= 18, "{stats:?}");
        session.close();
        assert!(session.wait_closed(LONG));
    }
}
