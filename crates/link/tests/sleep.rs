//! A reader that sleeps: what wakes it, how soon, and that nothing else does.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{Error, Failure, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, ErrorCode, FrameInfo, FramePool, PixelFormat, Rational, Size};
use std::{
    fs, io,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
/// Far above what a wake takes, far below any clock that would look at the socket now and then.
const SOON: Duration = Duration::from_millis(15);
const PAUSE: Duration = Duration::from_millis(100);

/// The watching thread is one for the process: its tests go one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn share() -> (tempfile::TempDir, Publisher) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let publisher = Publisher::listen(place, caps, true, Default::default()).unwrap();
    (folder, publisher)
}

fn join(publisher: &Publisher) -> Reader {
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    Reader::connect(publisher.place(), &pool, ReaderOptions::default(), &|| false).unwrap()
}

/// What a sleeping reader is given after `act`, and how long after.
fn woken_by(mut reader: Reader, act: impl FnOnce()) -> (Reader, Result<Next, Error>, Duration) {
    let (tell, told) = mpsc::channel();
    let sleeper = thread::spawn(move || {
        let next = reader.next(Duration::MAX);
        tell.send(Instant::now()).unwrap();
        (reader, next)
    });
    thread::sleep(PAUSE);
    assert!(!sleeper.is_finished(), "it sleeps");
    let begin = Instant::now();
    act();
    let at = told.recv_timeout(Duration::from_secs(5)).unwrap();
    let (reader, next) = sleeper.join().unwrap();
    (reader, next, at.saturating_duration_since(begin))
}

/// The best of some: others have the machine too.
fn soonest(mut once: impl FnMut() -> Duration) {
    let times: Vec<_> = (0..5).map(|_| once()).collect();
    assert!(times.iter().min().unwrap() < &SOON, "{times:?}");
}

#[test]
fn a_format_an_end_and_a_failure_are_told_at_once_to_one_that_sleeps() {
    let _alone = alone();
    soonest(|| {
        let (_folder, publisher) = share();
        let changed = Caps {
            frame_rate: Rational::new(50, 1),
            ..Caps::raw(PixelFormat::I420, SIZE)
        };
        let (reader, next, format) = woken_by(join(&publisher), || publisher.set_caps(&changed));
        assert!(matches!(&next, Ok(Next::Caps(caps)) if *caps == changed), "{next:?}");
        let (_, next, end) = woken_by(reader, || publisher.end(None));
        assert!(matches!(next, Ok(Next::End)), "{next:?}");
        format.max(end)
    });
    soonest(|| {
        let (_folder, publisher) = share();
        let failure = Failure::new(ErrorCode::DeviceLost, "unplugged", "the camera is gone");
        let (_, next, time) = woken_by(join(&publisher), || publisher.end(Some(failure)));
        assert!(
            matches!(&next, Err(Error::Told(failure)) if failure.reason == "unplugged"),
            "{next:?}"
        );
        time
    });
}

#[test]
fn an_interrupt_ends_the_wait_or_the_next_one() {
    let _alone = alone();
    let (_folder, publisher) = share();
    let mut reader = Some(join(&publisher));
    soonest(|| {
        let asleep = reader.take().unwrap();
        let interrupt = asleep.interrupt();
        let (awake, next, time) = woken_by(asleep, || interrupt.interrupt());
        assert!(matches!(next, Ok(Next::Nothing)), "{next:?}");
        reader = Some(awake);
        time
    });
    let mut reader = reader.unwrap();
    reader.interrupt().interrupt();
    assert!(
        matches!(reader.next(Duration::MAX).unwrap(), Next::Nothing),
        "it came before"
    );
    let begin = Instant::now();
    assert!(matches!(reader.next(PAUSE).unwrap(), Next::Nothing));
    assert!(begin.elapsed() >= PAUSE, "once");
}

#[test]
fn no_wake_is_lost_between_frames_interrupts_and_words() {
    let _alone = alone();
    let (_folder, publisher) = share();
    let mut reader = join(&publisher);
    let interrupt = reader.interrupt();
    let turns = 3000;
    let (done, next) = mpsc::channel::<()>();
    let talker = thread::spawn(move || {
        let pool = FramePool::new(&Arena::default(), PoolConfig::new("studio"));
        let caps = Caps::raw(PixelFormat::I420, SIZE);
        for turn in 0..turns {
            match turn % 3 {
                0 => interrupt.interrupt(),
                1 => publisher.set_caps(&caps),
                _ => {
                    let frame = pool.acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Grow);
                    publisher.publish(&frame.unwrap().freeze());
                }
            }
            // Each is seen before the next one: a lost wake stands still here.
            next.recv_timeout(Duration::from_secs(5)).unwrap();
        }
    });
    for turn in 0..turns {
        let got = reader.next(Duration::MAX).unwrap();
        let right = match turn % 3 {
            0 => matches!(got, Next::Nothing),
            1 => matches!(got, Next::Caps(_)),
            _ => matches!(got, Next::Frame(..)),
        };
        assert!(right, "turn {turn}: {got:?}");
        done.send(()).unwrap();
    }
    talker.join().unwrap();
}

/// Threads of ours of a name, and how often each has gone to sleep.
fn threads(name: &str) -> Vec<u64> {
    let sleeps = |task: io::Result<fs::DirEntry>| {
        let path = task.ok()?.path();
        // One that has just ended is not there.
        let status = fs::read_to_string(path.join("status")).ok()?;
        let field = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)).map(str::trim);
        (field("Name:")? == name).then_some(())?;
        field("voluntary_ctxt_switches:")?.parse().ok()
    };
    fs::read_dir("/proc/self/task").unwrap().filter_map(sleeps).collect()
}

#[test]
fn the_watching_thread_begins_with_the_first_that_sleeps_and_ends_with_the_last() {
    let _alone = alone();
    // A thread gives itself its name.
    let until = |count: usize| {
        let deadline = Instant::now() + Duration::from_secs(5);
        while threads("bl-watch").len() != count && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        threads("bl-watch").len() == count
    };
    assert!(until(0), "of the test before");
    let (_folder, publisher) = share();
    for _ in 0..20 {
        let (mut one, mut two) = (join(&publisher), join(&publisher));
        assert!(threads("bl-watch").is_empty(), "nobody sleeps");
        for reader in [&mut one, &mut two] {
            assert!(matches!(reader.next(Duration::from_millis(1)).unwrap(), Next::Nothing));
        }
        assert!(until(1), "one for both");
        drop(one);
        thread::sleep(Duration::from_millis(2));
        assert_eq!(threads("bl-watch").len(), 1, "one is left");
        drop(two);
        assert!(until(0));
    }
}

#[test]
fn one_that_waits_is_woken_by_nothing_and_wakes_nobody() {
    let _alone = alone();
    let (_folder, publisher) = share();
    let mut reader = join(&publisher);
    let interrupt = reader.interrupt();
    let sleeper = thread::Builder::new()
        .name("idle-reader".into())
        .spawn(move || reader.next(Duration::MAX).map(drop))
        .unwrap();
    thread::sleep(PAUSE);
    let all = || ["idle-reader", "bl-watch", "bl-link"].map(threads);
    let before = all();
    assert!(before.iter().all(|t| t.len() == 1), "{before:?}");
    thread::sleep(Duration::from_secs(1));
    assert_eq!(all(), before);
    interrupt.interrupt();
    sleeper.join().unwrap().unwrap();
}
