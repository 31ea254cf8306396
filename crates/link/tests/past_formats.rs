//! Memory of past formats: it costs whoever keeps it alive, not the source, nor the other readers.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; counts that a test pins are printed by it"
)]

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{
    ClientPolicy, Error, Host, Limits, Next, Place, Producer, ProducerOptions, Publisher, Reader, ReaderOptions,
};
use beamline_media::{Caps, ErrorCode, Frame, FrameInfo, FramePool, PixelFormat, Size};
use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// For what happens at once, on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(20);
/// Slots that the source begins with in each format.
const SLOTS: u32 = 4;

struct Studio {
    _folder: tempfile::TempDir,
    publisher: Publisher,
    arena: Arena,
    pool: Arc<FramePool>,
}

/// A picture whose slot has more than half a MiB, and a size that no other format's has.
fn info(format: u32) -> FrameInfo {
    FrameInfo::new(PixelFormat::GRAY8, Size::new(1024, 520 + 64 * format))
}

impl Studio {
    fn new(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let caps = Caps::raw(PixelFormat::GRAY8, info(0).coded);
        let arena = Arena::with_budget(bytes);
        let config = PoolConfig {
            slots: SLOTS,
            ..PoolConfig::new("source")
        };
        Studio {
            _folder: folder,
            publisher: Publisher::listen(place, caps, true, Limits::default()).unwrap(),
            pool: Arc::new(FramePool::new(&arena, config)),
            arena,
        }
    }

    fn reader(&self, hold: u32) -> Reader {
        reader_of(&self.publisher, hold)
    }

    /// A share that takes a producer, whose memory is taken from the same budget.
    fn hosts(&self) -> Publisher {
        let host = Host {
            arena: self.arena.clone(),
            max_bytes: u64::MAX,
            producers: 1,
            sink: Box::new(drop),
        };
        let place = Place::new(self._folder.path().join("hosted").to_str().unwrap()).unwrap();
        Publisher::host(place, Caps::unknown(), Limits::default(), host).unwrap()
    }

