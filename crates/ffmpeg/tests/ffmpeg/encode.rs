//! What is encoded comes back: the picture, the times, the colour, and no copy is made on the way in.

use crate::fixtures::*;
use beamline_arena::{Arena, Wait};
use beamline_codec::{CodecProvider, Error, ImageKind, LatencyMode, VideoDecoderConfig, VideoEncoderConfig};
use beamline_ffmpeg::Ffmpeg;
use beamline_media::{ColorSpace, EncodedKind, Frame, FrameInfo, Packet, PixelFormat, Rational, Rect, Size};

pub(crate) fn config(size: Size) -> VideoEncoderConfig {
    VideoEncoderConfig {
        kind: EncodedKind::H264,
        codec: String::new(),
        format: PixelFormat::I420,
        size,
        color: ColorSpace::REC709,
        pixel_aspect: Rational::ONE,
        frame_rate: Rational::new(25, 1),
        bitrate: None,
        latency_mode: LatencyMode::Quality,
        preset: Some("veryfast".into()),
        key_interval: None,
        threads: 2,
        out_of_band: true,
    }
}

/// A picture that moves: a slope and a bright square at a place given by `n`.
pub(crate) fn picture(pool: &beamline_media::FramePool, size: Size, n: usize, timestamp: Option<i64>) -> Frame {
    let mut info = FrameInfo::new(PixelFormat::I420, size);
    info.timestamp_us = timestamp;
    info.duration_us = Some(40_000);
    info.color = ColorSpace::REC709;
    let mut frame = pool.acquire(info, Wait::Grow).expect("a slot");
    for (i, (plane, stride)) in frame.planes_mut().into_iter().enumerate() {
        for (y, row) in plane.chunks_mut(stride).enumerate() {
            for (x, byte) in row.iter_mut().enumerate() {
                let inside = (x / 16, y / 16) == (n % 8, n / 8 % 4);
                *byte = match (i, inside) {
                    (0, true) => 220,
                    (0, false) => 30 + (x / 4 + y / 4) as u8 % 128,
                    _ => 128,
                };
            }
        }
    }
    frame.freeze()
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 / (sum as f64 / a.len() as f64).max(1e-9)).log10()
}

fn decode_packets(arena: &Arena, config: &VideoDecoderConfig, packets: &[Packet]) -> Vec<Frame> {
    let mut decoder = Ffmpeg::new().open_decoder(config, pool(arena)).expect("decoder");
    let mut frames = Vec::new();
    for packet in packets.iter().map(Some).chain([None]) {
        decoder.send(packet).expect("send");
        drain_frames(decoder.as_mut(), &mut |frame| frames.push(frame));
    }
    frames
}

#[test]
fn pictures_and_times_come_back() {
    for out_of_band in [true, false] {
        let arena = Arena::default();
        let size = Size::new(320, 180);
        let config = VideoEncoderConfig {
            out_of_band,
            ..config(size)
        };
        let mut encoder = Ffmpeg::new().open_encoder(&config).expect("encoder");
        let format = encoder.format().clone();
        assert!(format.codec.starts_with("avc1.64"), "{format:?}");
        assert_eq!(format.description.is_some(), out_of_band);
        let pool = pool(&arena);
        // Variable rate.
        let times: Vec<i64> = (0..60).map(|n| n * 40_000 + n * n % 7 * 1_111).collect();
        let sent: Vec<_> = times
            .iter()
            .enumerate()
            .map(|(n, t)| picture(&pool, size, n, Some(*t)))
            .collect();
        let packets = encode(encoder.as_mut(), sent.iter().cloned());
        assert_eq!(packets.len(), 60);
        assert!(
            packets.iter().any(|p| p.decode_us != p.timestamp_us),
            "there are B-frames"
        );
        assert!(
            packets.windows(2).all(|w| w[0].decode_us < w[1].decode_us),
            "decoding times rise"
        );
        assert!(
            packets
                .iter()
                .all(|p| p.decode_us <= p.timestamp_us && p.duration_us == Some(40_000))
        );
        let keys: Vec<_> = packets.iter().filter(|p| p.key).map(|p| p.timestamp_us).collect();
        assert!(keys.len() >= 3, "a key picture each second: {keys:?}");
        let decoder = VideoDecoderConfig {
            description: format.description,
            ..VideoDecoderConfig::new(EncodedKind::H264)
        };
        let got = decode_packets(&arena, &decoder, &packets);
        assert_eq!(
            got.iter().map(|f| f.info().timestamp_us).collect::<Vec<_>>(),
            times.iter().map(|t| Some(*t)).collect::<Vec<_>>()
        );
        for (a, b) in sent.iter().zip(&got) {
            assert!(psnr(&visible_bytes(a), &visible_bytes(b)) > 35.0);
            assert_eq!(b.info().color, ColorSpace::REC709);
        }
        drop((sent, got, encoder));
        assert_eq!(arena.stats().live, 0);
    }
}

