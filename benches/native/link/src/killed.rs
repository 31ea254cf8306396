//! How soon the slots that a killed reader held are there again.
//!
//! One thread looks without pause, in turn, at the reader's end and at the memory. The end is whatever is seen first of its pidfd, its stdin
//! and its stdout: of those two one has a lower number than the link's socket and one a higher, so whichever way the kernel closes them
//! one of the two ends before the socket does. The clock starts when the last look began that saw no end: never later than the end, and
//! what keeps this thread from looking is counted too.

use crate::{Folder, Outcome, end_with_stdin, join, listen, next, other_side};
use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_media::{FrameInfo, FramePool, PixelFormat, Size};
use iceoryx2::{port::update_connections::UpdateConnections, prelude::*};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{fcntl_dupfd_cloexec, write},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
    stdio::{dup2_stdout, stdout},
};
use std::{
    io::BufReader,
    process::{Child, ChildStdout},
    time::{Duration, Instant},
};

/// Frames that a reader holds when it is killed.
const HELD: usize = 4;
const SIZE: Size = Size::new(1920, 1080);

/// Times of one kill, in µs.
struct Times {
    from_end: f64,
    from_kill: f64,
}

pub fn run(side: &str, count: usize) -> Outcome {
    let times = match side {
        "ours" => ours(count)?,
        "iceoryx2" => peer(count)?,
        other => return Err(format!("no such side: {other}").into()),
    };
    let list = |pick: fn(&Times) -> f64| {
        let all: Vec<_> = times.iter().map(|t| format!("{:.1}", pick(t))).collect();
        all.join(",")
    };
    println!(
        "{{\"fromEnd\":[{}],\"fromKill\":[{}]}}",
        list(|t| t.from_end),
        list(|t| t.from_kill)
    );
    Ok(())
}

/// The side that is killed.
pub fn hold(side: &str, way: &str) -> Outcome {
    end_with_stdin();
    if side == "ours" {
        let mut reader = join(way, HELD as u32)?;
        println!("joined");
        let frames = (0..HELD).map(|_| next(&mut reader)).collect::<Outcome<Vec<_>>>()?;
        return wait_for_death(frames.len());
    }
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let service = node
        .service_builder(&way.try_into()?)
        .publish_subscribe::<[u8]>()
        .open()?;
    let subscriber = service.subscriber_builder().create()?;
    println!("joined");
    let mut samples = Vec::new();
    while samples.len() < HELD {
        samples.extend(subscriber.receive()?);
    }
    wait_for_death(samples.len())
}

/// Moves stdout behind all other fds, and says there how many are held.
fn wait_for_death(held: usize) -> Outcome {
    let out = fcntl_dupfd_cloexec(stdout(), 500)?;
    dup2_stdout(std::fs::File::open("/dev/null")?)?;
    write(&out, format!("holds {held}\n").as_bytes())?;
    std::thread::sleep(Duration::MAX);
    Ok(())
}

fn ours(count: usize) -> Outcome<Vec<Times>> {
    let folder = Folder::new()?;
    let path = folder.at("share");
    let publisher = listen(&path, PixelFormat::I420, SIZE)?;
    let arena = Arena::default();
    let pool = FramePool::new(&arena, PoolConfig::new("bench"));
    let show = || -> Outcome {
        let frame = pool.acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Grow)?;
        publisher.publish(&frame.freeze());
        Ok(())
    };
    (0..count)
        .map(|_| {
            let (mut child, out) = reader("ours", &path, show)?;
            if arena.stats().live != HELD as u64 {
                return Err(format!("{} slots are held", arena.stats().live).into());
            }
            let times = clock(&child, &out, |_| Ok(arena.stats().live == 0))?;
            child.wait()?;
            Ok(times)
        })
        .collect()
}

/// Here nothing comes back by itself: the clock runs until two calls that look for it have ended.
fn peer(count: usize) -> Outcome<Vec<Times>> {
    let name = format!("beamline-bench-killed-{}", std::process::id());
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let service = node
        .service_builder(&name.as_str().try_into()?)
        .publish_subscribe::<[u8]>()
        .subscriber_max_buffer_size(HELD)
        .subscriber_max_borrowed_samples(HELD)
        .create()?;
    let publisher = service.publisher_builder().initial_max_slice_len(3_110_400).create()?;
    let show = || -> Outcome {
        let sample = publisher.loan_slice_uninit(3_110_400)?;
        // SAFETY: any bytes are bytes; nobody looks at them.
        unsafe { sample.assume_init() }.send()?;
        Ok(())
    };
    (0..count)
        .map(|_| {
            let (mut child, out) = reader("iceoryx2", &name, show)?;
            let times = clock(&child, &out, |ended| {
                if !ended {
                    return Ok(false);
                }
                let state = node.blocking_cleanup_dead_nodes(Duration::from_secs(1));
                publisher.update_connections()?;
                Ok(state.cleanups > 0)
            })?;
            child.wait()?;
            Ok(times)
        })
        .collect()
}

/// A reader that holds as many frames as it may.
fn reader(side: &str, way: &str, show: impl Fn() -> Outcome) -> Outcome<(Child, BufReader<ChildStdout>)> {
    let (child, mut out) = other_side(&["hold", side, way], "joined")?;
    for _ in 0..HELD {
        show()?;
    }
    crate::expect(&mut out, &format!("holds {HELD}"))?;
    Ok((child, out))
}

fn readable(fds: &[PollFd<'_>]) -> Outcome<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut fds.to_vec(), Some(&now))? > 0)
}

/// Kills it. `back(whether its end was seen)`: whether what it held is there again.
fn clock(child: &Child, out: &BufReader<ChildStdout>, back: impl Fn(bool) -> Outcome<bool>) -> Outcome<Times> {
    let pid = Pid::from_raw(child.id() as i32).ok_or("no pid")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let stdin = child.stdin.as_ref().ok_or("no stdin")?;
    // Pipes without a wish are readable at their end alone.
    let fds = [
        PollFd::new(&pidfd, PollFlags::IN),
        PollFd::new(stdin, PollFlags::empty()),
        PollFd::new(out.get_ref(), PollFlags::empty()),
    ];
    let killed = Instant::now();
    kill_process(pid, Signal::KILL)?;
    // The last moment at which it was there for certain: when the last look began that saw it so.
    let (mut alive, mut ended) = (killed, false);
    loop {
        let began = Instant::now();
        if !ended {
            ended = readable(&fds)?;
            if !ended {
                alive = began;
            }
        }
        if back(ended)? {
            let now = Instant::now();
            let us = |since: Instant| (now - since).as_nanos() as f64 / 1000.0;
            return Ok(Times {
                from_end: us(alive),
                from_kill: us(killed),
            });
        }
        if killed.elapsed() > crate::PATIENCE {
            return Err("what it held did not come back".into());
        }
    }
}
