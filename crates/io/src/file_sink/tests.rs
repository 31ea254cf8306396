use super::*;
use std::{cell::RefCell, fs, io::Read, os::unix::fs::symlink, sync::mpsc, thread, time::Duration};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    (folder, path)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn put(sink: &mut FileSink, bytes: &[u8]) {
    sink.write(bytes, &Cancel::new()).unwrap();
}

/// As [`FileSink::create`] where the system knows no nameless files.
fn named(path: &Path) -> FileSink {
    let make = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
    let (file, aside) = beside(path, make).unwrap();
    let target = path.to_owned();
    FileSink {
        file,
        name: path.display().to_string(),
        can_seek: true,
        place: Place::Aside { path: aside, target },
        sync: File::sync_data,
    }
}

#[test]
fn the_old_file_lives_until_the_new_one_is_published_and_whoever_reads_it_goes_on() {
    for make in [|p: &Path| FileSink::create(p).unwrap(), named] {
        let (folder, path) = folder();
        fs::write(&path, "old").unwrap();
        let mut reader = File::open(&path).unwrap();
        let mut sink = make(&path);
        put(&mut sink, b"n");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        sink.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"n");
        put(&mut sink, b"ew");
        sink.publish().unwrap();
        sink.finish(&Cancel::new()).unwrap();
        drop(sink);
        let mut old = String::new();
        reader.read_to_string(&mut old).unwrap();
        assert_eq!(
            (old.as_str(), fs::read(&path).unwrap().as_slice()),
            ("old", &b"new"[..])
        );
        assert_eq!(names(folder.path()), ["film.mp4"]);
    }
}

#[test]
fn what_is_discarded_or_dropped_leaves_the_old_file_and_nothing_else() {
    for make in [|p: &Path| FileSink::create(p).unwrap(), named] {
        for discard in [true, false] {
            let (folder, path) = folder();
            let mut sink = make(&path);
            put(&mut sink, b"new");
            if discard {
                assert!(sink.discard().unwrap());
            }
            drop(sink);
            assert!(names(folder.path()).is_empty());
            fs::write(&path, "old").unwrap();
            let mut sink = make(&path);
            put(&mut sink, b"new");
            if discard {
                assert!(sink.discard().unwrap());
            }
            drop(sink);
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(names(folder.path()), ["film.mp4"]);
        }
    }
}

#[test]
fn nothing_is_seen_in_the_folder_before_the_file_is_worth_a_name() {
    let (folder, path) = folder();
    let mut sink = FileSink::create(&path).unwrap();
    put(&mut sink, b"new");
    if matches!(sink.place, Place::Nameless { .. }) {
        assert!(names(folder.path()).is_empty());
    }
    sink.publish().unwrap();
    assert_eq!(names(folder.path()), ["film.mp4"]);
    assert!(sink.discard().unwrap(), "it can be taken back later, too");
    assert!(names(folder.path()).is_empty());
}

thread_local! {
    /// What stood under the name each time when bytes were brought to the disk.
    static SYNCED: RefCell<(PathBuf, Vec<Vec<u8>>)> = RefCell::default();
}

fn note(file: &File) -> io::Result<()> {
    SYNCED.with_borrow_mut(|(path, seen)| seen.push(fs::read(path).unwrap()));
    file.sync_data()
}

#[test]
fn bytes_are_on_the_disk_before_they_take_the_name_of_a_file_and_only_then_are_they_waited_for() {
    for make in [|p: &Path| FileSink::create(p).unwrap(), named] {
        let (_folder, path) = folder();
        SYNCED.set((path.clone(), Vec::new()));
        for (before, synced) in [(None, vec![]), (Some("old"), vec![b"old".to_vec()])] {
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
            }
            let mut sink = make(&path);
            sink.sync = note;
            put(&mut sink, b"n");
            sink.publish().unwrap();
            put(&mut sink, b"ew");
            sink.finish(&Cancel::new()).unwrap();
            assert_eq!(SYNCED.with_borrow_mut(|(_, seen)| std::mem::take(seen)), synced);
        }
    }
}

#[test]
fn what_the_disk_does_not_take_replaces_nothing() {
    let (folder, path) = folder();
    fs::write(&path, "old").unwrap();
    let mut sink = FileSink::create(&path).unwrap();
    sink.sync = |_| Err(Errno::NOSPC.into());
    put(&mut sink, b"new");
    let error = sink.finish(&Cancel::new()).unwrap_err();
    assert_eq!(error.reason(), "disk-full");
    drop(sink);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["film.mp4"]);
}

/// Root may write everywhere: on a thread of its own that right is given up first.
fn without_privileges<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    thread::scope(|scope| {
        let run = || {
            let mut sets = capabilities(None).unwrap();
            sets.effective
                .remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER);
            set_capabilities(None, sets).unwrap();
            run()
        };
        scope.spawn(run).join().unwrap()
    })
}

