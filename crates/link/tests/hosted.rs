//! The owner that takes producers: who may join it and how, what is known before anything comes, how it ends.

mod studio;

use beamline_arena::{Arena, PoolConfig};
use beamline_link::{Limits, Next, Place, Produced, Producer, ProducerOptions, Publisher, Reader};
use beamline_media::{Caps, ErrorCode, PixelFormat, Rational, Size};
use std::{
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};
use studio::{SIZE, SOON, Studio, caps, fill, info, next};

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
fn a_host_that_closes_is_the_end_for_its_producer_and_no_death() {
    for writes in [false, true] {
        let studio = Studio::new();
        let mut producer = studio.producer();
        let frame = fill(&mut producer, 1, SIZE);
        producer.publish(&frame).unwrap();
        drop((frame, studio.frame()));
        studio.publisher.close();
        let deadline = Instant::now() + SOON;
        let error = loop {
            let outcome = if writes {
                let caps = Caps::raw(PixelFormat::I420, Size::new(128, 64));
                producer.set_caps(&caps).and_then(|()| producer.set_caps(&self::caps()))
            } else {
                producer.frame(info(2, SIZE), Duration::ZERO).map(drop)
            };
            match outcome {
                Err(error) => break error,
                // It may not have read all of that yet.
                Ok(()) => assert!(Instant::now() < deadline, "it is never told"),
            }
        };
        assert_eq!((error.code(), error.reason()), (ErrorCode::InvalidState, "host-closed"));
        // And so every time.
        assert_eq!(producer.frame(info(3, SIZE), SOON).unwrap_err().reason(), "host-closed");
        assert_eq!(producer.end().unwrap_err().reason(), "host-closed");
    }
}

#[test]
fn what_comes_is_not_known_before_a_producer_says_it() {
    let studio = Studio::hosting(u64::MAX, Caps::unknown(), Limits::default());
    let mut reader = studio.reader();
    assert_eq!(*reader.caps(), Caps::unknown());
    assert_eq!(Reader::look(studio.publisher.place()).unwrap().0, Caps::unknown());
    let pool = Arena::default().pool(PoolConfig::new("producer"));
    let options = ProducerOptions::default();
    let place = studio.publisher.place();
    let mut producer = Producer::connect(place, &pool, Caps::unknown(), options, &|| false).unwrap();
    assert_eq!(
        studio.arena.stats().slots,
        0,
        "nothing is granted for pictures of no size"
    );
    assert_eq!(producer.memory(), (0, 0));
    // Its size may be known before its format.
    let sized = Caps {
        size: SIZE,
        ..Caps::unknown()
    };
    producer.set_caps(&sized).unwrap();
    let mut told = || match reader.next(SOON).unwrap() {
        Next::Caps(caps) => caps,
        other => panic!("{other:?} instead of a format"),
    };
    assert_eq!(told(), sized);
    let frame = fill(&mut producer, 1, SIZE);
    producer.publish(&frame).unwrap();
    assert_eq!(told(), caps());
    assert_eq!(next(&mut reader).0.info(), frame.info());
    let (slots, open) = producer.memory();
    assert!(slots >= 4, "{slots}");
    assert_eq!(open, 1);
    drop(frame);
    assert_eq!(producer.memory().1, 0);
}

#[test]
fn an_inherited_end_is_good_for_one_that_produces() {
    let studio = Studio::new();
    let end = studio.publisher.invite().unwrap();
    let number = u32::try_from(end.as_raw_fd()).unwrap();
    let pool = Arena::default().pool(PoolConfig::new("producer"));
    let inherit = || Producer::inherit(number, &pool, caps(), ProducerOptions::default(), &|| false);
    let mut producer = inherit().unwrap();
    assert_eq!(inherit().unwrap_err().reason(), "share-fd-used");
    let clients = studio.publisher.readers();
    assert_eq!(
        clients
            .iter()
            .map(|c| (c.pid.unsigned_abs(), c.produces))
            .collect::<Vec<_>>(),
        [(std::process::id(), true)]
    );
    let frame = fill(&mut producer, 5, SIZE);
    producer.publish(&frame).unwrap();
    assert_eq!(studio.frame().plane_bytes(0).0[0], 5);
    producer.end().unwrap();
    assert!(matches!(studio.produced.recv_timeout(SOON).unwrap(), Produced::End));
    let again = Producer::from_fd(
        studio.publisher.invite().unwrap(),
        &pool,
        caps(),
        ProducerOptions::default(),
        &|| false,
    );
    assert_eq!(again.unwrap_err().reason(), "share-ended");
}

