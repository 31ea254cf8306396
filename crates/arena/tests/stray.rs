//! What JavaScript stores into slots of another process: on whose page it lands, and how it is found and undone.
#![expect(unsafe_code, reason = "stores where JavaScript would")]

use beamline_arena::{
    Access, Arena, FarPool, Lease, PART_PAGES, PoolConfig, SharedPage, SizeClass, SlotMut, TURNS, Wait,
    grant::{ReturnPage, TellPage},
    page_size,
};
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::OwnedFd,
};
use std::{
    ptr::null_mut,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

const PAGES: usize = 3 * PART_PAGES;

/// An owner with one slot, and two readers of it, each with the arena of a process of its own.
struct Link {
    _owner: SizeClass,
    slot: Lease,
    readers: [Reader; 2],
}

struct Reader {
    arena: Arena,
    far: FarPool,
}

fn owned(fd: std::os::fd::BorrowedFd<'_>) -> OwnedFd {
    fd.try_clone_to_owned().expect("the kernel plays along")
}

impl Reader {
    fn of(slot: &Lease, access: Access) -> Self {
        let arena = Arena::default();
        let tell = SharedPage::<TellPage>::new("tell", true).expect("the kernel plays along");
        let returns = SharedPage::<ReturnPage>::new("returns", false).expect("the kernel plays along");
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("the kernel plays along");
        let pool = arena.pool(PoolConfig::new("reader"));
        let far = FarPool::new(&pool, access, tell, returns, wake, Arc::new(()));
        let segment = slot.segment();
        far.attach(0, owned(segment.fd()), segment.slot_size(), segment.slots())
            .expect("a segment of our own");
        Reader { arena, far }
    }

    /// A grant of the slot.
    fn frame(&self, slot: &Lease) -> Lease {
        let at = slot.slot_ref();
        self.far
            .receive(0, at.slot, at.generation)
            .expect("a slot that there is")
    }

    /// A frame that JavaScript sees.
    fn shown(&self, slot: &Lease) -> Lease {
        let frame = self.frame(slot);
        frame.show();
        frame
    }

    fn found(&self) -> u64 {
        self.arena.stats().stray_writes
    }
}

impl Link {
    fn new() -> Self {
        Self::with(Access::Private)
    }

    fn with(access: Access) -> Self {
        let pool = Arena::default().pool(PoolConfig {
            slots: 1,
            ..PoolConfig::new("owner")
        });
        let owner = pool.class(PAGES * page_size()).expect("the kernel plays along");
        let mut slot = owner.acquire(Wait::Never).expect("the kernel plays along");
        slot.fill(1);
        let slot = slot.freeze();
        let readers = [Reader::of(&slot, access), Reader::of(&slot, access)];
        Link {
            _owner: owner,
            slot,
            readers,
        }
    }

    /// What the owner puts there next.
    fn draw(self, value: u8) -> Self {
        let mut slot: SlotMut = self.slot.try_into_mut().expect("the owner's alone");
        slot.fill(value);
        Link {
            slot: slot.freeze(),
            ..self
        }
    }
}

/// Stores as JavaScript does.
fn store(frame: &Lease, page: usize, value: u8) {
    // SAFETY: a byte of the slot, which is mapped privately, readable and writable; nobody borrows it now.
    unsafe { frame.as_ptr().add(page * page_size()).write_volatile(value) };
}

fn byte(frame: &Lease, page: usize) -> u8 {
    // SAFETY: a byte of the slot; volatile, since it is stored to behind the compiler's back.
    unsafe { frame.as_ptr().add(page * page_size()).read_volatile() }
}

#[test]
fn a_store_changes_the_readers_own_page_alone_and_the_next_frame_of_the_slot_is_right() {
    let link = Link::new();
    link.readers[0].arena.watch_strays(|| true);
    let (ours, others) = (link.readers[0].shown(&link.slot), link.readers[1].shown(&link.slot));
    for page in [0, 1, 2, 70, PAGES - 1] {
        store(&ours, page, 99);
    }
    assert_eq!(
        (byte(&ours, 70), byte(&others, 70), link.slot.bytes()[70 * page_size()]),
        (99, 1, 1)
    );
    assert!(link.slot.bytes().iter().all(|b| *b == 1));
    drop((ours, others));
    let link = link.draw(2);
    let next = link.readers[0].frame(&link.slot);
    assert!(next.bytes().iter().all(|b| *b == 2), "a page is stale");
    assert_eq!((link.readers[0].found(), link.readers[1].found()), (1, 0));
}

#[test]
fn what_was_only_read_is_never_taken_for_a_store() {
    let link = Link::new();
    let [reader, _] = &link.readers;
    reader.arena.watch_strays(|| true);
    for _ in 0..3 {
        let frame = reader.shown(&link.slot);
        assert!(frame.bytes().iter().all(|b| *b == 1));
    }
    assert_eq!(reader.found(), 0);
}

#[test]
fn a_frame_that_javascript_was_not_shown_is_not_looked_at() {
    let link = Link::new();
    let [reader, _] = &link.readers;
    reader.arena.watch_strays(|| true);
    let frame = reader.frame(&link.slot);
    store(&frame, 0, 99);
    drop(frame);
    assert_eq!(reader.found(), 0);
}

#[test]
fn a_page_is_looked_at_with_the_last_release_only() {
    let link = Link::new();
    let [reader, _] = &link.readers;
    reader.arena.watch_strays(|| true);
    let frame = reader.shown(&link.slot);
    let other = frame.clone();
    store(&frame, 3, 99);
    drop(frame);
    assert_eq!((byte(&other, 3), reader.found()), (99, 0), "somebody looks at it");
    drop(other);
    assert_eq!(reader.found(), 1);
}

#[test]
fn the_first_find_is_told_once_to_the_first_who_can_tell() {
    let link = Link::new();
    let [reader, _] = &link.readers;
    let told = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
    for (told, can) in told.iter().cloned().zip([false, true, true]) {
        reader.arena.watch_strays(move || {
            told.fetch_add(1, Ordering::Relaxed);
            can
        });
    }
    for _ in 0..3 {
        store(&reader.shown(&link.slot), 0, 99);
    }
    assert_eq!(reader.found(), 3);
    assert_eq!(told.map(|told| told.load(Ordering::Relaxed)), [1, 1, 0]);
}

/// Frames that a reader needs to be found out who stores into the same page of each.
fn frames_until_found(page: usize) -> u32 {
    let link = Link::new();
    let [reader, _] = &link.readers;
    let mut frames = 0;
    while reader.found() == 0 {
        assert!(frames < 2000, "never found");
        frames += 1;
        store(&reader.shown(&link.slot), page, 99);
    }
    // From now on every frame is looked at, and all of it.
    store(&reader.shown(&link.slot), PAGES - 1, 99);
    assert_eq!(reader.found(), 2);
    assert_eq!(byte(&reader.frame(&link.slot), PAGES - 1), 1);
    frames
}

#[test]
fn outside_development_who_goes_on_storing_is_found_within_a_turn_for_each_part() {
    let parts = (PAGES / PART_PAGES) as u32;
    let all = [0, PART_PAGES, PAGES - 1].map(frames_until_found);
    assert_eq!(*all.iter().max().unwrap_or(&0), TURNS * parts);
    assert_eq!(*all.iter().min().unwrap_or(&0), TURNS);
}

#[test]
fn another_mapping_of_the_slot_is_looked_at_by_itself() {
    let link = Link::new();
    let [reader, _] = &link.readers;
    let frame = reader.frame(&link.slot);
    // SAFETY: a new anonymous mapping where the kernel likes.
    let target = unsafe {
        let prot = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
        rustix::mm::mmap_anonymous(null_mut(), frame.len(), prot, rustix::mm::MapFlags::PRIVATE)
    };
    let target = std::ptr::NonNull::new(target.expect("the kernel plays along").cast::<u8>()).expect("not 0");
    // SAFETY: pages of this test's own, of the slot's length.
    unsafe { frame.segment().map_slot_over(frame.slot_index(), target) }.expect("the kernel plays along");
    // SAFETY: a page of that mapping, readable and writable; volatile, as nobody borrows it.
    let (look, put) = unsafe {
        let at = target.add(PART_PAGES * page_size());
        (move || at.read_volatile(), move |value| at.write_volatile(value))
    };
    put(99);
    assert_eq!((byte(&frame, PART_PAGES), look()), (1, 99));
    // SAFETY: mapped above by `map_slot_over`, and looked at by nobody now.
    let undo = |part| unsafe { reader.arena.undo_strays(target, frame.len(), part) };
    assert!(!undo(Some(0)), "another part");
    assert!(undo(Some(1)));
    assert_eq!(look(), 1);
    assert!(!undo(None), "nothing is left");
    assert_eq!(reader.found(), 1);
    // SAFETY: mapped above with this length, and not used afterwards.
    unsafe { rustix::mm::munmap(target.as_ptr().cast(), frame.len()) }.expect("the kernel plays along");
}

#[test]
fn slots_of_our_own_and_read_only_ones_have_nothing_to_look_for() {
    let link = Link::with(Access::Read);
    let [reader, _] = &link.readers;
    reader.arena.watch_strays(|| true);
    drop(reader.shown(&link.slot));
    link.slot.show();
    assert_eq!(reader.found(), 0);
}

#[test]
fn with_the_first_find_all_slots_that_nobody_sees_are_right_at_once() {
    let pool = Arena::default().pool(PoolConfig {
        slots: 4,
        ..PoolConfig::new("owner")
    });
    let owner = pool.class(PAGES * page_size()).expect("the kernel plays along");
    let slots = [(); 4].map(|()| {
        let mut slot = owner.acquire(Wait::Never).expect("four slots");
        slot.fill(1);
        slot.freeze()
    });
    let reader = Reader::of(&slots[0], Access::Private);
    for _ in 0..7 {
        for slot in &slots {
            assert_eq!(
                reader.found(),
                0,
                "each part of a slot is looked at after {TURNS} releases at the earliest"
            );
            store(&reader.shown(slot), 0, 99);
        }
    }
    let open = reader.shown(&slots[3]);
    store(&open, 0, 99);
    while reader.found() == 0 {
        for page in [0, PART_PAGES, 2 * PART_PAGES] {
            store(&reader.shown(&slots[0]), page, 99);
        }
    }
    for slot in &slots[..3] {
        assert!(reader.frame(slot).bytes().iter().all(|b| *b == 1));
    }
    assert_eq!(byte(&open, 0), 99, "what is seen now is left alone");
    drop(open);
    assert_eq!(byte(&reader.frame(&slots[3]), 0), 1);
}