#[test]
fn repeated_missing_and_backward_times_come_back_exactly() {
    let arena = Arena::default();
    let pool = pool(&arena);
    let size = Size::new(64, 64);
    let config = VideoEncoderConfig {
        latency_mode: LatencyMode::Realtime,
        ..config(size)
    };
    let mut encoder = Ffmpeg::new().open_encoder(&config).expect("encoder");
    let odd = [
        Some(0),
        Some(0),
        None,
        Some(40_000),
        Some(30_000),
        Some(-9_000_000),
        None,
        Some(1 << 45),
    ];
    let frames = odd.iter().enumerate().map(|(n, t)| picture(&pool, size, n, *t));
    let mut got = Vec::new();
    for frame in frames {
        encoder.send(Some(&frame), false).expect("send");
        drop(frame);
        // Realtime: each comes out at once.
        let packet = encoder.receive().expect("receive").expect("a packet");
        got.push(packet.timestamp_us);
    }
    assert_eq!(got, odd);
    assert_eq!(arena.stats().live, 0, "the encoder keeps nothing");
}

#[test]
fn a_key_picture_comes_when_asked_for() {
    let arena = Arena::default();
    let pool = pool(&arena);
    let size = Size::new(64, 64);
    let config = VideoEncoderConfig {
        latency_mode: LatencyMode::Realtime,
        key_interval: Some(1000),
        ..config(size)
    };
    let mut encoder = Ffmpeg::new().open_encoder(&config).expect("encoder");
    for n in 0..20 {
        encoder
            .send(Some(&picture(&pool, size, 0, Some(n * 40_000))), n == 11)
            .expect("send");
        let packet = encoder.receive().expect("receive").expect("a packet");
        assert_eq!(packet.key, n == 0 || n == 11, "{n}");
    }
}

#[test]
fn the_encoder_reads_the_slot_itself() {
    // A byte that is changed in the slot, through the address that the frame tells, is in the encoded picture.
    let arena = Arena::default();
    let pool = pool(&arena);
    let size = Size::new(64, 64);
    let taken = arena.stats().allocations;
    let mut encoder = Ffmpeg::new().open_encoder(&config(size)).expect("encoder");
    let frame = picture(&pool, size, 0, Some(0));
    let (lease, offset, _) = frame.plane(0);
    let at = lease.as_ptr();
    for i in 0..64 * 64 {
        // SAFETY: the test is the only one that uses the frame; 64 rows of 64 bytes at a stride of 64 lie in its first plane.
        unsafe { at.add(offset + i).write(200) };
    }
    let packets = encode(encoder.as_mut(), [frame]);
    assert_eq!(arena.stats().allocations, taken + 1, "one slot: the picture's own");
    let decoder = VideoDecoderConfig {
        description: encoder.format().description.clone(),
        ..VideoDecoderConfig::new(EncodedKind::H264)
    };
    let got = decode_packets(&arena, &decoder, &packets);
    let luma = got[0].row(0, 10)[10];
    assert!(luma.abs_diff(200) < 3, "{luma}");
}

