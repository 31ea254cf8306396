//! What a grant costs, without a process switch: both ends on one thread, caches warm, nobody asleep. The least of 20 runs, in ns.
//!
//! * `books`: note, tell, read, give back with its fence, drain: what `beamline_arena::grant` does for one frame and one client;
//! * `ours N`: take a slot, publish it to N readers, and for each `next` and the drop of its frame;
//! * `iceoryx2 N`: loan, send, and for each of N subscribers receive and drop.

use crate::{Folder, Outcome, join, listen, next};
use beamline_arena::{
    Arena, PoolConfig, Wait,
    grant::{Granted, ReturnPage, TellPage, Told, WORDS},
};
use beamline_media::{FrameInfo, FramePool, PixelFormat, Size};
use iceoryx2::prelude::*;
use std::{hint::black_box, time::Instant};

const RUNS: usize = 20;
const TURNS: u32 = 50_000;
const READERS: [usize; 4] = [1, 2, 4, 8];

fn least(mut turn: impl FnMut() -> Outcome) -> Outcome<f64> {
    let mut least = f64::MAX;
    for _ in 0..RUNS {
        let begin = Instant::now();
        for _ in 0..TURNS {
            turn()?;
        }
        least = least.min(begin.elapsed().as_nanos() as f64 / f64::from(TURNS));
    }
    Ok(least)
}

/// One frame to `clients` clients, and back from each.
fn books(clients: usize) -> Outcome<f64> {
    let mut all: Vec<_> = (0..clients)
        .map(|_| (TellPage::default(), ReturnPage::default(), Granted::default()))
        .collect();
    let (mut number, mut entry) = (0, [0; WORDS]);
    least(|| {
        for (tell, returns, granted) in &mut all {
            granted.tell(tell, number, &[1; WORDS], [(0, 5)]);
            black_box(returns.must_wake_client());
            if tell.read(number, &mut entry) != Told::Entry {
                return Err("nothing was told".into());
            }
            black_box(&entry);
            black_box(returns.give_back(0, 5, tell));
            granted.drain(returns, 1, |_, slot, count| {
                black_box((slot, count));
            });
        }
        number = number.wrapping_add(1);
        Ok(())
    })
}

fn ours(count: usize) -> Outcome<f64> {
    let folder = Folder::new()?;
    let size = Size::new(1920, 1080);
    let publisher = listen(&folder.at("share"), PixelFormat::I420, size)?;
    let pool = FramePool::new(&Arena::default(), PoolConfig::new("bench"));
    let mut readers = (0..count)
        .map(|_| join(&folder.at("share"), 4))
        .collect::<Outcome<Vec<_>>>()?;
    least(|| {
        let mut frame = pool.acquire(FrameInfo::new(PixelFormat::I420, size), Wait::Grow)?;
        frame.plane_mut(0).0[0] = 7;
        publisher.publish(&frame.freeze());
        for reader in &mut readers {
            black_box(next(reader)?);
        }
        Ok(())
    })
}

fn peer(count: usize) -> Outcome<f64> {
    let node = NodeBuilder::new().create::<ipc::Service>()?;
    let name = format!("beamline-bench-grant-{}-{count}", std::process::id());
    let service = node
        .service_builder(&name.as_str().try_into()?)
        .publish_subscribe::<[u8; 64]>()
        .max_subscribers(count)
        .create()?;
    let subscribers = (0..count)
        .map(|_| service.subscriber_builder().create())
        .collect::<Result<Vec<_>, _>>()?;
    let publisher = service.publisher_builder().create()?;
    least(|| {
        let mut sample = publisher.loan_uninit()?;
        // SAFETY: one byte of the sixty-four that are lent to us.
        unsafe { sample.payload_mut().as_mut_ptr().cast::<u8>().write(7) };
        // SAFETY: any bytes are bytes; nobody looks at them.
        unsafe { sample.assume_init() }.send()?;
        for subscriber in &subscribers {
            black_box(subscriber.receive()?.ok_or("nothing was sent")?);
        }
        Ok(())
    })
}

pub fn run() -> Outcome {
    let side = |what: fn(usize) -> Outcome<f64>| -> Outcome<String> {
        let all = READERS
            .iter()
            .map(|n| Ok(format!("\"{n}\":{:.1}", what(*n)?)))
            .collect::<Outcome<Vec<_>>>()?;
        Ok(format!("{{{}}}", all.join(",")))
    };
    println!(
        "{{\"books\":{},\"ours\":{},\"iceoryx2\":{}}}",
        side(books)?,
        side(ours)?,
        side(peer)?
    );
    Ok(())
}
