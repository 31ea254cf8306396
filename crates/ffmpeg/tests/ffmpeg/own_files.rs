//! Our own files, whole and cut, under our own walk over the boxes.

use crate::fixtures::{make, open};
use beamline_container::{
    ContainerProvider, MuxTrack, MuxerConfig,
    boxes::{Examination, Index, examine},
    container_for_slug,
};
use beamline_ffmpeg::Ffmpeg;
use beamline_io::{BytesSource, Cancel, MemorySink};
use bytes::Bytes;
use std::path::Path;

/// Pictures that are reordered and primed sound, copied by our muxer; gives the file and its fragments.
fn ours(from: &Path, slug: &str, fragmented: bool) -> (Bytes, u64) {
    let sink = MemorySink::new();
    let bytes = sink.shared();
    let config = MuxerConfig {
        container: container_for_slug(slug).expect("a row"),
        fragmented,
    };
    let mut muxer = Ffmpeg::new()
        .create(Box::new(sink), &config, &Cancel::new())
        .expect("muxer");
    let mut demuxer = open(from);
    for info in demuxer.tracks() {
        let track = MuxTrack {
            info: info.clone(),
            time_base: Some(info.time_base),
        };
        muxer.add_track(&track).expect("track");
    }
    muxer.start().expect("start");
    while let Some(packet) = demuxer.read().expect("read") {
        muxer.write(&packet).expect("write");
    }
    muxer.finish().expect("finish");
    let fragments = muxer.fragments();
    let file = Bytes::from(bytes.lock().expect("lock").clone());
    (file, fragments)
}

fn look(file: Bytes) -> Option<Examination> {
    examine(&BytesSource::new(file, "ours"), &Cancel::new()).expect("a cut is no error")
}

/// Where each outermost box begins, with its type, and where the file ends.
fn outermost(file: &[u8]) -> Vec<(usize, [u8; 4])> {
    let (mut at, mut found) = (0, Vec::new());
    while at < file.len() {
        let four = |at: usize| file[at..at + 4].try_into().expect("four bytes");
        found.push((at, four(at + 4)));
        at += u32::from_be_bytes(four(at)) as usize;
    }
    assert_eq!(at, file.len());
    found.push((at, *b"end "));
    found
}

#[test]
fn our_files_are_whole_and_tell_every_cut() {
    let folder = tempfile::tempdir().expect("folder");
    let from = make(
        folder.path(),
        "from.mp4",
        "-i {clip} -t 2 -vf scale=160:90 -c:v libx264 -bf 3 -g 10 -c:a aac {out}",
    );
    for (slug, fragmented) in [("mp4", false), ("mp4", true), ("mov", false), ("mov", true)] {
        let (file, fragments) = ours(&from, slug, fragmented);
        let name = format!("{slug}, fragmented {fragmented}");
        let whole = look(file.clone()).expect("a movie");
        let fragments = if fragmented { fragments } else { 0 };
        assert_eq!(
            whole,
            Examination {
                fragmented,
                index: Index::Whole,
                complete: true,
                missing: None,
                fragments_whole: u32::try_from(fragments).expect("a few"),
            },
            "{name}"
        );
        let boxes = outermost(&file);
        let moov = boxes.iter().position(|(_, kind)| kind == b"moov").expect("an index");
        let index_end = boxes[moov + 1].0;
        let percents = (0..100).map(|percent| file.len() * percent / 100);
        let edges = boxes
            .iter()
            .flat_map(|(at, _)| [at.saturating_sub(1), *at, at + 1, at + 8]);
        for len in percents.chain(edges).filter(|len| *len < file.len()) {
            let Some(found) = look(file.slice(..len)) else {
                assert!(len < 8, "{name}: no movie at {len}");
                continue;
            };
            assert!(!found.complete && found.missing.is_some(), "{name} at {len}: {found:?}");
            assert_eq!(
                found.index == Index::Whole,
                len >= index_end,
                "{name} at {len}: {found:?}"
            );
        }
    }
}

#[test]
fn a_cut_at_the_edge_of_one_of_our_fragments_is_told_by_our_own_tag() {
    let folder = tempfile::tempdir().expect("folder");
    let from = make(
        folder.path(),
        "from.mp4",
        "-i {clip} -t 2 -vf scale=160:90 -c:v libx264 -g 10 -c:a aac {out}",
    );
    for slug in ["mp4", "mov"] {
        let (file, fragments) = ours(&from, slug, true);
        let boxes = outermost(&file);
        let edges: Vec<_> = boxes.iter().filter(|(_, kind)| kind == b"moof").skip(1).collect();
        assert_eq!(edges.len() as u64 + 1, fragments, "{slug}");
        for (n, (edge, _)) in edges.iter().enumerate() {
            let found = look(file.slice(..*edge)).expect("a movie");
            assert_eq!(
                (found.complete, found.fragments_whole as usize),
                (false, n + 1),
                "{slug}"
            );
            let missing = found.missing.expect("something is missing");
            assert!(missing.contains("'mfra'"), "{slug} at {edge}: {missing}");
        }
    }
}
