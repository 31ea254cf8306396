//! A frame whose planes lie in up to four slots: all of them are granted, or none.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod raw;

use beamline_arena::{
    Access, Arena, PoolConfig, SharedPage, Wait,
    grant::{Entry, ReturnPage, TellPage, Told, WORDS},
};
use beamline_link::{ClientInfo, ClientPolicy, FrameMessage, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Plane, Size};
use raw::{Raw, hello};
use rustix::fd::OwnedFd;
use std::{
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
const SOON: Duration = Duration::from_secs(5);
/// Planes of I420A.
const PLANES: usize = 4;

/// An owner of pictures with four planes.
struct Studio {
    _folder: tempfile::TempDir,
    arena: Arena,
    /// One for each plane: four sources' memory, so four segments.
    pools: [FramePool; PLANES],
    /// Of many sources: shown to nobody.
    mixed: FramePool,
    publisher: Publisher,
}

fn caps() -> Caps {
    Caps::raw(PixelFormat::I420A, SIZE)
}

/// A frame whose plane `i` is that of the `i`th of these.
fn of(frames: &[Frame; PLANES]) -> Frame {
    let plane = |(i, frame): (usize, &Frame)| {
        let (lease, offset, stride) = frame.plane(i);
        Plane {
            lease: lease.clone(),
            offset,
            stride,
        }
    };
    let planes = frames.iter().enumerate().map(plane).collect();
    Frame::new(*frames[0].info(), planes).unwrap()
}

fn draw(pool: &FramePool, value: u8) -> Frame {
    let mut frame = pool
        .acquire(FrameInfo::new(PixelFormat::I420A, SIZE), Wait::Grow)
        .unwrap();
    (0..PLANES).for_each(|plane| frame.plane_mut(plane).0.fill(value));
    frame.freeze()
}

/// The first bytes of the planes.
fn firsts(frame: &Frame) -> [u8; PLANES] {
    [0, 1, 2, 3].map(|plane| {
        let (bytes, _) = frame.plane_bytes(plane);
        assert!(
            bytes.iter().all(|byte| *byte == bytes[0]),
            "plane {plane} is one slot's"
        );
        bytes[0]
    })
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let arena = Arena::default();
        let pool = |label: &str, mixed| {
            let config = PoolConfig {
                mixed,
                slots: 32,
                ..PoolConfig::new(label)
            };
            FramePool::new(&arena, config)
        };
        Studio {
            _folder: folder,
            pools: ["y", "u", "v", "a"].map(|label| pool(label, false)),
            mixed: pool("many", true),
            publisher: Publisher::listen(place, caps(), true, Limits::default()).unwrap(),
            arena,
        }
    }

    /// A picture in four slots of as many segments; its planes are `value` and what follows.
    fn apart(&self, value: u8) -> Frame {
        of(&[0, 1, 2, 3].map(|i| draw(&self.pools[i], value + i as u8)))
    }

    /// The same in four slots of one segment.
    fn together(&self, value: u8) -> Frame {
        of(&[0, 1, 2, 3].map(|i| draw(&self.pools[0], value + i as u8)))
    }

    fn reader(&self, hold: u32, queue: u32) -> Reader {
        let options = ReaderOptions {
            hold,
            queue,
            policy: ClientPolicy::DropNewest,
            ..ReaderOptions::default()
        };
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        Reader::connect(self.publisher.place(), &pool, options, &|| false).unwrap()
    }

    /// The books of the only reader.
    fn books(&self) -> ClientInfo {
        self.publisher.readers().remove(0)
    }

    /// Slots in use.
    fn live(&self) -> u64 {
        self.arena.stats().live
    }

    fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + SOON;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "{what} did not come about: {:?}",
                self.publisher.readers()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn next(reader: &mut Reader) -> (Frame, u64) {
    match reader.next(SOON).unwrap() {
        Next::Frame(frame, number) => (frame, number),
        other => panic!("{other:?} instead of a frame"),
    }
}

#[test]
fn a_frame_in_four_slots_is_read_with_all_four_and_comes_back_whole() {
    let studio = Studio::new();
    let mut reader = studio.reader(4, 4);
    for value in 0..100 {
        let frame = if value % 2 == 0 {
            studio.apart(value)
        } else {
            studio.together(value)
        };
        studio.publisher.publish(&frame);
        let (got, _) = next(&mut reader);
        assert_eq!(got.leases().count(), PLANES);
        assert_eq!(firsts(&got), [0, 1, 2, 3].map(|i| value + i));
        assert_eq!(got.info(), frame.info());
        drop(frame);
        assert_eq!(studio.live(), PLANES as u64, "the reader holds all of them");
        drop(got);
        studio.until("the return of all four", |studio| studio.live() == 0);
    }
    assert_eq!((studio.books().granted, studio.books().dropped), (100, 0));
}

#[test]
fn of_a_frame_that_is_too_much_for_its_reader_nothing_is_granted() {
    let studio = Studio::new();
    let mut reader = studio.reader(1, 1);
    for value in [10, 20, 30] {
        studio.publisher.publish(&studio.apart(value));
    }
    // One is granted, one waits as a whole, one is dropped as a whole.
    let books = studio.books();
    assert_eq!((books.granted, books.waiting, books.dropped), (1, 1, 1));
    assert_eq!(books.held as usize, PLANES, "of what waits no slot is granted");
    assert_eq!(studio.live() as usize, 2 * PLANES, "of what is dropped nothing is left");
    let (first, _) = next(&mut reader);
    assert_eq!(firsts(&first), [10, 11, 12, 13]);
    assert!(matches!(reader.next(Duration::from_millis(30)).unwrap(), Next::Nothing));
    drop(first);
    let (second, number) = next(&mut reader);
    assert_eq!((number, firsts(&second)), (1, [20, 21, 22, 23]));
    assert_eq!(studio.books().held as usize, PLANES);
    drop(second);
    studio.until("the return of all", |studio| studio.live() == 0);
}

#[test]
fn of_a_frame_with_a_slot_that_nobody_may_see_nothing_is_granted() {
    let studio = Studio::new();
    let mut reader = studio.reader(4, 4);
    for (n, known) in [false, true, true].into_iter().enumerate() {
        // At first no slot's memory is known to the reader, then that of all but one.
        let granted = studio.books().granted;
        for hidden in 0..PLANES {
            let frames = [0, 1, 2, 3].map(|i| match i {
                i if i == hidden => draw(&studio.mixed, 99),
                i => draw(&studio.pools[i], 1),
            });
            studio.publisher.publish(&of(&frames));
        }
        let books = studio.books();
        assert_eq!(
            (books.granted, books.held, books.waiting),
            (granted, 0, 0),
            "known: {known}"
        );
        assert_eq!(books.dropped as usize, (n + 1) * PLANES, "each as a whole");
        assert_eq!(studio.live(), 0);
        studio.publisher.publish(&studio.apart(50));
        assert_eq!(firsts(&next(&mut reader).0), [50, 51, 52, 53], "and it reads on");
        studio.until("its return", |studio| studio.live() == 0);
    }
}

/// A reader by hand: it reads its socket, and gives slots back, when it is told to.
struct ByHand {
    raw: Raw,
    tell: SharedPage<TellPage>,
    returns: SharedPage<ReturnPage>,
    _wake: OwnedFd,
}

impl ByHand {
    fn join(studio: &Studio, hold: u32) -> Self {
        let raw = Raw::connect(studio.publisher.place().path()).unwrap();
        raw.send(hello(hold).as_bytes()).unwrap();
        let (welcome, fds) = raw.message(SOON).unwrap();
        let [tell, returns, wake] = <[OwnedFd; 3]>::try_from(fds).expect(&welcome);
        ByHand {
            raw,
            tell: SharedPage::attach(tell, Access::Read).unwrap(),
            returns: SharedPage::attach(returns, Access::Shared).unwrap(),
            _wake: wake,
        }
    }

    fn entry(&self, number: u32) -> FrameMessage {
        let mut words: Entry = [0; WORDS];
        assert_eq!(self.tell.read(number, &mut words), Told::Entry);
        FrameMessage::decode(&words).unwrap()
    }

    /// Gives back some slots of a frame that it was told of.
    fn gives_back(&self, message: &FrameMessage, slots: std::ops::Range<usize>) {
        assert_eq!(message.slot_count, PLANES);
        for at in &message.slots[slots] {
            // The owner looks by itself.
            let _ = self.returns.give_back(at.segment.into(), at.slot.into(), &self.tell);
        }
    }
}

#[test]
fn a_reader_that_has_given_back_a_part_is_granted_nothing_until_it_has_given_back_the_rest() {
    let studio = Studio::new();
    let reader = ByHand::join(&studio, 1);
    studio.publisher.publish(&studio.apart(10));
    studio.publisher.publish(&studio.apart(20));
    let first = reader.entry(0);
    for given in 1..PLANES {
        reader.gives_back(&first, given - 1..given);
        studio.until("the return of one", |studio| {
            studio.live() as usize == 2 * PLANES - given
        });
        let books = studio.books();
        assert_eq!((books.granted, books.waiting), (1, 1));
        assert_eq!(books.held as usize, PLANES - given, "room for {given} of four is none");
        assert_eq!(reader.tell.written(), 1);
    }
    reader.gives_back(&first, PLANES - 1..PLANES);
    studio.until("the second", |studio| studio.books().granted == 2);
    let second = reader.entry(1);
    let books = studio.books();
    assert_eq!((books.held as usize, books.waiting), (PLANES, 0), "and now all four");
    assert_eq!(studio.live() as usize, PLANES);
    reader.gives_back(&second, 0..PLANES);
    studio.until("the return of all", |studio| studio.live() == 0);
}

#[test]
fn of_a_frame_with_a_segment_that_cannot_be_told_of_now_nothing_is_granted_and_it_comes_later() {
    for told_before in 0..PLANES {
        let studio = Studio::new();
        let reader = ByHand::join(&studio, 4);
        let known = u64::from(told_before > 0);
        if told_before > 0 {
            // Then its reader knows the memory of some planes.
            let frame = of(&[0, 1, 2, 3].map(|i| draw(&studio.pools[i.min(told_before - 1)], 1)));
            studio.publisher.publish(&frame);
            drop(frame);
            reader.gives_back(&reader.entry(0), 0..PLANES);
            studio.until("its return", |studio| studio.live() == 0);
        }
        // More than a socket takes that nobody reads.
        (0..2000).for_each(|_| studio.publisher.set_caps(&caps()));
        studio.publisher.publish(&studio.apart(20));
        thread::sleep(Duration::from_millis(20));
        let books = studio.books();
        assert_eq!((books.granted, books.held, books.waiting), (known, 0, 1));
        assert_eq!(reader.tell.written(), known as u32);
        assert_eq!(studio.live() as usize, PLANES, "it waits as a whole");

        let mut segments = 0;
        while studio.books().waiting > 0 {
            let (message, fds) = reader.raw.message(SOON).expect("there is more to be read");
            segments += usize::from(message.contains("segment"));
            assert_eq!(fds.len(), usize::from(message.contains("segment")));
        }
        while let Some((message, _)) = reader.raw.message(Duration::from_millis(20)) {
            segments += usize::from(message.contains("segment"));
        }
        assert_eq!(segments, PLANES, "each is told of, once");
        let books = studio.books();
        assert_eq!(
            (books.granted, books.held as usize, books.dropped),
            (known + 1, PLANES, 0)
        );
        let message = reader.entry(known as u32);
        assert_eq!(message.slot_count, PLANES);
        drop(reader);
        studio.until("the return of all", |studio| {
            (studio.live(), studio.publisher.swept() as usize) == (0, PLANES)
        });
    }
}
