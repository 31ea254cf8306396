//! An owner that takes producers, and those who join it.

#![allow(dead_code, reason = "each test uses a part")]
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

use beamline_arena::{Arena, PoolConfig};
use beamline_link::{
    ClientPolicy, Error, Host, Limits, Next, Place, Produced, Producer, ProducerOptions, Publisher, Reader,
    ReaderOptions,
};
use beamline_media::{Caps, Frame, FrameInfo, PixelFormat, Size};
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

pub(crate) const SIZE: Size = Size::new(64, 32);
pub(crate) const SOON: Duration = Duration::from_secs(5);

pub(crate) fn caps() -> Caps {
    Caps::raw(PixelFormat::I420, SIZE)
}

/// An owner that takes producers, in a folder of its own.
pub(crate) struct Studio {
    _folder: tempfile::TempDir,
    pub(crate) arena: Arena,
    pub(crate) publisher: Publisher,
    pub(crate) produced: Receiver<Produced>,
    /// Whoever has it stops the owner's thread where that tells of the next thing that a producer says.
    pub(crate) gate: Arc<Mutex<()>>,
}

impl Studio {
    pub(crate) fn new() -> Self {
        Self::with(u64::MAX)
    }

    pub(crate) fn with(max_bytes: u64) -> Self {
        Self::hosting(max_bytes, caps(), Limits::default())
    }

    pub(crate) fn hosting(max_bytes: u64, caps: Caps, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("decoded").to_str().unwrap()).unwrap();
        let arena = Arena::default();
        let (sender, produced) = channel();
        let gate = Arc::new(Mutex::new(()));
        let host = Host {
            arena: arena.clone(),
            max_bytes,
            producers: 1,
            sink: {
                let gate = Arc::clone(&gate);
                Box::new(move |what| {
                    drop(gate.lock().unwrap());
                    drop(sender.send(what));
                })
            },
        };
        let publisher = Publisher::host(place, caps, limits, host).unwrap();
        Studio {
            _folder: folder,
            arena,
            publisher,
            produced,
            gate,
        }
    }

    pub(crate) fn producer(&self) -> Producer {
        let pool = Arena::default().pool(PoolConfig::new("producer"));
        let options = ProducerOptions::default();
        Producer::connect(self.publisher.place(), &pool, caps(), options, &|| false).unwrap()
    }

    pub(crate) fn reader(&self) -> Reader {
        self.joins().unwrap()
    }

    pub(crate) fn joins(&self) -> Result<Reader, Error> {
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        let options = ReaderOptions {
            policy: ClientPolicy::DropNewest,
            take_handed: true,
            ..ReaderOptions::default()
        };
        Reader::connect(self.publisher.place(), &pool, options, &|| false)
    }

    /// The next picture that the owner is told of.
    pub(crate) fn frame(&self) -> Frame {
        loop {
            match self.produced.recv_timeout(SOON).unwrap() {
                Produced::Frame(frame) => return frame,
                Produced::Caps(_) => {}
                other => panic!("{other:?} instead of a frame"),
            }
        }
    }

    pub(crate) fn until_live(&self, slots: u64) {
        let deadline = Instant::now() + SOON;
        while self.arena.stats().live != slots && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.arena.stats().live, slots);
    }
}

pub(crate) fn info(number: i64, size: Size) -> FrameInfo {
    FrameInfo {
        timestamp_us: Some(number * 40_000),
        ..FrameInfo::new(PixelFormat::I420, size)
    }
}

/// A picture whose bytes are all `number`.
pub(crate) fn fill(producer: &mut Producer, number: i64, size: Size) -> Frame {
    let mut frame = producer.frame(info(number, size), SOON).unwrap().unwrap();
    for plane in 0..3 {
        frame.plane_mut(plane).0.fill(number as u8);
    }
    frame.freeze()
}

pub(crate) fn next(reader: &mut Reader) -> (Frame, u64) {
    match reader.next(SOON).unwrap() {
        Next::Frame(frame, number) => (frame, number),
        other => panic!("{other:?} instead of a frame"),
    }
}
