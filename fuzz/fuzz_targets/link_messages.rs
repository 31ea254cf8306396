//! What crosses between processes: the words of a ring's entry, and the messages of the socket. An entry that is taken says of itself what
//! it said, and names no slot outside the tables; a frame that is made of it lies within its slots; a message never panics.
#![no_main]

use beamline_arena::{
    Arena, Lease, PoolConfig, Wait,
    grant::{Entry, SEGMENTS, SLOTS, WORDS},
};
use beamline_link::{FrameMessage, SlotAt, fuzz_wire};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

/// Slots that a frame may lie in.
const LEASES: usize = 4;
/// Bytes of each: small, so that most frames do not fit, and some just do.
const SLOT: usize = 8192;

thread_local! {
    /// Real ones, as a reader has them.
    static GRANTED: LazyCell<[Lease; LEASES]> = LazyCell::new(|| {
        let class = Arena::default().pool(PoolConfig::new("fuzz")).class(SLOT).unwrap();
        [1, 2, 3, 4].map(|mark| {
            let mut slot = class.acquire(Wait::Grow).unwrap();
            slot.fill(mark);
            slot.freeze()
        })
    });
}

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
        GRANTED.with(|granted| lies_within_its_slots(&message, granted));
    }
});

/// The frame of an entry over real slots: refused, or every byte of every plane is one of the slot that was named.
fn lies_within_its_slots(message: &FrameMessage, granted: &[Lease; LEASES]) {
    let leases = |count: usize| [0, 1, 2, 3].map(|i| (i < count).then(|| granted[i].clone()));
    // With a slot too few there is a frame only when no plane lies in that one.
    let fewer = message.frame(leases(message.slot_count - 1));
    let Ok(frame) = message.frame(leases(message.slot_count)) else {
        assert!(fewer.is_err());
        return;
    };
    let info = *frame.info();
    assert_eq!((info, frame.plane_count()), (message.info, info.format.plane_count()));
    let last = message.slot_count - 1;
    let planes = &message.planes[..frame.plane_count()];
    assert_eq!(fewer.is_ok(), planes.iter().all(|at| usize::from(at.slot) != last));
    for (i, at) in planes.iter().enumerate() {
        let (lease, offset, stride) = frame.plane(i);
        let slot = usize::from(at.slot);
        assert!(lease.same_slot(&granted[slot]), "plane {i} lies where it was said");
        assert_eq!((offset as u64, stride as u64), (at.offset, at.stride));
        let row_bytes = info.format.row_bytes(i, info.coded.width);
        let rows = info.format.rows(i, info.coded.height);
        assert!(stride >= row_bytes);
        // In numbers that cannot wrap, apart from how the code does it.
        let end = offset as u128 + stride as u128 * (rows as u128 - 1) + row_bytes as u128;
        assert!(end <= lease.len() as u128, "plane {i} ends at {end}");
        let (bytes, _) = frame.plane_bytes(i);
        assert!(bytes.iter().all(|byte| usize::from(*byte) == slot + 1));
        let (first, last) = (frame.row(i, 0), frame.row(i, rows - 1));
        assert_eq!((first.len(), last.len()), (row_bytes, row_bytes));
    }
    // Told again, as an owner does who hands it over, it is the same frame.
    let known = |lease: &Lease| granted.iter().position(|l| l.same_slot(lease));
    let mut told = Vec::new();
    let again = FrameMessage::of(&frame, message.number, |lease| {
        let index = known(lease)?;
        told.push(granted[index].clone());
        Some(SlotAt {
            segment: 0,
            slot: index as u16,
            generation: 0,
        })
    })
    .expect("each slot is known");
    assert_eq!(again.slot_count, told.len());
    assert_eq!(FrameMessage::decode(&again.encode()), Ok(again));
    let mut leases = told.into_iter();
    let same = again.frame([(); LEASES].map(|()| leases.next())).expect("as it was");
    for i in 0..frame.plane_count() {
        let ((one, offset, stride), (two, offset_again, stride_again)) = (frame.plane(i), same.plane(i));
        assert!(one.same_slot(two) && (offset, stride) == (offset_again, stride_again));
    }
}
