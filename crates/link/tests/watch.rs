//! What is shared and what changes, as the kernel tells it: names that come, go and die.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the figures are for whoever reads the log"
)]

use beamline_link::{Limits, Place, Publisher, ShareChange, Watch};
use beamline_media::{Caps, ErrorCode, PixelFormat, Rational, Size};
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(10);

fn caps() -> Caps {
    Caps::raw(PixelFormat::I420, Size::new(64, 32))
}

fn share(folder: &Path, name: &str) -> Publisher {
    let place = Place::new(folder.join(format!("{name}.share")).to_str().unwrap()).unwrap();
    Publisher::listen(place, caps(), true, Limits::default()).unwrap()
}

/// Changes as they are told, on a thread that ends with the returned value.
struct Told {
    changes: Receiver<(ShareChange, Instant)>,
    stop: Box<dyn Fn() + Send + Sync>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Told {
    fn of(folder: &Path) -> Self {
        let mut watch = Watch::of_directory(folder).unwrap();
        let (to, changes) = channel();
        let stop = Box::new(watch.stopper());
        let thread = thread::spawn(move || {
            while let Some(change) = watch.next_change().unwrap() {
                let _ = to.send((change, Instant::now()));
            }
        });
        Told {
            changes,
            stop,
            thread: Some(thread),
        }
    }

    fn next(&self) -> ShareChange {
        self.changes.recv_timeout(PATIENCE).unwrap().0
    }

    /// The next change, and how long after `since` it was told.
    fn after(&self, since: Instant) -> (ShareChange, Duration) {
        let (change, at) = self.changes.recv_timeout(PATIENCE).unwrap();
        (change, at.saturating_duration_since(since))
    }

    fn nothing(&self) {
        let told = self.changes.recv_timeout(Duration::from_millis(100));
        assert!(told.is_err(), "{told:?}");
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        (self.stop)();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn added(name: &str) -> ShareChange {
    ShareChange::Added(name.into(), caps())
}

fn removed(name: &str) -> ShareChange {
    ShareChange::Removed(name.into(), caps())
}

#[test]
fn what_is_there_comes_first_then_what_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let first = share(folder.path(), "first");
    let told = Told::of(folder.path());
    assert_eq!(told.next(), added("first"));
    let (mut came, mut went) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..20 {
        let now = Instant::now();
        let second = share(folder.path(), "second");
        let (change, late) = told.after(now);
        assert_eq!(change, added("second"));
        came = came.max(late);
        let now = Instant::now();
        drop(second);
        let (change, late) = told.after(now);
        assert_eq!(change, removed("second"));
        went = went.max(late);
    }
    drop(first);
    assert_eq!(told.next(), removed("first"));
    told.nothing();
    println!("20 shares that came and went: told after at most {came:?} and {went:?}");
    assert!(came.max(went) < Duration::from_millis(250), "{came:?} {went:?}");
}

#[test]
fn a_change_of_format_is_told_and_the_end_of_a_source_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let share = share(folder.path(), "studio");
    let told = Told::of(folder.path());
    assert_eq!(told.next(), added("studio"));
    let other = Caps {
        frame_rate: Rational::new(50, 1),
        ..caps()
    };
    share.set_caps(&other);
    assert_eq!(told.next(), ShareChange::Changed("studio".into(), other.clone()));
    share.end(None);
    told.nothing();
    share.close();
    assert_eq!(told.next(), ShareChange::Removed("studio".into(), other));
}

#[test]
fn a_name_that_is_closed_and_shared_again_at_once_is_removed_and_added() {
    let folder = tempfile::tempdir().unwrap();
    let mut now = share(folder.path(), "again");
    let told = Told::of(folder.path());
    assert_eq!(told.next(), added("again"));
    for _ in 0..20 {
        now.close();
        now = share(folder.path(), "again");
        assert_eq!(told.next(), removed("again"));
        assert_eq!(told.next(), added("again"));
    }
}

/// Shares under a name until it is killed. Says `ready` once it does.
fn own(path: &str) -> ! {
    let _share = Publisher::listen(
        Place::new(path).expect("the parent made it"),
        caps(),
        true,
        Limits::default(),
    );
    println!("ready");
    loop {
        thread::park();
    }
}

fn owner(path: &Path) -> Child {
    let test = "an_owner_that_is_killed_is_removed_and_so_is_its_name";
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("BEAMLINE_OWNER_PATH", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    assert!(out.lines().map_while(Result::ok).any(|line| line.ends_with("ready")));
    child
}

#[test]
fn an_owner_that_is_killed_is_removed_and_so_is_its_name() {
    if let Ok(path) = env::var("BEAMLINE_OWNER_PATH") {
        own(&path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dying.share");
    let told = Told::of(folder.path());
    let mut worst = Duration::ZERO;
    for _ in 0..10 {
        let mut child = owner(&path);
        assert_eq!(told.next(), added("dying"));
        let killed = Instant::now();
        child.kill().unwrap();
        let (change, late) = told.after(killed);
        assert_eq!(change, removed("dying"));
        worst = worst.max(late);
        child.wait().unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    while path.exists() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!path.exists(), "the dead name is gone");
    println!("owner killed 10 times: told after at most {worst:?}");
    assert!(worst < Duration::from_millis(500), "{worst:?}");
}

#[test]
fn who_does_not_answer_holds_up_nobody_and_dead_names_are_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(format!("{name}.share"));
    let listener = |name: &str| {
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
        let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        // Owners hold the directory's lock between the two: nobody sees a name that does not listen yet.
        let hidden = folder.path().join("hidden");
        bind(&socket, &SocketAddrUnix::new(&hidden).unwrap()).unwrap();
        listen(&socket, 1).unwrap();
        std::fs::rename(&hidden, path(name)).unwrap();
        socket
    };
    drop(listener("dead"));
    let _silent = listener("a-silent-one");
    let told = Told::of(folder.path());
    let _share = share(folder.path(), "studio");
    assert_eq!(told.next(), added("studio"));
    told.nothing();
    assert!(!path("dead").exists());
    // One that comes and goes all the time does not keep the watch busy.
    let hasty = listener("hasty");
    let welcome = serde_json::json!({ "kind": "welcome", "live": true, "caps": {
        "format": "i420", "width": 64, "height": 32, "frame_rate": null,
        "color": [1, 1, 1], "full_range": null, "rotation": 0,
    }});
    let answering = thread::spawn(move || {
        let mut answers = 0;
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            let mut fds = [rustix::event::PollFd::new(&hasty, rustix::event::PollFlags::IN)];
            let wait = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 50_000_000,
            };
            if rustix::event::poll(&mut fds, Some(&wait)).unwrap() == 0 {
                continue;
            }
            let socket = rustix::net::accept(&hasty).unwrap();
            rustix::io::read(&socket, &mut [0u8; 4096]).unwrap();
            rustix::io::write(&socket, welcome.to_string().as_bytes()).unwrap();
            answers += 1;
        }
        answers
    });
    let answers = answering.join().unwrap();
    assert!((2..=10).contains(&answers), "asked {answers} times in a second");
}

#[test]
fn hundreds_of_names_are_all_told() {
    const NAMES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let shares: Vec<_> = (0..NAMES).map(|i| share(folder.path(), &format!("n{i:03}"))).collect();
    let told = Told::of(folder.path());
    let mut names: Vec<_> = (0..NAMES).map(|_| told.next()).collect();
    names.sort_by_key(|change| format!("{change:?}"));
    let expected: Vec<_> = (0..NAMES).map(|i| added(&format!("n{i:03}"))).collect();
    assert_eq!(names, expected);
    drop(shares);
    let mut names: Vec<_> = (0..NAMES).map(|_| told.next()).collect();
    names.sort_by_key(|change| format!("{change:?}"));
    let expected: Vec<_> = (0..NAMES).map(|i| removed(&format!("n{i:03}"))).collect();
    assert_eq!(names, expected);
    told.nothing();
}

#[test]
fn a_stop_ends_one_wait_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::of_directory(folder.path()).unwrap();
    let stop = watch.stopper();
    stop();
    stop();
    assert_eq!(watch.next_change().unwrap(), None);
    let waiting = thread::spawn(move || (watch.next_change().unwrap(), watch));
    thread::sleep(Duration::from_millis(50));
    stop();
    let (told, mut watch) = waiting.join().unwrap();
    assert_eq!(told, None);
    let _share = share(folder.path(), "studio");
    assert_eq!(watch.next_change().unwrap(), Some(added("studio")));
}

