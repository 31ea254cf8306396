//! Framing of H.264 and AAC: no bytes make a parser panic, and what is rewritten means the same.
#![no_main]

use beamline_codec::framing::{
    AnnexB, AudioConfig, AvcConfig, Framing, Sps, annexb_to_length_prefixed, annexb_to_length_prefixed_in_place,
    avc_config_from_annexb, key_of, length_prefixed_to_annexb,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let prefixed = annexb_to_length_prefixed(bytes);
    let back = length_prefixed_to_annexb(&prefixed, 4).expect("our own lengths");
    assert!(AnnexB::new(&back).eq(AnnexB::new(bytes)));
    assert_eq!(key_of(&prefixed, Framing::LengthPrefixed(4)), key_of(bytes, Framing::AnnexB));
    let mut in_place = bytes.to_vec();
    if annexb_to_length_prefixed_in_place(&mut in_place) {
        assert_eq!(in_place, prefixed);
    } else {
        assert_eq!(in_place, bytes);
    }
    for size in [1, 2, 4] {
        let _ = length_prefixed_to_annexb(bytes, size);
        let _ = key_of(bytes, Framing::LengthPrefixed(size));
    }
    if let Ok(config) = AvcConfig::parse(bytes)
        && let Ok(built) = config.build()
    {
        assert_eq!(AvcConfig::parse(&built).expect("our own record"), config);
    }
    if let Ok(config) = avc_config_from_annexb(bytes) {
        assert!(config.codec_string().as_avc().is_some());
    }
    if let Ok(sps) = Sps::parse(bytes) {
        assert!(sps.visible.fits(sps.coded));
    }
    if let Ok(config) = AudioConfig::parse(bytes) {
        assert!(config.sample_rate() > 0 && config.channels() > 0);
    }
});
