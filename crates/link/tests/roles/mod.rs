//! What clients play that are killed: one function each, until the end.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

use crate::raw::{Raw, hello};
use beamline_arena::{Arena, Pool, PoolConfig};
use beamline_link::{ClientPolicy, Next, Place, Producer, ProducerOptions, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, PixelFormat, Size};
use std::{env, io::Write, path::Path, thread, time::Duration};

pub(crate) const SIZE: Size = Size::new(64, 32);
/// What a client is dealt: it is connected, and every other one has just said its hello, whose answer none of them reads; it was granted frames and reads none; it holds all that it may; the same, and
/// has raised a counter and not set its bit; it hands frames to another client; it fills frames; it reads and gives back as fast as it can.
pub(crate) const ROLES: [&str; 7] = ["hello", "unread", "holding", BETWEEN, HANDING, "producing", "busy"];
pub(crate) const BETWEEN: &str = "between counter and bit";
pub(crate) const HANDING: &str = "handing over";
/// Frames that a reader may hold.
pub(crate) const HOLD: u32 = 4;
const SOON: Duration = Duration::from_secs(1);

pub(crate) fn options() -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropOldest,
        hold: HOLD,
        take_handed: true,
        ..ReaderOptions::default()
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

fn park() -> ! {
    loop {
        thread::park();
    }
}

/// Bytes of one frame are alike: another's under it would show.
pub(crate) fn check(frame: &Frame) {
    let (bytes, _) = frame.plane_bytes(0);
    assert!(bytes.iter().all(|b| *b == bytes[0]), "a frame changed under its reader");
}

fn next(reader: &mut Reader) -> Frame {
    loop {
        if let Ok(Next::Frame(frame, _)) = reader.next(SOON) {
            check(&frame);
            return frame;
        }
    }
}

/// Plays a role until the end. Says `ready` once it is in the state that its name says.
pub(crate) fn play(role: &str, path: &str) -> ! {
    if role == "hello" {
        let socket = Raw::connect(Path::new(path)).expect("the parent listens");
        if env::var_os("BEAMLINE_KILL_SPEAKS").is_some() {
            socket.send(hello(HOLD).as_bytes()).expect("the parent hears");
        }
        say("ready");
        park()
    }
    let pool = Arena::default().pool(PoolConfig::new("client"));
    let place = Place::new(path).expect("the parent made it");
    if role == "producing" {
        fill(&place, &pool)
    }
    let mut reader = Reader::connect(&place, &pool, options(), &|| false).expect("the parent listens");
    match role {
        "unread" => {
            // Granted by the time the parent kills us: it publishes all the time.
            thread::sleep(Duration::from_millis(2));
            say("ready");
            park()
        }
        "holding" | BETWEEN => {
            // As many as it may: then nothing can be granted that it has not read.
            let held: Vec<_> = (0..HOLD).map(|_| next(&mut reader)).collect();
            if role == BETWEEN {
                reader.release_halfway(&held[1]);
            }
            say("ready");
            park()
        }
        HANDING => {
            let to = env::var("BEAMLINE_KILL_TO").unwrap().parse().unwrap();
            hand_over(&mut reader, to)
        }
        _ => {
            drop(next(&mut reader));
            say("ready");
            loop {
                drop(next(&mut reader));
            }
        }
    }
}

fn hand_over(reader: &mut Reader, to: u64) -> ! {
    let mut said = false;
    loop {
        let frame = next(reader);
        let _ = reader.pass(&frame, to, SOON);
        if !std::mem::replace(&mut said, true) {
            say("ready");
        }
    }
}

fn fill(place: &Place, pool: &Pool) -> ! {
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let options = ProducerOptions::default();
    let mut producer = Producer::connect(place, pool, caps, options, &|| false).expect("the parent takes producers");
    let mut number = 0u8;
    loop {
        let info = FrameInfo::new(PixelFormat::I420, SIZE);
        let Ok(Some(mut frame)) = producer.frame(info, SOON) else {
            continue;
        };
        frame.plane_mut(0).0.fill(number);
        let _ = producer.publish(&frame.freeze());
        number = number.wrapping_add(1);
        if number == 1 {
            say("ready");
        }
    }
}
