//! A stage that a hostile producer fills, and the producer: welcomed, with empty slots granted ahead, and first it shows some pictures as they
//! should be. What it does then is in `producing.rs`.
//!
//! Each has a stage of its own, as in life, and an honest reader before it: that sees nothing that was not shown by right, finds every byte
//! where it is told to be, and hears of the end.

use super::{LONG, Studio, joined, number};
use crate::{
    bystanders::{SIZE, check},
    raw::{Raw, hello_of_producer},
};
use beamline_arena::{
    Access, Arena, FarPool, Pool, PoolConfig, SharedPage, SlotMut,
    grant::{Entry, PublishPage, ReturnPage, TellPage, Told, WORDS},
};
use beamline_link::{
    ClientPolicy, Error, FrameMessage, FromClient, Host, Limits, Next, Place, PlaneAt, Produced, Publisher, Reader,
    ReaderOptions, SlotAt,
};
use beamline_media::{Caps, Frame, FrameInfo, Layout, PixelFormat, Size};
use rustix::{fd::OwnedFd, io::Errno};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Empty slots that it asks for.
const AHEAD: u32 = 4;
/// Pictures that are shown before the lie.
const RIGHT: usize = 2;
/// A share that one producer fills.
pub(crate) struct Stage {
    publisher: Publisher,
    reader: Reader,
    shown: Arc<AtomicUsize>,
}

pub(super) fn caps(size: Size) -> Caps {
    Caps::raw(PixelFormat::I420, size)
}

