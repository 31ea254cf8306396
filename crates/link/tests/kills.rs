//! Clients that die: SIGKILL at moments spread over what a client can be doing. Whatever they held comes back by itself.
//!
//! What a client was doing is what the owner's books say right before the kill; the role that it was dealt counts only where the books
//! cannot tell. Both are printed.
//!
//! The test starts itself again as a client: with `BEAMLINE_KILL_ROLE` set, the process plays that role until it is killed.
//! `BEAMLINE_KILLS` says how many; 10 000 unless it does.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the counts are for whoever reads the log"
)]

mod raw;
mod roles;

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{ClientInfo, Host, Limits, Next, Place, Produced, Publisher, Reader};
use beamline_media::{Caps, Frame, FrameError, FrameInfo, FramePool, PixelFormat};
use roles::{BETWEEN, HANDING, HOLD, ROLES, SIZE, check, options, play};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Clients at once.
const AT_ONCE: usize = 8;
/// What a client that is dealt "busy" is in between: it has read and given back all.
const EMPTY: &str = "nothing in hand";

/// A client that lives: the frames that others hand over are for it. Gives how many those were.
fn live(mut reader: Reader, stop: &AtomicBool) -> u64 {
    let mut handed = 0;
    while !stop.load(Ordering::Relaxed) {
        match reader.next(Duration::from_millis(20)).expect("the share goes on") {
            Next::Handed(frame, _) => {
                check(&frame);
                handed += 1;
            }
            Next::Frame(frame, _) => check(&frame),
            _ => {}
        }
    }
    handed
}

/// Publishes as fast as readers allow until told to stop; every slot is written before each use.
fn produce(publisher: &Publisher, pool: &FramePool, stop: &AtomicBool) {
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let info = FrameInfo::new(PixelFormat::I420, SIZE);
        let Ok(mut frame) = pool.acquire(info, Wait::Grow) else {
            continue;
        };
        frame.plane_mut(0).0.fill(number as u8);
        publisher.publish(&frame.freeze());
        number += 1;
        thread::sleep(Duration::from_micros(200));
    }
}

/// Whether one that is dealt "hello" says it: then it may be met at any moment of its welcome.
fn speaks(role: &str, nth: usize) -> bool {
    role == "hello" && nth.is_multiple_of(2)
}

fn spawn(role: &str, nth: usize, path: &Path, to: u64) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    if speaks(role, nth) {
        command.env("BEAMLINE_KILL_SPEAKS", "1");
    }
    command
        .args(["--exact", "clients_that_are_killed_leave_nothing_behind", "--nocapture"])
        .env("BEAMLINE_KILL_ROLE", role)
        .env("BEAMLINE_KILL_PATH", path)
        .env("BEAMLINE_KILL_TO", to.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a client is doing, by the books; by its role where they cannot tell: nobody sees a bit that is not set, nor a message under way.
fn state(role: &'static str, books: Option<&ClientInfo>) -> &'static str {
    match books {
        // Welcomed perhaps, but it has not read that.
        _ if role == "hello" => role,
        None => "hello",
        Some(client) if client.produces => "producing",
        Some(_) if [BETWEEN, HANDING].contains(&role) => role,
        Some(client) if client.behind > 0 => "unread",
        Some(client) if client.held > 0 => "holding",
        Some(_) => EMPTY,
    }
}

/// Whether what the books say of one that was dealt `role` is what they must say at its kill. Those who do nothing come to it and stay;
/// those at work may be met at anything, but every other "busy" one when it has nothing in hand.
fn is_the_moment(role: &str, nth: usize, books: Option<&ClientInfo>) -> bool {
    let Some(client) = books else { return role == "hello" };
    match role {
        "hello" => false,
        "unread" => client.behind > 0 && client.held > 0,
        "holding" | BETWEEN => client.behind == 0 && client.held == HOLD,
        "producing" => client.produces,
        // It holds what it hands over until that is answered, and then asks for the next.
        HANDING => client.held > 0 && client.behind == 0,
        "busy" if nth.is_multiple_of(2) => (client.held, client.behind) == (0, 0),
        _ => true,
    }
}

/// What was counted of those who were killed.
#[derive(Default)]
struct Tally {
    by_state: BTreeMap<&'static str, usize>,
    by_role: BTreeMap<&'static str, usize>,
    /// Holds that are swept for certain.
    held: u64,
    /// Who had said a hello, and how many of them the books still knew right after the kill: they were welcomed.
    spoke: usize,
    welcomed: usize,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        for (to, from) in [(&mut self.by_state, other.by_state), (&mut self.by_role, other.by_role)] {
            for (name, count) in from {
                *to.entry(name).or_insert(0) += count;
            }
        }
        self.held += other.held;
        self.spoke += other.spoke;
        self.welcomed += other.welcomed;
    }
}

/// Starts a client in a role, waits until it plays it, kills it a moment later.
fn kill_one(owner: &Owner<'_>, role: &'static str, nth: usize, tally: &mut Tally) {
    let mut child = spawn(role, nth, owner.path, owner.lives);
    let out = BufReader::new(child.stdout.take().unwrap());
    let ready = out.lines().map_while(Result::ok).any(|line| line.ends_with("ready"));
    assert!(ready, "the client that plays '{role}' has ended by itself");
    // A moment of its own for each, spread over some turns of a loop.
    thread::sleep(Duration::from_micros((nth as u64 * 7919) % 1500));
    let pid = child.id() as i32;
    let deadline = Instant::now() + Duration::from_secs(10);
    let books = loop {
        if speaks(role, nth) {
            // Whoever looks at the books waits for a welcome that is being written, so none would be killed within it.
            break None;
        }
        let books = owner.publisher.readers().into_iter().find(|c| c.pid == pid);
        if is_the_moment(role, nth, books.as_ref()) {
            break books;
        }
        assert!(Instant::now() < deadline, "'{role}' never came: {books:?}");
        thread::yield_now();
    };
    child.kill().unwrap();
    if speaks(role, nth) {
        tally.spoke += 1;
        tally.welcomed += usize::from(owner.publisher.readers().iter().any(|c| c.pid == pid));
    }
    child.wait().unwrap();
    *tally.by_role.entry(role).or_insert(0) += 1;
    *tally.by_state.entry(state(role, books.as_ref())).or_insert(0) += 1;
    // What those held who did nothing any more can only have grown until their end: nobody gives back for them (a counter without its bit
    // is not looked at), the owner takes nothing back while they live, and looks at nothing of theirs when it sweeps. Those at work may
    // have given back between this look and the kill, so theirs is not counted.
    if ["unread", "holding", BETWEEN].contains(&role) {
        tally.held += books.map_or(0, |c| u64::from(c.held));
    }
}

/// Whom they are clients of, and which client lives.
struct Owner<'a> {
    publisher: &'a Publisher,
    path: &'a Path,
    lives: u64,
}

