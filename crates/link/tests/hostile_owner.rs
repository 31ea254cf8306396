//! An owner that lies: its readers end with a typed error, in time, and never look outside the memory that they were given.

mod false_owner;
mod raw;

use beamline_arena::{Access, grant::WORDS};
use beamline_link::{Next, Reader, ReaderOptions, WireCaps};
use beamline_media::ErrorCode;
use false_owner::{
    Owner, SEALED, SLOT, caps, honest_entry, in_order, is_typed, memfd, segment, touch, welcome, welcome_to,
};
use raw::{Chance, Raw};
use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::{OFlags, SealFlags},
    net::accept,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

#[test]
fn a_welcome_that_cannot_be_is_a_typed_error() {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
    let (short, open) = (memfd(4096, SEALED), memfd(1 << 20, SealFlags::empty()));
    let large = memfd(1 << 20, SEALED);
    let owner = Owner::new();
    let [tell, returns, bell] = owner.fds();
    let (null, short, open, large) = (null.as_fd(), short.as_fd(), open.as_fd(), large.as_fd());
    let text = |text: &str| text.as_bytes().to_vec();
    let as_said = String::from_utf8(welcome()).unwrap();
    let all = vec![tell, returns, bell];
    let format = |slug: &str| WireCaps {
        format: Some(slug.into()),
        ..caps()
    };
    let width = |width: u32| WireCaps { width, ..caps() };
    let cases: Vec<(Vec<u8>, Vec<BorrowedFd<'_>>)> = vec![
        (text("{}"), vec![]),
        (text("\u{1f3a5}"), vec![]),
        (vec![0xff; 100], vec![tell, returns, bell]),
        ("[".repeat(4096).into_bytes(), vec![]),
        (vec![b' '; 5000], vec![]),
        (text("{\"kind\":\"end\"}"), vec![]),
        (segment(0, 4096, 1), vec![large]),
        (welcome(), vec![]),
        (welcome(), vec![tell]),
        (welcome(), vec![tell, returns]),
        (welcome(), vec![tell, returns, bell, bell]),
        (welcome(), vec![null, returns, bell]),
        (welcome(), vec![tell, null, bell]),
        (welcome(), vec![tell, returns, null]),
        (welcome(), vec![tell, returns, large]),
        (welcome(), vec![bell, bell, bell]),
        (welcome(), vec![short, returns, bell]),
        (welcome(), vec![tell, short, bell]),
        (welcome(), vec![open, returns, bell]),
        (welcome(), vec![tell, open, bell]),
        // Mapped for writing it cannot be.
        (welcome(), vec![tell, tell, bell]),
        (welcome_to(&format("i421")), all.clone()),
        (welcome_to(&width(0)), all.clone()),
        (welcome_to(&width(u32::MAX)), all.clone()),
        // Half a size, and no format.
        (
            welcome_to(&WireCaps {
                format: None,
                ..width(0)
            }),
            all.clone(),
        ),
        (text(&as_said.replace("\"width\":64", "\"width\":-64")), all.clone()),
        (text(&as_said.replace("\"width\":64", "\"width\":1e99")), all),
    ];
    for (case, (words, fds)) in cases.iter().enumerate() {
        let joined = thread::scope(|scope| {
            let lie = scope.spawn(|| {
                let raw = owner.accept();
                raw.send_with(words, fds).unwrap();
                raw
            });
            let joined = owner.join(ReaderOptions::default());
            drop(lie.join().unwrap());
            joined
        });
        let error = joined.err().unwrap_or_else(|| panic!("case {case} was believed"));
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::Data, "share-protocol"),
            "case {case}: {error}"
        );
    }
}

#[test]
fn memory_that_cannot_be_is_a_typed_error() {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    let (good, open) = (memfd(2 * SLOT, SEALED), memfd(2 * SLOT, SealFlags::GROW));
    let huge = memfd(1 << 43, SEALED);
    let (size, max) = (SLOT as u64, u64::MAX);
    let cases: Vec<(Vec<u8>, Option<BorrowedFd<'_>>)> = vec![
        (segment(0, size, 2), None),
        (segment(0, size, 2), Some(null.as_fd())),
        (segment(0, size, 2), Some(file.as_fd())),
        (segment(0, size, 2), Some(open.as_fd())),
        (segment(0, size, 3), Some(good.as_fd())),
        (segment(0, 2 * size, 2), Some(good.as_fd())),
        (segment(0, size - 1, 2), Some(good.as_fd())),
        (segment(0, 0, 2), Some(good.as_fd())),
        (segment(0, max, 1), Some(good.as_fd())),
        (segment(0, max / 4096 * 4096, 64), Some(good.as_fd())),
        (segment(0, 1 << 37, 64), Some(huge.as_fd())),
        (segment(0, size, 0), Some(good.as_fd())),
        (segment(0, 4096, 65), Some(good.as_fd())),
        (segment(0, 1, u64::from(u32::MAX)), Some(good.as_fd())),
        (segment(64, size, 2), Some(good.as_fd())),
        (segment(u64::from(u32::MAX), size, 2), Some(good.as_fd())),
        (segment(max, size, 2), Some(good.as_fd())),
    ];
    for access in [Access::Read, Access::Private] {
        for (case, (words, fd)) in cases.iter().enumerate() {
            let owner = Owner::new();
            let (mut reader, raw) = owner.welcomed(in_order(access));
            raw.send_with(words, fd.as_slice()).unwrap();
            let error = reader.next(Duration::from_secs(5)).unwrap_err();
            assert_eq!(
                (error.code(), error.reason()),
                (ErrorCode::Data, "share-protocol"),
                "case {case}: {error}"
            );
        }
        // The same number twice.
        let owner = Owner::new();
        let (mut reader, raw) = owner.welcomed(in_order(access));
        for _ in 0..2 {
            raw.send_with(&segment(0, size, 2), &[good.as_fd()]).unwrap();
        }
        let error = reader.next(Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Data, "{error}");
    }
}

