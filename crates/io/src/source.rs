//! Bytes to be read at offsets.

use crate::{Cancel, Error};
use bytes::Bytes;
use std::{
    fmt::Debug,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Something that can be read from, by any number of readers with offsets of their own.
pub trait ByteSource: Send + Sync + Debug {
    /// Reads up to `into.len()` bytes from `offset`; 0 at and behind the end. May give less than asked.
    ///
    /// Blocks until bytes are there or `cancel` turns.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Cancelled`], [`Error::Callback`].
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error>;

    /// Bytes in all, when known.
    fn len(&self) -> Option<u64>;

    /// Whether it is known to be empty.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// What to call it in messages; its ending is a hint at the format.
    fn name(&self) -> &str;

    /// Whether it can only be read once, from front to back.
    fn one_pass(&self) -> bool {
        false
    }

    /// Reads until `into` is full or the bytes end; gives how many came.
    ///
    /// # Errors
    /// As [`ByteSource::read_at`].
    fn read_full_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error> {
        let mut done = 0;
        while done < into.len() {
            match self.read_at(offset + done as u64, &mut into[done..], cancel)? {
                0 => break,
                n => done += n,
            }
        }
        Ok(done)
    }
}

/// A file.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    name: String,
    len: u64,
    path: PathBuf,
}

impl FileSource {
    /// Opens it.
    ///
    /// # Errors
    /// [`Error::Os`]: not there, not allowed, or a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let file = File::open(path).map_err(Error::os("open", &name))?;
        let meta = file.metadata().map_err(Error::os("open", &name))?;
        if meta.is_dir() {
            return Err(Error::os("open", &name)(std::io::ErrorKind::IsADirectory.into()));
        }
        Ok(FileSource {
            file,
            name,
            len: meta.len(),
            path: path.to_owned(),
        })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ByteSource for FileSource {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error> {
        cancel.check()?;
        self.file.read_at(into, offset).map_err(Error::os("read", &self.name))
    }

    fn len(&self) -> Option<u64> {
        Some(self.len)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Bytes in memory.
#[derive(Debug)]
pub struct BytesSource {
    bytes: Bytes,
    name: String,
}

impl BytesSource {
    /// Reads from `bytes`.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>, name: impl Into<String>) -> Self {
        BytesSource {
            bytes: bytes.into(),
            name: name.into(),
        }
    }
}

impl ByteSource for BytesSource {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error> {
        cancel.check()?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let n = into.len().min(self.bytes.len() - from);
        into[..n].copy_from_slice(&self.bytes[from..from + n]);
        Ok(n)
    }

    fn len(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }

    fn name(&self) -> &str {
        &self.name
    }
}
