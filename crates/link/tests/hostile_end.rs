//! An end that was made for somebody is the one door through which fds come: what the owner does with them costs it nothing that lasts.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod raw;

use beamline_link::{Limits, Place, Publisher, Reader};
use beamline_media::{Caps, PixelFormat, Size};
use raw::{Raw, hello};
use rustix::{
    fd::{AsFd, OwnedFd},
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    fs,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The times of threads are told by their names: one owner at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn share() -> (tempfile::TempDir, Publisher) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
    let caps = Caps::raw(PixelFormat::I420, Size::new(64, 32));
    let publisher = Publisher::listen(place, caps, true, Limits::default()).unwrap();
    (folder, publisher)
}

fn invited(publisher: &Publisher) -> Raw {
    Raw(publisher.invite().unwrap(), publisher.place().path().to_owned())
}

/// The pidfd of a process that has ended and that nobody waits for any more.
fn dead() -> OwnedFd {
    let mut child = Command::new("true").spawn().unwrap();
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    child.wait().unwrap();
    pidfd
}

/// How long the owner's thread has run until now.
fn time_of_the_owner() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of_owner = tasks.filter_map(|task| {
        let path = task.unwrap().path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        let time = times.split(' ').next()?.parse().ok()?;
        (name.trim() == "bl-link").then(|| Duration::from_nanos(time))
    });
    of_owner.sum()
}

#[test]
fn an_owner_sleeps_though_one_that_left_before_its_welcome_keeps_its_pidfd() {
    let _alone = alone();
    let (_folder, publisher) = share();
    let dead = dead();
    for _ in 0..50 {
        let raw = invited(&publisher);
        raw.send_with(hello(4).as_bytes(), &[dead.as_fd()]).unwrap();
        drop(raw);
        // It has heard that one before the next comes.
        Reader::look(publisher.place()).unwrap();
    }
    let pause = Duration::from_millis(300);
    // Once it has let go of all of them.
    thread::sleep(pause);
    let before = time_of_the_owner();
    thread::sleep(pause);
    let ran = time_of_the_owner() - before;
    assert!(ran < pause / 20, "of {pause:?} it ran {ran:?} for nobody");
    assert!(publisher.readers().is_empty());
}
