//! Frames from client to client through the owner.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod studio;

use beamline_arena::{Arena, PoolConfig};
use beamline_link::{Error, Next, Produced, Producer, Reader, ReaderOptions};
use beamline_media::{ErrorCode, Frame, FrameInfo, Size};
use std::{
    num::NonZeroU64,
    thread,
    time::{Duration, Instant},
};
use studio::{SIZE, SOON, Studio, fill, info, next};

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

/// One reader that holds a frame, another that has closed its own, and the producer.
fn two_readers(studio: &Studio) -> (Reader, Frame, Reader, Producer) {
    let mut producer = studio.producer();
    let (mut a, mut b) = (studio.reader(), studio.reader());
    let frame = fill(&mut producer, 7, SIZE);
    producer.publish(&frame).unwrap();
    drop((frame, studio.frame(), next(&mut b)));
    let (mine, _) = next(&mut a);
    (a, mine, b, producer)
}

fn is_handed(reader: &mut Reader, number: u8) {
    match reader.next(SOON).unwrap() {
        Next::Handed(frame, _) => assert_eq!(frame.plane_bytes(0).0[0], number),
        other => panic!("{other:?} was handed over"),
    }
}

#[test]
fn who_hands_over_hears_the_answer_though_nobody_reads() {
    let studio = Studio::new();
    let (a, mine, mut b, _producer) = two_readers(&studio);
    // From several threads at once, while the reader does nothing.
    let (passer, to) = (a.passer(), b.id());
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(passer.pass(&mine, to, SOON).unwrap()));
        }
    });
    assert!(begin.elapsed() < SOON / 2, "after {:?}", begin.elapsed());
    (0..3).for_each(|_| is_handed(&mut b, 7));
}

#[test]
fn who_hands_over_hears_the_answer_while_the_reader_sleeps_and_wakes_it_for_nothing() {
    let studio = Studio::new();
    let (mut a, mine, mut b, _producer) = two_readers(&studio);
    let (passer, interrupt, to) = (a.passer(), a.interrupt(), b.id());
    thread::scope(|scope| {
        let reading = scope.spawn(|| a.next(Duration::MAX));
        for _ in 0..50 {
            assert!(passer.pass(&mine, to, SOON).unwrap());
            is_handed(&mut b, 7);
        }
        assert!(!reading.is_finished());
        interrupt.interrupt();
        assert!(matches!(reading.join().unwrap(), Ok(Next::Nothing)));
    });
}

#[test]
fn what_another_hears_of_the_socket_is_still_the_readers() {
    let studio = Studio::new();
    let (mut a, mine, b, mut producer) = two_readers(&studio);
    let large = Size::new(128, 64);
    let frame = fill(&mut producer, 8, large);
    producer.publish(&frame).unwrap();
    drop((frame, studio.frame()));
    producer.end().unwrap();
    assert!(matches!(studio.produced.recv_timeout(SOON).unwrap(), Produced::End));
    // Whoever waits for the answer hears of the format and of the end before it.
    assert!(a.pass(&mine, b.id(), SOON).unwrap());
    let Next::Caps(caps) = a.next(SOON).unwrap() else {
        panic!("the change of format is lost");
    };
    assert_eq!(caps.size, large);
    assert_eq!(next(&mut a).0.info().coded, large);
    assert!(matches!(a.next(SOON).unwrap(), Next::End));
}

#[test]
fn a_frame_on_its_way_is_held_until_the_owner_has_answered_however_late() {
    let studio = Studio::new();
    let (mut a, mine, mut b, mut producer) = two_readers(&studio);
    let gate = studio.gate.lock().unwrap();
    let frame = fill(&mut producer, 8, SIZE);
    producer.publish(&frame).unwrap();
    // The readers have it, then the owner's thread stands still.
    assert_eq!(next(&mut a).0.plane_bytes(0).0[0], 8);
    drop((frame, next(&mut b)));
    let late = a.pass(&mine, b.id(), Duration::from_millis(50)).unwrap_err();
    assert_eq!((late.code(), late.reason()), (ErrorCode::Timeout, "share-silent"));
    drop(mine);
    drop(gate);
    // It was under way: it arrives, and nobody is cut off for it.
    is_handed(&mut b, 7);
    let frame = fill(&mut producer, 9, SIZE);
    producer.publish(&frame).unwrap();
    assert_eq!(next(&mut a).0.plane_bytes(0).0[0], 9);
    drop((frame, a, producer, next(&mut b)));
    (0..2).for_each(|_| drop(studio.frame()));
    studio.until_live(0);
}

#[test]
fn who_waits_for_an_answer_is_told_when_none_can_come() {
    let studio = Studio::new();
    let (mut a, mine, b, mut producer) = two_readers(&studio);
    let gate = studio.gate.lock().unwrap();
    let frame = fill(&mut producer, 8, SIZE);
    producer.publish(&frame).unwrap();
    // From here on the owner's thread stands still.
    drop((frame, next(&mut a)));
    let (passer, to) = (a.passer(), b.id());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| passer.pass(&mine, to, SOON));
        thread::sleep(Duration::from_millis(50));
        drop(a);
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.code(), ErrorCode::Aborted);
    });
    assert_eq!(passer.pass(&mine, to, SOON).unwrap_err().code(), ErrorCode::Aborted);
    drop(gate);
}

#[test]
fn more_than_can_be_on_their_way_at_once_wait_for_a_place_without_an_end_if_they_like() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let (mut a, b) = (studio.reader(), studio.reader());
    let frame = fill(&mut producer, 7, SIZE);
    producer.publish(&frame).unwrap();
    let (mine, _) = next(&mut a);
    let passer = a.passer();
    thread::scope(|scope| {
        let passing: Vec<_> = (0..48)
            .map(|_| scope.spawn(|| passer.pass(&mine, b.id(), Duration::MAX)))
            .collect();
        for thread in passing {
            thread.join().unwrap().expect("an answer");
        }
    });
}
