//! What it costs to look for stray stores, per release of a frame of 1080p in I420: not shown to JavaScript, shown, and in development.
//!
//! `cargo run -p beamline-arena --release --example stray_cost`

use beamline_arena::{
    Access, Arena, FarPool, PoolConfig, SharedPage, Wait,
    grant::{ReturnPage, TellPage},
};
use rustix::event::{EventfdFlags, eventfd};
use std::{error::Error, hint::black_box, io::Write, sync::Arc, time::Instant};

const BYTES: usize = 1920 * 1080 * 3 / 2;
const FRAMES: u32 = 61 * 200;

fn main() -> Result<(), Box<dyn Error>> {
    let owner = Arena::default().pool(PoolConfig::new("owner")).class(BYTES)?;
    let mut slot = owner.acquire(Wait::Never)?;
    slot.fill(1);
    let slot = slot.freeze();
    let mut out = std::io::stdout();
    for (name, show, development) in [
        ("not shown", false, false),
        ("shown", true, false),
        ("in development", true, true),
    ] {
        let arena = Arena::default();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (tell, returns) = (
            SharedPage::<TellPage>::new("tell", true)?,
            SharedPage::<ReturnPage>::new("returns", false)?,
        );
        let pool = arena.pool(PoolConfig::new("reader"));
        let far = FarPool::new(&pool, Access::Private, tell, returns, wake, Arc::new(()));
        let segment = slot.segment();
        far.attach(
            0,
            segment.fd().try_clone_to_owned()?,
            segment.slot_size(),
            segment.slots(),
        )?;
        if development {
            arena.watch_strays(|| true);
        }
        let at = slot.slot_ref();
        let frame = || far.receive(0, at.slot, at.generation).ok_or("no such slot");
        // The kernel is quick over pages that were never read; a frame that is looked at was read.
        let sum: u64 = frame()?.bytes().iter().map(|b| u64::from(*b)).sum();
        black_box(sum);
        let least = (0..20).map(|_| {
            let begin = Instant::now();
            for _ in 0..FRAMES {
                let Ok(frame) = frame() else { return f64::NAN };
                if show {
                    frame.show();
                }
                black_box(frame.bytes()[0]);
            }
            begin.elapsed().as_secs_f64() * 1e9 / f64::from(FRAMES)
        });
        let least = least.fold(f64::INFINITY, f64::min);
        writeln!(out, "{name}: {least:.0} ns per frame")?;
    }
    Ok(())
}
