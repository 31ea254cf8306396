//! What reading costs the reader: CPU of the whole process per 1080p frame, one byte of each touched. Owner and reader have a core each.

use crate::{Folder, Outcome, end_with_stdin, join, listen, next, other_side};
use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_media::{FrameInfo, FramePool, PixelFormat, Size};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use std::{
    hint::black_box,
    io::BufRead,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(1920, 1080);
/// Frames before the clock runs.
const WARM: usize = 1000;

fn pin(core: usize) -> Outcome {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

fn cpu_ns() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// When frames are published.
#[derive(Clone, Copy)]
enum Pace {
    /// So many a second; 0: without pause.
    Rate(u32),
    /// So many are out, filled up when half of them have come back: some always wait for their reader, and none is dropped.
    Kept(u32),
}

/// Publishes until told to stop. Each frame is a slot taken, and one byte of it written.
fn publish(path: &str, pace: Pace, stop: &AtomicBool, started: impl FnOnce()) -> Outcome {
    pin(0)?;
    let publisher = listen(path, PixelFormat::I420, SIZE)?;
    let arena = Arena::default();
    let pool = FramePool::new(
        &arena,
        PoolConfig {
            slots: 32,
            ..PoolConfig::new("bench")
        },
    );
    started();
    let mut number = 0u8;
    let mut one = || -> Outcome {
        let mut frame = pool.acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Grow)?;
        frame.plane_mut(0).0[0] = number;
        number = number.wrapping_add(1);
        publisher.publish(&frame.freeze());
        Ok(())
    };
    while !stop.load(Ordering::Relaxed) {
        match pace {
            Pace::Rate(0) => one()?,
            Pace::Rate(fps) => {
                one()?;
                thread::sleep(Duration::from_secs(1) / fps);
            }
            Pace::Kept(count) => {
                let held = publisher.readers().first().map_or(0, |reader| reader.held);
                if held <= count / 2 {
                    (held..count).try_for_each(|_| one())?;
                }
            }
        }
    }
    Ok(())
}

/// An owner alone.
pub fn own(path: &str, kept: u32) -> Outcome {
    end_with_stdin();
    publish(path, Pace::Kept(kept), &AtomicBool::new(false), || println!("ready"))
}

/// An owner here and a reader in a process of its own.
pub fn run(fps: u32, seconds: f64) -> Outcome {
    let folder = Folder::new()?;
    let path = folder.at("share");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let owner = {
            let (path, stop) = (&path, &stop);
            scope.spawn(move || {
                publish(path, Pace::Rate(fps), stop, || {
                    let _ = tell.send(());
                })
                .map_err(|e| e.to_string())
            })
        };
        told.recv()?;
        let (mut child, mut out) = other_side(&["reader", &path, &seconds.to_string()], "ready")?;
        let mut line = String::new();
        out.read_line(&mut line)?;
        stop.store(true, Ordering::Relaxed);
        child.wait()?;
        owner.join().map_err(|_| "the owner fell over")??;
        print!("{line}");
        Ok(())
    })
}

/// The reader.
pub fn reader(path: &str, seconds: f64) -> Outcome {
    end_with_stdin();
    pin(1)?;
    let mut reader = join(path, 4)?;
    println!("ready");
    let mut sum = 0u64;
    for _ in 0..WARM {
        sum += u64::from(next(&mut reader)?.plane_bytes(0).0[0]);
    }
    let (began, before, mut frames) = (Instant::now(), cpu_ns(), 0u64);
    while began.elapsed().as_secs_f64() < seconds {
        for _ in 0..64 {
            sum += u64::from(next(&mut reader)?.plane_bytes(0).0[0]);
        }
        frames += 64;
    }
    let us = (cpu_ns() - before) / 1000.0 / frames as f64;
    black_box(sum);
    println!(
        "{{\"us\":{us:.3},\"frames\":{frames},\"seconds\":{:.2}}}",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}
