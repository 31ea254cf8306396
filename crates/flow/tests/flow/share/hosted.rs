//! A capture whose frames another process fills in our memory: the host, its producer, others that read beside it.

use super::{next, open, place, read, sum, until};
use crate::support::{LONG, pattern, runtime};
use beamline_flow::{
    CaptureOptions, CaptureSession, Error, FrameStream, Patience, Policy, Pop, Runtime, SharedOutput, SharedTrackConfig,
};
use beamline_io::Cancel;
use beamline_media::{FrameInfo, PixelFormat, Rational, Size};
use std::{
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);

fn host(runtime: &Runtime, path: &str) -> (CaptureSession, FrameStream) {
    let session = open(runtime, &format!("shared:{path}?host=true"));
    let options = CaptureOptions {
        queue: Some(64),
        policy: Some(Policy::DropOldest),
        label: None,
    };
    let stream = session.frames(options).unwrap();
    (session, stream)
}

fn output(runtime: &Runtime, path: &str) -> SharedOutput {
    let output = SharedOutput::create(runtime, path, None).unwrap();
    let config = SharedTrackConfig {
        width: Some(SIZE.width),
        height: Some(SIZE.height),
        frame_rate: Rational::new(25, 1),
    };
    output.add_video(config).unwrap();
    output
}

fn patience() -> Patience {
    Patience {
        timeout: LONG,
        cancel: Cancel::new(),
    }
}

fn draw(output: &SharedOutput, number: u8) -> beamline_media::Frame {
    let info = FrameInfo {
        timestamp_us: Some(i64::from(number) * 40_000),
        ..FrameInfo::new(PixelFormat::I420, SIZE)
    };
    let mut frame = output.frame(info, Some(&patience())).unwrap();
    (0..3).for_each(|plane| frame.plane_mut(plane).0.fill(number));
    frame.freeze()
}

#[test]
fn a_host_and_its_readers_see_what_a_producer_draws_in_the_hosts_memory_without_a_copy() {
    // Two runtimes, as two processes have.
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (session, stream) = host(&ours, &place.path);
    let output = output(&theirs, &place.path);
    let (_reader, beside) = read(&theirs, &place.path);
    for number in 1..=50 {
        let drawn = draw(&output, number);
        assert!(!output.must_copy(&drawn));
        output.write(&drawn, None).unwrap();
        let (owned, read) = (next(&stream), next(&beside));
        assert_eq!([sum(&owned), sum(&read)], [sum(&drawn), sum(&drawn)]);
        assert_eq!(owned.info(), drawn.info());
    }
    assert_eq!(
        (session.caps().size, session.caps().frame_rate),
        (SIZE, Rational::new(25, 1))
    );
    assert_eq!((output.stats().frames, output.stats().copies), (50, 0));
    assert_eq!((ours.copies.get(), theirs.copies.get()), (0, 0));
    output.close();
    assert!(matches!(stream.pop_timeout(LONG), Pop::End(None)));
    session.close();
    assert!(session.wait_closed(LONG));
    until("the return of all memory", || ours.arena.stats().live == 0);
}

#[test]
fn what_lies_elsewhere_is_copied_once_into_the_hosts_memory() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (_session, stream) = host(&ours, &place.path);
    let output = output(&theirs, &place.path);
    let captured = pattern(&theirs, "pattern:ball?width=64&height=32&live=false&frames=1").remove(0);
    assert!(output.must_copy(&captured));
    output.write(&captured, Some(&patience())).unwrap();
    assert_eq!(sum(&next(&stream)), sum(&captured));
    assert_eq!((output.stats().copies, ours.copies.get()), (1, 0));
}

#[test]
fn a_producer_that_gives_up_is_an_error_of_the_host_and_the_name_is_free() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (session, stream) = host(&ours, &place.path);
    let output = output(&theirs, &place.path);
    let drawn = draw(&output, 1);
    output.write(&drawn, None).unwrap();
    assert_eq!(sum(&next(&stream)), sum(&drawn));
    let second = SharedOutput::create(&theirs, &place.path, None).unwrap_err();
    assert_eq!(second.reason(), "share-produced");
    output.abort();
    let Pop::End(Some(error)) = stream.pop_timeout(LONG) else {
        panic!("an end without a reason");
    };
    assert_eq!(error.reason(), "output-aborted");
    session.close();
    assert!(session.wait_closed(LONG));
    SharedOutput::create(&theirs, &place.path, None).unwrap().close();
}

#[test]
fn a_host_that_closes_is_told_to_its_producer() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (session, stream) = host(&ours, &place.path);
    let output = output(&theirs, &place.path);
    output.write(&draw(&output, 1), None).unwrap();
    drop(next(&stream));
    session.close();
    assert!(session.wait_closed(LONG));
    let info = FrameInfo {
        timestamp_us: Some(80_000),
        ..FrameInfo::new(PixelFormat::I420, SIZE)
    };
    until("the word of it", || {
        let written = output
            .frame(info, None)
            .and_then(|frame| output.write(&frame.freeze(), None));
        written.is_err_and(|e| e.reason() == "host-closed")
    });
}

/// Who waits for a slot sleeps at the link, of several one; what comes back, and a cancel, ends the wait of whom it concerns at once.
#[test]
fn those_who_wait_for_a_slot_of_a_host_are_woken_and_so_is_one_that_is_cancelled() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (_session, _stream) = host(&ours, &place.path);
    let output = output(&theirs, &place.path);
    let info = FrameInfo::new(PixelFormat::I420, SIZE);
    let pause = Duration::from_millis(50);
    // As many as are granted ahead.
    let mut drawing: Vec<_> = (0..4).map(|_| output.frame(info, Some(&patience())).unwrap()).collect();
    assert!(output.frame(info, None).is_err(), "no more come");
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| output.frame(info, Some(&patience()))))
            .collect();
        thread::sleep(pause);
        assert!(waiting.iter().all(|w| !w.is_finished()));
        let begin = Instant::now();
        drawing.truncate(1);
        drawing.extend(waiting.into_iter().map(|w| w.join().unwrap().unwrap()));
        assert!(begin.elapsed() < LONG / 4, "{:?}", begin.elapsed());
    });
    let patience = patience();
    let took = thread::scope(|scope| {
        let others: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| output.frame(info, Some(&patience)).err()))
            .collect();
        thread::sleep(pause);
        assert!(others.iter().all(|w| !w.is_finished()));
        let begin = Instant::now();
        patience.cancel.cancel();
        for other in others {
            assert!(matches!(other.join().unwrap(), Some(Error::Cancelled)));
        }
        begin.elapsed()
    });
    // Not when one of them looked for himself again.
    assert!(took < Duration::from_millis(150), "{took:?}");
}
