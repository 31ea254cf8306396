//! Where a share listens: a socket in the user's runtime directory, or at a path.

use crate::error::Error;
use rustix::fs::{Mode, OFlags};
use std::{
    fs,
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

/// Longest path of a Unix socket, with its end.
const PATH_MAX: usize = 107;
const SUFFIX: &str = ".share";

/// A share by its name, or by the path of its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    name: String,
    path: PathBuf,
}

impl Place {
    /// A name, or a path with a `/` in it. The directory of names is made when it is not there.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Os`], [`Error::Stranger`] when the directory is another user's.
    pub fn new(name: &str) -> Result<Self, Error> {
        if !name.contains('/') {
            return Self::named(&directory()?, name);
        }
        Self::at(name, PathBuf::from(name))
    }

    /// A name in a directory.
    pub(crate) fn named(directory: &Path, name: &str) -> Result<Self, Error> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fine) || name.starts_with('.') {
            return Err(Error::Name(name.chars().take(80).collect()));
        }
        Self::at(name, directory.join(format!("{name}{SUFFIX}")))
    }

    fn at(name: &str, path: PathBuf) -> Result<Self, Error> {
        if path.as_os_str().len() > PATH_MAX || name.contains('\0') {
            return Err(Error::Name(name.chars().take(80).collect()));
        }
        Ok(Place {
            name: name.to_owned(),
            path,
        })
    }

    /// As it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What opens it in every process of this user, whatever its environment and folder: `shared:` and the path of its socket.
    #[must_use]
    pub fn url(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let path = path.display().to_string();
        // Behind the last question mark stand options.
        let end = if path.contains('?') { "?" } else { "" };
        format!("shared:{path}{end}")
    }

    /// Its socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Names in the runtime directory, dead ones among them.
#[must_use]
pub fn list() -> Vec<String> {
    directory().map(|d| list_in(&d)).unwrap_or_default()
}

/// Names in a directory, in order.
pub(crate) fn list_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_socket()))
        .filter_map(|e| name_of(e.file_name().to_str()?))
        .collect();
    names.sort();
    names
}

/// The name that a file stands for.
pub(crate) fn name_of(file: &str) -> Option<String> {
    file.strip_suffix(SUFFIX).map(str::to_owned)
}

/// `$BEAMLINE_SHARES`, else `beamline` in the user's runtime directory, else a folder of the user's own in the system's for temporary
/// files. Nobody else may write there: a name in it is a promise of this user's.
pub(crate) fn directory() -> Result<PathBuf, Error> {
    let uid = rustix::process::getuid().as_raw();
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let path = set("BEAMLINE_SHARES")
        .or_else(|| set("XDG_RUNTIME_DIR").map(|d| d.join("beamline")))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("beamline-{uid}")));
    let os = |e: std::io::Error| Error::os(format!("the directory of shares, {}", path.display()), e);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)
        .map_err(os)?;
    let is = fs::symlink_metadata(&path).map_err(os)?;
    if !is.is_dir() || is.uid() != uid || is.mode() & 0o022 != 0 {
        return Err(Error::Stranger(path.display().to_string()));
    }
    Ok(path)
}

/// Holds a lock on the directory of a socket: who removes a dead name and who takes it must not meet.
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "the lock ends with the fd")] rustix::fd::OwnedFd);

impl DirectoryLock {
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        Self::take(path, rustix::fs::FlockOperation::LockExclusive)
    }

    /// The same without a wait: an error of the system when another has it.
    pub(crate) fn at_once(path: &Path) -> Result<Self, Error> {
        Self::take(path, rustix::fs::FlockOperation::NonBlockingLockExclusive)
    }

    fn take(path: &Path, how: rustix::fs::FlockOperation) -> Result<Self, Error> {
        let directory = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let os = |e: rustix::io::Errno| Error::os(format!("the directory {}", directory.display()), e);
        let fd = rustix::fs::open(
            directory,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(os)?;
        rustix::fs::flock(fd.as_fd(), how).map_err(os)?;
        Ok(DirectoryLock(fd))
    }
}
