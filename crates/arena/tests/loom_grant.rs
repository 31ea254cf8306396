//! Models of grants to another process over the crate's own source: told, given back, woken for, handed over, swept. Each rule has a twin
//! with a planted fault that loom must find.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p beamline-arena --release --test loom_grant --target-dir target/loom`
#![cfg(loom)]
#![expect(
    unsafe_code,
    reason = "a slot's bytes are shared between processes as the grants say; loom's cell checks that"
)]

use beamline_arena::{
    grant::{Entry, Granted, PublishPage, ReturnPage, TellPage, Told, WORDS, planted},
    ledger::Ledger,
};
use loom::{
    cell::UnsafeCell,
    sync::{Arc, Mutex, Notify, atomic::Ordering},
    thread,
};

/// The bytes of one slot, for loom to watch.
struct Slot(UnsafeCell<u32>);

// SAFETY: that it holds is what the models are there to show; loom panics where it does not.
unsafe impl Sync for Slot {}

/// One slot, one client: what both sides see, and what only the owner has (behind the mutex).
struct Link {
    ledger: Ledger,
    slot: Slot,
    tell: TellPage,
    returns: ReturnPage,
    owner: Mutex<Granted>,
    bell: Notify,
}

const ENTRY: Entry = [7; WORDS];

impl Link {
    fn new() -> Arc<Self> {
        Arc::new(Link {
            ledger: Ledger::new(1, false),
            slot: Slot(UnsafeCell::new(0)),
            tell: TellPage::default(),
            returns: ReturnPage::default(),
            owner: Mutex::new(Granted::default()),
            bell: Notify::new(),
        })
    }

    /// Owner: takes the slot, writes it, shares it; its own hold remains.
    fn fill(&self) -> bool {
        let Some(taken) = self.ledger.take() else { return false };
        self.slot.0.with_mut(|_| ());
        self.ledger.share(taken.index);
        true
    }

    /// Owner: a grant.
    fn grant(&self, number: u32) {
        self.ledger.retain(0);
        self.tell_noted(number);
    }

    fn tell_noted(&self, number: u32) {
        self.owner.lock().unwrap().tell(&self.tell, number, &ENTRY, [(0, 0)]);
    }

    /// Owner, planted: whoever hears the return of it may have the books before it stands there.
    fn tell_unnoted(&self, number: u32) {
        self.tell.tell(number, &ENTRY);
        self.owner
            .lock()
            .unwrap()
            .tell(&TellPage::default(), number, &ENTRY, [(0, 0)]);
    }

    fn release(&self, count: u32) {
        for _ in 0..count {
            if self.ledger.release(0) {
                self.ledger.free(0);
            }
        }
    }

    fn drain(&self) {
        let mut back = 0;
        self.owner
            .lock()
            .unwrap()
            .drain(&self.returns, 1, |_, _, count| back += count);
        self.release(back);
    }

    fn sweep(&self) {
        let mut back = 0;
        self.owner.lock().unwrap().sweep(|_, _, count| back += count);
        self.release(back);
    }

    /// Client: reads what was granted, if it was told of it.
    fn read(&self, number: u32) -> bool {
        let mut entry = [0; WORDS];
        match self.tell.read(number, &mut entry) {
            Told::Nothing => false,
            Told::Entry => {
                assert_eq!(entry, ENTRY);
                self.slot.0.with(|_| ());
                true
            }
            Told::Overrun => panic!("nothing was written over"),
        }
    }

    fn give_back(&self) {
        if self.returns.give_back(0, 0, &self.tell) {
            self.bell.notify();
        }
    }
}

#[test]
fn a_slot_is_written_again_only_after_it_was_given_back() {
    loom::model(|| {
        let link = Link::new();
        assert!(link.fill());
        let client = {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                if link.read(0) {
                    link.give_back();
                }
            })
        };
        link.grant(0);
        // The owner's own hold goes; what the client has not given back keeps the slot.
        link.release(1);
        link.drain();
        let _ = link.fill();
        client.join().unwrap();
    });
}

/// The client gives back as soon as it knows; the owner notes before it tells, or after.
fn noting(grant: fn(&Link)) {
    loom::model(move || {
        let link = Link::new();
        assert!(link.fill());
        let client = {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                if link.read(0) {
                    link.give_back();
                    return true;
                }
                false
            })
        };
        let owner = {
            let link = Arc::clone(&link);
            thread::spawn(move || link.drain())
        };
        grant(&link);
        let back = client.join().unwrap();
        owner.join().unwrap();
        link.drain();
        let outstanding = link.owner.lock().unwrap().outstanding();
        assert_eq!(outstanding, u32::from(!back), "what was given back is ours again");
    });
}

