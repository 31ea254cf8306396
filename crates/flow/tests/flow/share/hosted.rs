//! A capture whose frames another process fills in our memory: the host, its producer, others that read beside it.

use super::{next, open, place, read, sum, until};
use crate::support::{LONG, pattern, runtime};
use beamline_flow::{
    CaptureOptions, CaptureSession, Error, FrameStream, Patience, Policy, Pop, Runtime, SharedOutput, SharedTrackConfig,
};
use beamline_io::Cancel;
use beamline_media::{Caps, ErrorCode, FrameInfo, PixelFormat, Rational, Size};
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
        written.is_err_and(|e| (e.code(), e.reason()) == (ErrorCode::InvalidState, "host-closed"))
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

#[test]
fn a_host_knows_who_fills_and_who_reads_and_a_guest_knows_that_it_does_not() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (session, stream) = host(&ours, &place.path);
    assert_eq!(session.clients(), Some(Vec::new()));
    let output = output(&theirs, &place.path);
    let (_reader, beside) = read(&theirs, &place.path);
    assert_eq!(_reader.clients(), None);
    output.write(&draw(&output, 1), None).unwrap();
    let held = [next(&stream), next(&beside)];
    let clients = session.clients().unwrap();
    let [(true, _, _), (false, 1, 1)] = clients
        .iter()
        .map(|c| (c.produces, c.held, c.granted))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{clients:?}");
    };
    assert!(output.stats().clients.is_none() && output.stats().swept.is_none());
    drop(held);
    session.close();
    assert!(session.wait_closed(LONG));
    assert_eq!(session.clients(), Some(Vec::new()));
    assert_eq!(session.invite().unwrap_err().reason(), "closed");
}

#[test]
fn the_host_says_how_many_may_read_and_a_guest_that_would_say_it_is_refused() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let session = open(&ours, &format!("shared:{}?host=true&clients=1", place.path));
    let stream = session.frames(CaptureOptions::default()).unwrap();
    for path in [&place.path, "fd:3"] {
        let error = SharedOutput::create(&theirs, path, Some(5)).unwrap_err();
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::InvalidConfig, "invalid-argument")
        );
    }
    let output = output(&theirs, &place.path);
    let (_reader, _frames) = read(&theirs, &place.path);
    let request = theirs.backends.parse(&format!("shared:{}", place.path)).unwrap();
    let error = CaptureSession::open(&theirs, &request, Cancel::new()).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Quota, "share-full"));
    for wrong in ["clients=0", "clients=1025", "clients=few", "width=64"] {
        let request = ours.backends.parse(&format!("shared:{}?host=true&{wrong}", place.path));
        assert_eq!(request.unwrap_err().code(), ErrorCode::InvalidConfig, "{wrong}");
    }
    // Nobody was told that somebody had come and gone.
    output.write(&draw(&output, 1), None).unwrap();
    assert_eq!(next(&stream).info().coded, SIZE);
}

#[test]
fn a_guest_by_an_inherited_end_fills_its_host() {
    use std::os::fd::AsRawFd;
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (session, stream) = host(&ours, &place.path);
    let end = session.invite().unwrap();
    let output = output(&theirs, &format!("fd:{}", end.as_raw_fd()));
    let drawn = draw(&output, 3);
    output.write(&drawn, None).unwrap();
    assert_eq!(sum(&next(&stream)), sum(&drawn));
    output.close();
    assert!(matches!(stream.pop_timeout(LONG), Pop::End(None)));
    let error = SharedOutput::create(&theirs, "fd:three", None).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    let local = open(&ours, "pattern:ball?width=64&height=32");
    assert_eq!(local.invite().unwrap_err().reason(), "not-hosted");
}

#[test]
fn what_a_guest_waits_for_in_vain_is_told_with_the_frames_that_it_has_open() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let _session = open(&ours, &format!("shared:{}?host=true", place.path));
    let output = output(&theirs, &place.path);
    let info = FrameInfo {
        timestamp_us: Some(0),
        ..FrameInfo::new(PixelFormat::GRAY8, SIZE)
    };
    let short = Patience {
        timeout: Duration::from_millis(300),
        cancel: Cancel::new(),
    };
    let mut drawn = Vec::new();
    let error = loop {
        match output.frame(info, Some(&short)) {
            Ok(frame) => drawn.push(frame),
            Err(error) => break error,
        }
        assert!(drawn.len() < 64, "as many as are granted ahead");
    };
    let Error::Held { frames, readers, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*frames as usize, *readers), (drawn.len(), None));
    assert!(!drawn.is_empty());
    assert!(error.to_string().contains("its host grants no more"), "{error}");
    drop(drawn);
    drop(output.frame(info, Some(&short)).unwrap());
}

#[test]
fn a_capture_that_is_hosted_knows_its_format_when_the_producer_says_it() {
    let (ours, theirs, place) = (runtime(), runtime(), place());
    let (session, stream) = host(&ours, &place.path);
    let (reader, beside) = read(&theirs, &place.path);
    assert_eq!([session.caps(), reader.caps()], [Caps::unknown(), Caps::unknown()]);
    let output = output(&theirs, &place.path);
    let sized = Caps {
        size: SIZE,
        frame_rate: Rational::new(25, 1),
        ..Caps::unknown()
    };
    until("what was said before the first frame", || {
        [session.caps(), reader.caps()] == [sized.clone(), sized.clone()]
    });
    output.write(&draw(&output, 1), None).unwrap();
    drop((next(&stream), next(&beside)));
    for caps in [session.caps(), reader.caps()] {
        assert_eq!((caps.pixel_format, caps.size), (Some(PixelFormat::I420), SIZE));
    }
    assert_eq!([session.changes(), reader.changes()], [2, 2], "each is told once");
}
