//! Readers that lie when they hand frames over. What they hold they may give to whoever takes such frames, and nothing else; each is answered
//! or cut off.

use super::{LONG, Liar};
use crate::raw::Chance;
use beamline_arena::{
    Access, SharedPage,
    grant::{ReturnPage, SEGMENTS, SLOTS, Told, WORDS},
};
use beamline_link::{FrameMessage, FromClient, SlotAt};
use rustix::io::Errno;
use std::{
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

impl Liar<'_> {
    /// Where the frame lies that was told by this entry.
    fn told(&self, number: u32) -> SlotAt {
        let mut words = [0; WORDS];
        assert_eq!(
            self.page.read(number, &mut words),
            Told::Entry,
            "nothing is told over it"
        );
        FrameMessage::decode(&words).unwrap().slots[0]
    }

    /// Where the frame lies that it was told of first. It has read none, so it holds it.
    fn first(&self) -> SlotAt {
        self.told(0)
    }

    fn pass(&self, ticket: u32, to: u64, slot: SlotAt) -> Result<(), Errno> {
        let words = serde_json::to_vec(&FromClient::Pass { ticket, to, slot }).unwrap();
        self.raw.send(&words)
    }

    /// Whether it was taken; none when we are cut off instead.
    fn answer(&self) -> Option<bool> {
        let (began, slow) = (Instant::now(), "the owner answers, or cuts off");
        let answer = loop {
            let Some((said, _)) = self.raw.message(LONG) else {
                assert!(began.elapsed() < LONG, "{slow}");
                break None;
            };
            if said.contains("\"passed\"") {
                break Some(said.contains("\"taken\":true"));
            }
            if said.contains("share-protocol") {
                self.studio.told_why.fetch_add(1, Ordering::Relaxed);
            }
        };
        self.studio.took(began.elapsed());
        answer
    }
}

pub(crate) fn what_it_does_not_hold(liar: &Liar<'_>, chance: &mut Chance) {
    let first = liar.first();
    let slot = SlotAt {
        // None is told of as many; or beyond all tables.
        segment: [63, 64, u16::MAX][chance.below(3) as usize],
        slot: [first.slot, 63, u16::MAX][chance.below(3) as usize],
        generation: first.generation,
    };
    liar.pass(1, liar.studio.honest(), slot).unwrap();
    // One outside the tables is no slot at all.
    let possible = usize::from(slot.segment) < SEGMENTS && usize::from(slot.slot) < SLOTS;
    assert_eq!(liar.answer(), possible.then_some(false), "{slot:?} was passed on");
}

pub(crate) fn another_use_of_a_slot(liar: &Liar<'_>, chance: &mut Chance) {
    let mut slot = liar.first();
    slot.generation = match chance.below(3) {
        0 => slot.generation.wrapping_sub(1),
        1 => slot.generation.wrapping_add(1),
        _ => !slot.generation,
    };
    liar.pass(1, liar.studio.honest(), slot).unwrap();
    assert_eq!(liar.answer(), Some(false), "{slot:?} was passed on");
}

pub(crate) fn what_it_has_given_back(liar: &Liar<'_>, _: &mut Chance) {
    let slot = liar.first();
    let returns = liar.returns.try_clone().unwrap();
    let returns = SharedPage::<ReturnPage>::attach(returns, Access::Shared).unwrap();
    let _ = returns.give_back(usize::from(slot.segment), usize::from(slot.slot), &liar.page);
    // Whoever asks for the books hears first what came back.
    drop(liar.studio.publisher.readers());
    liar.pass(1, liar.studio.honest(), slot).unwrap();
    if liar.answer() == Some(true) {
        // Another liar may have handed it the very same frame.
        let again = (1..liar.page.written()).any(|number| liar.told(number) == slot);
        assert!(again, "{slot:?} was passed on");
    }
}

pub(crate) fn to_itself(liar: &Liar<'_>, _: &mut Chance) {
    for ticket in 0..20 {
        liar.pass(ticket, liar.id, liar.first()).unwrap();
        // It has room for that or not.
        assert!(liar.answer().is_some());
    }
    thread::sleep(Duration::from_millis(1));
}

pub(crate) fn to_nobody(liar: &Liar<'_>, chance: &mut Chance) {
    for (ticket, to) in [0, u64::MAX, chance.next() | 1 << 63].into_iter().enumerate() {
        liar.pass(ticket as u32, to, liar.first()).unwrap();
        assert_eq!(liar.answer(), Some(false));
    }
}

pub(crate) fn to_one_that_is_full(liar: &Liar<'_>, _: &mut Chance) {
    for ticket in 0..10 {
        liar.pass(ticket, *liar.studio.full.get().unwrap(), liar.first())
            .unwrap();
        assert_eq!(liar.answer(), Some(false), "what has no room waits for none");
    }
}

/// To whomever there is, the honest one among them, and it reads no answer.
pub(crate) fn floods(liar: &Liar<'_>, chance: &mut Chance) {
    let mut whom: Vec<_> = liar.studio.publisher.readers().iter().map(|r| r.id).collect();
    whom.push(liar.studio.honest());
    let slot = liar.first();
    super::for_ms(5, || {
        let to = whom[chance.below(whom.len() as u64) as usize];
        !matches!(liar.pass(chance.next() as u32, to, slot), Err(e) if e != Errno::AGAIN)
    });
}
