//! What is written is what `ffprobe` and our own demuxer read: pictures, times, priming, rotation, colour.

use crate::{encode, fixtures::*};
use beamline_arena::Arena;
use beamline_codec::{CodecProvider, VideoEncoderConfig};
use beamline_container::{
    ContainerProvider, Error, MuxTrack, Muxer, MuxerConfig, TrackInfo, TrackKind, VideoInfo, container_for_slug,
};
use beamline_ffmpeg::Ffmpeg;
use beamline_io::{ByteSink, Cancel, FileSink, MemorySink};
use beamline_media::{ColorSpace, EncodedKind, Packet, Rational, Rotation, Size};
use std::path::{Path, PathBuf};

fn muxer(sink: Box<dyn ByteSink>, slug: &str, fragmented: bool) -> Box<dyn Muxer> {
    let config = MuxerConfig {
        container: container_for_slug(slug).expect("a row"),
        fragmented,
    };
    Ffmpeg::new().create(sink, &config, &Cancel::new()).expect("muxer")
}

/// Copies all tracks of a file; gives the new one.
fn copy(from: &Path, to: &Path, slug: &str, fragmented: bool) -> (PathBuf, u64) {
    let mut demuxer = open(from);
    let mut muxer = muxer(Box::new(FileSink::create(to).expect("create")), slug, fragmented);
    for info in demuxer.tracks() {
        muxer
            .add_track(&MuxTrack {
                info: info.clone(),
                time_base: Some(info.time_base),
            })
            .expect("track");
    }
    muxer.start().expect("start");
    while let Some(packet) = demuxer.read().expect("read") {
        muxer.write(&packet).expect("write");
    }
    muxer.finish().expect("finish");
    assert_eq!(muxer.bytes_written(), std::fs::metadata(to).expect("there").len());
    (to.to_owned(), muxer.fragments())
}

/// Times that players see, in seconds, of all packets of a kind of stream.
fn shown(path: &Path, stream: &str) -> Vec<f64> {
    let text = probe(
        path,
        &format!("-select_streams {stream}:0 -show_entries packet=pts_time"),
    );
    text.lines()
        .filter_map(|line| line.split('|').next()?.parse().ok())
        .collect()
}

fn top_boxes(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).expect("read");
    let (mut at, mut kinds) = (0, Vec::new());
    while at + 8 <= bytes.len() {
        kinds.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
        at += u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
    }
    kinds
}

#[test]
fn delay_and_priming_are_kept_in_both_forms() {
    let folder = tempfile::tempdir().expect("folder");
    let from = make(
        folder.path(),
        "from.mp4",
        "-i {clip} -t 4 -vf scale=320:180 -c:v libx264 -bf 3 -b_strategy 0 -g 25 -c:a aac {out}",
    );
    let (pictures, sound) = (shown(&from, "v"), shown(&from, "a"));
    assert_eq!(pictures.iter().copied().fold(1.0, f64::min), 0.0);
    assert!((sound[0] + 1024.0 / 48_000.0).abs() < 1e-5, "primed: {}", sound[0]);
    for slug in ["mp4", "mov"] {
        for fragmented in [false, true] {
            let to = folder.path().join(format!("{slug}-{fragmented}.{slug}"));
            let (to, fragments) = copy(&from, &to, slug, fragmented);
            let boxes = top_boxes(&to);
            if fragmented {
                assert!((4..=5).contains(&fragments), "{fragments}");
                assert_eq!(boxes.iter().filter(|b| *b == "moof").count() as u64, fragments);
                assert_eq!(boxes.last().map(String::as_str), Some("mfra"));
            } else {
                assert_eq!(boxes.first().map(String::as_str), Some("ftyp"));
                assert_eq!(boxes.get(1).map(String::as_str), Some("moov"), "{boxes:?}");
            }
            let sample = 1.0 / 48_000.0;
            let near =
                |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= sample);
            assert!(
                near(&shown(&to, "v"), &pictures),
                "{slug} {fragmented}: {:?}",
                &shown(&to, "v")[..5]
            );
            assert!(
                near(&shown(&to, "a"), &sound),
                "{slug} {fragmented}: {:?}",
                &shown(&to, "a")[..5]
            );
            // And for us.
            let (mut a, mut b) = (open(&from), open(&to));
            let priming = |d: &dyn beamline_container::Demuxer| d.tracks()[1].audio().map(|a| a.priming);
            assert_eq!(
                (priming(a.as_ref()), priming(b.as_ref())),
                (Some(1024), Some(1024)),
                "{slug} {fragmented}"
            );
            let of = |packets: Vec<Packet>, track| {
                packets
                    .into_iter()
                    .filter(|p| p.track == track)
                    .map(|p| (p.timestamp_us, p.data))
                    .collect::<Vec<_>>()
            };
            let (a, b) = (packets(a.as_mut()), packets(b.as_mut()));
            for track in [0, 1] {
                assert!(
                    of(a.clone(), track) == of(b.clone(), track),
                    "{slug} {fragmented} track {track}"
                );
            }
            // The command decodes the same pictures from it, and as many.
            let count = probe(
                &to,
                "-select_streams v:0 -count_frames -show_entries stream=nb_read_frames",
            );
            assert_eq!(count.trim(), pictures.len().to_string());
            let length: f64 = probe(&to, "-show_entries format=duration")
                .trim()
                .parse()
                .expect("a number");
            assert!((length - 4.0).abs() < 0.03, "{slug} {fragmented}: {length}");
        }
    }
}