impl Stage {
    /// A stage in the memory of the studio's owner, with a reader that keeps up.
    pub(crate) fn open(place: &Place, arena: &Arena) -> Self {
        let shown = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&shown);
        let host = Host {
            arena: arena.clone(),
            max_bytes: 1 << 20,
            producers: 1,
            sink: Box::new(move |what| {
                if matches!(what, Produced::Frame(_)) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }),
        };
        let publisher = Publisher::host(place.clone(), caps(SIZE), Limits::default(), host).unwrap();
        let pool = Arena::default().pool(PoolConfig::new("audience"));
        let options = ReaderOptions {
            policy: ClientPolicy::DropOldest,
            ..ReaderOptions::default()
        };
        Stage {
            reader: Reader::connect(publisher.place(), &pool, options, &|| false).unwrap(),
            publisher,
            shown,
        }
    }

    /// The next picture is this one.
    fn sees(&mut self, number: usize) {
        loop {
            match self.reader.next(LONG).unwrap() {
                Next::Frame(frame, _) => return check(&frame, number as u64),
                Next::Caps(_) => {}
                other => panic!("{other:?} instead of picture {number}"),
            }
        }
    }

    /// The liar has gone, or was cut off: the reader hears of it, and the owner has time for others.
    pub(crate) fn ends(mut self, studio: &Studio, most: usize) {
        let began = Instant::now();
        match Reader::look(self.publisher.place()) {
            Ok(_) | Err(Error::Told(_)) => studio.took(began.elapsed()),
            Err(other) => panic!("the owner does not answer: {other}"),
        }
        loop {
            match self.reader.next(LONG) {
                Ok(Next::Frame(frame, _)) => touch(&frame),
                Ok(Next::Caps(_)) => {}
                Ok(Next::End) => break,
                Err(Error::Told(failure)) => {
                    assert_eq!(failure.reason, "producer-gone");
                    break;
                }
                other => panic!("{other:?} instead of the end"),
            }
        }
        let shown = self.shown.load(Ordering::Relaxed);
        assert!(shown <= RIGHT + most, "{shown} pictures were shown, {most} by right");
        drop(self.reader);
        self.publisher.close();
        let deadline = Instant::now() + LONG;
        while !self.publisher.is_finished() {
            assert!(Instant::now() < deadline, "something is out for ever");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Every byte that the picture says it has.
fn touch(frame: &Frame) {
    for plane in 0..frame.plane_count() {
        let sum = |sum: u8, byte: &u8| sum.wrapping_add(*byte);
        black_box(frame.plane_bytes(plane).0.iter().fold(0, sum));
    }
}

/// A producer without the crate's own hand on what it says.
pub(crate) struct Filler<'a> {
    pub(super) raw: Raw,
    pub(super) far: FarPool,
    pub(super) page: SharedPage<PublishPage>,
    /// All that it was given, to be misused: the pages as the welcome has them.
    pub(super) tell: OwnedFd,
    pub(super) returns: OwnedFd,
    pub(super) ring: OwnedFd,
    pub(super) segments: Vec<OwnedFd>,
    read: u32,
    pub(super) told: u32,
    /// Shown, and written on.
    pub(super) shown: Vec<SlotMut>,
    pub(super) studio: &'a Studio,
    _pool: Pool,
}

impl<'a> Filler<'a> {
    /// Joins, is granted all that it asks for, and shows pictures as it should.
    pub(crate) fn join(stage: &mut Stage, studio: &'a Studio) -> Self {
        let (raw, _, fds) = joined(stage.publisher.place().path(), &hello_of_producer(&caps(SIZE)));
        let [tell, returns, wake, ring] = <[OwnedFd; 4]>::try_from(fds).unwrap();
        let again = |fd: &OwnedFd| fd.try_clone().unwrap();
        let told = SharedPage::<TellPage>::attach(again(&tell), Access::Read).unwrap();
        let back = SharedPage::<ReturnPage>::attach(again(&returns), Access::Shared).unwrap();
        let pool = Arena::default().pool(PoolConfig::new("liar"));
        let mut filler = Filler {
            raw,
            far: FarPool::new(&pool, Access::Shared, told, back, wake, Arc::new(())),
            page: SharedPage::attach(again(&ring), Access::Shared).unwrap(),
            tell,
            returns,
            ring,
            segments: Vec::new(),
            read: 0,
            told: 0,
            shown: Vec::new(),
            studio,
            _pool: pool,
        };
        let deadline = Instant::now() + LONG;
        while filler.far.tell().written() < AHEAD {
            assert!(Instant::now() < deadline, "slots are granted ahead");
            thread::yield_now();
        }
        for number in 0..RIGHT {
            assert!(filler.show(number as u8, SIZE), "a slot that was granted");
            stage.sees(number);
        }
        filler
    }

    /// Hears of memory. It never says that it has forgotten any.
    pub(super) fn hear(&mut self) {
        while let Some((said, fds)) = self.raw.message(Duration::ZERO) {
            if let Some(fd) = fds.into_iter().next() {
                let (size, slots) = (number(&said, "slot_size"), number(&said, "slots"));
                self.segments.push(fd.try_clone().unwrap());
                let number = number(&said, "number") as u32;
                self.far.attach(number, fd, size as usize, slots as u32).unwrap();
            }
        }
    }

    /// The next empty slot; none when no more is granted now.
    pub(super) fn granted(&mut self) -> Option<(SlotAt, SlotMut)> {
        let mut words = [0; WORDS];
        if self.far.tell().read(self.read, &mut words) != Told::Entry {
            return None;
        }
        self.read += 1;
        let at = SlotAt {
            segment: words[8] as u16,
            slot: (words[8] >> 16) as u16,
            generation: (words[8] >> 32) as u32,
        };
        if !self.far.knows(u32::from(at.segment)) {
            self.hear();
        }
        let slot = self
            .far
            .receive_mut(u32::from(at.segment), u32::from(at.slot), at.generation);
        slot.map(|slot| (at, slot))
    }

    /// The same, waited for.
    pub(super) fn slot(&mut self) -> (SlotAt, SlotMut) {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(granted) = self.granted() {
                return granted;
            }
            assert!(Instant::now() < deadline, "a slot is granted");
            thread::yield_now();
        }
    }

    pub(super) fn message(&self, at: SlotAt, number: u8, size: Size) -> FrameMessage {
        let mut message = FrameMessage {
            info: FrameInfo {
                timestamp_us: Some(i64::from(number)),
                ..FrameInfo::new(PixelFormat::I420, size)
            },
            slot_count: 1,
            number: u64::from(self.told),
            ..FrameMessage::default()
        };
        message.slots[0] = at;
        let layout = Layout::aligned(PixelFormat::I420, size).unwrap();
        for (to, plane) in message.planes.iter_mut().zip(&layout.planes) {
            *to = PlaneAt {
                slot: 0,
                offset: plane.offset as u64,
                stride: plane.stride as u64,
            };
        }
        message
    }

    /// Tells it, and rings where that is asked for.
    pub(super) fn tells(&mut self, entry: &Entry) {
        self.page.tell(self.told, entry);
        self.told = self.told.wrapping_add(1);
        if self.far.tell().must_wake_owner() {
            self.far.wake_owner();
        }
    }

    pub(super) fn show_slot(&mut self, at: SlotAt, mut slot: SlotMut, number: u8, size: Size) {
        slot.fill(number);
        let entry = self.message(at, number, size).encode();
        self.tells(&entry);
        self.shown.push(slot);
    }

    /// Shows a picture as it should be, when it is granted a slot for it now.
    pub(super) fn show(&mut self, number: u8, size: Size) -> bool {
        let granted = self.granted();
        let shows = granted.is_some();
        if let Some((at, slot)) = granted {
            self.show_slot(at, slot, number, size);
        }
        shows
    }

    /// The owner has had enough.
    pub(super) fn is_cut_off(&self) -> bool {
        let began = Instant::now();
        while self.raw.message(LONG).is_some() {}
        began.elapsed() < LONG
    }

    pub(super) fn say(&self, message: &FromClient) -> Result<(), Errno> {
        self.raw.send(&serde_json::to_vec(message).unwrap())
    }
}
