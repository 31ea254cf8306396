//! A client that fills frames in the owner's memory; frames from client to client through the owner.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod raw;

use beamline_arena::{Access, Arena, PoolConfig, Segment};
use beamline_link::{
    ClientPolicy, Error, Host, Limits, Next, Place, Produced, Producer, ProducerOptions, Publisher, Reader,
    ReaderOptions,
};
use beamline_media::{Caps, ErrorCode, Frame, FrameInfo, PixelFormat, Size};
use raw::{Raw, hello_of_producer};
use rustix::net::Shutdown;
use std::{
    num::NonZeroU64,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
const SOON: Duration = Duration::from_secs(5);

fn caps() -> Caps {
    Caps::raw(PixelFormat::I420, SIZE)
}

/// An owner that takes producers, in a folder of its own.
struct Studio {
    _folder: tempfile::TempDir,
    arena: Arena,
    publisher: Publisher,
    produced: Receiver<Produced>,
}

impl Studio {
    fn new() -> Self {
        Self::with(u64::MAX)
    }

    fn with(max_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("decoded").to_str().unwrap()).unwrap();
        let arena = Arena::default();
        let (sender, produced) = channel();
        let host = Host {
            arena: arena.clone(),
            max_bytes,
            producers: 1,
            sink: Box::new(move |what| drop(sender.send(what))),
        };
        let publisher = Publisher::host(place, caps(), Limits::default(), host).unwrap();
        Studio {
            _folder: folder,
            arena,
            publisher,
            produced,
        }
    }

    fn producer(&self) -> Producer {
        let pool = Arena::default().pool(PoolConfig::new("producer"));
        let options = ProducerOptions::default();
        Producer::connect(self.publisher.place(), &pool, caps(), options, &|| false).unwrap()
    }

    fn reader(&self) -> Reader {
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        let options = ReaderOptions {
            policy: ClientPolicy::DropNewest,
            take_handed: true,
            ..ReaderOptions::default()
        };
        Reader::connect(self.publisher.place(), &pool, options, &|| false).unwrap()
    }

    /// The next picture that the owner is told of.
    fn frame(&self) -> Frame {
        loop {
            match self.produced.recv_timeout(SOON).unwrap() {
                Produced::Frame(frame) => return frame,
                Produced::Caps(_) => {}
                other => panic!("{other:?} instead of a frame"),
            }
        }
    }

    fn until_live(&self, slots: u64) {
        let deadline = Instant::now() + SOON;
        while self.arena.stats().live != slots && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.arena.stats().live, slots);
    }
}

fn info(number: i64, size: Size) -> FrameInfo {
    FrameInfo {
        timestamp_us: Some(number * 40_000),
        ..FrameInfo::new(PixelFormat::I420, size)
    }
}

/// A picture whose bytes are all `number`.
fn fill(producer: &mut Producer, number: i64, size: Size) -> Frame {
    let mut frame = producer.frame(info(number, size), SOON).unwrap().unwrap();
    for plane in 0..3 {
        frame.plane_mut(plane).0.fill(number as u8);
    }
    frame.freeze()
}

fn next(reader: &mut Reader) -> (Frame, u64) {
    match reader.next(SOON).unwrap() {
        Next::Frame(frame, number) => (frame, number),
        other => panic!("{other:?} instead of a frame"),
    }
}

#[test]
fn what_a_producer_fills_the_owner_and_its_readers_see_without_a_copy() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let mut reader = studio.reader();
    for number in 0..200 {
        let filled = fill(&mut producer, number, SIZE);
        producer.publish(&filled).unwrap();
        let owned = studio.frame();
        assert_eq!(owned.info(), &info(number, SIZE));
        let (read, at) = next(&mut reader);
        assert_eq!(at, number as u64);
        for frame in [&owned, &read] {
            assert!((0..3).all(|p| frame.plane_bytes(p).0.iter().all(|b| *b == number as u8)));
        }
        let slots = [&filled, &owned, &read].map(|f| f.plane(0).0.slot_ref());
        assert_eq!(
            (slots[0].slot, slots[0].generation),
            (slots[1].slot, slots[1].generation)
        );
        assert_eq!(
            (slots[1].slot, slots[1].generation),
            (slots[2].slot, slots[2].generation)
        );
    }
    drop((producer, reader));
    studio.until_live(0);
    // Those of the producer, and what was set aside for the reader.
    assert!(studio.arena.stats().slots <= 32, "slots go round");
}