#[test]
fn the_visible_part_is_what_is_encoded() {
    let arena = Arena::default();
    let pool = pool(&arena);
    let mut config = config(Size::new(32, 16));
    let mut encoder = Ffmpeg::new().open_encoder(&config).expect("encoder");
    let frame = picture(&pool, Size::new(128, 64), 9, Some(0)).with_info(|info| {
        info.visible = Rect {
            x: 16,
            y: 16,
            width: 32,
            height: 16,
        };
    });
    let packets = encode(encoder.as_mut(), [frame.clone()]);
    let decoder = VideoDecoderConfig {
        description: encoder.format().description.clone(),
        ..VideoDecoderConfig::new(EncodedKind::H264)
    };
    let got = decode_packets(&arena, &decoder, &packets);
    assert!(psnr(&visible_bytes(&frame), &visible_bytes(&got[0])) > 35.0);
    // Another size is refused, so is one that begins inside a group.
    config.size = Size::new(128, 64);
    let mut whole = Ffmpeg::new().open_encoder(&config).expect("encoder");
    assert!(matches!(whole.send(Some(&frame), false), Err(Error::Config { .. })));
    let odd = frame.with_info(|info| info.visible.x = 15);
    assert!(matches!(encoder.send(Some(&odd), false), Err(Error::Config { .. })));
}

#[test]
fn profile_level_and_bitrate_are_kept() {
    let size = Size::new(1280, 720);
    for (asked, told) in [
        ("avc1.42001f", "avc1.42c01f"),
        ("avc1.4d0028", "avc1.4d4028"),
        ("avc1.640028", "avc1.640028"),
    ] {
        let config = VideoEncoderConfig {
            codec: asked.into(),
            bitrate: Some(2_000_000),
            ..config(size)
        };
        let encoder = Ffmpeg::new().open_encoder(&config).expect("encoder");
        assert_eq!(encoder.format().codec, told, "{asked}");
        assert_eq!(encoder.format().encoder, "libx264");
    }
}

/// `max_num_ref_frames` and the like, as the command's trace of the parameter sets says it.
fn traced(packet: &[u8], folder: &std::path::Path, field: &str) -> u32 {
    let path = folder.join("traced.264");
    std::fs::write(&path, packet).expect("write");
    let ran = std::process::Command::new("ffmpeg")
        .args(["-v", "trace", "-f", "h264", "-i"])
        .arg(&path)
        .args(["-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"])
        .output()
        .expect("the ffmpeg command is there");
    let text = String::from_utf8_lossy(&ran.stderr).into_owned();
    let line = text
        .lines()
        .find(|line| line.contains(field))
        .unwrap_or_else(|| panic!("{field} in {text}"));
    line.rsplit("= ")
        .next()
        .expect("a value")
        .trim()
        .parse()
        .expect("a number")
}

#[test]
fn a_level_is_kept_or_refused_and_never_raised() {
    type Change = fn(&mut VideoEncoderConfig);
    let hd = Size::new(1920, 1080);
    let folder = tempfile::tempdir().expect("folder");
    let arena = Arena::default();
    let pool = pool(&arena);
    let with = |codec: &str, change: Change| {
        let mut config = VideoEncoderConfig {
            codec: codec.into(),
            out_of_band: false,
            ..config(hd)
        };
        change(&mut config);
        Ffmpeg::new().open_encoder(&config)
    };
    let refused: [(&str, Change, &str); 4] = [
        ("avc1.64001f", |_| (), "'avc1.640028'"),
        ("avc1.640028", |c| c.frame_rate = Rational::new(60, 1), "'avc1.64002a'"),
        ("avc1.420028", |c| c.bitrate = Some(21_000_000), "'avc1.420029'"),
        ("avc1.640001", |_| (), "no such level"),
    ];
    for (codec, change, instead) in refused {
        let Some(Error::NotSupported { what, why }) = with(codec, change).err() else {
            panic!("{codec} was taken");
        };
        assert!(what.contains(codec) && why.contains(instead), "{what}: {why}");
    }
    // Eight reference pictures of that size are too many for level 4, which holds four.
    let mut encoder = with("avc1.640028", |c| c.preset = Some("slower".into())).expect("encoder");
    assert_eq!(encoder.format().codec, "avc1.640028");
    let packets = encode(
        encoder.as_mut(),
        (0..2).map(|n| picture(&pool, hd, n, Some(n as i64 * 40_000))),
    );
    assert_eq!(traced(&packets[0].data, folder.path(), "max_num_ref_frames"), 4);
    assert_eq!(traced(&packets[0].data, folder.path(), " level_idc"), 40);
}

