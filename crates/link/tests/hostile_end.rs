//! An end that was made for somebody is the one door through which fds come: what the owner does with them costs it nothing that lasts.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod raw;

use beamline_arena::peer::refuse_fds;
use beamline_link::{Limits, Place, Publisher, Reader};
use beamline_media::{Caps, PixelFormat, Size};
use raw::{Raw, hello};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    net::{Shutdown, shutdown, sockopt},
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    fs,
    io::{ErrorKind, Write},
    net::{TcpListener, TcpStream},
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
        // It hears nothing any more, and its end is still open when its hello is looked at: it cannot be welcomed, and that is met late.
        shutdown(&raw.0, Shutdown::Read).unwrap();
        raw.send_with(hello(4).as_bytes(), &[dead.as_fd()]).unwrap();
        // The owner lets go of it when it has tried; a second word before that would be another reason.
        thread::sleep(Duration::from_millis(10));
        let deadline = Instant::now() + Duration::from_secs(5);
        while raw.send(b"are you there?").is_ok() {
            assert!(Instant::now() < deadline, "it is kept");
            thread::sleep(Duration::from_millis(1));
        }
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

/// A socket whose last `close` waits for as long as its maker likes: there is something to say, and nobody listens.
fn lingers(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let bytes = vec![0; 1 << 20];
    while !matches!(ours.write(&bytes), Err(e) if e.kind() == ErrorKind::WouldBlock) {}
    sockopt::set_socket_linger(&ours, Some(Duration::from_secs(5))).unwrap();
    (ours, theirs)
}

type Way<'a> = dyn Fn(&Raw, BorrowedFd<'_>) + 'a;

#[test]
fn an_fd_whose_close_takes_long_does_not_keep_the_owner_from_others() {
    let _alone = alone();
    let (_folder, publisher) = share();
    let (listener, dead) = (TcpListener::bind("127.0.0.1:0").unwrap(), dead());
    // For a pidfd, beside one, among more than a message may bring, with what comes after a hello.
    let hello = hello(4);
    let ways: [&Way<'_>; 4] = [
        &|raw, fd| raw.send_with(hello.as_bytes(), &[fd]).unwrap(),
        &|raw, fd| raw.send_with(hello.as_bytes(), &[dead.as_fd(), fd]).unwrap(),
        &|raw, fd| raw.send_with(hello.as_bytes(), &[fd; 8]).unwrap(),
        &|raw, fd| {
            raw.send(hello.as_bytes()).unwrap();
            // Too late, mostly, and then the kernel refuses it.
            let _ = raw.send_with(b"{\"kind\":\"bye\",\"read\":0}", &[fd]);
        },
    ];
    // Before Linux 6.16 whoever has been heard may still send fds.
    let refuses = refuse_fds(&invited(&publisher).0).is_ok();
    for (way, send) in ways.iter().enumerate().take(if refuses { 4 } else { 3 }) {
        let (ours, _theirs) = lingers(&listener);
        let raw = invited(&publisher);
        send(&raw, ours.as_fd());
        drop(ours);
        let mut worst = Duration::ZERO;
        for _ in 0..20 {
            let began = Instant::now();
            let looked = Reader::look(publisher.place());
            worst = worst.max(began.elapsed());
            assert!(looked.is_ok(), "way {way}: {looked:?} after {worst:?}");
            thread::sleep(Duration::from_millis(2));
        }
        assert!(worst < Duration::from_millis(500), "way {way}: {worst:?}");
    }
}