fn video_info(size: Size, rate: Option<Rational>) -> VideoInfo {
    VideoInfo {
        coded: size,
        frame_rate: rate,
        color: ColorSpace::REC709,
        rotation: Rotation::Quarter,
        pixel_aspect: Rational::new(4, 3),
    }
}

/// Encodes pictures at these times and writes them.
fn record(path: &Path, config: &VideoEncoderConfig, times: &[i64], fragmented: bool) {
    let arena = Arena::default();
    let pool = pool(&arena);
    let mut encoder = Ffmpeg::new().open_encoder(config).expect("encoder");
    let format = encoder.format().clone();
    let info = TrackInfo {
        id: 0,
        encoded: EncodedKind::H264,
        codec: format.codec,
        description: format.description,
        kind: TrackKind::Video(video_info(config.size, config.frame_rate)),
        time_base: Rational { num: 1, den: 1_000_000 },
        start_us: None,
        duration_us: None,
        bitrate: None,
        packets: None,
        language: Some("deu".into()),
    };
    let mut muxer = muxer(Box::new(FileSink::create(path).expect("create")), "mp4", fragmented);
    muxer.add_track(&MuxTrack { info, time_base: None }).expect("track");
    muxer.start().expect("start");
    let frames = times.iter().enumerate().map(|(n, t)| {
        let next = times.get(n + 1).copied().unwrap_or_else(|| 2 * t - times[n - 1]);
        encode::picture(&pool, config.size, n, Some(*t)).with_info(|info| info.duration_us = Some(next - t))
    });
    for packet in encode(encoder.as_mut(), frames) {
        muxer.write(&packet).expect("write");
    }
    muxer.finish().expect("finish");
    drop(encoder);
    assert_eq!(arena.stats().live, 0);
}

#[test]
fn ffprobe_agrees_on_what_was_encoded() {
    let folder = tempfile::tempdir().expect("folder");
    let config = encode::config(Size::new(320, 180));
    let times: Vec<i64> = (0..125).map(|n| n * 40_000).collect();
    for fragmented in [true, false] {
        let path = folder.path().join(format!("{fragmented}.mp4"));
        record(&path, &config, &times, fragmented);
        let says = |what: &str| {
            probe(
                &path,
                &format!("-select_streams v:0 -count_frames -show_entries {what}"),
            )
            .trim()
            .to_owned()
        };
        assert_eq!(
            says("stream=codec_name,profile,width,height,sample_aspect_ratio,pix_fmt"),
            "h264|High|320|180|4:3|yuv420p"
        );
        assert_eq!(says("stream=nb_read_frames"), "125");
        assert_eq!(says("stream=r_frame_rate,avg_frame_rate"), "25/1|25/1", "{fragmented}");
        assert_eq!(
            says("stream=color_range,color_space,color_transfer,color_primaries"),
            "tv|bt709|bt709|bt709"
        );
        assert_eq!(says("format=duration"), "5.000000", "{fragmented}");
        assert!(says("stream_tags=language").contains("deu"));
        assert!(
            says("format_tags=encoder").starts_with("Beamline "),
            "{}",
            says("format_tags=encoder")
        );
        assert_eq!(shown(&path, "v").iter().copied().fold(1.0, f64::min), 0.0);
        let track = video_track(open(&path).as_ref()).1;
        let video = track.video().expect("video").clone();
        assert_eq!(
            video,
            VideoInfo {
                ..video_info(config.size, config.frame_rate)
            },
            "{fragmented}"
        );
        assert_eq!(track.language.as_deref(), Some("deu"));
    }
}

#[test]
fn variable_rate_keeps_every_time() {
    let folder = tempfile::tempdir().expect("folder");
    let config = VideoEncoderConfig {
        frame_rate: None,
        ..encode::config(Size::new(64, 64))
    };
    let times: Vec<i64> = (0..50).map(|n: i64| n * 33_000 + n * n % 11 * 1_700).collect();
    for fragmented in [true, false] {
        let path = folder.path().join(format!("{fragmented}.mp4"));
        record(&path, &config, &times, fragmented);
        let mut demuxer = open(&path);
        let mut got: Vec<i64> = packets(demuxer.as_mut())
            .iter()
            .filter_map(|p| p.timestamp_us)
            .collect();
        got.sort_unstable();
        assert_eq!(got.len(), times.len());
        // The file's unit is 1/90000 s.
        assert!(got.iter().zip(&times).all(|(a, b)| a.abs_diff(*b) <= 6), "{got:?}");
    }
}

