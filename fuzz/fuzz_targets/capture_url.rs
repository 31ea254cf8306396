//! Capture URLs as people type them: any text gives a request or a typed error.
#![no_main]

use beamline_capture::Registry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Registry::with_builtins().parse(text);
});
