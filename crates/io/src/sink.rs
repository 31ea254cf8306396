//! Where bytes go.

use crate::{Cancel, Error};
use std::{
    fmt::Debug,
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Something that can be written to, by one writer.
pub trait ByteSink: Send + Debug {
    /// Writes all of `bytes` at the present position. Blocks until there is room or `cancel` turns.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Cancelled`], [`Error::Callback`].
    fn write(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), Error>;

    /// Whether [`ByteSink::seek`] works.
    fn can_seek(&self) -> bool;

    /// Goes to `offset` bytes from the start.
    ///
    /// # Errors
    /// [`Error::NotSeekable`], [`Error::Os`].
    fn seek(&mut self, offset: u64) -> Result<(), Error>;

    /// All is written: makes it last.
    ///
    /// # Errors
    /// As [`ByteSink::write`].
    fn finish(&mut self, cancel: &Cancel) -> Result<(), Error>;

    /// Takes back what was written (removes the file). True when nothing remains.
    ///
    /// # Errors
    /// [`Error::Os`].
    fn discard(&mut self) -> Result<bool, Error>;

    /// What to call it in messages; its ending is a hint at the format.
    fn name(&self) -> &str;
}

/// A file, made anew or overwritten.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    path: PathBuf,
    name: String,
}

impl FileSink {
    /// Makes the file, or empties the one that is there.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let name = path.display().to_string();
        let file = File::create(&path).map_err(Error::os("create", &name))?;
        Ok(FileSink { file, path, name })
    }
}

impl ByteSink for FileSink {
    fn write(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), Error> {
        cancel.check()?;
        self.file.write_all(bytes).map_err(Error::os("write", &self.name))
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, offset: u64) -> Result<(), Error> {
        self.file
            .seek(SeekFrom::Start(offset))
            .map(drop)
            .map_err(Error::os("seek in", &self.name))
    }

    fn finish(&mut self, _cancel: &Cancel) -> Result<(), Error> {
        self.file.flush().map_err(Error::os("write", &self.name))
    }

    fn discard(&mut self) -> Result<bool, Error> {
        std::fs::remove_file(&self.path)
            .map(|()| true)
            .map_err(Error::os("remove", &self.name))
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// The most bytes that a [`MemorySink`] takes: a seek far behind them must not become an allocation.
const MEMORY_MAX: usize = 1 << 34;

/// Memory, read by whoever holds a clone of [`MemorySink::shared`].
#[derive(Debug, Default)]
pub struct MemorySink {
    bytes: Arc<Mutex<Vec<u8>>>,
    at: usize,
}

impl MemorySink {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written so far.
    #[must_use]
    pub fn shared(&self) -> Arc<Mutex<Vec<u8>>> {
        Arc::clone(&self.bytes)
    }
}

impl ByteSink for MemorySink {
    fn write(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), Error> {
        cancel.check()?;
        let mut all = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let end = self.at.checked_add(bytes.len()).filter(|end| *end <= MEMORY_MAX);
        let too_far = || Error::os("write", "memory")(std::io::ErrorKind::FileTooLarge.into());
        let end = end.ok_or_else(too_far)?;
        if all.len() < end {
            all.resize(end, 0);
        }
        all[self.at..end].copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, offset: u64) -> Result<(), Error> {
        self.at = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(())
    }

    fn finish(&mut self, _cancel: &Cancel) -> Result<(), Error> {
        Ok(())
    }

    fn discard(&mut self) -> Result<bool, Error> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(true)
    }

    fn name(&self) -> &str {
        "memory"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seek_behind_all_memory_is_refused_at_the_write() {
        let mut sink = MemorySink::new();
        for far in [MEMORY_MAX as u64, u64::MAX] {
            sink.seek(far).unwrap();
            assert!(matches!(sink.write(b"x", &Cancel::new()), Err(Error::Os { .. })));
        }
        assert!(sink.shared().lock().unwrap().is_empty());
        sink.seek(2).unwrap();
        sink.write(b"x", &Cancel::new()).unwrap();
        assert_eq!(*sink.shared().lock().unwrap(), [0, 0, b'x']);
    }
}
