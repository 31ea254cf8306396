//! Clients that lie: whatever they say, send, write or do not do, the owner publishes, nobody else's frame changes, and no slot is lost.
//!
//! Each run is one client that joins (most of them), is granted something, and then does one of [`KINDS`] if it reads, one of [`FILLERS`]
//! if it fills, or lies before that ([`STRANGERS`]), or about its process ([`INVITED`]). Several do at once, over all of which an honest reader looks at every byte of every frame, when it comes and when it goes,
//! also of those that others hand over; one that is stopped finds its own as they were, and others join late. One that fills has a stage of
//! its own, in the memory of the same owner, with a reader before it.
//! `BEAMLINE_HOSTILE_RUNS` says how many; 2000 unless it does.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the counts are for whoever reads the log"
)]

mod bystanders;
mod lies;
mod raw;

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{Place, Reader};
use beamline_media::{Frame, FrameError, FrameInfo, FramePool, PixelFormat};
use bystanders::{SIZE, STOPPED, Seen, Stopped, honest, in_order, latecomers, produce};
use lies::{FILLERS, Filler, INVITED, KINDS, Liar, STRANGERS, Stage, Studio, dead};
use raw::{Chance, Raw};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Hostile clients at once.
const AT_ONCE: usize = 8;
const KINDS_IN_ALL: usize = KINDS.len() + FILLERS.len() + INVITED.len() + STRANGERS.len();

/// One run. Gives its kind, and whether it was past the hello and granted something when it lied.
fn lie(studio: &Studio, stage: &Place, run: usize, chance: &mut Chance) -> (&'static str, bool) {
    let path = studio.publisher.place().path();
    let mut kind = run % KINDS_IN_ALL;
    if let Some((name, act)) = KINDS.get(kind) {
        act(&Liar::join(path, studio), chance);
        return (name, true);
    }
    kind -= KINDS.len();
    if let Some((name, act)) = FILLERS.get(kind) {
        let mut stage = Stage::open(stage, &studio.arena);
        let mut filler = Filler::join(&mut stage, studio);
        let most = act(&mut filler, chance);
        drop(filler);
        stage.ends(studio, most);
        return (name, true);
    }
    kind -= FILLERS.len();
    if let Some((name, act)) = INVITED.get(kind) {
        return (name, act(studio, chance));
    }
    let (name, act) = STRANGERS[kind - INVITED.len()];
    act(&Raw::connect(path).expect("the owner listens"), chance);
    (name, false)
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Every slot is taken, written and read back. Gives how many there are.
fn write_all(pool: &FramePool) -> u64 {
    let mut frames = Vec::new();
    let slots = loop {
        match pool.acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Never) {
            Ok(mut frame) => {
                frame.plane_mut(0).0.fill(frames.len() as u8);
                frames.push(frame.freeze());
            }
            Err(FrameError::Memory(beamline_arena::Error::Empty { slots, .. })) => break slots,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(frames.len(), slots as usize, "all of them are there");
    let right = |(n, frame): (usize, &Frame)| frame.plane_bytes(0).0.iter().all(|b| *b == n as u8);
    assert!(frames.iter().enumerate().all(right));
    u64::from(slots)
}

fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Ends the threads beside when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What all clients did together.
#[derive(Default)]
struct Tally {
    by_kind: BTreeMap<&'static str, usize>,
    past_hello: usize,
}

fn all_lie(studio: &Studio, folder: &Path, runs: usize) -> Tally {
    let next = AtomicUsize::new(0);
    let stage = |worker: usize| Place::new(folder.join(format!("stage-{worker}")).to_str().unwrap()).unwrap();
    thread::scope(|scope| {
        let worker = |seed: usize| {
            let mut chance = Chance::new(seed as u64 + 1);
            let (mut tally, next, stage) = (Tally::default(), &next, stage(seed));
            move || {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        return tally;
                    }
                    let (kind, past_hello) = lie(studio, &stage, run, &mut chance);
                    *tally.by_kind.entry(kind).or_insert(0) += 1;
                    tally.past_hello += usize::from(past_hello);
                }
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|seed| scope.spawn(worker(seed))).collect();
        let mut all = Tally::default();
        for worker in workers {
            let tally = worker.join().expect("a liar ends well");
            all.past_hello += tally.past_hello;
            for (kind, count) in tally.by_kind {
                *all.by_kind.entry(kind).or_insert(0) += count;
            }
        }
        all
    })
}

/// What was seen beside.
struct Beside {
    /// The longest that the owner took to publish.
    publish: Duration,
    seen: Seen,
    /// How many joined meanwhile, and the longest until a first frame.
    late: (u32, Duration),
}

/// Clients lie to the studio's owner, while he publishes and others read.
fn while_others_read(studio: &Studio, pool: &FramePool, folder: &Path, runs: usize) -> (Tally, Beside) {
    let place = studio.publisher.place();
    let mine = Arena::default().pool(PoolConfig::new("honest"));
    let reader = Reader::connect(place, &mine, in_order(), &|| false).unwrap();
    studio.honest.set(reader.id()).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&studio.publisher, pool, &stop));
        let seen = scope.spawn(|| honest(reader, &stop));
        let late = scope.spawn(|| latecomers(place, &stop));
        // Also when a liar finds something wrong: the scope waits for the others.
        let on_the_way_out = Stop(&stop);
        let stopped = Stopped::start(place.path());
        let full = studio.publisher.readers().into_iter().find(|r| r.pid == stopped.pid());
        studio.full.set(full.unwrap().id).unwrap();
        let tally = all_lie(studio, folder, runs);
        stopped.go_on();
        drop(on_the_way_out);
        let beside = Beside {
            publish: producer.join().expect("the producer ends well"),
            seen: seen.join().expect("the honest reader saw only what is right"),
            late: late.join().expect("who comes late is let in"),
        };
        (tally, beside)
    })
}

