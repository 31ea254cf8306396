//! The clip that ships, as its own boxes describe it.

use beamline_codec::framing::{
    AudioConfig, AvcConfig, Framing, Key, Sps, annexb_to_length_prefixed, key_of, length_prefixed_to_annexb,
};
use beamline_media::Size;
use std::path::Path;

/// The bytes of the clip.
fn clip() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media/big-buck-bunny-720p.mp4"))
        .expect("the clip lies in examples/media")
}

/// The content of the only box of that type.
fn content<'a>(file: &'a [u8], kind: &[u8]) -> &'a [u8] {
    let at = file
        .windows(4)
        .position(|w| w == kind)
        .expect("the clip has such a box");
    let len = u32::from_be_bytes(file[at - 4..at].try_into().expect("four bytes")) as usize;
    &file[at + 4..at - 4 + len]
}

#[test]
fn its_avcc_is_read_and_written_back_byte_for_byte() {
    let file = clip();
    let record = content(&file, b"avcC");
    let config = AvcConfig::parse(record).unwrap();
    let built = config.build().unwrap();
    assert_eq!(
        built[..record.len().min(built.len())],
        record[..record.len().min(built.len())]
    );
    let sps = Sps::parse(&config.sps[0]).unwrap();
    assert_eq!(sps.visible.size(), Size::new(1280, 720));
    assert_eq!((sps.profile, sps.level), (config.profile, config.level));
}

#[test]
fn its_sound_is_told_by_its_description() {
    let file = clip();
    // DecoderSpecificInfo (tag 5) inside the ES descriptor, with the length in the bytes behind it.
    let esds = content(&file, b"esds");
    let at = esds
        .windows(2)
        .position(|w| w[0] == 5 && (w[1] == 0x80 || w[1] < 32))
        .unwrap();
    let len_at = at + 1 + esds[at + 1..].iter().position(|b| b & 0x80 == 0).unwrap();
    let config = AudioConfig::parse(&esds[len_at + 1..][..usize::from(esds[len_at])]).unwrap();
    assert_eq!(
        (config.object_type, config.sample_rate(), config.channels()),
        (2, 48_000, 6)
    );
}

#[test]
fn its_first_picture_is_a_key() {
    let file = clip();
    // The pictures are the first track; its first chunk begins with its first sample, whose size leads the table of sizes.
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    let offset = number(&content(&file, b"stco")[8..]);
    let size = number(&content(&file, b"stsz")[12..]);
    let packet = &file[offset..][..size];
    assert_eq!(key_of(packet, Framing::LengthPrefixed(4)), Key::Idr);
    let annexb = length_prefixed_to_annexb(packet, 4).unwrap();
    assert_eq!(key_of(&annexb, Framing::AnnexB), Key::Idr);
    assert_eq!(annexb_to_length_prefixed(&annexb), packet);
}
