//! Opening, seeking, reading: tracks are told right, and what is no media is told what it is.

use crate::fixtures::*;
use beamline_arena::Arena;
use beamline_codec::CodecProvider;
use beamline_container::{ContainerProvider, Error};
use beamline_ffmpeg::Ffmpeg;
use beamline_io::{ByteSource, BytesSource, Cancel};
use beamline_media::{EncodedKind, Rational, Size};
use std::sync::Arc;

#[test]
fn the_clip_is_told_right() {
    let demuxer = open(&clip());
    assert_eq!(demuxer.format(), "mp4");
    let (_, track) = video_track(demuxer.as_ref());
    assert_eq!(track.codec, "avc1.4d401f");
    assert_eq!(
        track.video().map(|v| (v.coded, v.frame_rate)),
        Some((Size::new(1280, 720), Rational::new(25, 1)))
    );
    assert_eq!(
        (track.start_us, track.duration_us, track.packets),
        (Some(0), Some(5_280_000), Some(132))
    );
    let audio = demuxer.tracks().iter().find(|t| t.audio().is_some()).expect("audio");
    assert_eq!((audio.encoded, audio.codec.as_str()), (EncodedKind::AAC, "mp4a.40.2"));
    assert_eq!(
        audio.audio().map(|a| (a.sample_rate, a.frame_size)),
        Some((48_000, Some(1024)))
    );
    assert_eq!(demuxer.duration_us(), Some(5_312_000));
}

#[test]
fn seeking_lands_on_the_key_picture_before() {
    let folder = tempfile::tempdir().expect("folder");
    let plain = make(
        folder.path(),
        "g.mp4",
        "-i {clip} -vf scale=320:180 -c:v libx264 -g 20 -bf 3 -sc_threshold 0 -c:a aac {out}",
    );
    let plain_name = plain.display();
    let copies = [
        plain.clone(),
        make(
            folder.path(),
            "f.mp4",
            &format!("-i {plain_name} -c copy -movflags frag_keyframe+delay_moov {{out}}"),
        ),
        make(folder.path(), "m.mkv", &format!("-i {plain_name} -c copy {{out}}")),
    ];
    for path in copies {
        let mut demuxer = open(&path);
        let (index, _) = video_track(demuxer.as_ref());
        demuxer.select(&[index]);
        let keys: Vec<i64> = packets(demuxer.as_mut())
            .iter()
            .filter(|p| p.key)
            .filter_map(|p| p.timestamp_us)
            .collect();
        assert!(keys.len() > 5, "{keys:?}");
        for to in (0..40).rev().map(|n| n * 130_000).chain([-5, 0]) {
            demuxer.seek(index, to).expect("seek");

            let packet = demuxer.read().expect("read").expect("a packet");
            let expected = keys.iter().copied().filter(|key| *key <= to).max().unwrap_or(keys[0]);
            assert!(packet.key, "{}: {to}", path.display());
            assert_eq!(packet.timestamp_us, Some(expected), "{}: {to}", path.display());
        }
    }
}

#[test]
fn an_edit_list_hides_pictures_but_not_from_the_decoder() {
    let folder = tempfile::tempdir().expect("folder");
    let long = make(
        folder.path(),
        "l.mp4",
        "-i {clip} -an -vf scale=320:180 -c:v libx264 -g 25 -bf 2 {out}",
    );
    let cut = make(
        folder.path(),
        "c.mp4",
        &format!("-ss 1.4 -i {} -c copy {{out}}", long.display()),
    );
    let mut demuxer = open(&cut);
    let all = packets(demuxer.as_mut());
    let hidden = all.iter().filter(|p| p.discard).count();
    assert!(hidden > 5, "{hidden}");
    assert!(all.iter().filter(|p| p.discard).all(|p| p.timestamp_us < Some(0)));
    let mut times = Vec::new();
    decode(&cut, &Arena::default(), 4, |frame| {
        times.extend(frame.info().timestamp_us)
    });
    assert_eq!(times.len(), all.len() - hidden);
    assert_eq!(times[0], 0);
    assert!(times.windows(2).all(|w| w[0] < w[1]));
}

