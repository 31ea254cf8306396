//! Reads from a source through a small window, so that a header and what stands near it cost one read.

use crate::Error;
use beamline_io::{ByteSource, Cancel};

/// Bytes per read: a header, and most heads of fragments.
const WINDOW: usize = 4096;
/// Bytes by which a larger box is read: memory grows with what is there, not with what is announced.
const STEP: usize = 1 << 20;

pub(super) struct Window<'a> {
    source: &'a dyn ByteSource,
    cancel: &'a Cancel,
    begin: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(source: &'a dyn ByteSource, cancel: &'a Cancel) -> Self {
        Window {
            source,
            cancel,
            begin: 0,
            bytes: Vec::new(),
        }
    }

    /// What to call the source.
    pub(super) fn name(&self) -> String {
        self.source.name().to_owned()
    }

    /// Up to `len` (at most [`WINDOW`]) bytes from `at`; fewer only at the end.
    pub(super) fn peek(&mut self, at: u64, len: usize) -> Result<&[u8], Error> {
        let inside = |begin: u64, have: usize| {
            let from = usize::try_from(at.checked_sub(begin)?).ok()?;
            (from <= have).then_some(from)
        };
        let mut from = inside(self.begin, self.bytes.len());
        if from.is_none_or(|from| from + len > self.bytes.len()) {
            self.bytes.resize(WINDOW, 0);
            let have = self.source.read_full_at(at, &mut self.bytes, self.cancel)?;
            self.bytes.truncate(have);
            self.begin = at;
            from = Some(0);
        }
        let from = from.unwrap_or(0);
        Ok(&self.bytes[from..self.bytes.len().min(from + len)])
    }

    /// All `len` bytes from `at`, or `None` when the source ends before. The caller bounds `len`.
    pub(super) fn read(&mut self, at: u64, len: usize) -> Result<Option<Vec<u8>>, Error> {
        if len <= WINDOW {
            let bytes = self.peek(at, len)?;
            return Ok((bytes.len() == len).then(|| bytes.to_vec()));
        }
        let mut all = Vec::new();
        while all.len() < len {
            let done = all.len();
            all.resize(len.min(done + STEP), 0);
            let have = self
                .source
                .read_full_at(at + done as u64, &mut all[done..], self.cancel)?;
            if done + have < all.len() {
                return Ok(None);
            }
        }
        Ok(Some(all))
    }

    /// Whether the source has the byte before `end`.
    pub(super) fn reaches(&self, end: u64) -> Result<bool, Error> {
        match self.source.len() {
            Some(len) => Ok(end <= len),
            None if end == 0 => Ok(true),
            None => Ok(self.source.read_full_at(end - 1, &mut [0], self.cancel)? == 1),
        }
    }

    /// "the file ends after N bytes".
    pub(super) fn end_words(&self) -> String {
        self.source.len().map_or_else(
            || "the file ends before".to_owned(),
            |len| format!("the file ends after {len} bytes"),
        )
    }
}
