//! What a 1080p picture of each pattern costs: the least and the median of 300, one slot taken and released each.
//!
//! `cargo run --release -p beamline-capture --example pattern_cost [FORMAT]`

use beamline_arena::Arena;
use beamline_capture::{Context, Registry};
use beamline_io::Cancel;
use std::{error::Error, io::Write, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let format = std::env::args().nth(1).unwrap_or_else(|| "i420".into());
    let registry = Registry::with_builtins();
    let context = Context::new(Arena::default());
    for device in registry.list() {
        let url = format!("{}?width=1920&height=1080&live=false&format={format}", device.id);
        let mut source = registry.open(&registry.parse(&url)?, &context)?;
        let mut times = Vec::new();
        for _ in 0..300 {
            let begin = Instant::now();
            drop(source.next(&Cancel::new())?);
            times.push(begin.elapsed());
        }
        times.sort_unstable();
        let (least, median) = (times[0], times[times.len() / 2]);
        writeln!(
            std::io::stdout(),
            "{:22} {format}: least {least:>9.1?}, median {median:>9.1?}",
            device.id
        )?;
    }
    Ok(())
}