#[test]
fn slots_are_granted_ahead_and_a_producer_waits_when_readers_hold_them_all() {
    let studio = Studio::with(32 * 4096);
    let mut producer = studio.producer();
    let mut held = Vec::new();
    loop {
        match producer
            .frame(info(held.len() as i64, SIZE), Duration::from_millis(100))
            .unwrap()
        {
            Some(frame) => {
                producer.publish(&frame.freeze()).unwrap();
                held.push(studio.frame());
            }
            None => break,
        }
        assert!(held.len() <= 32, "the budget holds");
    }
    assert!(held.len() >= 8, "{} pictures", held.len());
    held.pop();
    assert!(
        producer.frame(info(99, SIZE), SOON).unwrap().is_some(),
        "what came back is granted again"
    );
}

#[test]
fn what_a_producer_has_filled_before_it_went_is_shown_and_then_its_end() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let mut reader = studio.reader();
    for number in 0..3 {
        let frame = fill(&mut producer, number, SIZE);
        producer.publish(&frame).unwrap();
    }
    producer.end().unwrap();
    drop(producer);
    let kept: Vec<_> = (0..3).map(|_| studio.frame()).collect();
    assert!(matches!(studio.produced.recv_timeout(SOON).unwrap(), Produced::End));
    let read: Vec<_> = (0..3).map(|_| next(&mut reader).0).collect();
    for frames in [kept, read] {
        let firsts: Vec<_> = frames.iter().map(|f| f.plane_bytes(0).0[0]).collect();
        assert_eq!(firsts, [0, 1, 2]);
    }
    studio.until_live(0);
}

#[test]
fn a_producer_that_goes_without_a_word_is_told_as_gone() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    drop(producer.frame(info(0, SIZE), SOON).unwrap());
    drop(producer);
    let Produced::Failed(failure) = studio
        .produced
        .iter()
        .find(|p| !matches!(p, Produced::Caps(_)))
        .unwrap()
    else {
        panic!("an end that nobody told");
    };
    assert_eq!(
        (failure.code(), failure.reason.as_str()),
        (ErrorCode::DeviceLost, "producer-gone")
    );
    studio.until_live(0);
}

#[test]
fn a_change_of_format_is_told_and_slots_of_the_new_size_come() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let mut reader = studio.reader();
    let large = Size::new(640, 360);
    for (number, size) in [(1, SIZE), (2, large), (3, SIZE)] {
        let frame = fill(&mut producer, number, size);
        producer.publish(&frame).unwrap();
        let owned = studio.frame();
        assert_eq!(owned.info().coded, size);
        let read = loop {
            match reader.next(SOON).unwrap() {
                Next::Frame(frame, _) => break frame,
                Next::Caps(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read.plane_bytes(2).0[0], number as u8);
    }
    drop((producer, reader));
    studio.until_live(0);
}

#[test]
fn a_picture_is_told_once_and_only_one_of_this_share() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let frame = fill(&mut producer, 1, SIZE);
    producer.publish(&frame).unwrap();
    assert!(matches!(producer.publish(&frame), Err(Error::NotOurs)));
    assert!(frame.try_into_mut().is_err(), "nobody draws in what others see");
    let unshown = fill(&mut producer, 2, SIZE);
    assert!(unshown.try_into_mut().is_ok(), "but before it was shown");
    let other = Studio::new();
    let strange = fill(&mut other.producer(), 1, SIZE);
    assert!(matches!(producer.publish(&strange), Err(Error::NotOurs)));
}

#[test]
fn a_second_producer_and_a_share_with_a_source_of_its_own_refuse() {
    let studio = Studio::new();
    let _first = studio.producer();
    let pool = Arena::default().pool(PoolConfig::new("producer"));
    let join = |place: &Place| Producer::connect(place, &pool, caps(), ProducerOptions::default(), &|| false);
    let error = join(studio.publisher.place()).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Busy, "share-produced"));
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path().join("camera").to_str().unwrap()).unwrap();
    let publisher = Publisher::listen(place, caps(), true, Limits::default()).unwrap();
    let error = join(publisher.place()).unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::NotSupported, "share-not-hosted")
    );
}

#[test]
fn a_frame_goes_from_client_to_client_while_the_first_still_holds_it() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let (mut a, mut b) = (studio.reader(), studio.reader());
    let frame = fill(&mut producer, 7, SIZE);
    producer.publish(&frame).unwrap();
    drop((frame, studio.frame(), next(&mut b)));
    let (mine, _) = next(&mut a);
    assert!(a.pass(&mine, b.id(), SOON).unwrap());
    drop(mine);
    let Next::Handed(handed, from) = b.next(SOON).unwrap() else {
        panic!("nothing was handed over");
    };
    assert_eq!(from, a.id());
    let told = FrameInfo {
        handed_by: NonZeroU64::new(a.id()),
        ..info(7, SIZE)
    };
    assert_eq!(handed.info(), &told);
    assert!(handed.plane_bytes(0).0.iter().all(|b| *b == 7));
    drop(producer);
    // B's hold alone keeps it.
    studio.until_live(1);
    drop(handed);
    studio.until_live(0);
}

