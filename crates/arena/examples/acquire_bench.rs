//! What taking and releasing a slot costs: `cargo run --release -p beamline-arena --example acquire_bench`.
//!
//! Prints one JSON object: nanoseconds per acquire + release, the least of 20 runs of a million each, and all runs.

use beamline_arena::{Arena, PoolConfig, Wait};
use std::{hint::black_box, io::Write, time::Instant};

const RUNS: usize = 20;
const TIMES: u32 = 1_000_000;

fn main() -> std::io::Result<()> {
    let class = Arena::default()
        .pool(PoolConfig::new("bench"))
        .class(64 * 64 * 4)
        .map_err(std::io::Error::other)?;
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begin = Instant::now();
        for _ in 0..TIMES {
            let slot = class.acquire(Wait::Grow).map_err(std::io::Error::other)?;
            black_box(slot.freeze());
        }
        runs.push(begin.elapsed().as_nanos() as f64 / f64::from(TIMES));
    }
    let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let all: Vec<_> = runs.iter().map(|ns| format!("{ns:.2}")).collect();
    let mut out = std::io::stdout();
    writeln!(
        out,
        r#"{{"name":"arena acquire + release","unit":"ns","times":{TIMES},"least":{least:.2},"runs":[{}]}}"#,
        all.join(",")
    )
}
