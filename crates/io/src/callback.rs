//! Sources and sinks that somebody else's thread serves: JavaScript's `{ size, read }`, Blob, WritableStream, `{ write, seek }`.
//!
//! A reader posts a request and sleeps until its [`Reply`] is given, dropped (the other side is gone) or the wait is cancelled.

use crate::{ByteSink, ByteSource, Cancel, Error, Failure};
use bytes::Bytes;
use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a sink that is broken off may take to close what it has.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answer to one request. Dropping it without an answer ends the wait with [`Error::Cancelled`].
#[derive(Debug)]
pub struct Reply<T>(Arc<Slot<T>>);

#[derive(Debug)]
struct Slot<T> {
    answer: Mutex<Answer<T>>,
    changed: Condvar,
}

#[derive(Debug)]
enum Answer<T> {
    Waiting,
    Given(Result<T, Failure>),
    Gone,
}

impl<T: Send + 'static> Reply<T> {
    fn pair() -> (Self, Arc<Slot<T>>) {
        let slot = Arc::new(Slot {
            answer: Mutex::new(Answer::Waiting),
            changed: Condvar::new(),
        });
        (Reply(Arc::clone(&slot)), slot)
    }
}

impl<T> Reply<T> {
    /// Gives the answer, or the failure.
    pub fn give(self, answer: Result<T, Failure>) {
        *self.0.lock() = Answer::Given(answer);
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let mut answer = self.0.lock();
        if matches!(*answer, Answer::Waiting) {
            *answer = Answer::Gone;
            self.0.changed.notify_all();
        }
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Answer<T>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Slot<T> {
    fn wait(self: &Arc<Self>, name: &str, reading: bool, cancel: &Cancel) -> Result<T, Error> {
        self.wait_until(name, reading, cancel, None)
    }

    /// As [`Slot::wait`], but [`Error::Cancelled`] also at `deadline`.
    fn wait_until(
        self: &Arc<Self>,
        name: &str,
        reading: bool,
        cancel: &Cancel,
        deadline: Option<Instant>,
    ) -> Result<T, Error> {
        let me = Arc::clone(self);
        let _hook = cancel.on_cancel(move || {
            drop(me.lock());
            me.changed.notify_all();
        });
        let mut answer = self.lock();
        loop {
            match std::mem::replace(&mut *answer, Answer::Waiting) {
                Answer::Given(Ok(value)) => return Ok(value),
                Answer::Given(Err(failure)) => {
                    return Err(Error::Callback {
                        name: name.into(),
                        reading,
                        failure,
                    });
                }
                Answer::Gone => return Err(Error::Cancelled),
                Answer::Waiting => {}
            }
            cancel.check()?;
            answer = match deadline {
                None => self.changed.wait(answer).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Error::Cancelled);
                    }
                    let waited = self.changed.wait_timeout(answer, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// Asks for `len` bytes at `offset`.
type ReadFn = dyn Fn(u64, usize, Reply<Bytes>) + Send + Sync;

/// A source whose bytes another thread fetches on request.
pub struct CallbackSource {
    name: String,
    len: Option<u64>,
    read: Box<ReadFn>,
}

impl CallbackSource {
    /// `read(offset, len, reply)` must not block; it may answer later, from any thread, with at most `len` bytes.
    pub fn new(
        name: impl Into<String>,
        len: Option<u64>,
        read: impl Fn(u64, usize, Reply<Bytes>) + Send + Sync + 'static,
    ) -> Self {
        CallbackSource {
            name: name.into(),
            len,
            read: Box::new(read),
        }
    }
}

impl fmt::Debug for CallbackSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackSource")
            .field("name", &self.name)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl ByteSource for CallbackSource {
    fn read_at(&self, offset: u64, into: &mut [u8], cancel: &Cancel) -> Result<usize, Error> {
        cancel.check()?;
        let left = self.len.map_or(u64::MAX, |len| len.saturating_sub(offset));
        let want = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let (reply, slot) = Reply::pair();
        (self.read)(offset, want, reply);
        let bytes = slot.wait(&self.name, true, cancel)?;
        if bytes.len() > want {
            let message = format!("expected at most {want} bytes from read() but received {}", bytes.len());
            return Err(Error::Callback {
                name: self.name.clone(),
                reading: true,
                failure: message.into(),
            });
        }
        if bytes.is_empty()
            && let Some(len) = self.len
        {
            let message = format!(
                "expected 1 to {want} bytes from read() at offset {offset}, since the size is {len}, but received none"
            );
            return Err(Error::Callback {
                name: self.name.clone(),
                reading: true,
                failure: message.into(),
            });
        }
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn len(&self) -> Option<u64> {
        self.len
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// What a [`CallbackSink`] asks of the other side.
#[derive(Debug)]
pub enum SinkRequest {
    /// Write these bytes at the present position.
    Write(Vec<u8>),
    /// Go to this offset.
    Seek(u64),
    /// All is written.
    Finish,
    /// Throw away what was written, if that can be.
    Discard,
}

/// A sink that another thread serves.
pub struct CallbackSink {
    name: String,
    can_seek: bool,
    ask: Box<dyn Fn(SinkRequest, Reply<()>) + Send>,
    /// It was given up on before it had answered.
    silent: bool,
}

impl CallbackSink {
    /// `ask` must not block; it answers later, from any thread.
    pub fn new(name: impl Into<String>, can_seek: bool, ask: impl Fn(SinkRequest, Reply<()>) + Send + 'static) -> Self {
        CallbackSink {
            name: name.into(),
            can_seek,
            ask: Box::new(ask),
            silent: false,
        }
    }

    fn ask(&mut self, request: SinkRequest, cancel: &Cancel) -> Result<(), Error> {
        cancel.check()?;
        let (reply, slot) = Reply::pair();
        (self.ask)(request, reply);
        let answer = slot.wait(&self.name, false, cancel);
        self.silent = matches!(answer, Err(Error::Cancelled));
        answer
    }

    /// The last word to a sink that is broken off. Who has not answered before is told, but not waited for.
    fn tell(&mut self, request: SinkRequest) -> Result<(), Error> {
        let (reply, slot) = Reply::pair();
        (self.ask)(request, reply);
        let patience = if self.silent { Duration::ZERO } else { PATIENCE };
        slot.wait_until(&self.name, false, &Cancel::new(), Some(Instant::now() + patience))
    }
}

impl fmt::Debug for CallbackSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackSink")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ByteSink for CallbackSink {
    fn write(&mut self, bytes: &[u8], cancel: &Cancel) -> Result<(), Error> {
        self.ask(SinkRequest::Write(bytes.to_vec()), cancel)
    }

    fn can_seek(&self) -> bool {
        self.can_seek
    }

    fn seek(&mut self, offset: u64) -> Result<(), Error> {
        if !self.can_seek {
            return Err(Error::NotSeekable {
                name: self.name.clone(),
            });
        }
        self.ask(SinkRequest::Seek(offset), &Cancel::new())
    }

    fn finish(&mut self, cancel: &Cancel) -> Result<(), Error> {
        self.ask(SinkRequest::Finish, cancel)
    }

    fn keep(&mut self) -> Result<(), Error> {
        match self.tell(SinkRequest::Finish) {
            // What it took before, it has.
            Err(Error::Cancelled) => Ok(()),
            answer => answer,
        }
    }

    fn discard(&mut self) -> Result<bool, Error> {
        self.tell(SinkRequest::Discard).map(|()| true)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn a_wait_on_a_callback_ends_on_cancel() {
        let (tx, rx) = mpsc::channel();
        let source = CallbackSource::new("js", Some(10), move |_, _, reply| tx.send(reply).unwrap());
        let cancel = Cancel::new();
        let reader = {
            let cancel = cancel.clone();
            thread::spawn(move || source.read_at(0, &mut [0; 4], &cancel))
        };
        let reply = rx.recv_timeout(Duration::from_secs(5)).unwrap();
        cancel.cancel();
        assert!(matches!(reader.join().unwrap(), Err(Error::Cancelled)));
        drop(reply);
    }

    #[test]
    fn a_wait_on_a_callback_ends_when_the_other_side_is_gone() {
        let source = CallbackSource::new("js", Some(10), |_, _, reply| drop(reply));
        assert!(matches!(
            source.read_at(0, &mut [0; 4], &Cancel::new()),
            Err(Error::Cancelled)
        ));
    }

    #[test]
    fn nothing_where_bytes_were_promised_is_a_failure_of_the_reader_and_else_the_end() {
        let read = |len, offset| {
            let source = CallbackSource::new("js", len, |_, _, reply: Reply<Bytes>| reply.give(Ok(Bytes::new())));
            source.read_at(offset, &mut [0; 4], &Cancel::new())
        };
        let error = read(Some(10), 7).unwrap_err();
        assert_eq!(error.reason(), "read-failed");
        assert!(
            error.to_string().contains("1 to 3 bytes from read() at offset 7"),
            "{error}"
        );
        assert_eq!(read(Some(10), 10).unwrap(), 0);
        assert_eq!(read(None, 7).unwrap(), 0);
    }

    #[test]
    fn a_sink_that_is_broken_off_is_told_so_and_not_waited_for() {
        let (tx, rx) = mpsc::channel();
        let mut sink = CallbackSink::new("js", false, move |request, reply| {
            tx.send(format!("{request:?}")).unwrap();
            // Never answers, and is not gone either.
            std::mem::forget(reply);
        });
        let begun = Instant::now();
        assert!(matches!(sink.discard(), Err(Error::Cancelled)));
        assert!(begun.elapsed() >= PATIENCE, "it had its moment");

        let cancel = Cancel::new();
        let writer = {
            let cancel = cancel.clone();
            thread::spawn(move || (sink.write(b"x", &cancel), sink))
        };
        assert_eq!(rx.recv().unwrap(), "Discard");
        assert_eq!(rx.recv().unwrap(), "Write([120])");
        cancel.cancel();
        let (written, mut sink) = writer.join().unwrap();
        assert!(matches!(written, Err(Error::Cancelled)));
        let begun = Instant::now();
        sink.keep().expect("what it took before, it has");
        assert!(begun.elapsed() < PATIENCE, "who was silent before is not waited for");
        assert_eq!(rx.recv().unwrap(), "Finish");
    }

    #[test]
    fn a_failure_keeps_its_words_and_its_number() {
        let failure = Failure {
            message: "the disk is on fire".into(),
            number: Some(7),
        };
        let source = CallbackSource::new("js", Some(10), {
            let failure = failure.clone();
            move |_, _, reply| reply.give(Err(failure.clone()))
        });
        let mut sink = CallbackSink::new("js", false, {
            let failure = failure.clone();
            move |_, reply| reply.give(Err(failure.clone()))
        });
        let read = source.read_at(0, &mut [0; 4], &Cancel::new()).unwrap_err();
        let write = sink.write(&[0], &Cancel::new()).unwrap_err();
        for (error, reason) in [(read, "read-failed"), (write, "write-failed")] {
            assert_eq!(error.reason(), reason);
            assert!(
                error.to_string().ends_with("'js' failed: the disk is on fire"),
                "{error}"
            );
            assert!(
                matches!(&error, Error::Callback { failure: kept, .. } if *kept == failure),
                "{error:?}"
            );
        }
    }

    #[test]
    fn more_bytes_than_asked_for_are_refused() {
        let source = CallbackSource::new("js", Some(10), |_, n, reply| reply.give(Ok(vec![0; n + 1].into())));
        assert!(matches!(
            source.read_at(0, &mut [0; 4], &Cancel::new()),
            Err(Error::Callback { .. })
        ));
        assert_eq!(source.read_at(10, &mut [0; 4], &Cancel::new()).unwrap(), 0);
    }
}
