//! Damaged files: an error or concealed pictures, never a crash, a leaked slot or a picture of a size that is not what it says.

use crate::fixtures::*;
use beamline_arena::Arena;
use beamline_codec::CodecProvider;
use beamline_container::ContainerProvider;
use beamline_ffmpeg::Ffmpeg;
use beamline_io::{BytesSource, Cancel};
use std::sync::Arc;

/// A small generator, so that a seed gives the same damage everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Reads and decodes what can be; gives the number of pictures.
fn play(bytes: Vec<u8>, arena: &Arena, threads: u32) -> usize {
    let source = BytesSource::new(bytes, "damaged");
    let Ok(mut demuxer) = Ffmpeg::new().open(Arc::new(source), &Cancel::new()) else {
        return 0;
    };
    let Some(index) = demuxer.tracks().iter().position(|t| t.video().is_some()) else {
        return 0;
    };
    let mut config = decoder_config(&demuxer.tracks()[index]);
    config.threads = threads;
    demuxer.select(&[index]);
    let Ok(mut decoder) = Ffmpeg::new().open_decoder(&config, pool(arena)) else {
        return 0;
    };
    let mut pictures = 0;
    let mut look = |decoder: &mut dyn beamline_codec::VideoDecoder| {
        for _ in 0..100 {
            match decoder.receive() {
                Ok(Some(frame)) => {
                    pictures += 1;
                    let info = frame.info();
                    assert!(info.visible.fits(info.coded));
                    for i in 0..frame.plane_count() {
                        let (bytes, stride) = frame.plane_bytes(i);
                        let rows = info.format.rows(i, info.coded.height);
                        assert_eq!(
                            bytes.len(),
                            stride * (rows - 1) + info.format.row_bytes(i, info.coded.width)
                        );
                        std::hint::black_box(bytes[bytes.len() - 1]);
                    }
                }
                Ok(None) => break,
                Err(_) => {}
            }
        }
    };
    let mut failures = 0;
    while failures < 50 {
        match demuxer.read() {
            Ok(Some(packet)) => {
                let _ = decoder.send(Some(&packet));
                look(decoder.as_mut());
            }
            Ok(None) => break,
            Err(_) => failures += 1,
        }
    }
    let _ = decoder.send(None);
    look(decoder.as_mut());
    pictures
}

#[test]
fn random_flips() {
    let folder = tempfile::tempdir().expect("folder");
    let small = "-i {clip} -t 1 -vf scale=160:90";
    let files = [
        (
            make(
                folder.path(),
                "a.mp4",
                &format!("{small} -c:v libx264 -bf 2 -c:a aac {{out}}"),
            ),
            350,
        ),
        (
            make(
                folder.path(),
                "f.mp4",
                &format!("{small} -c:v libx264 -movflags frag_keyframe+delay_moov {{out}}"),
            ),
            50,
        ),
        (
            make(folder.path(), "m.mkv", &format!("{small} -an -c:v mjpeg {{out}}")),
            50,
        ),
        (
            make(folder.path(), "p.mov", &format!("{small} -an -t 0.3 -c:v png {{out}}")),
            50,
        ),
    ];
    for (path, seeds) in files {
        let whole = std::fs::read(&path).expect("read");
        let mut pictures = 0;
        for seed in 1..=seeds {
            let arena = Arena::with_budget(256 << 20);
            let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
            let mut bytes = whole.clone();
            for _ in 0..1 + dice.next() % 60 {
                let at = dice.next() as usize % bytes.len();
                bytes[at] ^= 1 << (dice.next() % 8);
            }
            if seed % 5 == 0 {
                bytes.truncate(dice.next() as usize % bytes.len());
            }
            pictures += play(bytes, &arena, 1 + (seed % 2) as u32 * 3);
            assert_eq!(arena.stats().live, 0, "{}: seed {seed} leaked", path.display());
        }
        assert!(pictures > 0, "{}: nothing survived", path.display());
    }
}