#[test]
fn a_grant_is_noted_before_it_is_told() {
    noting(|link| link.grant(0));
}

#[test]
#[should_panic]
fn planted_a_grant_that_is_told_before_it_is_noted_is_found() {
    noting(|link| {
        link.ledger.retain(0);
        link.tell_unnoted(0);
    });
}

/// The owner sleeps until something came back. A lost wake is a deadlock, which loom reports.
fn waking(give_back: fn(&Link)) {
    loom::model(move || {
        let link = Link::new();
        assert!(link.fill());
        link.grant(0);
        link.release(1);
        let client = {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                assert!(link.read(0));
                give_back(&link);
            })
        };
        loop {
            link.tell.owner_sleeps();
            link.drain();
            if link.owner.lock().unwrap().outstanding() == 0 {
                link.tell.owner_wakes();
                break;
            }
            link.bell.wait();
            link.tell.owner_wakes();
        }
        client.join().unwrap();
        assert!(link.fill(), "the slot is free again");
    });
}

#[test]
fn an_owner_that_sleeps_hears_what_comes_back() {
    waking(Link::give_back);
}

#[test]
#[should_panic]
fn planted_a_fence_left_out_before_the_look_at_wake_me_is_found() {
    waking(|link| {
        if planted::give_back_unfenced(&link.returns, 0, 0, &link.tell) {
            link.bell.notify();
        }
    });
}

#[test]
fn a_client_that_sleeps_hears_what_is_told() {
    loom::model(|| {
        let link = Link::new();
        assert!(link.fill());
        let client = {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                link.returns.client_sleeps();
                // As the kernel has it: who is to sleep on a word that has changed does not.
                let asleep = |link: &Link| link.returns.futex().load(Ordering::Acquire) == ReturnPage::ASLEEP;
                if link.tell.written() == 0 && asleep(&link) {
                    link.bell.wait();
                }
                link.returns.client_wakes(0);
                assert!(link.read(0));
            })
        };
        link.grant(0);
        if link.returns.must_wake_client() {
            link.bell.notify();
        }
        client.join().unwrap();
    });
}

/// The client dies at any moment: what it had given back and what is swept are together what was granted, once.
#[test]
fn a_sweep_beside_the_last_words_of_a_client_frees_everything_once() {
    loom::model(|| {
        let link = Link::new();
        assert!(link.fill());
        link.grant(0);
        let client = {
            let link = Arc::clone(&link);
            thread::spawn(move || {
                if link.read(0) {
                    link.give_back();
                }
            })
        };
        link.drain();
        link.release(1);
        client.join().unwrap();
        // Nothing is looked at that the client wrote, and a drain that comes late finds nothing more to take.
        link.sweep();
        link.drain();
        assert_eq!(link.ledger.in_use(), 0);
        assert!(link.fill());
    });
}

/// Client A hands the slot to client B through the owner, which grants it to B before it hears A's return.
fn handing_over(hand_over: fn(&Link, &Link)) {
    loom::model(move || {
        let (a, b) = (Link::new(), Link::new());
        assert!(a.fill());
        a.grant(0);
        a.release(1);
        let giver = {
            let a = Arc::clone(&a);
            thread::spawn(move || {
                assert!(a.read(0));
                a.give_back();
            })
        };
        hand_over(&a, &b);
        let taker = {
            let (a, b) = (Arc::clone(&a), Arc::clone(&b));
            thread::spawn(move || {
                if b.tell.read(0, &mut [0; WORDS]) == Told::Entry {
                    // The same slot: A's link stands for the owner's memory.
                    a.slot.0.with(|_| ());
                    b.give_back();
                }
            })
        };
        a.drain();
        // A writer that finds the slot free would meet B's look at it.
        let _ = a.fill();
        giver.join().unwrap();
        taker.join().unwrap();
    });
}

#[test]
fn a_slot_that_is_handed_over_stays_held() {
    handing_over(|a, b| {
        // The owner still counts A's grant, so the slot cannot go: B's hold comes first, then the telling.
        let held = a.owner.lock().unwrap().held(0, 0) > 0;
        if held {
            a.ledger.retain(0);
            b.tell_noted(0);
        }
    });
}