#[test]
fn what_is_no_media_is_told_what_it_is() {
    let open = |bytes: &'static [u8]| {
        let source = BytesSource::new(bytes, "thing.mp4");
        Ffmpeg::new()
            .open(Arc::new(source), &Cancel::new())
            .err()
            .expect("refused")
    };
    assert!(open(b"%PDF-1.4 and so on").to_string().contains("PDF"));
    assert!(matches!(open(b""), Error::NotMedia { .. }));
    assert!(matches!(
        open(b"#EXTM3U\nhttp://127.0.0.1/x.ts\n"),
        Error::NotMedia { .. }
    ));
    assert!(matches!(
        open(b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
        Error::NotMedia { .. }
    ));
    assert!(matches!(
        open(b"\0\0\0\x18ftypisom\0\0\0\0isom\0\0\0\0\0\0\0\x10mdat12345678"),
        Error::Truncated { .. }
    ));
}

#[test]
fn a_file_that_is_cut_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let front = make(
        folder.path(),
        "front.mp4",
        "-i {clip} -c copy -movflags faststart {out}",
    );
    let whole = std::fs::read(&front).expect("read");
    for percent in [30, 60, 99] {
        let cut = whole[..whole.len() * percent / 100].to_vec();
        let source = BytesSource::new(cut, "cut.mp4");
        let mut demuxer = Ffmpeg::new().open(Arc::new(source), &Cancel::new()).expect("open");
        let mut count = 0;
        let failure = loop {
            match demuxer.read() {
                Ok(Some(_)) => count += 1,
                Ok(None) => panic!("{percent}: the end was not told"),
                Err(failure) => break failure,
            }
        };
        assert!(matches!(failure, Error::Truncated { .. }), "{percent}: {failure}");
        assert!(count > percent, "{count} packets of {percent} %");
        assert!(matches!(demuxer.read(), Ok(None)));
    }
}

/// Fails or is cancelled after some bytes.
#[derive(Debug)]
struct Broken {
    inner: Vec<u8>,
    until: u64,
    cancel: Option<Cancel>,
}

impl ByteSource for Broken {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, beamline_io::Error> {
        if offset >= self.until {
            match &self.cancel {
                Some(wish) => wish.cancel(),
                None => {
                    return Err(beamline_io::Error::Callback {
                        name: "broken".into(),
                        reading: true,
                        failure: "the cable is out".into(),
                    });
                }
            }
        }
        cancel.check()?;
        let from = (offset as usize).min(self.inner.len());
        let n = into.len().min(self.inner.len() - from);
        into[..n].copy_from_slice(&self.inner[from..from + n]);
        Ok(n)
    }

    fn len(&self) -> Option<u64> {
        Some(self.inner.len() as u64)
    }

    fn name(&self) -> &str {
        "broken"
    }
}

#[test]
fn errors_of_the_source_come_back_as_themselves() {
    let folder = tempfile::tempdir().expect("folder");
    let front = make(
        folder.path(),
        "front.mp4",
        "-i {clip} -c copy -movflags faststart {out}",
    );
    let inner = std::fs::read(&front).expect("read");
    for until in [0, 700_000] {
        for cancels in [false, true] {
            let cancel = Cancel::new();
            let source = Broken {
                inner: inner.clone(),
                until,
                cancel: cancels.then(|| cancel.clone()),
            };
            let failure = match Ffmpeg::new().open(Arc::new(source), &cancel) {
                Err(failure) => failure,
                Ok(mut demuxer) => loop {
                    match demuxer.read() {
                        Ok(packet) => assert!(packet.is_some(), "no end"),
                        Err(failure) => break failure,
                    }
                },
            };
            let right = match &failure {
                Error::Io(beamline_io::Error::Callback { failure, .. }) => {
                    !cancels && failure.message == "the cable is out"
                }
                Error::Io(beamline_io::Error::Cancelled) => cancels,
                _ => false,
            };
            assert!(right, "{until} {cancels}: {failure:?}");
        }
    }
}

#[test]
fn ffmpeg_says_what_it_is() {
    let info = beamline_ffmpeg::info();
    assert!(
        info.version.starts_with(|c: char| c.is_ascii_digit()) || info.version.starts_with('n'),
        "{}",
        info.version
    );
    assert!(Ffmpeg::new().can_decode(EncodedKind::H264));
    assert!(!Ffmpeg::new().can_decode(EncodedKind("magicyuv")));
}