#[test]
fn only_what_one_holds_can_be_passed_and_only_to_somebody_who_is_there() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let (mut a, mut b) = (studio.reader(), studio.reader());
    let frame = fill(&mut producer, 7, SIZE);
    producer.publish(&frame).unwrap();
    let (mine, _) = next(&mut a);
    drop(next(&mut b));
    assert!(!a.pass(&mine, 4711, SOON).unwrap(), "no such client");
    assert!(matches!(a.pass(&frame, b.id(), SOON), Err(Error::NotOurs)));
    assert!(a.pass(&mine, b.id(), SOON).unwrap(), "and the share goes on");
    assert!(matches!(b.next(SOON).unwrap(), Next::Handed(..)));
}

/// The fd of a segment is in every reader's hands: it must not give it a way to change what others see.
#[test]
fn readers_can_not_map_what_a_producer_fills_for_writing() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let mut reader = studio.reader();
    let frame = fill(&mut producer, 7, SIZE);
    producer.publish(&frame).unwrap();
    let (read, _) = next(&mut reader);
    let segment = read.plane(0).0.segment();
    let (size, slots) = (segment.slot_size(), segment.slots());
    let again = |access| Segment::attach(segment.fd().try_clone_to_owned().unwrap(), size, slots, access);
    assert!(again(Access::Shared).is_err());
    assert!(again(Access::Private).is_ok());
    // The producer goes on writing by the mapping that it has.
    let frame = fill(&mut producer, 8, SIZE);
    producer.publish(&frame).unwrap();
    assert_eq!(next(&mut reader).0.plane_bytes(0).0[0], 8);
}

/// Each size needs memory of its own; that of sizes of the past goes.
#[test]
fn a_producer_may_change_its_size_as_often_as_it_likes() {
    // All together they would need some 250 MB.
    let studio = Studio::with(16 << 20);
    let mut producer = studio.producer();
    for number in 1..=100 {
        let size = Size::new(64 * number, 64);
        let frame = fill(&mut producer, i64::from(number), size);
        producer.publish(&frame).unwrap();
        drop(frame);
        assert_eq!(studio.frame().info().coded, size);
    }
}

