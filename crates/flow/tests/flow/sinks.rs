//! How files end: closed, broken off, dropped, on a full disk, with nothing in them.

use crate::support::{LONG, Patient, close, each, frames, mp4, pattern, quick, runtime, try_open};
use beamline_flow::{Error, FramesOptions, Output, OutputConfig, Report, Runtime, VideoTrackConfig};
use beamline_io::{ByteSink, BytesSource, Cancel, FileSink, MemorySink};
use beamline_media::{ErrorCode, Frame};
use std::{
    io,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

const ENOSPC: i32 = 28;

/// A disk with so many bytes of room.
#[derive(Debug)]
struct SmallDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
    discarded: Arc<Mutex<bool>>,
}

impl ByteSink for SmallDisk {
    fn write(&mut self, bytes: &[u8], _: &Cancel) -> Result<(), beamline_io::Error> {
        let mut all = self.bytes.lock().unwrap();
        let fits = bytes.len().min(self.room - all.len());
        all.extend_from_slice(&bytes[..fits]);
        if fits == bytes.len() {
            return Ok(());
        }
        Err(beamline_io::Error::Os {
            action: "write",
            name: self.name().into(),
            source: io::Error::from_raw_os_error(ENOSPC),
        })
    }

    fn can_seek(&self) -> bool {
        false
    }

    fn seek(&mut self, _: u64) -> Result<(), beamline_io::Error> {
        Err(beamline_io::Error::NotSeekable {
            name: self.name().into(),
        })
    }

    fn finish(&mut self, _: &Cancel) -> Result<(), beamline_io::Error> {
        Ok(())
    }

    fn discard(&mut self) -> Result<bool, beamline_io::Error> {
        self.bytes.lock().unwrap().clear();
        *self.discarded.lock().unwrap() = true;
        Ok(true)
    }

    fn name(&self) -> &str {
        "small.mp4"
    }
}

/// Pictures that follow one another for `seconds`, made of the same ten.
fn film(runtime: &Runtime, seconds: i64) -> impl Iterator<Item = Frame> + use<> {
    let url = "pattern:ball?width=320&height=180&frameRate=25&live=false&frames=10";
    let ten = pattern(runtime, url);
    (0..seconds * 25).map(move |n| {
        ten[n as usize % 10]
            .clone()
            .with_info(|info| info.timestamp_us = Some(n * 40_000))
    })
}

/// One fragment each second.
fn config() -> VideoTrackConfig {
    VideoTrackConfig {
        key_interval: Some(25),
        threads: 1,
        ..quick()
    }
}

fn abort(output: &Output) -> Result<Report, Error> {
    let (tell, told) = mpsc::channel();
    output.abort(move |report| tell.send(report).unwrap());
    let report = told.recv_timeout(LONG).expect("abort comes to an end");
    assert!(output.wait_closed(LONG));
    report
}

/// Decodes what there is; gives how many pictures came.
fn playable(runtime: &Runtime, bytes: &[u8]) -> i64 {
    let source = BytesSource::new(bytes.to_vec(), "part.mp4");
    let input = try_open(runtime, source, true).expect("what is kept opens");
    let mut n = 0;
    each(&frames(&input, &FramesOptions::default()), |frame| {
        assert_eq!(frame.info().timestamp_us, Some(n * 40_000));
        n += 1;
    })
    .unwrap();
    n
}