#[test]
fn a_file_that_may_be_written_in_a_folder_that_may_not_is_written_in_its_place() {
    let (folder, path) = folder();
    fs::write(&path, "old and long").unwrap();
    let lock = |mode| fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
    lock(0o555);
    without_privileges(|| {
        assert!(FileSink::create(folder.path().join("other.mp4")).is_err());
        let inode = fs::metadata(&path).unwrap().ino();
        // Untouched as long as nothing is written.
        drop(FileSink::create(&path).unwrap());
        assert!(FileSink::create(&path).unwrap().discard().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"old and long");
        let mut sink = FileSink::create(&path).unwrap();
        put(&mut sink, b"n");
        sink.publish().unwrap();
        put(&mut sink, b"ew");
        sink.finish(&Cancel::new()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        // What is given up leaves nothing of itself.
        let mut sink = FileSink::create(&path).unwrap();
        put(&mut sink, b"half");
        assert!(sink.discard().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"");
        // And a file that may not be written is still refused.
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        assert_eq!(FileSink::create(&path).unwrap_err().reason(), "not-allowed");
    });
    lock(0o755);
}

#[test]
fn a_link_stays_and_what_it_points_to_is_replaced() {
    let (folder, path) = folder();
    let (near, far) = (folder.path().join("near"), folder.path().join("far"));
    symlink("film.mp4", &near).unwrap();
    symlink(&near, &far).unwrap();
    for words in ["made", "replaced"] {
        let mut sink = FileSink::create(&far).unwrap();
        put(&mut sink, words.as_bytes());
        sink.finish(&Cancel::new()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), words);
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(names(folder.path()), ["far", "film.mp4", "near"]);
    }
    let round = folder.path().join("round");
    symlink(&round, &round).unwrap();
    assert!(FileSink::create(&round).is_err());
}

#[test]
fn permissions_are_those_of_the_old_file_or_the_usual_ones() {
    let (folder, path) = folder();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    let usual = folder.path().join("usual");
    fs::write(&usual, "").unwrap();
    for make in [|p: &Path| FileSink::create(p).unwrap(), named] {
        make(&path).finish(&Cancel::new()).unwrap();
        assert_eq!(mode(&path), mode(&usual));
        fs::remove_file(&path).unwrap();
    }
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    FileSink::create(&path).unwrap().finish(&Cancel::new()).unwrap();
    assert_eq!(mode(&path), 0o640);
}

#[test]
fn no_folder_and_a_folder_are_refused() {
    let (folder, path) = folder();
    let kind = |path: &Path| FileSink::create(path).unwrap_err().kind();
    assert_eq!(kind(&path.join("deeper.mp4")), ErrorKind::NotFound);
    assert_eq!(kind(folder.path()), ErrorKind::IsADirectory);
}

#[test]
fn devices_and_open_files_are_written_as_they_are_and_never_removed() {
    let mut full = FileSink::create("/dev/full").unwrap();
    assert_eq!(
        full.write(b"x", &Cancel::new()).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert!(!full.discard().unwrap());
    assert!(Path::new("/dev/full").exists() && !full.can_seek());

    let (folder, path) = folder();
    fs::write(&path, "something longer").unwrap();
    let opened = OpenOptions::new().write(true).open(&path).unwrap();
    let inode = opened.metadata().unwrap().ino();
    let link = folder.path().join("stdout");
    symlink(handle(&opened), &link).unwrap();
    for by in [PathBuf::from(handle(&opened)), link] {
        let mut sink = FileSink::create(by).unwrap();
        put(&mut sink, b"new");
        sink.finish(&Cancel::new()).unwrap();
        assert!(!sink.discard().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    }
}

#[test]
fn a_pipe_that_nobody_reads_is_refused_and_a_full_one_can_be_cancelled() {
    let (_folder, path) = folder();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(CWD, &path, fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    let error = FileSink::create(&path).unwrap_err();
    assert!(error.to_string().contains("nobody reads this pipe"), "{error}");

    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut reader = OpenOptions::new().read(true).custom_flags(flags).open(&path).unwrap();
    let mut sink = FileSink::create(&path).unwrap();
    put(&mut sink, b"film");
    let mut some = [0; 4];
    reader.read_exact(&mut some).unwrap();
    assert_eq!(&some, b"film");

    let cancel = Cancel::new();
    let (tell, told) = mpsc::channel();
    let writer = {
        let cancel = cancel.clone();
        thread::spawn(move || tell.send(sink.write(&vec![0; 4 << 20], &cancel)))
    };
    assert!(
        told.recv_timeout(Duration::from_millis(100)).is_err(),
        "4 MiB never filled it"
    );
    cancel.cancel();
    let how = told.recv_timeout(Duration::from_secs(10)).expect("the wait ends");
    assert!(matches!(how, Err(Error::Cancelled)));
    writer.join().unwrap().unwrap();
    assert!(path.exists());
}
