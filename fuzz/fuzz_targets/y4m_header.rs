//! Y4M headers: any bytes give a header whose frame really fits, a wish for more bytes, or a typed error.
#![no_main]

use beamline_capture::backends::image::y4m::{parse_frame_header, parse_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((header, len))) = parse_header(bytes) {
        assert!(len <= bytes.len() && header.frame_len > 0);
    }
    if let Ok(Some(len)) = parse_frame_header(bytes) {
        assert!(len <= bytes.len());
    }
});
