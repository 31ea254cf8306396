//! Codec strings: what is taken is written and read back as the same.
#![no_main]

use beamline_codec::strings::{kind_of, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(parsed) = parse(text) {
        assert_eq!(kind_of(text), Some(parsed.kind()));
        let written = parsed.to_string();
        assert_eq!(parse(&written).expect("our own words"), parsed);
        assert!(parsed.as_avc().is_none_or(|avc| avc.profile_name().is_none_or(|name| !name.is_empty())));
    }
});
