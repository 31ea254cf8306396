//! A client whose process dies while its socket lives on: somebody else has it too. Its end is noticed by its pidfd, where the kernel has it.
//!
//! The test starts itself again as a client: with `BEAMLINE_END_PLAYS` set, the process plays that part. What is passed on comes to the
//! parent over the child's standard input, which is a socket.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the log says what could not be checked"
)]

mod raw;

use beamline_arena::{Arena, PoolConfig, Wait, duplicate_inherited, peer::peer_pidfd};
use beamline_link::{ClientPolicy, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Size};
use raw::{Raw, hello};
use rustix::{
    fd::{AsFd, OwnedFd},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, getpeername, socketpair},
};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
const LONG: Duration = Duration::from_secs(10);
/// Frames that the child holds.
const HELD: u32 = 3;

struct Studio {
    _folder: tempfile::TempDir,
    arena: Arena,
    pool: FramePool,
    publisher: Publisher,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let arena = Arena::default();
        Studio {
            _folder: folder,
            pool: FramePool::new(&arena, PoolConfig::new("studio")),
            publisher: Publisher::listen(place, Caps::raw(PixelFormat::I420, SIZE), true, Limits::default()).unwrap(),
            arena,
        }
    }

    fn path(&self) -> &Path {
        self.publisher.place().path()
    }

    fn publish(&self) {
        let info = FrameInfo::new(PixelFormat::I420, SIZE);
        self.publisher
            .publish(&self.pool.acquire(info, Wait::Grow).unwrap().freeze());
    }

    /// The child comes, and holds what it may.
    fn until_held(&self) {
        until("the child among the readers", || self.publisher.readers().len() == 1);
        (0..HELD).for_each(|_| self.publish());
        until("a child that holds", || {
            let readers = self.publisher.readers();
            (readers[0].held, readers[0].behind) == (HELD, 0)
        });
        assert_eq!(self.arena.stats().live, u64::from(HELD));
    }

    /// What it held has come back, and the owner keeps nothing of it.
    fn is_swept(&self) {
        until("the end of the reader", || self.publisher.readers().is_empty());
        until("the return of what it held", || self.arena.stats().live == 0);
        assert_eq!(self.publisher.swept(), u64::from(HELD));
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Our copy of the socket by which a reader has joined.
fn socket_to(path: &Path) -> OwnedFd {
    let path = SocketAddrUnix::new(path).unwrap();
    let leads_there = |fd: &OwnedFd| {
        let peer = getpeername(fd).ok().flatten();
        peer.is_some_and(|peer| SocketAddrUnix::try_from(peer).is_ok_and(|peer| peer == path))
    };
    let mut all = (0..256).filter_map(|number| duplicate_inherited(number).ok());
    all.find(leads_there).expect("the reader has a socket")
}

/// What the child does; gives whether this is one.
fn plays() -> bool {
    let Ok(part) = env::var("BEAMLINE_END_PLAYS") else {
        return false;
    };
    let path = PathBuf::from(env::var_os("BEAMLINE_END_PATH").unwrap());
    let pass_on = |socket: OwnedFd| {
        let line = Raw(duplicate_inherited(0).unwrap(), path.clone());
        line.send_with(b"it is yours too", &[socket.as_fd()]).unwrap();
    };
    if part == "connects" {
        pass_on(Raw::connect(&path).unwrap().0);
        return true;
    }
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let options = ReaderOptions {
        policy: ClientPolicy::DropOldest,
        hold: HELD,
        ..ReaderOptions::default()
    };
    let mut reader = match part.as_str() {
        "joins" => Reader::connect(&Place::new(path.to_str().unwrap()).unwrap(), &pool, options, &|| false),
        _ => Reader::inherit(0, &pool, options, &|| false),
    }
    .unwrap();
    if part == "joins" {
        pass_on(socket_to(&path));
    }
    let mut held: Vec<Frame> = Vec::new();
    while held.len() < HELD as usize {
        if let Next::Frame(frame, _) = reader.next(LONG).unwrap() {
            held.push(frame);
        }
    }
    loop {
        thread::park();
    }
}

/// Ends with the test, however that ends.
struct Killed(Child);

impl Killed {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A child that plays a part, with that as its standard input.
fn start(test: &str, part: &str, path: &Path, end: OwnedFd) -> Killed {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("BEAMLINE_END_PLAYS", part)
        .env("BEAMLINE_END_PATH", path)
        .stdin(Stdio::from(end))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Killed(child)
}

/// The same of one that connects, and the socket by which it did: it is ours as well.
fn start_and_share(test: &str, part: &str, path: &Path) -> (Killed, Raw) {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let child = start(test, part, path, theirs);
    let line = Raw(ours, path.to_owned());
    let (_, fds) = line.message(LONG).expect("the child passes its socket on");
    let [socket] = <[OwnedFd; 1]>::try_from(fds).unwrap();
    (child, Raw(socket, path.to_owned()))
}

/// Whether this kernel tells who has connected, by a pidfd.
fn knows_peers(test: &str) -> bool {
    let (end, _other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let known = match peer_pidfd(end.as_fd()) {
        Err(error) => Errno::from_io_error(&error) != Some(Errno::NOPROTOOPT),
        Ok(_) => true,
    };
    if !known {
        println!("{test}: not checked, since this kernel has no SO_PEERPIDFD");
    }
    known
}

#[test]
fn a_client_that_dies_while_another_has_its_socket_is_swept() {
    let test = "a_client_that_dies_while_another_has_its_socket_is_swept";
    if plays() || !knows_peers(test) {
        return;
    }
    let studio = Studio::new();
    let (mut child, socket) = start_and_share(test, "joins", studio.path());
    studio.until_held();
    assert!(!socket.wait(Duration::ZERO), "all is read, and it has no end");
    child.kill();
    studio.is_swept();
    assert!(socket.message(LONG).is_none(), "nothing more is told");
    assert!(socket.wait(Duration::ZERO), "the owner has let go of it");
}

#[test]
fn one_that_was_invited_and_dies_while_its_end_lives_on_is_swept() {
    let test = "one_that_was_invited_and_dies_while_its_end_lives_on_is_swept";
    if plays() {
        return;
    }
    let studio = Studio::new();
    let end = studio.publisher.invite().unwrap();
    // As with a parent that forgets to close its copy.
    let kept = end.try_clone().unwrap();
    let mut child = start(test, "inherits", studio.path(), end);
    studio.until_held();
    child.kill();
    studio.is_swept();
    drop(kept);
}

#[test]
fn a_hello_over_the_socket_of_a_process_that_has_died_gets_nothing() {
    let test = "a_hello_over_the_socket_of_a_process_that_has_died_gets_nothing";
    if plays() || !knows_peers(test) {
        return;
    }
    let studio = Studio::new();
    // So that there would be something to hold.
    studio.publish();
    let (mut child, socket) = start_and_share(test, "connects", studio.path());
    assert!(child.0.wait().unwrap().success());
    // Whether it is welcomed first is the kernel's: some still tell who it was, some only that he is gone.
    let _ = socket.send(hello(4).as_bytes());
    let began = Instant::now();
    while socket.message(LONG).is_some() {}
    assert!(began.elapsed() < LONG, "the owner goes on with nobody");
    until("the end of the reader", || studio.publisher.readers().is_empty());
    studio.publish();
    until("the return of all slots", || studio.arena.stats().live == 0);
}