#[test]
fn readers_are_told_how_the_one_producer_ended() {
    for clean in [true, false] {
        let studio = Studio::new();
        let mut producer = studio.producer();
        let mut reader = studio.reader();
        let frame = fill(&mut producer, 1, SIZE);
        producer.publish(&frame).unwrap();
        drop((frame, next(&mut reader)));
        if clean {
            producer.end().unwrap();
        }
        drop(producer);
        let last = loop {
            match reader.next(SOON) {
                Ok(Next::Caps(_) | Next::Nothing) => {}
                other => break other,
            }
        };
        match (clean, last) {
            (true, Ok(Next::End)) => {}
            (false, Err(error)) => assert_eq!(error.reason(), "producer-gone"),
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_format_of_a_producer_that_cannot_be_welcomed_is_told_to_nobody() {
    let studio = Studio::new();
    let mut reader = studio.reader();
    let raw = Raw::connect(studio.publisher.place().path()).unwrap();
    // It says hello, and cannot be answered.
    rustix::net::shutdown(&raw.0, Shutdown::Read).unwrap();
    let large = Caps::raw(PixelFormat::I420, Size::new(640, 360));
    raw.send(hello_of_producer(&large).as_bytes()).unwrap();
    while raw.send(b"{}").is_ok() {
        // Until the owner has let go of it.
        thread::sleep(Duration::from_millis(1));
    }
    let mut producer = studio.producer();
    let frame = fill(&mut producer, 1, SIZE);
    producer.publish(&frame).unwrap();
    assert!(matches!(studio.produced.recv_timeout(SOON).unwrap(), Produced::Caps(told) if told == caps()));
    let (mut frames, mut formats) = (0, Vec::new());
    while frames == 0 || formats.is_empty() {
        match reader.next(SOON).unwrap() {
            Next::Frame(..) => frames += 1,
            Next::Caps(told) => formats.push(told),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(formats, [caps()]);
}

#[test]
fn an_interrupt_ends_the_wait_for_an_empty_picture_or_the_next_one() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    // All that it is granted ahead.
    let mut held = Vec::new();
    while let Some(frame) = producer.frame(info(0, SIZE), Duration::from_millis(20)).unwrap() {
        held.push(frame);
    }
    assert_eq!(held.len(), ProducerOptions::default().ahead as usize);
    let interrupt = producer.interrupt();
    interrupt.interrupt();
    assert!(
        producer.frame(info(0, SIZE), Duration::MAX).unwrap().is_none(),
        "it came before"
    );
    let begin = Instant::now();
    let pause = Duration::from_millis(50);
    assert!(producer.frame(info(0, SIZE), pause).unwrap().is_none());
    assert!(begin.elapsed() >= pause, "once");
    thread::scope(|scope| {
        let waits = scope.spawn(|| producer.frame(info(0, SIZE), Duration::MAX).unwrap().is_none());
        thread::sleep(pause);
        assert!(!waits.is_finished(), "it sleeps");
        interrupt.interrupt();
        assert!(waits.join().unwrap());
    });
    // And apart from the producer.
    assert!(producer.frame(info(0, SIZE), Duration::ZERO).unwrap().is_none());
    let waiter = producer.waiter();
    thread::scope(|scope| {
        let waits = scope.spawn(|| waiter.wait(Duration::MAX));
        thread::sleep(pause);
        assert!(!waits.is_finished(), "it sleeps");
        // One that was dropped unfilled comes again.
        drop(held.pop());
        waits.join().unwrap();
    });
    assert!(producer.frame(info(0, SIZE), SOON).unwrap().is_some());
    drop(producer);
    // Of one that is gone.
    interrupt.interrupt();
}

#[test]
fn a_host_that_closes_takes_back_what_a_producer_has_not_shown() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let _drawing = producer.frame(info(1, SIZE), SOON).unwrap().unwrap();
    studio.publisher.close();
    studio.until_live(0);
    let deadline = Instant::now() + SOON;
    while !studio.publisher.is_finished() {
        assert!(
            Instant::now() < deadline,
            "its thread waits for a producer that does nothing"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_is_handed_over_is_taken_at_once_or_not_at_all() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let (mut a, b) = (studio.reader(), studio.reader());
    for number in 0..4 {
        let frame = fill(&mut producer, number, SIZE);
        producer.publish(&frame).unwrap();
        drop((frame, studio.frame()));
    }
    // B holds as many as it may.
    let (mine, _) = next(&mut a);
    assert!(!a.pass(&mine, b.id(), SOON).unwrap());
    let readers = studio.publisher.readers();
    assert!(readers.iter().all(|r| r.waiting == 0), "{readers:?}");
}

#[test]
fn nobody_is_handed_what_he_did_not_ask_for() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let (mut a, pool) = (studio.reader(), Arena::default().pool(PoolConfig::new("reader")));
    let mut b = Reader::connect(studio.publisher.place(), &pool, ReaderOptions::default(), &|| false).unwrap();
    let frame = fill(&mut producer, 7, SIZE);
    producer.publish(&frame).unwrap();
    let (mine, _) = next(&mut a);
    drop(next(&mut b));
    assert!(!a.pass(&mine, b.id(), SOON).unwrap());
    assert!(matches!(b.next(Duration::from_millis(20)).unwrap(), Next::Nothing));
    let takes: Vec<_> = studio
        .publisher
        .readers()
        .iter()
        .map(|r| (r.id, r.takes_handed))
        .collect();
    assert!(takes.contains(&(a.id(), true)) && takes.contains(&(b.id(), false)));
}

#[test]
fn a_frame_that_was_held_for_long_is_handed_over_as_the_owner_told_it() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let (mut a, mut b) = (studio.reader(), studio.reader());
    let show = |producer: &mut Producer, number| {
        let frame = fill(producer, number, SIZE);
        producer.publish(&frame).unwrap();
        drop((frame, studio.frame()));
    };
    show(&mut producer, 1);
    let (mine, _) = next(&mut a);
    drop(next(&mut b));
    // More than a ring has entries.
    for number in 2..300 {
        show(&mut producer, number);
        drop((next(&mut a), next(&mut b)));
    }
    assert!(a.pass(&mine, b.id(), SOON).unwrap());
    let Next::Handed(handed, _) = b.next(SOON).unwrap() else {
        panic!("nothing was handed over");
    };
    assert_eq!(handed.info().timestamp_us, mine.info().timestamp_us);
    assert!(handed.plane_bytes(0).0.iter().all(|b| *b == 1));
}
