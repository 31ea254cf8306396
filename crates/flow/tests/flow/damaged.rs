//! Files that are cut or no media at all, and sources that fail or stall.

use crate::support::{CLIP_FRAMES, LONG, clip, each, frames, runtime, try_open};
use beamline_flow::{FramesOptions, Input, InputOptions, PacketsOptions, Pop, Runtime};
use beamline_io::{ByteSource, BytesSource, Cancel, FileSource};
use beamline_media::ErrorCode;
use beamline_testkit::{FailingBytes, ShortReads, StallingBytes};
use std::{
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The clip with its index in front.
fn faststart() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("faststart.mp4");
        let ran = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(clip())
            .args(["-c", "copy", "-movflags", "+faststart"])
            .arg(&out)
            .status()
            .unwrap();
        assert!(ran.success());
        std::fs::read(out).unwrap()
    })
}

fn source(bytes: &[u8]) -> BytesSource {
    BytesSource::new(bytes.to_vec(), "cut.mp4")
}

/// Where the index begins and ends.
fn index() -> (usize, usize) {
    let bytes = faststart();
    let mut at = 0;
    loop {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if &bytes[at + 4..at + 8] == b"moov" {
            return (at, at + len);
        }
        at += len;
    }
}

fn no_slot_is_left(runtime: &Runtime) {
    assert!(runtime.threads.wait(LONG));
    assert_eq!(runtime.arena.stats().live, 0);
}

#[test]
fn a_cut_file_gives_its_frames_and_then_says_that_it_is_cut() {
    let runtime = runtime();
    let bytes = faststart();
    let cut = &bytes[..bytes.len() * 6 / 10];
    let input = try_open(&runtime, source(cut), false).unwrap();
    assert!(input.incomplete().is_some());
    let mut n = 0;
    let error = each(&frames(&input, &FramesOptions::default()), |frame| {
        assert_eq!(frame.info().timestamp_us, Some(n * 40_000));
        n += 1;
    })
    .unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "truncated"));
    assert!((60..100).contains(&n), "{n} frames of 60 %");
    let packets = input.packets(1, &PacketsOptions::default()).unwrap();
    let how = loop {
        match packets.pop_timeout(LONG) {
            Pop::Item(_) => {}
            other => break other,
        }
    };
    assert!(matches!(how, Pop::End(Some(e)) if e.reason() == "truncated"));
    no_slot_is_left(&runtime);

    let input = try_open(&runtime, source(cut), true).unwrap();
    let mut recovered = 0;
    each(&frames(&input, &FramesOptions::default()), |_| recovered += 1).expect("recover ends quietly");
    assert!(
        recovered >= n && recovered < CLIP_FRAMES as i64,
        "{recovered} after {n}"
    );
    no_slot_is_left(&runtime);
}

#[test]
fn what_lies_before_the_cut_can_be_had_without_an_error() {
    let runtime = runtime();
    let bytes = faststart();
    let input = try_open(&runtime, source(&bytes[..bytes.len() * 6 / 10]), false).unwrap();
    let options = FramesOptions {
        to_us: Some(400_000),
        ..FramesOptions::default()
    };
    let mut n = 0;
    each(&frames(&input, &options), |_| n += 1).unwrap();
    assert_eq!(n, 10);
}

#[test]
fn a_file_that_is_cut_inside_its_index_does_not_open() {
    let runtime = runtime();
    let (begin, end) = index();
    for at in [begin + 8, begin + 9, (begin + end) / 2, end - 1] {
        for recover in [false, true] {
            let error = try_open(&runtime, source(&faststart()[..at]), recover).unwrap_err();
            assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "truncated"), "{at}");
            assert!(error.hint().is_some());
        }
    }
}

#[test]
fn what_is_no_media_is_told_so() {
    let runtime = runtime();
    for bytes in [
        &b""[..],
        b"Hello, this is a letter and no film.\n",
        &[0; 4096],
        &[0xff; 70_000],
    ] {
        let error = try_open(&runtime, source(bytes), false).unwrap_err();
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::Data, "not-media"),
            "{error}"
        );
    }
    let error = FileSource::open("/nowhere/at/all.mp4")
        .map_err(beamline_flow::Error::from)
        .unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::NotFound, "no-such-file"));
}

/// Is a good source until it is told otherwise: opening reads more than half of the clip, and its end.
#[derive(Debug)]
struct Later<S> {
    good: BytesSource,
    bad: S,
    now: Arc<AtomicBool>,
}

impl<S: ByteSource> ByteSource for Later<S> {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, beamline_io::Error> {
        if self.now.load(Ordering::SeqCst) {
            self.bad.read_at(offset, into, cancel)
        } else {
            self.good.read_at(offset, into, cancel)
        }
    }

    fn len(&self) -> Option<u64> {
        self.good.len()
    }

    fn name(&self) -> &str {
        self.good.name()
    }
}

/// An input that was opened while `bad` was still good.
fn opened<S: ByteSource + 'static>(runtime: &Runtime, bad: S) -> Input {
    let now = Arc::new(AtomicBool::new(false));
    let later = Later {
        good: source(faststart()),
        bad,
        now: Arc::clone(&now),
    };
    let input = try_open(runtime, later, false).unwrap();
    now.store(true, Ordering::SeqCst);
    input
}

#[test]
fn a_source_that_fails_is_an_error_of_that_source() {
    let runtime = runtime();
    let error = try_open(&runtime, FailingBytes::new(source(faststart()), 1000), false).unwrap_err();
    assert_eq!(error.reason(), "read-failed", "{error}");
    let input = opened(&runtime, FailingBytes::new(source(faststart()), 700_000));
    let mut n = 0;
    let error = each(&frames(&input, &FramesOptions::default()), |_| n += 1).unwrap_err();
    assert!(n > 20 && n < CLIP_FRAMES, "{n}");
    assert_eq!(error.reason(), "read-failed", "{error}");
    assert!(error.to_string().contains("it fails on purpose"), "{error}");
    no_slot_is_left(&runtime);
}

#[test]
fn a_source_that_stalls_ends_on_close() {
    let runtime = runtime();
    let input = opened(&runtime, StallingBytes::new(source(faststart()), 700_000));
    let stream = frames(&input, &FramesOptions::default());
    let mut n = 0;
    while let Pop::Item(_) = stream.pop_timeout(Duration::from_millis(1500)) {
        n += 1;
    }
    assert!(n > 20, "{n}");
    let began = Instant::now();
    input.close();
    assert!(input.wait_closed(LONG));
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(each(&stream, drop).unwrap_err().code(), ErrorCode::Aborted);
    no_slot_is_left(&runtime);
}

#[test]
fn opening_a_source_that_stalls_ends_on_cancel() {
    let runtime = runtime();
    for at in [0, 50_000] {
        let cancel = Cancel::new();
        let stalls = Arc::new(StallingBytes::new(source(faststart()), at));
        thread::scope(|scope| {
            let opening = scope.spawn(|| Input::open(&runtime, stalls, InputOptions::default(), cancel.clone()));
            thread::sleep(Duration::from_millis(100));
            assert!(!opening.is_finished());
            cancel.cancel();
            assert_eq!(opening.join().unwrap().unwrap_err().code(), ErrorCode::Aborted, "{at}");
        });
    }
}

#[test]
fn short_reads_change_nothing() {
    let runtime = runtime();
    let input = try_open(&runtime, ShortReads::new(source(faststart()), 777), false).unwrap();
    let mut n = 0;
    each(&frames(&input, &FramesOptions::default()), |_| n += 1).unwrap();
    assert_eq!(n, CLIP_FRAMES);
}