#[test]
fn a_directory_that_goes_takes_its_names_along_and_ends_the_watch() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("names");
    std::fs::create_dir(&inner).unwrap();
    let _share = share(&inner, "studio");
    let mut watch = Watch::of_directory(&inner).unwrap();
    assert_eq!(watch.next_change().unwrap(), Some(added("studio")));
    std::fs::rename(&inner, folder.path().join("elsewhere")).unwrap();
    assert!(watch.next_change().is_err(), "there is nothing to watch any more");
}

#[test]
fn a_directory_that_is_removed_ends_the_watch_though_a_socket_of_it_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("names");
    std::fs::create_dir(&inner).unwrap();
    let _share = share(&inner, "studio");
    let mut watch = Watch::of_directory(&inner).unwrap();
    assert_eq!(watch.next_change().unwrap(), Some(added("studio")));
    let (to, told) = channel();
    let waiting = thread::spawn(move || {
        let mut over = false;
        while !over {
            let change = watch.next_change().map_err(|e| e.code());
            over = change.is_err();
            let _ = to.send(change);
        }
    });
    std::fs::remove_dir_all(&inner).unwrap();
    let mut last = told.recv_timeout(PATIENCE).unwrap();
    // Told before the end, unless both were one event.
    if last == Ok(Some(removed("studio"))) {
        last = told.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(last, Err(ErrorCode::NotFound));
    waiting.join().unwrap();
}
