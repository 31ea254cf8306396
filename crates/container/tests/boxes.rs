//! The walk over files that the `ffmpeg` command makes of the clip that ships: whole and cut.

use beamline_container::boxes::{Examination, Index, examine};
use beamline_io::{BytesSource, Cancel, FileSource};
use bytes::Bytes;
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const FRAGMENTS: &str = "+frag_keyframe+delay_moov+default_base_moof";
/// What our muxer writes into its files.
const OURS: &str = "encoding_tool=Beamline 0.1";
/// Small pictures, a key picture every fifth, sound.
const SMALL: &[&str] = &[
    "-t",
    "1",
    "-vf",
    "scale=160:90",
    "-c:v",
    "libx264",
    "-g",
    "5",
    "-c:a",
    "aac",
];

/// A file made of the clip with these arguments.
fn made(ending: &str, before: &[&str], arguments: &[&str]) -> Bytes {
    let folder = TempDir::new().expect("a folder for the file");
    let file = folder.path().join(format!("made.{ending}"));
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media/big-buck-bunny-720p.mp4");
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin"])
        .args(before)
        .arg("-i")
        .arg(clip)
        .args(arguments)
        .arg(&file);
    let output = command.output().expect("the command `ffmpeg` is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(&file).expect("ffmpeg wrote the file").into()
}

fn look(file: Bytes) -> Option<Examination> {
    examine(&BytesSource::new(file, "made"), &Cancel::new()).expect("a cut is no error")
}

/// Where the outermost box of that type ends.
fn end_of(file: &[u8], kind: &[u8; 4]) -> usize {
    let mut at = 0;
    loop {
        let size = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        let found = &file[at + 4..at + 8] == kind;
        at += size;
        if found {
            return at;
        }
    }
}

/// Cuts `file` at `len` bytes: before the index is whole the index is told to be missing or cut, later something is missing.
fn check_cut(file: &Bytes, len: usize) {
    let index_end = end_of(file, b"moov");
    let Some(found) = look(file.slice(..len)) else {
        assert!(len < 8, "not known to be a movie at {len} bytes");
        return;
    };
    assert!(!found.complete, "complete at {len} of {} bytes", file.len());
    assert!(found.missing.is_some(), "nothing is missing at {len} bytes");
    assert_eq!(
        found.index == Index::Whole,
        len >= index_end,
        "at {len} bytes: {:?}",
        found.index
    );
}

fn check_whole(file: &Bytes) -> Examination {
    let found = look(file.clone()).expect("a movie");
    assert!(found.complete && found.index == Index::Whole, "{found:?}");
    found
}

fn check_percents(file: &Bytes) {
    for percent in 0..100 {
        check_cut(file, file.len() * percent / 100);
    }
}

#[test]
fn the_clip_is_whole() {
    assert!(!check_whole(&made("mp4", &[], &["-c", "copy"])).fragmented);
}

#[test]
fn a_copy_with_its_index_in_front_tells_every_cut() {
    let file = made("mp4", &[], &["-c", "copy", "-movflags", "+faststart"]);
    assert_eq!(check_whole(&file).fragments_whole, 0);
    check_percents(&file);
}

#[test]
fn our_fragments_tell_every_cut_at_every_byte() {
    let arguments = [SMALL, &["-movflags", FRAGMENTS, "-metadata", OURS]].concat();
    let file = made("mp4", &[], &arguments);
    let whole = check_whole(&file);
    assert!(whole.fragmented && whole.fragments_whole >= 4, "{whole:?}");
    for len in 0..file.len() {
        check_cut(&file, len);
    }
}

#[test]
fn a_cut_at_a_fragments_edge_is_told_in_our_files_only() {
    let edges = |tag: &str| {
        let file = made(
            "mp4",
            &[],
            &[SMALL, &["-movflags", FRAGMENTS, "-metadata", tag]].concat(),
        );
        // Behind the first fragment: where the second one's `moof` begins.
        let moofs = file
            .windows(4)
            .enumerate()
            .filter(|(_, w)| *w == b"moof")
            .map(|(at, _)| at - 4);
        let edge = moofs.into_iter().nth(1).expect("a second fragment");
        look(file.slice(..edge)).expect("a movie")
    };
    let ours = edges(OURS);
    assert!(!ours.complete && ours.fragments_whole == 1);
    assert!(ours.missing.expect("something is missing").contains("'mfra'"));
    assert!(edges("encoding_tool=somebody").complete);
}

#[test]
fn large_fragments_tell_every_cut() {
    let file = made("mp4", &[], &["-c", "copy", "-movflags", FRAGMENTS, "-metadata", OURS]);
    check_whole(&file);
    check_percents(&file);
}

#[test]
fn an_index_at_the_end_is_missing_in_every_cut() {
    let file = made("mp4", &[], SMALL);
    check_whole(&file);
    for len in (0..file.len()).step_by(97) {
        check_cut(&file, len);
    }
}

#[test]
fn other_shapes_are_whole_and_tell_their_cuts() {
    let shapes: &[(&str, &[&str])] = &[
        ("mov", &["-movflags", "+faststart"]),
        ("mov", &["-movflags", FRAGMENTS]),
        ("mp4", &["-movflags", "+empty_moov+frag_keyframe+default_base_moof"]),
        ("mp4", &["-movflags", "+empty_moov+frag_keyframe"]),
        ("mp4", &["-movflags", "+empty_moov+frag_keyframe+separate_moof"]),
        ("mp4", &["-movflags", "+frag_every_frame+omit_tfhd_offset+delay_moov"]),
        ("mp4", &["-movflags", "+frag_keyframe+global_sidx+delay_moov"]),
    ];
    for (ending, arguments) in shapes {
        let file = made(ending, &[], &[SMALL, *arguments].concat());
        check_whole(&file);
        for percent in [1, 10, 30, 50, 70] {
            let found = look(file.slice(..file.len() * percent / 100)).expect("a movie");
            assert!(
                !found.complete || arguments[1] != "+faststart",
                "{arguments:?} at {percent} %"
            );
        }
        check_cut(&file, file.len() - 1);
    }
}

#[test]
fn a_movie_without_a_file_type_box_and_with_wide_and_free_is_whole() {
    let file = made("mov", &[], SMALL);
    // QuickTime of old: no `ftyp`, the media first. Offsets are kept by a `free` of the same size.
    let ftyp = end_of(&file, b"ftyp");
    let mut old = file.to_vec();
    old[4..8].copy_from_slice(b"free");
    assert!(ftyp >= 8 && file.windows(4).any(|w| w == b"wide"));
    check_whole(&Bytes::from(old));
}

#[test]
fn media_with_an_open_or_a_large_size_are_whole_and_tell_a_cut() {
    let file = made("mp4", &[], &[SMALL, &["-movflags", "+faststart"]].concat());
    // ffmpeg leaves a `free` of 8 bytes before `mdat`: room for a size of 64 bits.
    let mdat = end_of(&file, b"free");
    assert_eq!(&file[mdat + 4..mdat + 8], b"mdat");
    let size = u64::from(u32::from_be_bytes(file[mdat..mdat + 4].try_into().expect("four bytes")));
    let mut large = file.to_vec();
    large[mdat - 8..mdat].copy_from_slice(b"\0\0\0\x01mdat");
    large[mdat..mdat + 8].copy_from_slice(&(size + 8).to_be_bytes());
    let mut open = file.to_vec();
    open[mdat..mdat + 4].fill(0);
    for file in [large, open].map(Bytes::from) {
        check_whole(&file);
        check_percents(&file);
    }
}

#[test]
fn sixty_seconds_are_looked_through_in_five_milliseconds() {
    let folder = TempDir::new().expect("a folder for the files");
    for (name, flags) in [("plain.mp4", "+faststart"), ("fragments.mp4", FRAGMENTS)] {
        let file = made(
            "mp4",
            &["-stream_loop", "11"],
            &["-c", "copy", "-movflags", flags, "-metadata", OURS],
        );
        let path = folder.path().join(name);
        std::fs::write(&path, &file).expect("the file is written");
        let source = FileSource::open(&path).expect("the file is there");
        let once = || {
            let begin = Instant::now();
            let found = examine(&source, &Cancel::new()).expect("no error").expect("a movie");
            assert!(found.complete);
            begin.elapsed()
        };
        let least = (0..20).map(|_| once()).min().unwrap_or(Duration::MAX);
        assert!(least < Duration::from_millis(5), "{name}: {least:?}");
    }
}
