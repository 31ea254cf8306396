//! Who has an end that was made for it, and lies about its process: the one door through which fds come. Each says whether it was past the
//! hello.

use super::{LONG, Liar, Studio, number};
use crate::raw::{Chance, Raw, hello};
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags},
    process::{Pid, PidfdFlags, getpid, pidfd_open},
};
use std::{
    process::Command,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

pub(crate) type InvitedLie = fn(&Studio, &mut Chance) -> bool;

pub(crate) const INVITED: [(&str, InvitedLie); 8] = [
    ("invited: /dev/null for a pidfd", dev_null),
    ("invited: an epoll for a pidfd", an_epoll),
    ("invited: something for a pidfd", something),
    ("invited: another's pidfd", anothers),
    ("invited: a dead process's pidfd", a_dead_ones),
    ("invited: too many fds", too_many),
    ("invited: a false number", a_false_number),
    ("invited: leaves before its welcome", leaves),
];

/// A process that has ended and that nobody waits for any more.
pub(crate) fn dead() -> BorrowedFd<'static> {
    static DEAD: OnceLock<OwnedFd> = OnceLock::new();
    let dead = DEAD.get_or_init(|| {
        let mut child = Command::new("true").spawn().unwrap();
        let pidfd = pidfd_of(Pid::from_child(&child));
        child.wait().unwrap();
        pidfd
    });
    dead.as_fd()
}

fn pidfd_of(pid: Pid) -> OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

fn invited(studio: &Studio) -> Raw {
    let path = studio.publisher.place().path();
    Raw(studio.publisher.invite().unwrap(), path.to_owned())
}

fn says_hello(raw: &Raw, pid: i64, fds: &[BorrowedFd<'_>]) {
    let hello = hello(4).replace("\"kind\"", &format!("\"pid\":{pid},\"kind\""));
    raw.send_with(hello.as_bytes(), fds).unwrap();
}

/// It is served like any other, its process is shown as that, and what it was granted comes back with the end of its socket.
fn is_served(studio: &Studio, raw: Raw, shown: i32) -> bool {
    let began = Instant::now();
    let (said, fds) = raw.message(LONG).expect("an answer");
    studio.took(began.elapsed());
    assert!(said.contains("\"welcome\""), "{said}");
    let liar = Liar::granted(raw, number(&said, "id"), fds, studio);
    let of_it = || studio.publisher.readers().into_iter().find(|r| r.id == liar.id);
    assert_eq!(of_it().expect("it is among the readers").pid, shown);
    let id = liar.id;
    drop(liar);
    is_gone(studio, id);
    true
}

fn is_gone(studio: &Studio, id: u64) {
    let deadline = Instant::now() + LONG;
    while studio.publisher.readers().iter().any(|r| r.id == id) {
        assert!(Instant::now() < deadline, "it is gone, and kept");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What it sends for its pidfd says nothing: shown is the number that it tells.
fn sends(studio: &Studio, fds: &[BorrowedFd<'_>]) -> bool {
    let raw = invited(studio);
    says_hello(&raw, 77, fds);
    is_served(studio, raw, 77)
}

fn dev_null(studio: &Studio, _: &mut Chance) -> bool {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap();
    sends(studio, &[null.as_fd()])
}

/// One that is always readable, as the pidfd of a dead process is.
fn an_epoll(studio: &Studio, _: &mut Chance) -> bool {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let rung = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
    epoll::add(&poll, &rung, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    sends(studio, &[poll.as_fd()])
}

fn something(studio: &Studio, chance: &mut Chance) -> bool {
    let rung = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
    let (reads, writes) = std::io::pipe().unwrap();
    let me = pidfd_of(getpid());
    // Its own end too: then the owner has both.
    let raw = invited(studio);
    let kinds = [rung.as_fd(), reads.as_fd(), writes.as_fd(), raw.0.as_fd()];
    let first = chance.below(4) as usize;
    let mut fds: Vec<_> = kinds.iter().copied().cycle().skip(first).take(3).collect();
    fds.truncate(1 + chance.below(3) as usize);
    // One that is right comes too late.
    fds.push(me.as_fd());
    says_hello(&raw, 77, &fds);
    is_served(studio, raw, 77)
}

/// Of somebody who lives on: nobody waits for his end.
fn anothers(studio: &Studio, chance: &mut Chance) -> bool {
    let readers = studio.publisher.readers();
    let sibling = readers.iter().find(|r| Some(&r.id) == studio.full.get());
    let sibling = Pid::from_raw(sibling.expect("it is stopped").pid).unwrap();
    let pid = [Pid::INIT, sibling, getpid()][chance.below(3) as usize];
    let raw = invited(studio);
    says_hello(&raw, 77, &[pidfd_of(pid).as_fd()]);
    is_served(studio, raw, pid.as_raw_nonzero().get())
}

/// Whoever says that it is dead is served as the dead.
fn a_dead_ones(studio: &Studio, _: &mut Chance) -> bool {
    let raw = invited(studio);
    says_hello(&raw, 77, &[dead()]);
    let began = Instant::now();
    let mut past_hello = false;
    while let Some((said, _)) = raw.message(LONG) {
        past_hello |= said.contains("\"welcome\"");
    }
    assert!(began.elapsed() < LONG, "the owner goes on with the dead");
    studio.took(began.elapsed());
    past_hello
}

fn too_many(studio: &Studio, chance: &mut Chance) -> bool {
    let me = pidfd_of(getpid());
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap();
    let many = [8, 60, 250, 253][chance.below(4) as usize];
    let fds: Vec<_> = [me.as_fd(), null.as_fd()].into_iter().cycle().take(many).collect();
    let raw = invited(studio);
    says_hello(&raw, 77, &fds);
    let began = Instant::now();
    let (said, fds) = raw.message(LONG).expect("an answer");
    studio.took(began.elapsed());
    assert!(said.contains("share-protocol") && fds.is_empty(), "{many} fds: {said}");
    assert!(
        raw.message(LONG).is_none() && raw.wait(Duration::ZERO),
        "and then the end"
    );
    false
}

fn a_false_number(studio: &Studio, chance: &mut Chance) -> bool {
    let pid = [1, 0, -1, i32::MIN, i32::MAX, getpid().as_raw_nonzero().get()][chance.below(6) as usize];
    let raw = invited(studio);
    says_hello(&raw, i64::from(pid), &[]);
    is_served(studio, raw, pid.max(0))
}

/// Its pidfd lives on.
fn leaves(studio: &Studio, chance: &mut Chance) -> bool {
    let me = pidfd_of(getpid());
    let pidfd = if chance.below(2) == 0 { me.as_fd() } else { dead() };
    says_hello(&invited(studio), 77, &[pidfd]);
    thread::sleep(Duration::from_millis(chance.below(3)));
    false
}