#[test]
#[should_panic]
fn planted_a_hand_over_without_a_hold_of_its_own_is_found() {
    handing_over(|_, b| {
        b.tell_noted(0);
    });
}

/// What the owner of a producer's slot knows.
struct Producing {
    link: Arc<Link>,
    publish: Arc<PublishPage>,
    /// The slot is out to be written.
    ahead: bool,
    shown: bool,
}

impl Producing {
    fn returns(&self) -> u32 {
        let mut back = 0;
        let mut granted = self.link.owner.lock().unwrap();
        granted.drain(&self.link.returns, 1, |_, _, count| back += count);
        back
    }

    /// What was told, when it is of a slot that is out: from now on it is read, and the producer holds it beside us.
    fn ring(&mut self) {
        if self.publish.read(0, &mut [0; WORDS]) == Told::Entry && std::mem::take(&mut self.ahead) {
            self.link.ledger.share(0);
            self.link.ledger.retain(0);
            self.link.slot.0.with(|_| ());
            self.shown = true;
            self.link.release(1);
        }
    }

    fn free(&mut self, back: u32) {
        self.ahead &= back == 0;
        self.link.release(back);
    }
}

/// A client fills a slot that was granted to it empty, tells of it and lets it go; the owner hears both.
fn producing(hear: fn(&mut Producing)) {
    loom::model(move || {
        let link = Link::new();
        let publish = Arc::new(PublishPage::default());
        assert!(link.ledger.take().is_some());
        link.tell_noted(0);
        let client = {
            let (link, publish) = (Arc::clone(&link), Arc::clone(&publish));
            thread::spawn(move || {
                assert!(link.tell.read(0, &mut [0; WORDS]) == Told::Entry);
                link.slot.0.with_mut(|_| ());
                publish.tell(0, &ENTRY);
                link.give_back();
            })
        };
        let mut owner = Producing {
            link: Arc::clone(&link),
            publish,
            ahead: true,
            shown: false,
        };
        hear(&mut owner);
        client.join().unwrap();
        hear(&mut owner);
        assert!(owner.shown, "what was told is shown");
        assert_eq!(link.ledger.in_use(), 0);
    });
}

#[test]
fn what_a_producer_told_before_it_let_go_is_heard_before() {
    producing(|owner| {
        let back = owner.returns();
        owner.ring();
        owner.free(back);
    });
}

#[test]
#[should_panic]
fn planted_a_look_at_the_ring_before_the_returns_is_found() {
    producing(|owner| {
        owner.ring();
        let back = owner.returns();
        owner.free(back);
    });
}

/// A producer that has told something wakes an owner that sleeps.
#[test]
fn an_owner_that_sleeps_hears_what_is_published() {
    loom::model(|| {
        let link = Link::new();
        let publish = Arc::new(PublishPage::default());
        let client = {
            let (link, publish) = (Arc::clone(&link), Arc::clone(&publish));
            thread::spawn(move || {
                publish.tell(0, &ENTRY);
                if link.tell.must_wake_owner() {
                    link.bell.notify();
                }
            })
        };
        loop {
            link.tell.owner_sleeps();
            if publish.read(0, &mut [0; WORDS]) != Told::Nothing {
                break;
            }
            link.bell.wait();
            link.tell.owner_wakes();
        }
        client.join().unwrap();
    });
}

/// Two grants of one slot, two local holders that let go whenever they like: each grant goes back once.
#[test]
fn a_client_gives_back_as_many_grants_as_it_got() {
    loom::model(|| {
        let far = Arc::new(Ledger::far(1));
        let returned = Arc::new(loom::sync::atomic::AtomicU32::new(0));
        let back = |returned: &loom::sync::atomic::AtomicU32| {
            returned.fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
        };
        assert!(far.receive(0, 5), "the first grant is kept");
        let holder = {
            let (far, returned) = (Arc::clone(&far), Arc::clone(&returned));
            thread::spawn(move || {
                if far.release(0) {
                    back(&returned);
                }
            })
        };
        if !far.receive(0, 5) {
            back(&returned);
        }
        if far.release(0) {
            back(&returned);
        }
        holder.join().unwrap();
        assert_eq!(returned.load(loom::sync::atomic::Ordering::Relaxed), 2);
        assert_eq!(far.look(0).0, 0);
    });
}
