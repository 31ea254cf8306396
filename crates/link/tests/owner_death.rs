//! An owner that is killed: its readers learn it at once, and only a dead name is left.
//!
//! The test starts itself again as an owner: with `BEAMLINE_OWNER_PATH` set, the process shares until it is killed.

#![expect(clippy::print_stdout, reason = "the times are for whoever reads the log")]

use beamline_arena::{Arena, PoolConfig};
use beamline_link::{Limits, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, PixelFormat, Size};
use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);

#[test]
fn readers_learn_within_100_ms_that_the_owner_was_killed() {
    if let Ok(path) = env::var("BEAMLINE_OWNER_PATH") {
        let place = Place::new(&path).unwrap();
        let caps = Caps::raw(PixelFormat::I420, SIZE);
        let _publisher = Publisher::listen(place, caps, true, Limits::default()).unwrap();
        println!("ready");
        loop {
            thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut owner = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "readers_learn_within_100_ms_that_the_owner_was_killed",
                "--nocapture",
            ])
            .env("BEAMLINE_OWNER_PATH", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(owner.stdout.take().unwrap());
        assert!(out.lines().map_while(Result::ok).any(|line| line.ends_with("ready")));
        let place = Place::new(path.to_str().unwrap()).unwrap();
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        let mut reader = Reader::connect(&place, &pool, ReaderOptions::default(), &|| false).unwrap();
        owner.kill().unwrap();
        let killed = Instant::now();
        let error = reader.next(Duration::MAX).unwrap_err();
        times.push(killed.elapsed());
        owner.wait().unwrap();
        assert_eq!(error.reason(), "owner-gone");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a dead name and nothing else"
        );
    }
    times.sort();
    let (mid, worst) = (times[10], times[19]);
    println!("owner killed 20 times: readers knew after {mid:?}, at most {worst:?}");
    assert!(worst < Duration::from_millis(100), "{times:?}");
    // By the end of the socket, not by a clock.
    assert!(mid < Duration::from_millis(20), "{times:?}");
}
