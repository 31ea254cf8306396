//! An owner that lies to one that produces for it.

mod false_owner;
mod raw;

use beamline_arena::grant::{Entry, WORDS};
use beamline_media::{ErrorCode, FrameInfo, PixelFormat};
use false_owner::{Owner, SEALED, SIZE, SLOT, is_typed, memfd, segment};
use rustix::fd::AsFd;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The entry that grants an empty slot of segment 0.
fn empty_slot(slot: u64) -> Entry {
    let mut words = [0; WORDS];
    words[8] = slot << 16;
    words
}

#[test]
fn an_owner_that_never_stops_telling_does_not_keep_a_producer() {
    let owner = Owner::new();
    let (mut producer, raw) = owner.welcomed_to_fill();
    let memory = memfd(2 * SLOT, SEALED);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let told = scope.spawn(|| {
            let segment = segment(0, SLOT as u64, 2);
            let forget = b"{\"kind\":\"forget\",\"number\":0}";
            for number in 0.. {
                loop {
                    if stop.load(Ordering::Relaxed) {
                        return number;
                    }
                    let sent = match number % 2 {
                        0 => raw.send_with(&segment, &[memory.as_fd()]),
                        _ => raw.send(forget),
                    };
                    if sent.is_ok() {
                        break;
                    }
                }
            }
            0
        });
        let mut worst = Duration::ZERO;
        for _ in 0..50 {
            let began = Instant::now();
            match producer.frame(FrameInfo::new(PixelFormat::I420, SIZE), Duration::from_millis(10)) {
                Ok(frame) => assert!(frame.is_none(), "nothing was granted"),
                Err(error) => is_typed(&error),
            }
            worst = worst.max(began.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        let told = told.join().unwrap();
        assert!(worst < Duration::from_secs(1), "{worst:?}");
        assert!(told > 1000, "too few to tell: {told}");
    });
}

#[test]
fn an_owner_that_grants_more_than_was_asked_for_is_a_typed_error() {
    let owner = Owner::new();
    let (mut producer, raw) = owner.welcomed_to_fill();
    let memory = memfd(64 * SLOT, SEALED);
    raw.send_with(&segment(0, SLOT as u64, 64), &[memory.as_fd()]).unwrap();
    let info = FrameInfo::new(PixelFormat::I420, SIZE);
    owner.tell.tell(0, &empty_slot(0));
    let drawing = producer.frame(info, Duration::from_secs(1)).unwrap();
    assert!(drawing.is_some(), "as long as it is honest");
    for number in 1..64u32 {
        owner.tell.tell(number, &empty_slot(u64::from(number)));
    }
    let error = producer.frame(info, Duration::from_secs(1)).unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::Data, "share-protocol"),
        "{error}"
    );
    // And one that is out already.
    let owner = Owner::new();
    let (mut producer, raw) = owner.welcomed_to_fill();
    raw.send_with(&segment(0, SLOT as u64, 64), &[memory.as_fd()]).unwrap();
    owner.tell.tell(0, &empty_slot(7));
    owner.tell.tell(1, &empty_slot(7));
    let error = producer.frame(info, Duration::from_secs(1)).unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (ErrorCode::Data, "share-protocol"),
        "{error}"
    );
}
