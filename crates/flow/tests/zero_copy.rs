//! The proof of architecture.md §2, "A copy", from outside: a copy needs a destination. From source to file exactly one slot is taken
//! per frame, and in the steady state no block and no mapping of a plane's size comes into being anywhere in the process: this
//! executable defines malloc and its kin, so that those of FFmpeg and x264 are counted too. And a byte that is changed in the slot is
//! seen by the encoder.
//!
//! What rustix maps for the arena goes past libc: the arena's own numbers and `/proc/self/maps` tell that.
#![expect(
    unsafe_code,
    reason = "it stands between the process and its allocator, and writes into a slot behind everybody's back"
)]
#![expect(clippy::print_stdout, reason = "counts that a test pins are printed")]

mod count;
mod support;

use crate::support::{
    CLIP_FRAMES, LONG, Patient, close, each, frames, mp4, open_bytes, open_clip, pattern, quick, runtime, runtime_of,
};
use beamline_ffmpeg::Ffmpeg;
use beamline_flow::{
    CaptureOptions, CaptureSession, FrameStream, FramesOptions, Output, OutputConfig, Pop, Runtime, VideoTrackConfig,
};
use beamline_io::{Cancel, FileSink, MemorySink};
use beamline_media::{Frame, SystemClock};
use std::{
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
};

/// Frames after which everybody has what he needs.
const WARM_UP: u64 = 40;

/// One at a time: the counts are those of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Mappings of shared memory that the process has now.
fn shared_mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    maps.lines().filter(|line| line.contains("memfd:")).count()
}

/// What one way from a source to a file took.
#[derive(Debug, PartialEq, Eq)]
struct Took {
    frames: u64,
    /// Over the whole run.
    slots: u64,
    /// After the warm-up, each of at least half a luma plane.
    blocks: u64,
    mappings: u64,
    copies: u64,
}

/// Encodes `stream` into a file. `luma` is the size of a luma plane in bytes; `meanwhile` sees each frame before it is written.
fn measure(
    name: &str,
    (runtime, ffmpeg): (&Runtime, &Ffmpeg),
    stream: &FrameStream,
    luma: usize,
    meanwhile: impl Fn(&Frame),
) -> Took {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = FileSink::create(folder.path().join("out.mp4")).expect("a file");
    let output = Output::create(runtime, Box::new(sink), &OutputConfig::default(), Cancel::new()).expect("an output");
    // A bitrate, so that no fragment is as large as a plane; each is gathered in one block before it is written.
    let config = VideoTrackConfig {
        bitrate: Some(luma as u64),
        ..quick()
    };
    let writer = Patient::new(output.add_video(config).expect("a track"));
    count::from(luma / 2);
    let copies = runtime.copies.get();
    let (mut n, mut warm) = (0, None);
    each(stream, |frame| {
        meanwhile(&frame);
        writer.frame(&frame).expect("written");
        n += 1;
        if n == WARM_UP {
            warm = Some((count::now(), runtime.arena.stats(), shared_mappings()));
        }
    })
    .expect("all frames");
    close(&output).expect("closed");
    let (counted, after, shared) = (count::now(), runtime.arena.stats(), shared_mappings());
    let (before, memory, shared_before) = warm.expect("enough frames");
    assert_eq!(output.stats().frames, n);
    assert!(
        (after.slots, after.bytes) <= (memory.slots, memory.bytes),
        "the arena does not grow"
    );
    assert!(
        before.blocks > 0,
        "the counter does not see what the codecs allocate when they open"
    );
    let took = Took {
        frames: n,
        // Over the whole run, where nothing is in between.
        slots: after.allocations,
        blocks: counted.blocks - before.blocks,
        mappings: counted.mappings - before.mappings + shared.saturating_sub(shared_before) as u64,
        copies: runtime.copies.get() - copies + ffmpeg.copies(),
    };
    assert_eq!(
        output.stats().copies,
        took.copies,
        "the output and the runtime count the same"
    );
    let Took {
        frames,
        slots,
        blocks,
        mappings,
        copies,
    } = took;
    println!("{name}: frames={frames} slots={slots} blocks={blocks} mappings={mappings} copies={copies}");
    println!(
        "{name}: counted from {} bytes on; in the warm-up: {}",
        luma / 2,
        before.blocks
    );
    took
}

/// The rule: each frame that went out took one slot, and nothing else of a plane's size came into being.
fn nothing_but_a_slot_each(frames: u64) -> Took {
    Took {
        frames,
        slots: frames,
        blocks: 0,
        mappings: 0,
        copies: 0,
    }
}

#[test]
fn decoder_to_encoder_takes_one_slot_per_frame_and_no_other_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ffmpeg = Ffmpeg::new();
    let runtime = runtime_of(&ffmpeg, Arc::new(SystemClock));
    let input = open_clip(&runtime);
    let stream = frames(&input, &FramesOptions::default());
    let took = measure(
        "decoder → encoder, 1280×720",
        (&runtime, &ffmpeg),
        &stream,
        1280 * 720,
        |_| (),
    );
    assert_eq!(took, nothing_but_a_slot_each(CLIP_FRAMES as u64));
}

/// Captures a pattern and encodes it.
fn capture(name: &str, url: &str, luma: usize, meanwhile: impl Fn(&Frame)) -> Took {
    let ffmpeg = Ffmpeg::new();
    let runtime = runtime_of(&ffmpeg, Arc::new(SystemClock));
    let request = runtime.backends.parse(url).expect("a URL");
    let session = CaptureSession::open(&runtime, &request, Cancel::new()).expect("a capture");
    let stream = session.frames(CaptureOptions::default()).expect("a loop");
    let took = measure(name, (&runtime, &ffmpeg), &stream, luma, meanwhile);
    assert_eq!(session.stats().copies, 0);
    took
}

