//! How files end: closed, broken off, dropped, with nothing in them.

use crate::support::{LONG, Patient, close, each, frames, mp4, pattern, quick, runtime, try_open};
use beamline_flow::{Error, FramesOptions, Output, OutputConfig, Report, Runtime, VideoTrackConfig};
use beamline_io::{BytesSource, CallbackSink, Cancel, FileSink, MemorySink};
use beamline_media::{ErrorCode, Frame};
use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Pictures that follow one another for `seconds`, made of the same ten.
pub(crate) fn film(runtime: &Runtime, seconds: i64) -> impl Iterator<Item = Frame> + use<> {
    let url = "pattern:ball?width=320&height=180&frameRate=25&live=false&frames=10";
    let ten = pattern(runtime, url);
    (0..seconds * 25).map(move |n| {
        ten[n as usize % 10]
            .clone()
            .with_info(|info| info.timestamp_us = Some(n * 40_000))
    })
}

/// One fragment each second.
pub(crate) fn config() -> VideoTrackConfig {
    VideoTrackConfig {
        key_interval: Some(25),
        threads: 1,
        ..quick()
    }
}

pub(crate) fn abort(output: &Output) -> Result<Report, Error> {
    let (tell, told) = mpsc::channel();
    output.abort(move |report| tell.send(report).unwrap());
    let report = told.recv_timeout(LONG).expect("abort comes to an end");
    assert!(output.wait_closed(LONG));
    report
}

/// Decodes what there is; gives how many pictures came.
pub(crate) fn playable(runtime: &Runtime, bytes: &[u8]) -> i64 {
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

#[test]
fn an_abort_ends_a_close_that_waits_for_a_sink_that_never_answers() {
    let runtime = runtime();
    let (asked, asks) = mpsc::channel();
    let sink = CallbackSink::new("silent.mp4", false, move |_, reply| asked.send(reply).unwrap());
    let output = Output::create(&runtime, Box::new(sink), &mp4(true), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(config()).unwrap());
    film(&runtime, 1).for_each(|frame| writer.frame(&frame).unwrap());
    let (tell, closed) = mpsc::channel();
    output.close(move |report| tell.send(report).unwrap());
    let unanswered = asks.recv_timeout(LONG).expect("it writes");
    assert!(closed.recv_timeout(Duration::from_millis(100)).is_err());

    let begun = Instant::now();
    let report = abort(&output).expect("to be broken off as asked is no failure");
    assert!(!report.complete && !report.playable);
    assert_eq!(closed.recv_timeout(LONG).unwrap().unwrap(), report);
    assert!(begun.elapsed() < Duration::from_secs(5), "nobody is waited for");
    drop((unanswered, writer, output));
    assert!(runtime.threads.wait(LONG));
    assert_eq!(runtime.arena.stats().live, 0);
}
