//! Files that are written aside: the one that was there before lives until there is something to put in its place.

use crate::{ByteSink, Cancel, Error};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{AtFlags, CWD, OFlags, PROC_SUPER_MAGIC},
    io::Errno,
};
use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind, Seek, SeekFrom, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Links that are followed before a path counts as a loop, as the kernel does it.
const LINKS_MAX: usize = 40;
/// How often a wait for room in a pipe looks whether it was cancelled.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// A file, made anew or replaced.
///
/// It is written aside, without a name where the system can do that, and gets its name at [`ByteSink::publish`]. Until then a file
/// that was there before is untouched, and whoever has that one open goes on reading it. What is no plain file (a device, a pipe,
/// `/dev/stdout`) is written as it is and never removed. A file that may be written in a folder that may not is emptied at the first
/// write and written in its place: nothing can be made beside it, so nothing of the old one lives on.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    name: String,
    can_seek: bool,
    place: Place,
    /// Brings what was written to the disk; tests put their own in.
    sync: fn(&File) -> io::Result<()>,
}

/// Where the file is found.
#[derive(Debug)]
enum Place {
    /// Nowhere yet; it is to be `target`.
    Nameless { target: PathBuf },
    /// Beside what it is to be.
    Aside { path: PathBuf, target: PathBuf },
    /// Under the name that was asked for.
    Target(PathBuf),
    /// In the place of the old file, which is still there until the first write.
    Over { emptied: bool },
    /// Its name is none of ours: it was there before, or it was discarded.
    Fixed,
}

impl FileSink {
    /// Makes a file that is to be `path`. Where `path` is a link, the file that it points to is replaced. A file that is replaced
    /// leaves its permissions to the new one.
    ///
    /// # Errors
    /// [`Error::Os`]: no such folder, it or the file may not be written to, a folder, a pipe that nobody reads.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let (file, place) = open(path).map_err(Error::os("create", &name))?;
        let can_seek = file.metadata().is_ok_and(|meta| meta.is_file());
        Ok(FileSink {
            file,
            name,
            can_seek,
            place,
            sync: File::sync_data,
        })
    }

    /// Waits a moment for room in a pipe or a terminal.
    fn wait(&self, cancel: &Cancel) -> Result<(), Error> {
        cancel.check()?;
        match poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&LOOK)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::os("write", &self.name)(errno.into())),
        }
    }

    /// Empties the file that is written in its place, once.
    fn empty(&mut self) -> Result<(), Error> {
        if let Place::Over {
            emptied: emptied @ false,
        } = &mut self.place
        {
            self.file.set_len(0).map_err(Error::os("write", &self.name))?;
            *emptied = true;
        }
        Ok(())
    }

    /// Gives the nameless file a name beside its target: only a file with a name can replace another one.
    fn link(&mut self) -> Result<(), Error> {
        let Place::Nameless { target } = &self.place else {
            return Ok(());
        };
        let from = handle(&self.file);
        let link = |path: &Path| Ok(rustix::fs::linkat(CWD, &from, CWD, path, AtFlags::SYMLINK_FOLLOW)?);
        let ((), path) = beside(target, link).map_err(Error::os("create", &self.name))?;
        let target = target.clone();
        self.place = Place::Aside { path, target };
        Ok(())
    }
}

/// The file to write to, and where it is.
fn open(path: &Path) -> io::Result<(File, Place)> {
    let mut options = OpenOptions::new();
    // A pipe that nobody reads must not hold up a caller who cannot cancel yet, and a full one must not hold up one who does.
    options.write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let Some(target) = resolved(path)? else {
        return Ok((options.truncate(true).open(path)?, Place::Fixed));
    };
    let before = match options.open(&target) {
        Ok(file) => {
            let meta = file.metadata()?;
            if !meta.is_file() {
                return Ok((file, Place::Fixed));
            }
            Some((file, meta))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) if is_pipe(&target) && error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            let words = "nobody reads this pipe; start its reader first";
            return Err(io::Error::new(ErrorKind::BrokenPipe, words));
        }
        Err(error) => return Err(error),
    };
    let Some((old, rights)) = before else {
        return make(target);
    };
    match make(target) {
        Ok(made) => {
            keep_rights(&made.0, &rights)?;
            Ok(made)
        }
        // The file may be written, its folder may not.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok((old, Place::Over { emptied: false })),
        Err(error) => Err(error),
    }
}

fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.file_type().is_fifo())
}

/// `path` with its links followed, to something or to nothing; `None` when it names what a process has open (`/dev/stdout`).
fn resolved(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(to) = std::fs::read_link(&path) else {
            return Ok(Some(path));
        };
        if rustix::fs::statfs(folder_of(&path))?.f_type == PROC_SUPER_MAGIC {
            // Its links say "/dev/fd/1"-like words; what they lead to is the open file itself.
            let numbers = path
                .file_name()
                .is_some_and(|n| n.as_encoded_bytes().iter().all(u8::is_ascii_digit));
            if numbers {
                return Ok(None);
            }
        }
        path = folder_of(&path).join(to);
    }
    Err(Errno::LOOP.into())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A new file for `target`, in the same folder: it can be moved over it.
fn make(target: PathBuf) -> io::Result<(File, Place)> {
    let mut options = OpenOptions::new();
    options.write(true);
    let nameless = options
        .clone()
        .custom_flags(OFlags::TMPFILE.bits().cast_signed())
        .open(folder_of(&target));
    match nameless {
        // It gets its name by way of /proc.
        Ok(file) if Path::new(&handle(&file)).exists() => Ok((file, Place::Nameless { target })),
        _ => {
            let (file, path) = beside(&target, |path| options.clone().create_new(true).open(path))?;
            Ok((file, Place::Aside { path, target }))
        }
    }
}

/// The name under which this process finds what it has open.
fn handle(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Makes something under a free name in the folder of `target`.
fn beside<T>(target: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder_of(target).join(format!(".beamline-{}-{number}.part", std::process::id()));
        match make(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|made| (made, path)),
        }
    }
}

/// As emptying the old file would have: its owner where that may be, and its permissions.
fn keep_rights(file: &File, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        let _ = fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(Permissions::from_mode(before.mode() & 0o777))
}

impl ByteSink for FileSink {
    fn write(&mut self, mut bytes: &[u8], cancel: &Cancel) -> Result<(), Error> {
        self.empty()?;
        while !bytes.is_empty() {
            cancel.check()?;
            match self.file.write(bytes) {
                Ok(0) => return Err(Error::os("write", &self.name)(ErrorKind::WriteZero.into())),
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(cancel)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::os("write", &self.name)(error)),
            }
        }
        Ok(())
    }

    fn can_seek(&self) -> bool {
        self.can_seek
    }

    fn seek(&mut self, offset: u64) -> Result<(), Error> {
        self.file
            .seek(SeekFrom::Start(offset))
            .map(drop)
            .map_err(Error::os("seek in", &self.name))
    }

    fn publish(&mut self) -> Result<(), Error> {
        self.link()?;
        if let Place::Aside { path, target } = &self.place {
            // File systems may bring the new name to the disk before the bytes: after a power cut neither file would be there. Once, and
            // only where there is something to lose: for a file in fragments that is its first one, some ms; the plain form is waited for
            // as a whole. What follows a first fragment is the system's to write, as of every file.
            if target.symlink_metadata().is_ok() {
                (self.sync)(&self.file).map_err(Error::os("write", &self.name))?;
            }
            std::fs::rename(path, target).map_err(Error::os("create", &self.name))?;
            self.place = Place::Target(target.clone());
        }
        Ok(())
    }

    fn finish(&mut self, _cancel: &Cancel) -> Result<(), Error> {
        self.empty()?;
        self.file.flush().map_err(Error::os("write", &self.name))?;
        self.publish()
    }

    fn discard(&mut self) -> Result<bool, Error> {
        match std::mem::replace(&mut self.place, Place::Fixed) {
            Place::Nameless { .. } => Ok(true),
            Place::Aside { path, .. } | Place::Target(path) => std::fs::remove_file(&path)
                .map(|()| true)
                .map_err(Error::os("remove", &self.name)),
            // Its name is not ours to remove; of the old bytes nothing is left once there were new ones.
            Place::Over { emptied: true } => self
                .file
                .set_len(0)
                .map(|()| true)
                .map_err(Error::os("write", &self.name)),
            Place::Over { emptied: false } => Ok(true),
            Place::Fixed => Ok(false),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for FileSink {
    /// What was never worth a name leaves none behind.
    fn drop(&mut self) {
        if let Place::Aside { path, .. } = &self.place {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests;