#[test]
fn a_ring_full_of_lies_is_a_typed_error_or_a_frame_within_its_slots() {
    let honest = honest_entry();
    for access in [Access::Read, Access::Private] {
        let owner = Owner::new();
        let (mut reader, raw) = owner.welcomed(in_order(access));
        let memory = memfd(2 * SLOT, SEALED);
        raw.send_with(&segment(0, SLOT as u64, 2), &[memory.as_fd()]).unwrap();
        let (mut chance, mut frames, mut errors) = (Chance::new(7), 0, 0);
        for number in 0..20_000u32 {
            let mut entry = honest;
            // The first as it should be, then more and more wrong.
            for _ in 0..(number.min(1) + number / 5000) {
                let word = &mut entry[chance.below(WORDS as u64) as usize];
                *word = match chance.below(4) {
                    0 => chance.next(),
                    1 => *word ^ 1 << chance.below(64),
                    2 => chance.below(1 << 16),
                    _ => u64::MAX >> chance.below(64),
                };
            }
            owner.tell.tell(number, &entry);
            match reader.next(Duration::ZERO) {
                Ok(Next::Frame(frame, _) | Next::Handed(frame, _)) => {
                    touch(&frame);
                    frames += 1;
                }
                Ok(other) => panic!("{other:?} instead of what was told"),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::Data, "{error}");
                    errors += 1;
                }
            }
        }
        assert!(frames > 100 && errors > 100, "{frames} frames, {errors} errors");
    }
}

#[test]
fn entries_that_were_written_over_unread_ones_are_a_typed_error() {
    for ahead in [200, 1 << 20, u32::MAX - 1] {
        let owner = Owner::new();
        let (mut reader, _raw) = owner.welcomed(ReaderOptions::default());
        owner.tell.tell(ahead, &honest_entry());
        let error = reader.next(Duration::from_secs(1)).unwrap_err();
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::Data, "share-protocol"),
            "{error}"
        );
    }
}

#[test]
fn an_owner_that_never_stops_telling_does_not_keep_a_reader() {
    let honest = honest_entry();
    let owner = Owner::new();
    let (mut reader, raw) = owner.welcomed(ReaderOptions::default());
    let memory = memfd(2 * SLOT, SEALED);
    raw.send_with(&segment(0, SLOT as u64, 2), &[memory.as_fd()]).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let caps = serde_json::to_string(&caps()).unwrap();
            let caps = format!("{{\"kind\":\"caps\",{}", &caps[1..]);
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                owner.tell.tell(number, &honest);
                let _ = raw.send(caps.as_bytes());
            }
        });
        let mut worst = Duration::ZERO;
        for _ in 0..50 {
            let began = Instant::now();
            match reader.next(Duration::from_millis(10)) {
                Ok(Next::Frame(frame, _)) => touch(&frame),
                Ok(_) => {}
                Err(error) => is_typed(&error),
            }
            worst = worst.max(began.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(worst < Duration::from_secs(1), "{worst:?}");
    });
}

#[test]
fn who_is_asked_to_come_again_comes_again() {
    let owner = Owner::new();
    let crowded = b"{\"kind\":\"refused\",\"code\":\"Busy\",\"reason\":\"share-crowded\",\"message\":\"try again\"}";
    for fills in [false, true] {
        thread::scope(|scope| {
            let welcoming = scope.spawn(|| {
                // One is sent away after its hello, one before.
                owner.accept().send(crowded).unwrap();
                Raw(accept(&owner.listener).unwrap(), owner.path.clone())
                    .send(crowded)
                    .unwrap();
                owner.welcome(fills)
            });
            let joined = if fills {
                owner.join_to_fill().map(drop)
            } else {
                owner.join(ReaderOptions::default()).map(drop)
            };
            assert!(joined.is_ok(), "{joined:?}");
            drop(welcoming.join().unwrap());
        });
    }
}

#[test]
fn an_owner_that_says_nothing_or_goes_is_told_apart() {
    let owner = Owner::new();
    let looked = thread::scope(|scope| {
        let silent = scope.spawn(|| {
            let raw = owner.accept();
            // Until the other side has given up.
            raw.wait(Duration::from_secs(10));
        });
        let began = Instant::now();
        let looked = Reader::look(&owner.place());
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        silent.join().unwrap();
        looked
    });
    assert_eq!(looked.unwrap_err().code(), ErrorCode::Timeout);
    let (mut reader, raw) = owner.welcomed(ReaderOptions::default());
    drop(raw);
    let error = reader.next(Duration::from_secs(5)).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::DeviceLost, "owner-gone"));
}