    /// Shows a picture of a format, as a source does that comes again when there is no memory. Gives how often it had to.
    fn show(&self, format: u32) -> u32 {
        let caps = Caps::raw(PixelFormat::GRAY8, info(format).coded);
        let (deadline, mut refused) = (Instant::now() + LONG, 0);
        loop {
            match self.pool.acquire(info(format), Wait::Grow) {
                Ok(mut frame) => {
                    frame.plane_mut(0).0.fill(format as u8);
                    self.publisher.set_caps(&caps);
                    self.publisher.publish(&frame.freeze());
                    return refused;
                }
                Err(error) => {
                    assert!(Instant::now() < deadline, "the source starves: {error}");
                    refused += 1;
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

fn reader_of(publisher: &Publisher, hold: u32) -> Reader {
    let options = ReaderOptions {
        hold,
        queue: 1,
        policy: ClientPolicy::DropOldest,
        ..ReaderOptions::default()
    };
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    Reader::connect(publisher.place(), &pool, options, &|| false).unwrap()
}

fn next(reader: &mut Reader) -> Result<Frame, Error> {
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        match reader.next(Duration::from_millis(100))? {
            Next::Frame(frame, _) => return Ok(frame),
            Next::Caps(_) | Next::Nothing => {}
            other => panic!("{other:?} instead of a frame"),
        }
    }
    panic!("no frame came");
}

/// Reads and closes what comes, until the share ends; gives the formats that it has seen.
fn reading(mut reader: Reader) -> thread::JoinHandle<Result<BTreeSet<u32>, Error>> {
    thread::spawn(move || {
        let mut seen = BTreeSet::new();
        loop {
            match reader.next(LONG)? {
                Next::Frame(frame, _) => drop(seen.insert(frame.info().coded.height)),
                Next::End => return Ok(seen),
                _ => {}
            }
        }
    })
}

#[test]
fn a_reader_that_keeps_a_picture_of_each_past_format_goes_when_the_source_has_no_memory_left() {
    // A format takes some 3 MiB for the source and 10 for what readers hold.
    let studio = Studio::new(40 << 20);
    let mut keeps = studio.reader(8);
    let reads = reading(studio.reader(2));
    let (mut kept, mut refused, mut cut_off) = (Vec::new(), 0, None);
    for format in 0..12 {
        // There may be no room for readers at once.
        for _ in 0..20 {
            refused += studio.show(format);
            thread::sleep(Duration::from_millis(10));
        }
        let since = kept.len();
        while cut_off.is_none() && kept.len() == since {
            match keeps.next(Duration::from_millis(100)) {
                Ok(Next::Frame(frame, _)) => kept.push(frame),
                Ok(Next::Nothing) => break,
                Ok(_) => {}
                Err(error) => cut_off = Some(error),
            }
        }
    }
    let error = cut_off.expect("the source had memory for twelve formats");
    assert_eq!((error.code(), error.reason()), (ErrorCode::Quota, "share-past-formats"));
    assert!(
        refused > 0 && kept.len() > 1,
        "{refused} times without memory, {} kept",
        kept.len()
    );
    // What it holds is still there, of the past and of the present: the source has shown many pictures since.
    for frame in &kept {
        let format = (frame.info().coded.height - info(0).coded.height) / 64;
        assert!(
            frame.plane_bytes(0).0.iter().all(|byte| u32::from(*byte) == format),
            "of format {format}"
        );
    }
    assert!(studio.publisher.swept() > 0);
    studio.publisher.close();
    let seen = reads.join().unwrap().expect("who closes its frames is served");
    assert_eq!(seen.len(), 12, "and sees every format: {seen:?}");
    println!(
        "past formats: {} kept, {refused} times without memory, then cut off",
        kept.len()
    );
}

#[test]
fn a_stopped_reader_of_past_formats_does_not_starve_the_source() {
    let studio = Studio::new(24 << 20);
    let mut stopped = studio.reader(4);
    // From here on it does nothing: what it is told lies unread, and what waits for it at the owner's waits.
    studio.show(0);
    let held = next(&mut stopped).unwrap();
    for _ in 0..8 {
        studio.show(0);
    }
    let (mut longest, mut refused) = (Duration::ZERO, 0);
    for format in 1..8 {
        let since = Instant::now();
        refused += studio.show(format);
        longest = longest.max(since.elapsed());
    }
    println!("the longest wait of the source: {longest:?}, {refused} times without memory");
    assert!(refused > 0 && studio.publisher.swept() > 0, "there was memory for all");
    // It is told when it goes on.
    let error = loop {
        match stopped.next(LONG) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "share-past-formats");
    drop(held);
    drop(stopped);
    let deadline = Instant::now() + LONG;
    while studio.arena.stats().live > 0 {
        assert!(Instant::now() < deadline, "{:?}", studio.arena.stats());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Room for the source and what one reader holds in one format, and for the source, but not for a reader, in another.
const ONE_AND_A_HALF: u64 = 18 << 20;

/// Whether a frame of the new format comes within a time.
fn comes(reader: &mut Reader, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        match reader.next(left).unwrap() {
            Next::Frame(frame, _) if frame.info().coded == info(8).coded => return true,
            _ => {}
        }
    }
    false
}

#[test]
fn a_reader_is_not_refused_while_the_format_before_still_goes() {
    let studio = Studio::new(ONE_AND_A_HALF);
    let mut reader = studio.reader(4);
    studio.show(0);
    drop(next(&mut reader).unwrap());
    // Somebody in this process is slow.
    let slow: Vec<_> = (0..2)
        .map(|_| studio.pool.acquire(info(0), Wait::Grow).unwrap())
        .collect();
    studio.show(8);
    assert!(
        !comes(&mut reader, Duration::from_millis(300)),
        "there was room for both"
    );
    drop(slow);
    let deadline = Instant::now() + LONG;
    loop {
        studio.show(8);
        if comes(&mut reader, Duration::from_millis(20)) {
            break;
        }
        assert!(Instant::now() < deadline, "the new format never came");
    }
    let info = studio.publisher.readers().remove(0);
    assert!(info.dropped > 0, "what it could not be given is counted: {info:?}");
}

#[test]
fn who_finds_no_room_in_the_next_format_is_told_in_time() {
    let studio = Studio::new(ONE_AND_A_HALF);
    let mut reader = studio.reader(4);
    studio.show(0);
    drop(next(&mut reader).unwrap());
    let kept: Vec<_> = (0..2)
        .map(|_| studio.pool.acquire(info(0), Wait::Grow).unwrap())
        .collect();
    // The source pauses then: it is told all the same.
    let since = Instant::now();
    studio.show(8);
    let error = loop {
        match reader.next(LONG) {
            Ok(Next::Caps(_)) => {}
            Ok(other) => panic!("{other:?} instead of a refusal"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), error.reason()), (ErrorCode::Quota, "share-budget"));
    assert!(since.elapsed() >= Duration::from_secs(1), "it was given time");
    drop(kept);
}

#[test]
fn who_was_refused_takes_no_memory_of_the_formats_after() {
    let studio = Studio::new(ONE_AND_A_HALF);
    let mut reader = studio.reader(4);
    studio.show(0);
    drop(next(&mut reader).unwrap());
    let kept = studio.pool.acquire(info(0), Wait::Grow).unwrap();
    studio.show(8);
    let refused = loop {
        match reader.next(LONG) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(refused.reason(), "share-budget");
    drop(kept);
    let before = studio.arena.stats().slots;
    studio.show(3);
    let after = studio.arena.stats().slots;
    assert!(after <= before + u64::from(SLOTS), "{before} slots, then {after}");
}

#[test]
fn a_hello_that_is_refused_costs_no_other_reader_anything() {
    let studio = Studio::new(40 << 20);
    let mut keeps = studio.reader(2);
    studio.show(0);
    let held = next(&mut keeps).unwrap();
    studio.show(1);
    for _ in 0..4 {
        let pool = Arena::default().pool(PoolConfig::new("greedy"));
        let greedy = ReaderOptions {
            hold: 32,
            queue: 32,
            policy: ClientPolicy::DropNewest,
            ..ReaderOptions::default()
        };
        let refused = Reader::connect(studio.publisher.place(), &pool, greedy, &|| false).unwrap_err();
        assert_eq!(refused.reason(), "share-budget");
        thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(studio.publisher.swept(), 0);
    studio.show(1);
    drop((next(&mut keeps).unwrap(), held));
}

/// What the threads of shares have run, in ms.
fn ran_ms() -> u64 {
    let mut ns = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        if read("comm").trim() == "bl-link" {
            ns += read("schedstat")
                .split(' ')
                .next()
                .map_or(0, |ns| ns.parse::<u64>().unwrap_or(0));
        }
    }
    ns / 1_000_000
}

#[test]
fn a_share_whose_readers_wait_for_memory_sleeps_meanwhile() {
    let studio = Studio::new(ONE_AND_A_HALF);
    let mut reader = studio.reader(4);
    studio.show(0);
    drop(next(&mut reader).unwrap());
    let kept = studio.pool.acquire(info(0), Wait::Grow).unwrap();
    studio.show(8);
    let before = ran_ms();
    thread::sleep(Duration::from_secs(1));
    let ran = ran_ms() - before;
    println!("ran for {ran} ms of a second");
    assert!(ran < 300, "{ran} ms");
    drop(kept);
}

#[test]
fn what_a_producer_finds_no_memory_for_costs_the_readers_of_its_own_share_alone() {
    let studio = Studio::new(40 << 20);
    let mut keeps = studio.reader(2);
    studio.show(0);
    let held = next(&mut keeps).unwrap();
    studio.show(1);
    drop(next(&mut keeps).unwrap());

    let hosted = studio.hosts();
    let pool = Arena::default().pool(PoolConfig::new("producer"));
    let options = ProducerOptions::default();
    let mut producer = Producer::connect(hosted.place(), &pool, Caps::unknown(), options, &|| false).unwrap();
    let mut keeps_hosted = reader_of(&hosted, 2);
    let frame = producer.frame(info(0), LONG).unwrap().unwrap().freeze();
    producer.publish(&frame).unwrap();
    let held_hosted = next(&mut keeps_hosted).unwrap();
    drop(frame);
    // Eight of 1.75 MiB: as much as there is when the share's own past is gone, and not before.
    let large = FrameInfo::new(PixelFormat::GRAY8, Size::new(1024, 1664));
    let granted = producer.frame(large, LONG).unwrap();
    assert!(granted.is_some(), "it waits for good");
    let error = loop {
        match keeps_hosted.next(LONG) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "share-past-formats");
    assert!(hosted.swept() > 0);
    // The other share's keeps as old a frame, and reads on: also when its thread has had the time to look.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(studio.publisher.swept(), 0);
    studio.show(1);
    drop((next(&mut keeps).unwrap(), held, held_hosted));
}