#[test]
fn pattern_to_encoder_takes_one_slot_per_frame_and_no_other_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let url = "pattern:ball?width=1920&height=1080&frameRate=60&live=false&frames=150";
    let took = capture("pattern → encoder, 1920×1080", url, 1920 * 1080, |_| ());
    assert_eq!(took, nothing_but_a_slot_each(150));
}

#[test]
fn planted_copies_are_found() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let url = "pattern:ball?width=1280&height=720&live=false&frames=60";
    let luma = 1280 * 720;
    // Into a block.
    let took = capture("planted: a block", url, luma, |frame| {
        drop(black_box(frame.plane_bytes(0).0.to_vec()))
    });
    assert_eq!((took.slots, took.blocks, took.copies), (60, 60 - WARM_UP, 0));
    // Into a slot: pixels that the encoder does not take.
    let took = capture("planted: a slot", &format!("{url}&format=rgba"), luma, |_| ());
    assert_eq!((took.slots, took.copies), (120, 60));
}

/// Fills the luma plane in the slot through the owner's mapping.
fn blacken(frame: &Frame) {
    let (lease, offset, stride) = frame.plane(0);
    let rows = frame.info().coded.height as usize;
    assert!(offset + stride * rows <= lease.len());
    // SAFETY: the slot is mapped and writable while the lease lives, the range lies inside it (checked above), and nobody reads it
    // meanwhile: the cursor that decoded it has ended, and it is not written to an output yet.
    unsafe { lease.as_ptr().as_ptr().add(offset).write_bytes(16, stride * rows) };
}

/// How bright each picture of a file is: the mean of its luma.
fn brightness(runtime: &Runtime, bytes: &[u8]) -> Vec<u64> {
    let input = open_bytes(runtime, bytes);
    let mut all = Vec::new();
    each(&frames(&input, &FramesOptions::default()), |frame| {
        let size = frame.info().coded;
        let rows = (0..size.height as usize).flat_map(|y| frame.row(0, y));
        all.push(rows.map(|b| u64::from(*b)).sum::<u64>() / (u64::from(size.width) * u64::from(size.height)));
    })
    .expect("decoded");
    all
}

/// Encodes `pictures` with the one numbered `black` changed behind everybody's back.
fn seen_by_the_encoder(runtime: &Runtime, pictures: &[Frame], black: usize) {
    let sink = MemorySink::new();
    let bytes = sink.shared();
    let output = Output::create(runtime, Box::new(sink), &mp4(true), Cancel::new()).expect("an output");
    let config = VideoTrackConfig {
        bitrate: Some(50_000_000),
        ..quick()
    };
    let writer = Patient::new(output.add_video(config).expect("a track"));
    blacken(&pictures[black]);
    for frame in pictures {
        writer.frame(frame).expect("written");
    }
    close(&output).expect("closed");
    assert_eq!(output.stats().copies, 0);
    let seen = brightness(runtime, &bytes.lock().expect("bytes"));
    println!("mean luma of the pictures: {seen:?}; number {black} was changed");
    assert_eq!(seen.len(), pictures.len());
    for (n, mean) in seen.iter().enumerate() {
        assert_eq!(*mean <= 18, n == black, "picture {n}: {mean}");
    }
}

#[test]
fn what_is_changed_in_the_slot_of_a_decoded_frame_is_what_the_encoder_sees() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = runtime();
    let input = open_clip(&runtime);
    let some = FramesOptions {
        from_us: Some(2_000_000),
        to_us: Some(2_480_000),
        queue: 16,
        ..FramesOptions::default()
    };
    let stream = frames(&input, &some);
    let mut held = Vec::new();
    while let Pop::Item(one) = stream.pop_timeout(LONG) {
        held.push(one);
    }
    // The decoder is gone: it predicts from these no more.
    assert!(input.wait_closed(LONG));
    let pictures: Vec<Frame> = held.iter().map(|one| one.frame.clone()).collect();
    assert_eq!(pictures.len(), 12);
    seen_by_the_encoder(&runtime, &pictures, 5);
}

#[test]
fn what_is_changed_in_the_slot_of_a_captured_frame_is_what_the_encoder_sees() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = runtime();
    let url = "pattern:smpte?width=1920&height=1080&frameRate=25&live=false&frames=10";
    seen_by_the_encoder(&runtime, &pattern(&runtime, url), 7);
}

/// The counter itself: it sees every way to get memory, from Rust and from C.
#[test]
fn every_way_to_get_memory_is_counted_and_small_blocks_are_not() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    count::from(1 << 20);
    let blocks = || count::now().blocks;
    let before = count::now();
    drop(black_box(Vec::<u8>::with_capacity((1 << 20) - 1)));
    assert_eq!(blocks(), before.blocks);
    let mut growing = black_box(Vec::<u8>::with_capacity(1 << 20));
    assert_eq!(blocks(), before.blocks + 1, "malloc");
    growing.reserve_exact(1 << 21);
    assert_eq!(blocks(), before.blocks + 2, "realloc");
    drop(black_box(vec![0_u8; 1 << 20]));
    assert_eq!(blocks(), before.blocks + 3, "calloc");
    #[repr(align(4096))]
    struct Page(#[expect(dead_code, reason = "only its size and alignment matter")] [u8; 4096]);
    drop(black_box(Vec::<Page>::with_capacity(512)));
    assert_eq!(blocks(), before.blocks + 4, "posix_memalign");
    assert_eq!(count::now().mappings, before.mappings);
    assert_eq!(
        count::not_ours(),
        [""; 0],
        "libraries bind to others than those that count"
    );
}
