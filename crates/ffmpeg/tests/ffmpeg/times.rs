//! Times of files whose containers leave some out are those of the same film in MP4.

use crate::fixtures::*;
use beamline_arena::Arena;
use beamline_media::Packet;
use std::path::Path;

const FILM: &str = "-i {clip} -t 2 -an -vf scale=160:90 -r 25 -c:v libx264 -g 10";

/// When the pictures that are shown are shown, from the first one.
fn decoded(path: &Path) -> Vec<i64> {
    let mut times = Vec::new();
    decode(path, &Arena::default(), 1, |frame| {
        times.push(frame.info().timestamp_us.expect("a time"));
    });
    times.iter().map(|at| at - times[0]).collect()
}

pub(crate) fn of_video(path: &Path) -> Vec<Packet> {
    let mut demuxer = open(path);
    let (index, _) = video_track(demuxer.as_ref());
    demuxer.select(&[index]);
    packets(demuxer.as_mut())
}

/// Times of showing from the first one's; those of decoding must rise and come before them.
pub(crate) fn shown(packets: &[Packet]) -> Vec<i64> {
    let at = |packet: &Packet| packet.timestamp_us.expect("when it is shown");
    let decoded: Vec<i64> = packets
        .iter()
        .map(|p| p.decode_us.expect("when it is decoded"))
        .collect();
    assert!(decoded.windows(2).all(|pair| pair[0] < pair[1]), "{decoded:?}");
    assert!(packets.iter().zip(&decoded).all(|(packet, at_us)| *at_us <= at(packet)));
    packets.iter().map(|packet| at(packet) - at(&packets[0])).collect()
}

#[test]
fn pictures_have_their_times_whatever_the_container_says() {
    let folder = tempfile::tempdir().expect("folder");
    let wanted: Vec<i64> = (0..50).map(|n| n * 40_000).collect();
    for reordered in [0, 2, 3] {
        let made = |name: &str| {
            make(
                folder.path(),
                name,
                &format!("{FILM} -bf {reordered} -b_strategy 0 {{out}}"),
            )
        };
        let reference = shown(&of_video(&made("film.mp4")));
        assert_eq!(reference.is_sorted(), reordered == 0, "B-frames");
        for name in ["film.avi", "film.h264", "film.mkv", "film.ts", "film.flv"] {
            let file = made(name);
            assert_eq!(decoded(&file), wanted, "{name}, {reordered} B-frames");
            assert_eq!(shown(&of_video(&file)), reference, "{name}, {reordered} B-frames");
        }
    }
}

#[test]
fn a_seek_lands_on_the_key_picture_before() {
    let folder = tempfile::tempdir().expect("folder");
    for name in ["film.avi", "film.h264", "film.mkv"] {
        let file = make(folder.path(), name, &format!("{FILM} -bf 2 -sc_threshold 0 {{out}}"));
        let mut demuxer = open(&file);
        let (index, _) = video_track(demuxer.as_ref());
        demuxer.seek(index, 900_000).expect("seek");
        let rest = packets(demuxer.as_mut());
        assert!(rest[0].key, "{name}");
        let first = rest[0].timestamp_us.expect("a time");
        assert_eq!((first, rest.len()), (800_000, 30), "{name}");
        let all = shown(&rest);
        assert_eq!(all.iter().max(), Some(&1_160_000), "{name}");
    }
}

#[test]
fn sound_of_a_transport_stream_has_a_description_and_raw_packets() {
    let folder = tempfile::tempdir().expect("folder");
    let plain = make(
        folder.path(),
        "film.mp4",
        "-i {clip} -t 1 -c:v libx264 -vf scale=64:36 -c:a aac {out}",
    );
    let stream = folder.path().join("film.ts");
    make(
        folder.path(),
        "film.ts",
        &format!("-i {} -c copy {{out}}", plain.display()),
    );
    let of_sound = |path: &Path| {
        let mut demuxer = open(path);
        let (index, track) = demuxer
            .tracks()
            .iter()
            .cloned()
            .enumerate()
            .find(|(_, track)| track.audio().is_some())
            .expect("sound");
        demuxer.select(&[index]);
        (track, packets(demuxer.as_mut()))
    };
    let ((wanted, raw), (track, packets)) = (of_sound(&plain), of_sound(&stream));
    assert_eq!(track.codec, wanted.codec);
    let description = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| bytes.slice(..2));
    assert_eq!(description(&track.description), description(&wanted.description));
    assert_eq!(packets.len(), raw.len());
    assert!(packets.iter().zip(&raw).all(|(a, b)| a.data == b.data));
}