/// Kills as many, some at a time.
fn kill_all(owner: &Owner<'_>, kills: usize) -> Tally {
    thread::scope(|scope| {
        let killers: Vec<_> = (0..AT_ONCE)
            .map(|worker| {
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    for n in (worker..kills).step_by(AT_ONCE) {
                        let deal = n / AT_ONCE;
                        kill_one(owner, ROLES[deal % ROLES.len()], deal / ROLES.len(), &mut tally);
                    }
                    tally
                })
            })
            .collect();
        let mut all = Tally::default();
        for killer in killers {
            all.add(killer.join().expect("a killer ends well"));
        }
        all
    })
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Takes what clients fill; the last of it is held, as a local loop does.
fn host(arena: &Arena, produced: &Arc<AtomicU64>, last: &Arc<Mutex<Option<Frame>>>) -> Host {
    let (produced, last) = (Arc::clone(produced), Arc::clone(last));
    Host {
        arena: arena.clone(),
        max_bytes: 1 << 20,
        producers: AT_ONCE,
        sink: Box::new(move |what| {
            if let Produced::Frame(frame) = what {
                check(&frame);
                produced.fetch_add(1, Ordering::Relaxed);
                *last.lock().unwrap() = Some(frame);
            }
        }),
    }
}

/// Every slot is taken, written and read back. Gives how many there are.
fn write_all(pool: &FramePool) -> u32 {
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
    for (n, frame) in frames.iter().enumerate() {
        assert!(frame.plane_bytes(0).0.iter().all(|b| *b == n as u8));
    }
    slots
}

/// Ends the threads beside when it is dropped, also when a killer finds something wrong.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn clients_that_are_killed_leave_nothing_behind() {
    if let Ok(role) = env::var("BEAMLINE_KILL_ROLE") {
        play(&role, &env::var("BEAMLINE_KILL_PATH").unwrap());
    }
    let kills: usize = env::var("BEAMLINE_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let arena = Arena::default();
    let pool = FramePool::new(
        &arena,
        PoolConfig {
            slots: 64,
            ..PoolConfig::new("studio")
        },
    );
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let place = Place::new(path.to_str().unwrap()).unwrap();
    let (produced, from_producers) = (Arc::new(AtomicU64::new(0)), Arc::default());
    let host = host(&arena, &produced, &from_producers);
    let publisher = Publisher::host(place.clone(), caps, Limits::default(), host).unwrap();
    let lives = Arena::default().pool(PoolConfig::new("lives"));
    let lives = Reader::connect(&place, &lives, options(), &|| false).unwrap();
    let owner = Owner {
        publisher: &publisher,
        path: &path,
        lives: lives.id(),
    };
    let stop = AtomicBool::new(false);
    let (tally, handed) = thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&publisher, &pool, &stop));
        let lives = scope.spawn(|| live(lives, &stop));
        let on_the_way_out = Stop(&stop);
        let tally = kill_all(&owner, kills);
        drop(on_the_way_out);
        producer.join().expect("the producer ends well");
        (tally, lives.join().expect("the client that lives sees right frames"))
    });
    until("the end of all readers", || publisher.readers().is_empty());
    from_producers.lock().unwrap().take();
    until("the return of all slots", || arena.stats().live == 0);
    let Tally {
        by_state,
        by_role,
        held,
        spoke,
        welcomed,
    } = tally;
    let (swept, lost) = (publisher.swept(), arena.stats().live);
    let produced = produced.load(Ordering::Relaxed);
    println!("kills={kills} by state {by_state:?} swept={swept} lost={lost} produced={produced} handed over={handed}");
    println!("by role dealt {by_role:?}; held at the kill by those who did nothing: {held}");
    println!("of the hellos {spoke} were said, and at least {welcomed} of those were answered when they were killed");
    for counts in [&by_state, &by_role] {
        assert_eq!(counts.values().sum::<usize>(), kills);
        // Fewer are not dealt out evenly.
        if kills >= 2 * AT_ONCE * ROLES.len() {
            assert!(welcomed > 0, "nobody was killed at its welcome");
            assert_eq!(counts.len(), ROLES.len(), "all that there are");
            let few = counts.iter().find(|(_, count)| *count * 20 < kills);
            assert!(few.is_none(), "below five in a hundred: {few:?}");
        }
    }
    assert!(held > 0 && swept >= held, "{swept} holds were swept of {held}");
    assert!(produced > 0 && handed > 0, "nobody was killed at work");
    let slots = write_all(&pool);
    println!("{slots} slots taken, written and read back");
    until("the end of the producers' memory", || {
        arena.stats().slots == u64::from(slots)
    });
}
