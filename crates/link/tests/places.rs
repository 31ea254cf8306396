//! The folder of names: whose runtime directory it is, and that nobody else can put a name there.
//!
//! Each case is a process of its own: the test starts itself again with that environment, and the child says what it found.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; a child tells its parent how it went"
)]

use beamline_link::{Limits, Place, Publisher, Reader, list};
use beamline_media::{Caps, PixelFormat, Size};
use std::{
    env,
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const OTHER: u32 = 65534;

/// What a child does; gives whether this is one.
fn plays() -> bool {
    let part = env::var("BEAMLINE_PLACE_PLAYS");
    let place = || Place::new("studio").map_err(|e| format!("{:?} {}", e.code(), e.reason()));
    match part.as_deref() {
        Err(_) => return false,
        Ok("shares") => {
            let caps = Caps::raw(PixelFormat::I420, Size::new(64, 32));
            let _publisher = Publisher::listen(place().unwrap(), caps, true, Limits::default()).unwrap();
            println!("\nready");
            let _ = std::io::stdin().lines().count();
        }
        Ok("looks") => println!("\nsees {:?}", Reader::look(&place().unwrap()).unwrap().0.size),
        _ => match place() {
            Ok(place) => println!("\nat {}", place.path().display()),
            Err(error) => println!("\nno place: {error}, {} names", list().len()),
        },
    }
    true
}

fn start(test: &str, part: &str, environment: &[(&str, &Path)]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env_remove("BEAMLINE_SHARES")
        .env_remove("XDG_RUNTIME_DIR")
        .env_remove("TMPDIR")
        .envs(environment.iter().copied())
        .env("BEAMLINE_PLACE_PLAYS", part)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The line of what a child said that begins so.
fn said(child: Child, begin: &str) -> String {
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix(begin));
    line.unwrap_or_else(|| panic!("no '{begin}': {said}")).to_owned()
}

/// Where a name lies in that environment.
fn place_in(test: &str, environment: &[(&str, &Path)]) -> PathBuf {
    said(start(test, "asks", environment), "at ").into()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// The folder of a user's own among temporary files.
fn own() -> String {
    format!("beamline-{}", rustix::process::getuid().as_raw())
}

#[test]
fn names_lie_in_the_users_runtime_directory_or_else_among_temporary_files() {
    let test = "names_lie_in_the_users_runtime_directory_or_else_among_temporary_files";
    if plays() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [runtime, temporary, shares] = ["runtime", "temporary", "shares"].map(at);
    fs::create_dir(&runtime).unwrap();
    fs::create_dir(&temporary).unwrap();
    let (xdg, tmp) = (("XDG_RUNTIME_DIR", &*runtime), ("TMPDIR", &*temporary));

    assert_eq!(place_in(test, &[xdg, tmp]), runtime.join("beamline/studio.share"));
    assert_eq!(mode(&runtime.join("beamline")), 0o700);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "nothing is made there");

    let fallback = temporary.join(own());
    assert_eq!(place_in(test, &[tmp]), fallback.join("studio.share"));
    assert_eq!(mode(&fallback), 0o700);
    // An empty word is none.
    let empty = ("XDG_RUNTIME_DIR", Path::new(""));
    assert_eq!(place_in(test, &[empty, tmp]), fallback.join("studio.share"));
    let in_tmp = Path::new("/tmp").join(own());
    assert_eq!(place_in(test, &[]), in_tmp.join("studio.share"));
    assert_eq!(mode(&in_tmp), 0o700);

    let ours = ("BEAMLINE_SHARES", &*shares);
    assert_eq!(place_in(test, &[ours, xdg, tmp]), shares.join("studio.share"));
    assert_eq!(mode(&shares), 0o700);
}

#[test]
fn processes_of_one_runtime_directory_find_each_other_by_name() {
    let test = "processes_of_one_runtime_directory_find_each_other_by_name";
    if plays() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let environment = [("XDG_RUNTIME_DIR", folder.path())];
    let mut owner = start(test, "shares", &environment);
    let mut out = BufReader::new(owner.stdout.take().unwrap());
    assert!((&mut out).lines().map_while(Result::ok).any(|line| line == "ready"));
    let socket = folder.path().join("beamline/studio.share");
    assert_eq!(mode(&socket), 0o600, "for its user alone");
    let seen = said(start(test, "looks", &environment), "sees ");
    assert_eq!(seen, format!("{:?}", Size::new(64, 32)));
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
}

#[test]
fn a_folder_where_others_may_put_names_is_refused() {
    let test = "a_folder_where_others_may_put_names_is_refused";
    if plays() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Whichever way it was come to.
    let ways = [
        ("BEAMLINE_SHARES", ""),
        ("XDG_RUNTIME_DIR", "beamline"),
        ("TMPDIR", &own()),
    ];
    let refused = |what: &str, make: &dyn Fn(&Path)| {
        for (way, (variable, name)) in ways.iter().enumerate() {
            let above = folder.path().join(format!("{what} {way}"));
            fs::create_dir(&above).unwrap();
            let path = above.join(if name.is_empty() { "shares" } else { name });
            make(&path);
            let set = if name.is_empty() { &path } else { &above };
            let said = said(start(test, "asks", &[(variable, set)]), "no place: ");
            assert_eq!(
                said, "PermissionDenied share-of-another-user, 0 names",
                "{what}, by {variable}"
            );
        }
    };
    // A name is there already: it must not be believed.
    let with_a_name = |path: &Path| {
        fs::create_dir(path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(path.join("camera.share")).unwrap());
    };
    for open in [0o777, 0o1777, 0o770, 0o720, 0o702] {
        refused(&format!("mode {open:o}"), &|path| {
            with_a_name(path);
            fs::set_permissions(path, Permissions::from_mode(open)).unwrap();
        });
    }
    // A link may lead elsewhere tomorrow.
    refused("link", &|path| {
        let fine = path.with_extension("fine");
        with_a_name(&fine);
        fs::set_permissions(&fine, Permissions::from_mode(0o700)).unwrap();
        symlink(&fine, path).unwrap();
    });
    if rustix::process::getuid().is_root() {
        refused("another's", &|path| {
            with_a_name(path);
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            chown(path, Some(OTHER), Some(OTHER)).unwrap();
        });
    } else {
        // Root's.
        let said = said(
            start(test, "asks", &[("BEAMLINE_SHARES", Path::new("/usr"))]),
            "no place: ",
        );
        assert_eq!(said, "PermissionDenied share-of-another-user, 0 names");
    }
}
