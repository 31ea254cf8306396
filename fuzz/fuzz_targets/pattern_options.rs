//! Options of patterns as people type them: what opens draws its pictures, of the size that was asked for; the rest is a typed error.
#![no_main]

use beamline_arena::Arena;
use beamline_capture::{Context, Event, Registry, read_counter};
use beamline_io::Cancel;
use libfuzzer_sys::fuzz_target;

/// Pixels of the largest pictures that are drawn: larger ones cost time and find nothing else.
const MOST: u64 = 128 * 128;

fuzz_target!(|text: &str| {
    let registry = Registry::with_builtins();
    let Ok(request) = registry.parse(&format!("pattern:{text}")) else {
        return;
    };
    let asked = [request.width, request.height].map(|side| u64::from(side.unwrap_or(u32::MAX)));
    if asked[0].saturating_mul(asked[1]) > MOST {
        return;
    }
    let context = Context {
        slots: 1,
        max_bytes: 1 << 20,
        ..Context::new(Arena::default())
    };
    let Ok(mut source) = registry.open(&request, &context) else {
        return;
    };
    // A live one waits for the clock.
    if source.live() {
        return;
    }
    for _ in 0..2 {
        match source.next(&Cancel::new()) {
            Ok(Event::Frame(frame)) => {
                let size = frame.info().coded;
                assert_eq!([size.width, size.height].map(u64::from), asked);
                let _ = read_counter(&frame);
            }
            _ => break,
        }
    }
});
