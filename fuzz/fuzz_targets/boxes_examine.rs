//! The walk over MP4 boxes: any bytes give a verdict that agrees with itself, or a typed error.
#![no_main]

use beamline_container::boxes::{Index, examine};
use beamline_io::{BytesSource, Cancel};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(found)) = examine(&BytesSource::new(bytes.to_vec(), "fuzz.mp4"), &Cancel::new()) {
        assert_eq!(found.complete, found.missing.is_none());
        assert!(!found.complete || found.index == Index::Whole);
    }
});
