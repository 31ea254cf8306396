//! PNG and JPEG up to their size: any bytes give a size that a frame can have, or a typed error.
#![no_main]

use beamline_capture::backends::image::still::parse_still;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((_, size)) = parse_still(bytes) {
        assert!(size.width > 0 && size.height > 0);
        // What is behind the size is not looked at.
        let more = [bytes, &[0xff, 0xc0, 0, 17, 8, 0, 1, 0, 1]].concat();
        assert_eq!(parse_still(&more).expect("the same picture").1, size);
    }
});