/// Waits until so many fragments have reached the sink.
fn fragments(output: &Output, count: u64) {
    let began = Instant::now();
    while output.stats().fragments < count {
        assert!(began.elapsed() < LONG, "{:?}", output.stats());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_what_fitted_playable() {
    let runtime = runtime();
    let whole = MemorySink::new();
    let all = whole.shared();
    let output = Output::create(&runtime, Box::new(whole), &mp4(true), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(config()).unwrap());
    film(&runtime, 6).for_each(|frame| writer.frame(&frame).unwrap());
    close(&output).unwrap();
    let all = all.lock().unwrap().clone();

    let mut before = 0;
    for percent in [1, 10, 35, 60, 90, 99] {
        let (bytes, discarded) = (Arc::default(), Arc::default());
        let disk = SmallDisk {
            bytes: Arc::clone(&bytes),
            room: all.len() * percent / 100,
            discarded: Arc::clone(&discarded),
        };
        let output = Output::create(&runtime, Box::new(disk), &mp4(true), Cancel::new()).unwrap();
        let writer = Patient::new(output.add_video(config()).unwrap());
        let at_write = film(&runtime, 6).find_map(|frame| writer.frame(&frame).err());
        let at_close = close(&output).unwrap_err();
        for error in at_write.iter().chain([&at_close]) {
            assert_eq!(
                (error.code(), error.reason()),
                (ErrorCode::Quota, "disk-full"),
                "{error}"
            );
            assert!(error.hint().is_some());
        }
        let bytes = bytes.lock().unwrap().clone();
        assert_eq!(output.was_discarded(), *discarded.lock().unwrap());
        let n = if bytes.is_empty() {
            0
        } else {
            playable(&runtime, &bytes)
        };
        assert!(n >= before && n < 150, "{percent} %: {n} after {before}");
        assert!(percent < 35 || n >= 25, "{percent} %: {n}");
        assert_eq!(n == 0, output.was_discarded(), "{percent} %: {n}");
        before = n;
    }
}

#[test]
fn the_systems_full_disk_says_the_same() {
    let runtime = runtime();
    let sink = FileSink::create("/dev/full").unwrap();
    let output = Output::create(&runtime, Box::new(Undiscarded(sink)), &mp4(true), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(config()).unwrap());
    let at_write = film(&runtime, 6).find_map(|frame| writer.frame(&frame).err());
    let at_close = close(&output).unwrap_err();
    assert!(at_write.is_none_or(|e| e.reason() == "disk-full"));
    assert_eq!((at_close.code(), at_close.reason()), (ErrorCode::Quota, "disk-full"));
}

/// Keeps the device when the output throws its file away.
#[derive(Debug)]
struct Undiscarded(FileSink);

impl ByteSink for Undiscarded {
    fn write(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), beamline_io::Error> {
        self.0.write(bytes, cancel)
    }

    fn can_seek(&self) -> bool {
        false
    }

    fn seek(&mut self, offset: u64) -> Result<(), beamline_io::Error> {
        self.0.seek(offset)
    }

    fn finish(&mut self, cancel: &Cancel) -> Result<(), beamline_io::Error> {
        self.0.finish(cancel)
    }

    fn discard(&mut self) -> Result<bool, beamline_io::Error> {
        Ok(false)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

#[test]
fn an_abort_before_the_first_fragment_discards_and_a_later_one_keeps() {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    for (seconds, complete_fragments) in [(0, 0), (3, 2)] {
        let path = folder.path().join("out.mp4");
        let sink = FileSink::create(&path).unwrap();
        let output = Output::create(&runtime, Box::new(sink), &OutputConfig::default(), Cancel::new()).unwrap();
        let writer = Patient::new(output.add_video(config()).unwrap());
        let some = film(&runtime, 3).take(seconds * 25 + 10);
        some.chain(film(&runtime, 0))
            .for_each(|frame| writer.frame(&frame).unwrap());
        fragments(&output, complete_fragments);
        let report = abort(&output).unwrap();
        let kept = seconds > 0;
        assert!(!report.complete);
        assert_eq!(
            (report.playable, output.was_discarded(), path.exists()),
            (kept, !kept, kept)
        );
        if kept {
            let n = playable(&runtime, &std::fs::read(&path).unwrap());
            assert!(n >= 50, "{n} frames of two whole fragments");
        }
        assert_eq!(
            writer
                .0
                .write_frame(&film(&runtime, 1).next().unwrap(), false)
                .unwrap_err()
                .reason(),
            "closed"
        );
    }
}

#[test]
fn dropping_an_output_keeps_what_is_playable() {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let sink = FileSink::create(&path).unwrap();
    let output = Output::create(&runtime, Box::new(sink), &OutputConfig::default(), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(config()).unwrap());
    film(&runtime, 3).for_each(|frame| writer.frame(&frame).unwrap());
    fragments(&output, 2);
    drop(output);
    assert!(runtime.threads.wait(LONG), "threads are left");
    assert!(playable(&runtime, &std::fs::read(&path).unwrap()) >= 50);
    drop(writer);
    assert!(runtime.threads.wait(LONG));
    assert_eq!(runtime.arena.stats().live, 0);

    let before = std::fs::read(&path).unwrap();
    for path in [&path, &folder.path().join("other.mp4")] {
        let sink = FileSink::create(path).unwrap();
        drop(Output::create(&runtime, Box::new(sink), &OutputConfig::default(), Cancel::new()).unwrap());
        assert!(runtime.threads.wait(LONG));
    }
    assert_eq!(
        std::fs::read(&path).unwrap(),
        before,
        "an output that nobody wrote to replaces no file"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and leaves none");
}

#[test]
fn an_output_without_a_frame_is_an_error_and_leaves_nothing() {
    let runtime = runtime();
    let sink = MemorySink::new();
    let bytes = sink.shared();
    let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
    let _writer = output.add_video(quick()).unwrap();
    let error = close(&output).unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::InvalidState, "empty-output")
    );
    assert!(bytes.lock().unwrap().is_empty() && output.was_discarded());
    assert_eq!(
        close(&output).unwrap_err().reason(),
        "empty-output",
        "the same word for each who asks"
    );
}

#[test]
fn tracks_are_fixed_after_the_first_write() {
    let runtime = runtime();
    let output = Output::create(&runtime, Box::new(MemorySink::new()), &mp4(true), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(quick()).unwrap());
    writer.frame(&film(&runtime, 1).next().unwrap()).unwrap();
    let error = output.add_video(quick()).unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::InvalidState, "tracks-fixed")
    );
    assert!(close(&output).unwrap().complete);
    assert_eq!(output.add_video(quick()).unwrap_err().reason(), "closed");
    let report = close(&output).unwrap();
    assert!(report.complete, "a second close says the same");
}

#[test]
fn the_old_file_lives_until_the_first_fragment_and_for_whoever_reads_it_after_that() {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let write = |config: &OutputConfig, seconds, wait| {
        let sink = FileSink::create(&path).unwrap();
        let output = Output::create(&runtime, Box::new(sink), config, Cancel::new()).unwrap();
        let writer = Patient::new(output.add_video(self::config()).unwrap());
        film(&runtime, seconds).for_each(|frame| writer.frame(&frame).unwrap());
        fragments(&output, wait);
        output
    };
    let old_frames = |input: &beamline_flow::Input| {
        let mut n = 0;
        each(&frames(input, &FramesOptions::default()), |_| n += 1).unwrap();
        n
    };
    assert!(close(&write(&mp4(true), 1, 0)).unwrap().complete);
    let old = std::fs::read(&path).unwrap();

    for form in [true, false] {
        let report = abort(&write(&mp4(form), 1, 0)).unwrap();
        assert!(!report.playable);
        assert_eq!(std::fs::read(&path).unwrap(), old, "fragmented {form}");
    }
    let source = beamline_io::FileSource::open(&path).unwrap();
    let input = try_open(&runtime, source, false).unwrap();
    let output = write(&mp4(true), 3, 2);
    assert!(
        playable(&runtime, &std::fs::read(&path).unwrap()) >= 50,
        "it plays while it grows"
    );
    assert_eq!(old_frames(&input), 25);
    assert!(close(&output).unwrap().complete);
    assert_eq!(playable(&runtime, &std::fs::read(&path).unwrap()), 75);
    assert_eq!(old_frames(&input), 25);
    assert!(close(&write(&mp4(false), 2, 0)).unwrap().complete);
    assert_eq!(playable(&runtime, &std::fs::read(&path).unwrap()), 50);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing else is left"
    );
}
