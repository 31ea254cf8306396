//! What the kernel says of a segment: its seals, and who may map it.
#![expect(unsafe_code, reason = "maps a segment's fd as another process would")]

use beamline_arena::{Arena, Lease, PoolConfig, Wait, page_size};
use rustix::{
    fs::SealFlags,
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap, munmap},
};
use std::ptr::{NonNull, null_mut};

fn lease(mark: u8) -> Lease {
    let class = Arena::default()
        .pool(PoolConfig::new("test"))
        .class(4096)
        .expect("the kernel plays along");
    let mut slot = class.acquire(Wait::Never).expect("the kernel plays along");
    slot.fill(mark);
    slot.freeze()
}

/// Maps a segment's fd in some way.
fn map(lease: &Lease, prot: ProtFlags, flags: MapFlags) -> Result<NonNull<u8>, Errno> {
    let segment = lease.segment();
    // SAFETY: a new mapping where the kernel likes; nothing is replaced.
    let at = unsafe { mmap(null_mut(), segment.len(), prot, flags, segment.fd(), 0) }?;
    Ok(NonNull::new(at.cast()).expect("the kernel plays along"))
}

fn unmap(at: NonNull<u8>, len: usize) {
    // SAFETY: mapped by `map` with this length, and not used afterwards.
    unsafe { munmap(at.as_ptr().cast(), len) }.expect("the kernel plays along");
}

#[test]
fn a_segment_is_sealed_against_shrinking_growing_and_writers() {
    let lease = lease(1);
    let fd = lease.segment().fd();
    let seals = rustix::fs::fcntl_get_seals(fd).unwrap();
    assert!(
        seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL),
        "{seals:?}"
    );
    assert_eq!(rustix::fs::ftruncate(fd, 0), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(fd, 1 << 30), Err(Errno::PERM));
    assert_eq!(rustix::io::pwrite(fd, &[1], 0), Err(Errno::PERM));
    assert!(
        rustix::io::fcntl_getfd(fd)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
}

#[test]
fn nobody_gets_a_writable_shared_mapping_but_readers_get_theirs() {
    let mut held = lease(7);
    let len = held.segment().len();
    assert_eq!(
        map(&held, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED).unwrap_err(),
        Errno::PERM
    );
    let reader = map(&held, ProtFlags::READ, MapFlags::SHARED).unwrap();
    // JavaScript in another process: a store changes its own page only.
    let private = map(&held, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).unwrap();
    let offset = held.segment().slot_offset(held.slot_index());
    // SAFETY: both mappings are `len` bytes long and `offset` is a slot's begin; volatile, because others write this memory.
    let (seen, before) = unsafe {
        (
            reader.add(offset).read_volatile(),
            private.add(offset + 1).read_volatile(),
        )
    };
    assert_eq!((seen, before), (7, 7));
    // SAFETY: as above; the page becomes the mapping's own.
    unsafe { private.add(offset + 1).write_volatile(99) };
    assert_eq!(held.bytes()[1], 7);
    let mut slot = held.try_into_mut().unwrap();
    slot[0] = 8;
    held = slot.freeze();
    // SAFETY: as above.
    assert_eq!(unsafe { reader.add(offset).read_volatile() }, 8);
    unmap(reader, len);
    unmap(private, len);
    drop(held);
}

#[test]
fn a_slot_mapped_over_other_pages_is_the_same_memory() {
    let held = lease(3);
    let len = held.len();
    // SAFETY: a new anonymous mapping where the kernel likes.
    let target = unsafe { rustix::mm::mmap_anonymous(null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE) }.unwrap();
    let target = NonNull::new(target.cast::<u8>()).unwrap();
    // SAFETY: the pages at `target` are this test's own, of the slot's length and page-aligned.
    unsafe { held.segment().map_slot_over(held.slot_index(), target) }.unwrap();
    // SAFETY: the duplicate is mapped readable for `len` bytes; volatile, because the owner writes it below.
    let look = |i: usize| unsafe { target.add(i).read_volatile() };
    assert_eq!((look(0), look(len - 1)), (3, 3));
    let mut slot = held.try_into_mut().unwrap();
    slot[0] = 4;
    assert_eq!(look(0), 4, "what the owner writes is seen through the duplicate");
    // SAFETY: a duplicate of the owner's mapping is writable, as WebAssembly's memory must be; nobody reads this byte now.
    unsafe { target.add(1).write_volatile(5) };
    assert_eq!(slot[1], 5);
    unmap(target, len);
}

#[test]
fn slots_lie_on_pages_and_do_not_overlap() {
    let class = Arena::default().pool(PoolConfig::new("test")).class(5000).unwrap();
    let slots: Vec<_> = (0..4).map(|_| class.acquire(Wait::Never).unwrap().freeze()).collect();
    for (i, slot) in slots.iter().enumerate() {
        let begin = slot.as_ptr().as_ptr() as usize;
        assert_eq!(begin % page_size(), 0);
        for other in &slots[..i] {
            assert!(begin.abs_diff(other.as_ptr().as_ptr() as usize) >= slot.len());
        }
    }
}