#[test]
fn impossible_configurations_are_refused() {
    let good = config(Size::new(64, 64));
    let with = |change: fn(&mut VideoEncoderConfig)| {
        let mut config = good.clone();
        change(&mut config);
        Ffmpeg::new().open_encoder(&config).err()
    };
    let bad: [fn(&mut VideoEncoderConfig); 7] = [
        |c| c.size = Size::new(63, 64),
        |c| c.size = Size::new(0, 0),
        |c| c.preset = Some("nope".into()),
        |c| c.format = PixelFormat::RGBA,
        |c| c.bitrate = Some(0),
        |c| c.codec = "avc1.zz".into(),
        |c| c.frame_rate = Rational::new(1_000_000, 1),
    ];
    for (n, change) in bad.into_iter().enumerate() {
        assert!(matches!(with(change), Some(Error::Config { .. })), "{n}");
    }
    assert!(matches!(
        with(|c| c.kind = EncodedKind("vp9")),
        Some(Error::NotSupported { .. })
    ));
}

#[test]
fn stills_are_read_back_by_the_command() {
    let folder = tempfile::tempdir().expect("folder");
    let arena = Arena::default();
    let pool = pool(&arena);
    let size = Size::new(66, 34);
    let frame = picture(&pool, size, 3, None);
    for color in [
        ColorSpace::REC709,
        ColorSpace {
            full_range: Some(true),
            ..ColorSpace::REC601
        },
    ] {
        let frame = frame.clone().with_info(|info| info.color = color);
        let image = Ffmpeg::new()
            .encode_image(&frame, ImageKind::Jpeg { quality: 1.0 })
            .expect("jpeg");
        assert_eq!(image.media_type, "image/jpeg");
        let path = folder.path().join("still.jpg");
        std::fs::write(&path, &image.bytes).expect("write");
        assert_eq!(
            probe(&path, "-show_entries stream=width,height,codec_name").trim(),
            "mjpeg|66|34"
        );
        let gray = make(
            folder.path(),
            "still.gray",
            &format!("-i {} -pix_fmt gray -f rawvideo {{out}}", path.display()),
        );
        let gray = std::fs::read(gray).expect("read");
        // Luma of a gray pixel: 220 of 16..235 is 237 of 0..255.
        let expected = if color.full_range == Some(true) { 220_u8 } else { 237 };
        let luma = gray[8 * 66 + 56];
        assert!(luma.abs_diff(expected) < 6, "{luma} for {expected}");
    }
    let mut info = FrameInfo::new(PixelFormat::RGBA, Size::new(5, 3));
    info.visible = Rect {
        x: 1,
        y: 1,
        width: 3,
        height: 2,
    };
    let mut rgba = pool.acquire(info, Wait::Grow).expect("slot");
    let (bytes, stride) = rgba.plane_mut(0);
    bytes.fill(0);
    bytes[stride + 4..][..4].copy_from_slice(&[1, 2, 3, 4]);
    let rgba = rgba.freeze();
    let image = Ffmpeg::new().encode_image(&rgba, ImageKind::Png).expect("png");
    let path = folder.path().join("still.png");
    std::fs::write(&path, &image.bytes).expect("write");
    let raw = make(
        folder.path(),
        "still.rgba",
        &format!("-i {} -pix_fmt rgba -f rawvideo {{out}}", path.display()),
    );
    let raw = std::fs::read(raw).expect("read");
    assert_eq!((raw.len(), &raw[..5]), (24, &[1, 2, 3, 4, 0][..]));
    drop((frame, rgba));
    assert_eq!(arena.stats().live, 0);
}