#[test]
fn a_producers_end_is_the_end_for_whoever_joins_later() {
    let studio = Studio::new();
    let mut producer = studio.producer();
    let place = studio.publisher.place();
    producer.end().unwrap();
    assert!(matches!(studio.produced.recv_timeout(SOON).unwrap(), Produced::Caps(_)));
    assert!(matches!(studio.produced.recv_timeout(SOON).unwrap(), Produced::End));
    drop(producer);
    // Who fills is refused, and not told later that the host has closed: it has not.
    let look = Producer::look(place).unwrap_err();
    assert_eq!((look.code(), look.reason()), (ErrorCode::InvalidState, "share-ended"));
    // Who reads hears the end.
    let mut reader = studio.reader();
    assert!(matches!(reader.next(SOON).unwrap(), Next::End));
    studio.publisher.close();
    let closed = studio.publisher.invite().unwrap_err();
    assert_eq!((closed.code(), closed.reason()), (ErrorCode::InvalidState, "closed"));
}

#[test]
fn an_owner_that_is_stopped_hears_the_newest_format_and_the_end_when_it_goes_on() {
    const FORMATS: u32 = 3000;
    let rated = |rate: u32| Caps {
        frame_rate: Some(Rational { num: rate, den: 1 }),
        ..caps()
    };
    let studio = Studio::new();
    let stopped = studio.gate.lock().unwrap();
    let mut producer = studio.producer();
    for rate in 1..=FORMATS {
        // More than a socket holds: none of them waits, and none is an error.
        producer.set_caps(&rated(rate)).unwrap();
    }
    producer.end().unwrap();
    drop(producer);
    drop(stopped);
    let (mut formats, mut newest) = (0, None);
    let last = loop {
        match studio.produced.recv_timeout(SOON).unwrap() {
            Produced::Caps(caps) => {
                formats += 1;
                newest = Some(caps);
            }
            last => break last,
        }
    };
    assert!(matches!(last, Produced::End), "{last:?}");
    assert_eq!(newest, Some(rated(FORMATS)));
    assert!(formats < FORMATS, "its socket was never full");
}

#[test]
fn pictures_so_large_that_a_whole_segment_of_them_does_not_fit_are_granted_as_far_as_they_do() {
    let size = Size::new(1024, 1024);
    let three = 5 << 20;
    let studio = Studio::with(three);
    let mut producer = studio.producer();
    let mut next = |number, patience| producer.frame(info(number, size), patience).unwrap();
    let frames: Vec<_> = (0..3).map(|number| next(number, SOON).unwrap()).collect();
    assert!(next(3, SOON / 20).is_none(), "of 1.5 MiB each, in 5 MiB");
    // And they come back.
    drop(frames);
    let frame = fill(&mut producer, 9, size);
    producer.publish(&frame).unwrap();
    assert_eq!(studio.frame().info().coded, size);
}

#[test]
fn who_produces_takes_no_readers_place_and_may_look_before_he_joins() {
    let limits = Limits {
        clients: 1,
        ..Limits::default()
    };
    let studio = Studio::hosting(u64::MAX, caps(), limits);
    let place = studio.publisher.place();
    let _reader = studio.reader();
    assert_eq!(studio.joins().unwrap_err().reason(), "share-full");
    Producer::look(place).unwrap();
    let producer = studio.producer();
    assert_eq!(Producer::look(place).unwrap_err().reason(), "share-produced");
    drop(producer);
    // Looking is no joining: nothing was told of one that has gone but the one that was there.
    let told: Vec<_> = studio.produced.iter().take(2).collect();
    assert!(matches!(told[..], [Produced::Caps(_), Produced::Failed(_)]), "{told:?}");
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
