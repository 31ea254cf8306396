//! An owner that lies with the word that its readers sleep on: both can write it, and whoever has its memory can wake who sleeps there.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod false_owner;
mod raw;

use beamline_arena::{Access, grant::ReturnPage};
use beamline_link::{Next, Reader};
use false_owner::{Owner, SEALED, SLOT, honest_entry, in_order, memfd, segment};
use raw::Raw;
use rustix::{fd::AsFd, thread::futex};
use std::{
    fs,
    sync::{
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Wakes for nothing that are heard in a row; then one for each time that the reader is deaf for.
const VAIN_WAKES: u64 = 64;
const DEAF: Duration = Duration::from_millis(4);
const MOVES: &str = "moves who sleeps elsewhere";
const SECOND: Duration = Duration::from_secs(1);

type Lie = fn(&ReturnPage);

/// What a false owner does to the word, all the time. The last takes those who sleep on it away from it: nothing reaches them there but the end
/// of their time.
const LIES: [(&str, Lie); 5] = [
    ("wakes", wake),
    ("takes it back and wakes", |page| {
        page.futex().store(0, Ordering::Relaxed);
        wake(page);
    }),
    ("writes nonsense", |page| {
        page.futex().store(0xdead_beef, Ordering::Relaxed)
    }),
    ("says that it sleeps", |page| {
        page.futex().store(ReturnPage::ASLEEP, Ordering::Relaxed)
    }),
    (MOVES, |page| {
        static ELSEWHERE: AtomicU32 = AtomicU32::new(0);
        let _ = futex::requeue(page.futex(), futex::Flags::empty(), 0, 1, &ELSEWHERE);
    }),
];

fn wake(page: &ReturnPage) {
    let _ = futex::wake(page.futex(), futex::Flags::empty(), 1);
}

/// Somebody does `lie` all the time while `act` goes on. Gives what that gives, and how often it was done.
fn beside<T>(owner: &Owner, lie: Lie, act: impl FnOnce() -> T) -> (T, u64) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let liar = scope.spawn(|| {
            let mut times = 0;
            while !stop.load(Ordering::Relaxed) {
                lie(&owner.returns);
                times += 1;
            }
            times
        });
        let on_the_way_out = Stop(&stop);
        let got = act();
        drop(on_the_way_out);
        (got, liar.join().unwrap())
    })
}

/// Ends the liar when it is dropped, also when what it lies to fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A reader of a false owner that has shown its memory.
fn reader(owner: &Owner) -> (Reader, Raw) {
    let (reader, raw) = owner.welcomed(in_order(Access::Read));
    let memory = memfd(2 * SLOT, SEALED);
    raw.send_with(&segment(0, SLOT as u64, 2), &[memory.as_fd()]).unwrap();
    (reader, raw)
}

/// How often this thread has gone to sleep.
fn sleeps() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let told = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
    told.unwrap().trim().parse().unwrap()
}

#[test]
fn wakes_for_nothing_cost_a_reader_a_bounded_number_of_turns_and_no_more_time_than_it_has() {
    for (name, lie) in LIES {
        let owner = Owner::new();
        let (mut reader, _raw) = reader(&owner);
        let (began, slept) = (Instant::now(), sleeps());
        let (next, times) = beside(&owner, lie, || reader.next(SECOND));
        let (took, slept) = (began.elapsed(), sleeps() - slept);
        assert!(matches!(next, Ok(Next::Nothing)), "{name}: {next:?}");
        assert!(SECOND <= took && took < 2 * SECOND, "{name}: {took:?}");
        assert!(times > 20_000, "{name}: too few to tell: {times}");
        // As many in a row as are heard; then one turn each that it was deaf, for 4 ms at least.
        let turns = (took.as_nanos() / DEAF.as_nanos()) as u64 + 1;
        let vain = reader.vain_wakes();
        assert!(
            vain <= VAIN_WAKES + turns,
            "{name}: {vain} wakes for nothing were heard in {took:?}"
        );
        // It slept for each of them at most once, and once more where it was deaf.
        assert!(
            slept <= VAIN_WAKES + 2 * turns,
            "{name}: it slept {slept} times in {took:?}"
        );
        // Who only writes meets a reader that is about to sleep, or none.
        if name.contains("wakes") {
            assert!(vain >= VAIN_WAKES, "{name}: only {vain} of {times} were heard");
        }
    }
}

#[test]
fn what_comes_beside_wakes_for_nothing_is_seen() {
    let honest = honest_entry();
    for (name, lie) in LIES {
        let owner = Owner::new();
        let (mut reader, _raw) = reader(&owner);
        let (seen, _) = beside(&owner, lie, || {
            (0..50u32).all(|number| {
                owner.tell.tell(number, &honest);
                matches!(reader.next(5 * SECOND), Ok(Next::Frame(..)))
            })
        });
        assert!(seen, "{name}");
    }
}

#[test]
fn an_interrupt_reaches_a_reader_whatever_its_owner_writes_to_the_word() {
    for (name, lie) in LIES.into_iter().filter(|(name, _)| *name != MOVES) {
        let owner = Owner::new();
        let (mut reader, raw) = reader(&owner);
        let interrupt = reader.interrupt();
        let (ended, ends) = mpsc::channel();
        thread::scope(|scope| {
            let sleeper = scope.spawn(move || {
                for _ in 0..100 {
                    let next = reader.next(Duration::MAX);
                    let nothing = matches!(next, Ok(Next::Nothing));
                    ended.send(nothing).unwrap();
                }
            });
            let (all, _) = beside(&owner, lie, || {
                (0..100).all(|turn| {
                    // Before it sleeps, while it goes to sleep, when it sleeps.
                    thread::sleep(Duration::from_micros(turn * 50));
                    interrupt.interrupt();
                    ends.recv_timeout(5 * SECOND) == Ok(true)
                })
            });
            // Its end reaches it too, should anything have gone wrong.
            drop(raw);
            assert!(all, "{name}");
            sleeper.join().unwrap();
        });
    }
}

#[test]
fn an_owner_that_never_wakes_is_heard_when_the_time_is_over() {
    let honest = honest_entry();
    let owner = Owner::new();
    let (mut reader, _raw) = reader(&owner);
    let wait = SECOND / 5;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(wait / 4);
            owner.tell.tell(0, &honest);
        });
        let began = Instant::now();
        let next = reader.next(wait);
        assert!(matches!(next, Ok(Next::Frame(..))), "{next:?}");
        assert!(began.elapsed() < wait + SECOND, "{:?}", began.elapsed());
    });
}
