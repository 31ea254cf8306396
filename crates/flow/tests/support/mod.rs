//! What every test here begins with: a runtime, the clip, frames, a file in memory.

use beamline_arena::Arena;
use beamline_capture::Context;
use beamline_ffmpeg::Ffmpeg;
use beamline_flow::{
    Copies, Error, FrameStream, FramesOptions, Input, InputOptions, Output, OutputConfig, Pop, Report, Runtime,
    Threads, TrackWriter, VideoTrackConfig, Written,
};
use beamline_io::{ByteSource, BytesSource, Cancel, FileSource};
use beamline_media::{Clock, Frame, SystemClock};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// Longer than anything here takes: who waits so long hangs.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The clip's pictures, 25 per second.
pub(crate) const CLIP_FRAMES: usize = 132;

pub(crate) fn runtime_of(ffmpeg: &Ffmpeg, clock: Arc<dyn Clock>) -> Runtime {
    Runtime {
        arena: Arena::default(),
        codecs: beamline_codec::Registry::new(vec![Arc::new(ffmpeg.clone())]),
        containers: Arc::new(ffmpeg.clone()),
        backends: Arc::new(beamline_capture::Registry::with_builtins()),
        clock,
        copies: Copies::default(),
        threads: Threads::new(),
    }
}

pub(crate) fn runtime() -> Runtime {
    runtime_of(&Ffmpeg::new(), Arc::new(SystemClock))
}

pub(crate) fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media/big-buck-bunny-720p.mp4")
}

pub(crate) fn try_open(runtime: &Runtime, source: impl ByteSource + 'static, recover: bool) -> Result<Input, Error> {
    Input::open(runtime, Arc::new(source), InputOptions { recover }, Cancel::new())
}

pub(crate) fn open_clip(runtime: &Runtime) -> Input {
    let source = FileSource::open(clip()).expect("the clip is there");
    try_open(runtime, source, false).expect("the clip opens")
}

pub(crate) fn open_bytes(runtime: &Runtime, bytes: &[u8]) -> Input {
    let source = BytesSource::new(bytes.to_vec(), "out.mp4");
    try_open(runtime, source, false).expect("what was written opens")
}

/// The first track of pictures.
pub(crate) fn video_track(input: &Input) -> usize {
    input
        .tracks()
        .iter()
        .position(|t| t.video().is_some())
        .expect("pictures")
}

pub(crate) fn frames(input: &Input, options: &FramesOptions) -> FrameStream {
    input.frames(video_track(input), options).expect("a cursor")
}

/// Hands each frame to `each`, which should let it go; gives how it ended.
pub(crate) fn each(stream: &FrameStream, mut each: impl FnMut(Frame)) -> Result<(), Arc<Error>> {
    loop {
        match stream.pop_timeout(LONG) {
            Pop::Item(held) => each(held.frame.clone()),
            Pop::End(None) => return Ok(()),
            Pop::End(Some(error)) => return Err(error),
            Pop::Empty => panic!("no frame within {LONG:?}"),
        }
    }
}

/// `count` pictures of a pattern, all at once (at most 64).
pub(crate) fn pattern(runtime: &Runtime, url: &str) -> Vec<Frame> {
    let context = Context {
        slots: 64,
        ..Context::new(runtime.arena.clone())
    };
    let request = runtime.backends.parse(url).expect("a URL");
    let mut source = runtime.backends.open(&request, &context).expect("a pattern");
    std::iter::from_fn(|| match source.next(&Cancel::new()).expect("a picture") {
        beamline_capture::Event::Frame(frame) => Some(frame),
        _ => None,
    })
    .collect()
}

pub(crate) fn mp4(fragmented: bool) -> OutputConfig {
    OutputConfig {
        container: Some("mp4".into()),
        fragmented,
    }
}

/// H.264 as quickly as it goes.
pub(crate) fn quick() -> VideoTrackConfig {
    VideoTrackConfig {
        codec: "h264".into(),
        preset: Some("ultrafast".into()),
        queue: 4,
        ..VideoTrackConfig::default()
    }
}

/// Writes with patience: as somebody who waits for room.
pub(crate) struct Patient(pub(crate) TrackWriter);

impl Patient {
    pub(crate) fn new(writer: TrackWriter) -> Self {
        let me = thread::current();
        writer.on_room(move || me.unpark());
        Patient(writer)
    }

    pub(crate) fn until_taken(
        &self,
        mut write: impl FnMut(&TrackWriter) -> Result<Written, Error>,
    ) -> Result<(), Error> {
        loop {
            if write(&self.0)? == Written::Yes {
                return Ok(());
            }
            if self.0.arm_room() {
                thread::park_timeout(LONG);
            }
        }
    }

    pub(crate) fn frame(&self, frame: &Frame) -> Result<(), Error> {
        self.until_taken(|writer| writer.write_frame(frame, false))
    }
}

/// Closes and waits for the word.
pub(crate) fn close(output: &Output) -> Result<Report, Error> {
    let (tell, told) = mpsc::channel();
    output.close(move |report| tell.send(report).expect("somebody listens"));
    let report = told.recv_timeout(LONG).expect("close comes to an end");
    assert!(output.wait_closed(LONG), "threads are left");
    report
}
