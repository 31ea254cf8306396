//! Users of one machine: nobody joins another's share, whatever the file system lets through.
//!
//! The test starts itself again as somebody else: with `BEAMLINE_USER_PLAYS` set, the process plays that part at `BEAMLINE_USER_PATH`. Only
//! root can start such a process, so elsewhere nothing is checked here, and the log says so.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; a child tells its parent how it went"
)]

mod raw;

use beamline_arena::{Arena, Pool, PoolConfig};
use beamline_link::{Error, Host, Limits, Place, Producer, ProducerOptions, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, ErrorCode, PixelFormat, Size};
use raw::{Raw, hello};
use std::{
    env,
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Whoever this is, it is not root.
const OTHER: u32 = 65534;

fn caps() -> Caps {
    Caps::raw(PixelFormat::I420, Size::new(64, 32))
}

fn pool() -> Pool {
    Arena::default().pool(PoolConfig::new("client"))
}

fn place(path: &Path) -> Place {
    Place::new(path.to_str().unwrap()).unwrap()
}

/// An owner that takes producers too, so that nothing but the check turns one away.
fn share(path: &Path) -> Publisher {
    let host = Host {
        arena: Arena::default(),
        max_bytes: u64::MAX,
        producers: 1,
        sink: Box::new(drop),
    };
    Publisher::host(place(path), caps(), Limits::default(), host).unwrap()
}

/// How each way to join a share ends.
fn join_in_all_ways(path: &Path) -> [(&'static str, Result<(), Error>); 3] {
    let (place, never) = (place(path), || false);
    let fills = Producer::connect(&place, &pool(), caps(), ProducerOptions::default(), &never);
    let reads = Reader::connect(&place, &pool(), ReaderOptions::default(), &never);
    [
        ("looks", Reader::look(&place).map(drop)),
        ("fills", fills.map(drop)),
        ("reads", reads.map(drop)),
    ]
}

/// Says a hello that is as it should be, without the crate's own look at who listens; gives what the owner answers.
fn greet(path: &Path) -> String {
    let raw = Raw::connect(path).expect("the owner listens");
    // The owner may have closed it by now.
    let _ = raw.send(hello(4).as_bytes());
    match raw.message(Duration::from_secs(10)) {
        Some((said, _)) if said.contains("\"welcome\"") => "welcome".into(),
        Some((said, _)) => said,
        None if raw.wait(Duration::ZERO) => "the end".into(),
        None => "nothing".into(),
    }
}

/// What a child does; each line is for its parent.
fn play(part: &str, path: &Path) {
    match part {
        "greets" => println!("\nheard {}", greet(path)),
        "joins" => {
            for (way, end) in join_in_all_ways(path) {
                let end = end.map_err(|e| format!("{:?} {}", e.code(), e.reason()));
                println!("\n{way} {}", end.err().unwrap_or_default());
            }
        }
        "shares" => {
            let _publisher = share(path);
            // Only the check may stand in the way.
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
            println!("\nready");
            let _ = std::io::stdin().lines().count();
        }
        other => panic!("nobody plays '{other}'"),
    }
}

/// Plays a part, where this process is a child that was started for that.
fn plays() -> bool {
    let part = env::var("BEAMLINE_USER_PLAYS");
    if let Ok(part) = &part {
        play(part, Path::new(&env::var_os("BEAMLINE_USER_PATH").unwrap()));
    }
    part.is_ok()
}

/// Starts this test again as a user. By a link that needs no way to the file: the other user may see no folder above it.
fn start(uid: u32, test: &str, part: &str, path: &Path) -> Child {
    Command::new("/proc/self/exe")
        .args(["--exact", test, "--nocapture"])
        .env("BEAMLINE_USER_PLAYS", part)
        .env("BEAMLINE_USER_PATH", path)
        .current_dir("/")
        .uid(uid)
        .gid(uid)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it said, to the end.
fn said(child: Child) -> Vec<String> {
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let said = String::from_utf8(out.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

/// A folder that all may enter; none where we cannot be two users.
fn folder_of_two(test: &str) -> Option<tempfile::TempDir> {
    if !rustix::process::getuid().is_root() {
        println!("{test}: not checked, since only root can start a process as another user");
        return None;
    }
    // A user namespace may know root alone.
    let known = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let known = known.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(OTHER)))
    });
    if !known {
        println!("{test}: not checked, since there is no other user in this namespace");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    Some(folder)
}

#[test]
fn the_door_turns_another_users_process_away() {
    let test = "the_door_turns_another_users_process_away";
    if plays() {
        return;
    }
    let Some(folder) = folder_of_two(test) else { return };
    let path = folder.path().join("studio");
    let publisher = share(&path);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "as it is made");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    for (uid, heard) in [(0, "heard welcome"), (OTHER, "heard the end"), (0, "heard welcome")] {
        let said = said(start(uid, test, "greets", &path));
        assert!(said.iter().any(|line| line == heard), "user {uid}: {said:?}");
    }
    for (way, end) in join_in_all_ways(&path) {
        assert!(end.is_ok(), "our own user {way}: {end:?}");
    }
    drop(publisher);
}

#[test]
fn a_share_that_belongs_to_another_user_is_joined_by_nobody_else() {
    let test = "a_share_that_belongs_to_another_user_is_joined_by_nobody_else";
    if plays() {
        return;
    }
    let Some(folder) = folder_of_two(test) else { return };

    // Ours, and another asks.
    let path = folder.path().join("ours");
    let publisher = share(&path);
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let said = said(start(OTHER, test, "joins", &path));
    for way in ["looks", "fills", "reads"] {
        let end = format!("{way} PermissionDenied share-of-another-user");
        assert!(said.contains(&end), "{end}: {said:?}");
    }
    drop(publisher);

    // Another's, and we ask, whom no mode of a file keeps out.
    let theirs = folder.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(OTHER), Some(OTHER)).unwrap();
    let path = theirs.join("studio");
    let mut owner = start(OTHER, test, "shares", &path);
    let mut out = BufReader::new(owner.stdout.take().unwrap());
    assert!((&mut out).lines().map_while(Result::ok).any(|line| line == "ready"));
    for (way, end) in join_in_all_ways(&path) {
        let error = end.expect_err(way);
        assert!(matches!(&error, Error::Stranger(name) if *name == path.to_str().unwrap()));
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::PermissionDenied, "share-of-another-user"),
            "who {way}"
        );
    }
    assert!(path.exists(), "another's name is not ours to remove");
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
}
