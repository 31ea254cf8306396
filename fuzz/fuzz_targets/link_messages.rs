//! What crosses between processes: the words of a ring's entry, and the messages of the socket. An entry that is taken says of itself what
//! it said, and names no slot outside the tables; a message never panics.
#![no_main]

use beamline_arena::grant::{Entry, SEGMENTS, SLOTS, WORDS};
use beamline_link::{FrameMessage, fuzz_wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    fuzz_wire(input);
    let mut words: Entry = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(input.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap());
    }
    if let Ok(message) = FrameMessage::decode(&words) {
        for at in &message.slots[..message.slot_count] {
            assert!(usize::from(at.segment) < SEGMENTS && usize::from(at.slot) < SLOTS);
        }
        for at in &message.planes[..message.info.format.plane_count()] {
            assert!(usize::from(at.slot) < message.slot_count);
        }
        assert!(message.info.check().is_ok());
        assert_eq!(FrameMessage::decode(&message.encode()), Ok(message));
    }
});
