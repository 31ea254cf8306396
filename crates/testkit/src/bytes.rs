//! Byte sources that misbehave on purpose.

use beamline_io::{ByteSource, Cancel, Error};
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Never answers reads that reach `at` or beyond, until it is cancelled or [`StallingBytes::go_on`] is called.
#[derive(Debug)]
pub struct StallingBytes<S> {
    inner: S,
    at: u64,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl<S> StallingBytes<S> {
    /// Stalls at that offset.
    pub fn new(inner: S, at: u64) -> Self {
        StallingBytes {
            inner,
            at,
            gate: Arc::default(),
        }
    }

    /// Lets all reads through from now on.
    pub fn go_on(&self) {
        *self.gate.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.gate.1.notify_all();
    }
}

impl<S: ByteSource> ByteSource for StallingBytes<S> {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error> {
        if offset + into.len() as u64 > self.at {
            let mut open = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
            while !*open {
                cancel.check()?;
                open = match self.gate.1.wait_timeout(open, Duration::from_millis(5)) {
                    Ok((open, _)) => open,
                    Err(poisoned) => poisoned.into_inner().0,
                };
            }
        }
        self.inner.read_at(offset, into, cancel)
    }

    fn len(&self) -> Option<u64> {
        self.inner.len()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

/// Fails reads that reach `at` or beyond.
#[derive(Debug)]
pub struct FailingBytes<S> {
    inner: S,
    at: u64,
}

impl<S> FailingBytes<S> {
    /// Fails at that offset.
    pub fn new(inner: S, at: u64) -> Self {
        FailingBytes { inner, at }
    }
}

impl<S: ByteSource> ByteSource for FailingBytes<S> {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error> {
        if offset + into.len() as u64 > self.at {
            return Err(Error::Callback {
                name: self.name().into(),
                reading: true,
                failure: "it fails on purpose".into(),
            });
        }
        self.inner.read_at(offset, into, cancel)
    }

    fn len(&self) -> Option<u64> {
        self.inner.len()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

/// Gives at most `most` bytes per read.
#[derive(Debug)]
pub struct ShortReads<S> {
    inner: S,
    most: usize,
}

impl<S> ShortReads<S> {
    /// At most so many, at least one.
    pub fn new(inner: S, most: usize) -> Self {
        ShortReads {
            inner,
            most: most.max(1),
        }
    }
}

impl<S: ByteSource> ByteSource for ShortReads<S> {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error> {
        let n = into.len().min(self.most);
        self.inner.read_at(offset, &mut into[..n], cancel)
    }

    fn len(&self) -> Option<u64> {
        self.inner.len()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_io::BytesSource;

    fn bytes() -> BytesSource {
        BytesSource::new(vec![7; 100], "bytes")
    }

    #[test]
    fn a_stall_ends_on_cancel() {
        let source = StallingBytes::new(bytes(), 50);
        let cancel = Cancel::new();
        assert_eq!(source.read_at(0, &mut [0; 50], &cancel).unwrap(), 50);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| source.read_at(0, &mut [0; 51], &cancel));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!reader.is_finished());
            cancel.cancel();
            assert!(matches!(reader.join().unwrap(), Err(Error::Cancelled)));
        });
        source.go_on();
        assert_eq!(source.read_at(0, &mut [0; 51], &Cancel::new()).unwrap(), 51);
    }

    #[test]
    fn failures_and_short_reads_come_where_they_were_asked_for() {
        let failing = FailingBytes::new(bytes(), 10);
        assert!(failing.read_at(0, &mut [0; 10], &Cancel::new()).is_ok());
        assert!(failing.read_at(0, &mut [0; 11], &Cancel::new()).is_err());
        let short = ShortReads::new(bytes(), 3);
        assert_eq!(short.read_at(0, &mut [0; 10], &Cancel::new()).unwrap(), 3);
        assert_eq!(short.read_full_at(0, &mut [0; 10], &Cancel::new()).unwrap(), 10);
    }
}
