//! What a grant costs, without a process switch: `cargo run --release -p beamline-link --example grant_bench`. Both ends on one thread, so
//! that caches are warm and nobody sleeps; the least of 20 runs of 100 000, in ns.
//!
//! * books: the arena's part alone: note, tell, read, give back (with its fence), drain;
//! * readers N: `publish` to N readers that are awake, and for each `next` and the drop of its frame.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement may fall over, and is there to print"
)]

use beamline_arena::{
    Arena, PoolConfig, Wait,
    grant::{Granted, ReturnPage, TellPage, Told, WORDS},
};
use beamline_link::{ClientPolicy, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, FrameInfo, FramePool, PixelFormat, Size};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const RUNS: usize = 20;
const TURNS: u32 = 100_000;

fn least(mut turn: impl FnMut()) -> f64 {
    (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            (0..TURNS).for_each(|_| turn());
            begin.elapsed().as_nanos() as f64 / f64::from(TURNS)
        })
        .fold(f64::MAX, f64::min)
}

fn books() -> f64 {
    let (tell, returns, mut granted) = (TellPage::default(), ReturnPage::default(), Granted::default());
    let mut number = 0;
    least(|| {
        granted.tell(&tell, number, &[1; WORDS], [(0, 5)]);
        black_box(returns.must_wake_client());
        let mut entry = [0; WORDS];
        if tell.read(number, &mut entry) != Told::Entry {
            return;
        }
        black_box(entry);
        number = number.wrapping_add(1);
        black_box(returns.give_back(0, 5, &tell));
        granted.drain(&returns, 1, |_, slot, count| {
            black_box((slot, count));
        });
    })
}

fn readers(count: usize) -> f64 {
    let folder = std::env::temp_dir().join(format!("beamline-grant-bench-{}-{count}", std::process::id()));
    let place = Place::new(folder.to_str().unwrap()).unwrap();
    let size = Size::new(1920, 1080);
    let publisher = Publisher::listen(
        place.clone(),
        Caps::raw(PixelFormat::I420, size),
        true,
        Limits::default(),
    )
    .unwrap();
    let pool = FramePool::new(&Arena::default(), PoolConfig::new("bench"));
    let options = ReaderOptions {
        policy: ClientPolicy::DropNewest,
        ..ReaderOptions::default()
    };
    let far = Arena::default().pool(PoolConfig::new("reader"));
    let mut readers: Vec<_> = (0..count)
        .map(|_| Reader::connect(&place, &far, options, &|| false).unwrap())
        .collect();
    let frame = pool
        .acquire(FrameInfo::new(PixelFormat::I420, size), Wait::Grow)
        .unwrap()
        .freeze();
    least(|| {
        publisher.publish(&frame);
        for reader in &mut readers {
            let Next::Frame(frame, _) = reader.next(Duration::from_secs(1)).unwrap() else {
                continue;
            };
            black_box(frame);
        }
    })
}

fn main() {
    println!("books {:.1}", books());
    for count in [1, 2, 4, 8] {
        println!("readers {count} {:.1}", readers(count));
    }
}