#[test]
fn clients_that_lie_hurt_nobody() {
    if let Ok(path) = std::env::var(STOPPED) {
        Stopped::play(&path);
    }
    let runs = std::env::var("BEAMLINE_HOSTILE_RUNS").ok().and_then(|n| n.parse().ok());
    let runs: usize = runs.unwrap_or(2000);
    // That of the dead process stays.
    dead();
    let fds = open_fds();
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
    let arena = Arena::default();
    let config = PoolConfig {
        slots: 64,
        ..PoolConfig::new("studio")
    };
    let pool = FramePool::new(&arena, config);
    let studio = Studio::new(place, &arena);
    let began = Instant::now();
    let (tally, beside) = while_others_read(&studio, &pool, folder.path(), runs);
    let publisher = &studio.publisher;
    until("the end of all readers", || publisher.readers().is_empty());
    until("the return of all slots", || arena.stats().live == 0);
    let Tally { by_kind, past_hello } = tally;
    let Beside { publish, seen, late } = beside;
    let (refused, lost) = (publisher.refused_returns(), arena.stats().live);
    let (told_why, slowest) = (studio.told_why.load(Ordering::Relaxed), *studio.slowest.lock().unwrap());
    println!("hostile runs={runs} by kind {by_kind:?} past_hello={past_hello} refused_returns={refused} lost={lost}");
    println!(
        "in {:?}: {} frames published, the longest publish {publish:?}; an honest reader saw {} and {} that were handed over; {} joined \
         late, the slowest in {:?}; the slowest answer of an owner {slowest:?}; {} fds refused by the kernel; {told_why} told why they are \
         cut off",
        began.elapsed(),
        publisher.published(),
        seen.frames,
        seen.handed,
        late.0,
        late.1,
        studio.refused_fds.load(Ordering::Relaxed),
    );
    assert_eq!(by_kind.values().sum::<usize>(), runs);
    assert!(past_hello * 2 >= runs, "{past_hello}");
    assert!(refused > 0, "nobody claimed what it had not");
    assert!(seen.frames > 0 && late.0 > 0);
    assert!(publish < Duration::from_millis(250), "publish waited {publish:?}");
    assert!(late.1 < Duration::from_secs(5), "{:?}", late.1);
    assert!(slowest < Duration::from_secs(2), "an owner answered after {slowest:?}");
    if runs >= by_kind.len() * 4 {
        assert!(told_why > 0, "nobody was told why");
        assert!(seen.handed > 0, "nothing was handed over");
        assert_eq!(by_kind.len(), KINDS_IN_ALL, "all that there are");
    }
    let slots = write_all(&pool);
    // And nothing is left of what the stages had.
    until("the end of the producers' memory", || arena.stats().slots == slots);
    drop((studio, pool));
    until("the end of all fds", || open_fds() == fds);
    println!("{fds} fds are open as before");
}
