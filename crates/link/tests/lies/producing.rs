//! Producers that lie, past the hello and with empty slots granted ahead. Each gives how many pictures it may have shown by right, besides
//! those before.

use super::{
    for_ms, is_told_why,
    stage::{Filler, caps},
};
use crate::{bystanders::SIZE, raw::Chance};
use beamline_arena::{
    Access, SharedPage,
    grant::{PublishPage, ReturnPage, TellPage},
};
use beamline_link::{FrameMessage, FromClient, PlaneAt, SlotAt, WireCaps};
use beamline_media::{PixelFormat, Size};
use rustix::{
    fs::{FallocateFlags, SealFlags},
    io::Errno,
};
use std::{sync::atomic::Ordering, thread, time::Duration};

/// Needs memory of its own.
const LARGER: Size = Size::new(160, 100);

pub(crate) type Fill = fn(&mut Filler<'_>, &mut Chance) -> usize;

pub(crate) const FILLERS: [(&str, Fill); 14] = [
    ("fills: shows what it was not granted", shows_what_it_was_not_granted),
    ("fills: shows a picture twice", shows_a_picture_twice),
    ("fills: shows another use of a slot", shows_another_use_of_a_slot),
    ("fills: shows impossible layouts", shows_impossible_layouts),
    ("fills: shows noise", shows_noise),
    ("fills: tells over unread entries", tells_over_unread_entries),
    (
        "fills: gives back what it does not hold",
        gives_back_what_it_does_not_hold,
    ),
    ("fills: scribbles", scribbles),
    ("fills: floods", floods),
    ("fills: absurd formats", absurd_formats),
    ("fills: never forgets", never_forgets),
    ("fills: never ends", never_ends),
    ("fills: seals its memory", seals_its_memory),
    ("fills: says what others say", says_what_others_say),
];

fn must_be_cut_off(filler: &Filler<'_>) {
    assert!(filler.is_cut_off(), "the owner goes on with it");
}

fn shows_what_it_was_not_granted(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let (granted, _kept) = filler.slot();
    let at = match chance.below(3) {
        // Of its own memory, and of none.
        0 => SlotAt { slot: 63, ..granted },
        1 => SlotAt { segment: 63, ..granted },
        _ => SlotAt {
            segment: chance.next() as u16,
            slot: chance.next() as u16,
            generation: chance.next() as u32 | 1 << 31,
        },
    };
    let entry = filler.message(at, 9, SIZE).encode();
    filler.tells(&entry);
    must_be_cut_off(filler);
    0
}

fn shows_a_picture_twice(filler: &mut Filler<'_>, _: &mut Chance) -> usize {
    let (at, slot) = filler.slot();
    filler.show_slot(at, slot, 9, SIZE);
    let again = filler.message(at, 9, SIZE).encode();
    filler.tells(&again);
    must_be_cut_off(filler);
    1
}

fn shows_another_use_of_a_slot(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let (at, _kept) = filler.slot();
    let generation = at.generation.wrapping_add(1 + chance.below(1 << 20) as u32);
    let entry = filler.message(SlotAt { generation, ..at }, 9, SIZE).encode();
    filler.tells(&entry);
    must_be_cut_off(filler);
    0
}

fn shows_impossible_layouts(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let (at, _kept) = filler.slot();
    let right = filler.message(at, 9, SIZE);
    let plane = right.planes[0];
    let with = |first: PlaneAt| {
        let mut lie = right;
        lie.planes[0] = first;
        lie
    };
    let sized = |coded: Size| {
        let mut lie: FrameMessage = right;
        lie.info.coded = coded;
        (lie.info.visible.width, lie.info.visible.height) = (coded.width, coded.height);
        lie
    };
    let far = (1 << 56) - 1;
    let mut twice = right;
    (twice.slots[1], twice.slot_count) = (at, 2);
    let lies = [
        with(PlaneAt { offset: far, ..plane }),
        with(PlaneAt { stride: far, ..plane }),
        with(PlaneAt {
            offset: 1 << 20,
            ..plane
        }),
        with(PlaneAt { stride: 1, ..plane }),
        with(PlaneAt { slot: 3, ..plane }),
        sized(Size::new(16384, 16384)),
        sized(Size::new(u32::MAX, u32::MAX)),
        sized(Size::new(0, 0)),
        twice,
    ];
    let entry = lies[chance.below(lies.len() as u64) as usize].encode();
    filler.tells(&entry);
    must_be_cut_off(filler);
    0
}

/// An entry in which some words are chance: mostly nothing, now and then a picture that lies in its slot.
fn shows_noise(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let mut told = 0;
    while let Some((at, _kept)) = filler.granted() {
        let mut entry = filler.message(at, 9, SIZE).encode();
        for _ in 0..1 + chance.below(4) {
            let word = &mut entry[chance.below(24) as usize];
            *word = match chance.below(3) {
                0 => chance.next(),
                1 => *word ^ 1 << chance.below(64),
                _ => u64::MAX >> chance.below(64),
            };
        }
        filler.tells(&entry);
        told += 1;
        thread::sleep(Duration::from_millis(1));
    }
    told
}

fn tells_over_unread_entries(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let (at, _kept) = filler.slot();
    let entry = filler.message(at, 9, SIZE).encode();
    filler.told = match chance.below(3) {
        // Far ahead; what was told before, again.
        0 => filler.told + 128 + chance.below(1000) as u32,
        1 => u32::MAX,
        _ => filler.told - 2,
    };
    filler.tells(&entry);
    must_be_cut_off(filler);
    0
}

fn gives_back_what_it_does_not_hold(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    for _ in 0..200 {
        let (segment, slot) = (chance.below(64) as usize, chance.below(64) as usize);
        if filler.far.returns().give_back(segment, slot, filler.far.tell()) {
            filler.far.wake_owner();
        }
    }
    // And what it then shows all the same: by right when the owner hears of both at once.
    let Some((at, slot)) = filler.granted() else { return 0 };
    let (segment, number) = (usize::from(at.segment), usize::from(at.slot));
    let _ = filler.far.returns().give_back(segment, number, filler.far.tell());
    filler.show_slot(at, slot, 9, SIZE);
    thread::sleep(Duration::from_millis(1));
    1
}

fn scribbles(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let again = filler.tell.try_clone().unwrap();
    assert!(SharedPage::<TellPage>::attach(again, Access::Shared).is_err());
    assert_eq!(rustix::io::pwrite(&filler.tell, &[1], 0), Err(Errno::PERM));
    for fd in [&filler.tell, &filler.returns, &filler.ring, &filler.segments[0]] {
        assert_eq!(rustix::fs::ftruncate(fd, 0), Err(Errno::PERM));
    }
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // It was shown before, so nobody writes it but by the mapping that there is.
    assert_eq!(
        rustix::fs::fallocate(&filler.segments[0], hole, 0, 4096),
        Err(Errno::PERM)
    );
    for_ms(4, || {
        // Under the eyes of who reads them.
        filler.shown.iter_mut().for_each(|slot| slot.fill(chance.next() as u8));
        true
    });
    for (fd, len) in [
        (&filler.returns, size_of::<ReturnPage>()),
        (&filler.ring, size_of::<PublishPage>()),
    ] {
        for _ in 0..20 {
            let bytes: Vec<u8> = (0..1 + chance.below(256)).map(|_| chance.next() as u8).collect();
            rustix::io::pwrite(fd, &bytes, chance.below(len as u64 - 256)).unwrap();
        }
        rustix::io::pwrite(fd, &vec![chance.next() as u8 | 1; len], 0).unwrap();
        let _ = rustix::fs::fallocate(fd, hole, 0, len as u64);
    }
    filler.far.wake_owner();
    thread::sleep(Duration::from_millis(1));
    0
}

fn floods(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let words = serde_json::to_vec(&FromClient::Caps(WireCaps::of(&caps(SIZE)))).unwrap();
    let mut shown = 0;
    for_ms(8, || {
        if filler.show(chance.next() as u8, SIZE) {
            shown += 1;
        }
        // Others come for what goes back.
        filler.shown.clear();
        filler.far.wake_owner();
        let _ = filler.raw.send(&words);
        true
    });
    shown
}

fn absurd_formats(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let right = WireCaps::of(&caps(SIZE));
    let sized = |width: u32, height: u32| WireCaps {
        width,
        height,
        ..right.clone()
    };
    let lies = [
        sized(16384, 16384),
        sized(1, 1),
        sized(1, 16384),
        WireCaps {
            frame_rate: Some((0, 0)),
            rotation: 7,
            color: (255, 255, 255),
            ..right.clone()
        },
        WireCaps {
            format: Some(PixelFormat::RGBA.slug().into()),
            ..right.clone()
        },
        sized(0, 0),
        sized(u32::MAX, u32::MAX),
        WireCaps {
            format: Some("x".repeat(3000)),
            ..right.clone()
        },
    ];
    // Mostly what there can be.
    let kinds = if chance.below(4) == 0 { lies.len() } else { 5 };
    for _ in 0..40 {
        let lie = lies[chance.below(kinds as u64) as usize].clone();
        if filler.say(&FromClient::Caps(lie)).is_err() {
            break;
        }
    }
    if kinds > 5 && is_told_why(&filler.raw) {
        filler.studio.told_why.fetch_add(1, Ordering::Relaxed);
    }
    0
}

/// One size after the other, and the memory of none is forgotten: numbers for it run out.
fn never_forgets(filler: &mut Filler<'_>, _: &mut Chance) -> usize {
    let mut shown = 0;
    let mut width = SIZE.width;
    for_ms(30, || {
        width += 64;
        let size = Size::new(width, 32);
        let said = filler.say(&FromClient::Caps(WireCaps::of(&caps(size))));
        thread::sleep(Duration::from_micros(300));
        while let Some((at, slot)) = filler.granted() {
            // Those of the size before are too small, and go back.
            let segment = filler.far.place_of_mut(&slot);
            assert!(segment.is_some());
            if slot.len() >= size.width as usize * 32 * 2 {
                filler.show_slot(at, slot, 9, size);
                shown += 1;
            }
        }
        filler.shown.clear();
        said.is_ok() || said == Err(Errno::AGAIN)
    });
    shown
}

/// It shows what it can and keeps all of it, and its process ends without a word.
fn never_ends(filler: &mut Filler<'_>, _: &mut Chance) -> usize {
    let mut shown = 0;
    for_ms(10, || {
        shown += usize::from(filler.show(shown as u8, SIZE));
        true
    });
    shown
}

/// Memory that is not yet shown can be sealed against the owner's own seals: then it is shown to nobody.
fn seals_its_memory(filler: &mut Filler<'_>, _: &mut Chance) -> usize {
    filler.say(&FromClient::Caps(WireCaps::of(&caps(LARGER)))).unwrap();
    let known = filler.segments.len();
    let (at, _kept) = loop {
        // Those of the format before go back.
        let granted = filler.slot();
        if filler.segments.len() > known {
            break granted;
        }
    };
    let memory = &filler.segments[known];
    assert_eq!(
        rustix::fs::fcntl_add_seals(memory, SealFlags::WRITE),
        Err(Errno::BUSY),
        "the owner has mapped it"
    );
    rustix::fs::fcntl_add_seals(memory, SealFlags::SEAL).unwrap();
    let entry = filler.message(at, 9, LARGER).encode();
    filler.tells(&entry);
    must_be_cut_off(filler);
    0
}

fn says_what_others_say(filler: &mut Filler<'_>, chance: &mut Chance) -> usize {
    let (at, _kept) = filler.slot();
    let said: [Vec<u8>; 8] = [
        serde_json::to_vec(&FromClient::Pass {
            ticket: 1,
            to: filler.studio.honest(),
            slot: at,
        })
        .unwrap(),
        b"{\"kind\":\"bye\",\"read\":0}".to_vec(),
        b"{\"kind\":\"forgot\",\"number\":0}".to_vec(),
        b"{\"kind\":\"forgot\",\"number\":4294967295}".to_vec(),
        crate::raw::hello_of_producer(&caps(SIZE)).into_bytes(),
        b"{\"kind\":\"segment\",\"number\":0,\"slot_size\":4096,\"slots\":1}".to_vec(),
        b"{\"kind\":\"refused\"}".to_vec(),
        vec![b'['; 5000],
    ];
    filler
        .raw
        .send(&said[chance.below(said.len() as u64) as usize])
        .unwrap();
    assert!(is_told_why(&filler.raw), "the owner says why");
    filler.studio.told_why.fetch_add(1, Ordering::Relaxed);
    0
}
