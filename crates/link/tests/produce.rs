//! A client that fills frames in the owner's memory.

mod raw;
mod studio;

use beamline_arena::{Access, Segment};
use beamline_link::{Error, Next, Produced, ProducerOptions};
use beamline_media::{Caps, ErrorCode, PixelFormat, Size};
use raw::{Raw, hello_of_producer};
use rustix::net::Shutdown;
use std::{
    thread,
    time::{Duration, Instant},
};
use studio::{SIZE, SOON, Studio, caps, fill, info, next};

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
fn what_a_producer_has_filled_is_never_written_in_its_place_by_the_owner() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let frame = fill(&mut producer, 7, SIZE);
    producer.publish(&frame).unwrap();
    drop(frame);
    drop(producer);
    studio.until_live(1);
    // Nobody else holds it, but a process that maps it might write it beside us.
    let frame = studio
        .frame()
        .try_into_mut()
        .expect_err("it is the producer's to write");
    assert_eq!(frame.plane_bytes(0).0[0], 7);
}
