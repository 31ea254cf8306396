//! Where bytes go.

use crate::{Cancel, Error};
use std::{
    fmt::Debug,
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

    /// What was written so far is worth having: from now on it stands under the name that was asked for, and what stood there before
    /// is gone. Can be called again.
    ///
    /// # Errors
    /// [`Error::Os`].
    fn publish(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// All is written: publishes it and makes it last.
    ///
    /// # Errors
    /// As [`ByteSink::write`].
    fn finish(&mut self, cancel: &Cancel) -> Result<(), Error>;

    /// Nothing more will come: keeps what was written so far. As [`ByteSink::finish`], but waits for nobody longer than a moment.
    ///
    /// # Errors
    /// As [`ByteSink::write`].
    fn keep(&mut self) -> Result<(), Error> {
        self.finish(&Cancel::new())
    }

    /// Takes back what was written (removes the file). True when nothing of it remains. Waits for nobody
    /// longer than a moment.
    ///
    /// # Errors
    /// [`Error::Os`].
    fn discard(&mut self) -> Result<bool, Error>;

    /// What to call it in messages; its ending is a hint at the format.
    fn name(&self) -> &str;
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
