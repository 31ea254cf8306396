//! Fixtures made with the `ffmpeg` command, and the loops that every test needs.

use beamline_arena::{Arena, PoolConfig};
use beamline_codec::{CodecProvider, VideoDecoder, VideoDecoderConfig, VideoEncoder};
use beamline_container::{ContainerProvider, Demuxer, TrackInfo};
use beamline_ffmpeg::Ffmpeg;
use beamline_io::{Cancel, FileSource};
use beamline_media::{Frame, FramePool, Packet};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// The clip that ships.
pub(crate) fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media/big-buck-bunny-720p.mp4")
}

/// Runs `ffmpeg` with arguments that are cut at blanks; `{clip}` is the clip, `{out}` the file in `folder` that is returned.
pub(crate) fn make(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    try_make(folder, name, arguments).unwrap_or_else(|words| panic!("{arguments}: {words}"))
}

/// The same; the command's words when it fails.
pub(crate) fn try_make(folder: &Path, name: &str, arguments: &str) -> Result<PathBuf, String> {
    let out = folder.join(name);
    let words = arguments.split_whitespace().map(|word| match word {
        "{clip}" => clip().display().to_string(),
        "{out}" => out.display().to_string(),
        word => word.to_owned(),
    });
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(words)
        .output()
        .expect("the ffmpeg command is there");
    if ran.status.success() {
        Ok(out)
    } else {
        Err(String::from_utf8_lossy(&ran.stderr).into_owned())
    }
}

/// What `ffprobe` prints for these arguments.
pub(crate) fn probe(path: &Path, arguments: &str) -> String {
    let ran = Command::new("ffprobe")
        .args(["-v", "error", "-of", "compact=p=0:nk=1"])
        .args(arguments.split_whitespace())
        .arg(path)
        .output()
        .expect("the ffprobe command is there");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    // Sections that were not asked for leave an empty column.
    let text = String::from_utf8(ran.stdout).expect("text");
    text.lines()
        .map(|line| line.trim_end_matches('|'))
        .collect::<Vec<_>>()
        .join("\n")
}

pub(crate) fn open(path: &Path) -> Box<dyn Demuxer> {
    let source = FileSource::open(path).expect("open");
    Ffmpeg::new().open(Arc::new(source), &Cancel::new()).expect("demux")
}

pub(crate) fn packets(demuxer: &mut dyn Demuxer) -> Vec<Packet> {
    std::iter::from_fn(|| demuxer.read().expect("read")).collect()
}

pub(crate) fn pool(arena: &Arena) -> Arc<FramePool> {
    Arc::new(FramePool::new(arena, PoolConfig::new("test")))
}

/// The first track of pictures.
pub(crate) fn video_track(demuxer: &dyn Demuxer) -> (usize, TrackInfo) {
    let all = demuxer.tracks();
    let index = all
        .iter()
        .position(|track| track.video().is_some())
        .expect("a video track");
    (index, all[index].clone())
}

/// How flow sets up a decoder for a track.
pub(crate) fn decoder_config(track: &TrackInfo) -> VideoDecoderConfig {
    let video = track.video().expect("pictures");
    VideoDecoderConfig {
        codec: track.codec.clone(),
        description: track.description.clone(),
        coded: video.coded,
        color: video.color,
        rotation: video.rotation,
        pixel_aspect: video.pixel_aspect,
        ..VideoDecoderConfig::new(track.encoded)
    }
}

pub(crate) fn drain_frames(decoder: &mut dyn VideoDecoder, each: &mut dyn FnMut(Frame)) {
    while let Some(frame) = decoder.receive().expect("a frame") {
        each(frame);
    }
}

/// Decodes a file's pictures.
pub(crate) fn decode(path: &Path, arena: &Arena, threads: u32, mut each: impl FnMut(Frame)) {
    let mut demuxer = open(path);
    let (index, track) = video_track(demuxer.as_ref());
    demuxer.select(&[index]);
    let config = VideoDecoderConfig {
        threads,
        ..decoder_config(&track)
    };
    let mut decoder = Ffmpeg::new().open_decoder(&config, pool(arena)).expect("decoder");
    while let Some(packet) = demuxer.read().expect("read") {
        decoder.send(Some(&packet)).expect("send");
        drain_frames(decoder.as_mut(), &mut each);
    }
    decoder.send(None).expect("end");
    drain_frames(decoder.as_mut(), &mut each);
}

pub(crate) fn encode(encoder: &mut dyn VideoEncoder, frames: impl IntoIterator<Item = Frame>) -> Vec<Packet> {
    let mut out = Vec::new();
    let mut drain = |encoder: &mut dyn VideoEncoder| {
        while let Some(packet) = encoder.receive().expect("a packet") {
            out.push(packet);
        }
    };
    for frame in frames {
        encoder.send(Some(&frame), false).expect("send");
        drain(encoder);
    }
    encoder.send(None, false).expect("end");
    drain(encoder);
    out
}

/// The visible bytes of a picture, plane after plane, as `rawvideo` has them.
pub(crate) fn visible_bytes(frame: &Frame) -> Vec<u8> {
    let info = frame.info();
    let v = info.visible;
    let mut out = Vec::new();
    for i in 0..frame.plane_count() {
        let plane = &info.format.info().planes[i];
        let skip = info.format.row_bytes(i, v.x);
        let first = (v.y / u32::from(plane.sub_y)) as usize;
        for y in 0..info.format.rows(i, v.height) {
            out.extend_from_slice(&frame.row(i, first + y)[skip..][..info.format.row_bytes(i, v.width)]);
        }
    }
    out
}