#[test]
fn rounded_rates_are_exact() {
    let folder = tempfile::tempdir().expect("folder");
    let config = VideoEncoderConfig {
        frame_rate: Rational::new(30_000, 1001),
        ..encode::config(Size::new(64, 64))
    };
    let times: Vec<i64> = (0..90).map(|n| Rational { num: 30_000, den: 1001 }.nth_us(n)).collect();
    let path = folder.path().join("ntsc.mp4");
    record(&path, &config, &times, true);
    assert_eq!(
        probe(&path, "-show_entries stream=r_frame_rate,avg_frame_rate").trim(),
        "30000/1001|30000/1001"
    );
}

/// A disk with room for `left` bytes.
#[derive(Debug)]
struct Full {
    left: usize,
    into: MemorySink,
}

impl ByteSink for Full {
    fn write(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), beamline_io::Error> {
        let room = bytes.len().min(self.left);
        self.left -= room;
        self.into.write(&bytes[..room], cancel)?;
        if room < bytes.len() {
            return Err(beamline_io::Error::Os {
                action: "write",
                name: "full".into(),
                source: std::io::ErrorKind::StorageFull.into(),
            });
        }
        Ok(())
    }

    fn can_seek(&self) -> bool {
        false
    }

    fn seek(&mut self, _offset: u64) -> Result<(), beamline_io::Error> {
        Err(beamline_io::Error::NotSeekable { name: "full".into() })
    }

    fn finish(&mut self, _cancel: &Cancel) -> Result<(), beamline_io::Error> {
        Ok(())
    }

    fn discard(&mut self) -> Result<bool, beamline_io::Error> {
        self.into.discard()
    }

    fn name(&self) -> &str {
        "full"
    }
}

#[test]
fn a_full_disk_is_said_and_what_is_whole_stays_playable() {
    let folder = tempfile::tempdir().expect("folder");
    let clip_len = {
        let (path, _) = copy(&clip(), &folder.path().join("whole.mp4"), "mp4", true);
        std::fs::metadata(path).expect("there").len() as usize
    };
    for (fragmented, room) in [
        (true, 10),
        (true, clip_len * 6 / 10),
        (true, clip_len - 20),
        (false, clip_len / 2),
    ] {
        let into = MemorySink::new();
        let bytes = into.shared();
        let mut muxer = muxer(Box::new(Full { left: room, into }), "mp4", fragmented);
        let mut demuxer = open(&clip());
        for info in demuxer.tracks() {
            muxer
                .add_track(&MuxTrack {
                    info: info.clone(),
                    time_base: None,
                })
                .expect("track");
        }
        muxer.start().expect("start");
        let result = packets(demuxer.as_mut())
            .iter()
            .try_for_each(|packet| muxer.write(packet));
        let failure = result.and_then(|()| muxer.finish()).expect_err("the disk is full");
        assert!(
            matches!(&failure, Error::Io(e) if e.kind() == std::io::ErrorKind::StorageFull),
            "{fragmented} {room}: {failure}"
        );
        assert!(muxer.write(&Packet::new(bytes::Bytes::new())).is_err());
        let fragments = muxer.fragments();
        let playable = muxer.abort().expect("abort");
        assert_eq!(playable, fragmented && room > 10, "{room}");
        assert_eq!(playable, fragments > 0);
        if playable {
            let path = folder.path().join("cut.mp4");
            std::fs::write(&path, &*bytes.lock().expect("lock")).expect("write");
            let count = probe(
                &path,
                "-select_streams v:0 -count_packets -show_entries stream=nb_read_packets",
            );
            let count: u64 = count.trim().parse().expect("a number");
            assert!(count >= 25 * (fragments - 1), "{fragments} fragments, {count} pictures");
        }
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    let mut mp4 = muxer(Box::new(MemorySink::new()), "mp4", true);
    assert!(matches!(mp4.start(), Err(Error::Config { .. })), "no track");
    let mut info = open(&clip()).tracks()[0].clone();
    info.encoded = EncodedKind("vp9");
    let vp9 = MuxTrack { info, time_base: None };
    assert!(matches!(mp4.add_track(&vp9), Err(Error::NotSupported { .. })));
    let info = open(&clip())
        .tracks()
        .iter()
        .find(|t| t.video().is_some())
        .expect("video")
        .clone();
    mp4.add_track(&MuxTrack { info, time_base: None }).expect("track");
    mp4.start().expect("start");
    let mut packet = Packet::new(vec![0; 8].into());
    assert!(matches!(mp4.write(&packet), Err(Error::Config { .. })), "no time");
    packet.timestamp_us = Some(40_000);
    packet.key = true;
    mp4.write(&packet).expect("write");
    packet.timestamp_us = Some(0);
    let back = mp4.write(&packet).expect_err("time goes back");
    assert!(
        matches!(
            back,
            Error::Order {
                track: 0,
                before_us: 40_000,
                at_us: 0
            }
        ),
        "{back}"
    );
    packet.track = 7;
    assert!(matches!(mp4.write(&packet), Err(Error::Config { .. })), "no such track");
    assert!(!mp4.abort().expect("abort"), "nothing playable");
}
