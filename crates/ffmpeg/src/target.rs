//! Where a muxer writes: the sink itself (fragments), or a nameless temporary file (plain form) that is put into order at the end.
//!
//! The plain form has its index in front, but an index is only known at the end. FFmpeg's own `faststart` opens the file a second
//! time, which a sink cannot offer; so the packets wait in a file without a name beside the target (or in the temporary folder),
//! and `finish` writes index and packets to the sink from front to back. A plain file thus appears at `finish`, not before, and
//! needs twice its size on disk for that moment.

use crate::avio::Target;
use beamline_io::{ByteSink, Cancel, Error};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// What the muxer's bytes go to.
pub(crate) struct Out {
    pub(crate) sink: Box<dyn ByteSink>,
    pub(crate) cancel: Cancel,
    /// The plain form's packets.
    pub(crate) spool: Option<Spool>,
    /// Bytes given to the sink.
    pub(crate) written: u64,
    pub(crate) boxes: BoxWatch,
}

/// A temporary file that has no name any more.
pub(crate) struct Spool {
    file: File,
    name: String,
    at: u64,
    len: u64,
}

impl Spool {
    /// Beside the file `target`, when that is one; else in the temporary folder.
    pub(crate) fn new(target: &str) -> Result<Self, Error> {
        let beside = Path::new(target)
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty() && folder.is_dir());
        let folders = [beside.map(Path::to_owned), Some(std::env::temp_dir())];
        let mut last = None;
        for folder in folders.into_iter().flatten() {
            match nameless(&folder) {
                Ok(file) => {
                    return Ok(Spool {
                        file,
                        name: target.to_owned(),
                        at: 0,
                        len: 0,
                    });
                }
                Err(source) => last = Some(source),
            }
        }
        Err(Error::Os {
            action: "create a temporary file for",
            name: target.to_owned(),
            source: last.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()),
        })
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let name = self.name.clone();
        move |source| Error::Os { action, name, source }
    }

    /// Reads all of `into` from `offset`.
    pub(crate) fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let failed = self.failed("read the temporary file of");
        let result = self
            .file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.file.read_exact(into));
        self.at = offset;
        result.map_err(failed)
    }
}

/// A file that nobody else can open and that is gone with its handle.
fn nameless(folder: &Path) -> std::io::Result<File> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path: PathBuf = folder.join(format!(".beamline-{}-{number}.tmp", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

impl Target for Spool {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let failed = self.failed("write");
        self.file.write_all(bytes).map_err(failed)?;
        self.at += bytes.len() as u64;
        self.len = self.len.max(self.at);
        Ok(())
    }

    fn seek(&mut self, to: u64) -> Option<Result<(), Error>> {
        let failed = self.failed("write");
        let result = self.file.seek(SeekFrom::Start(to)).map_err(failed);
        self.at = to;
        Some(result.map(drop))
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn position(&self) -> u64 {
        self.at
    }
}

impl Out {
    /// Gives bytes to the sink.
    pub(crate) fn give(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write(bytes, &self.cancel)?;
        self.written += bytes.len() as u64;
        let before = self.boxes.fragments;
        self.boxes.see(bytes);
        if before == 0 && self.boxes.fragments > 0 {
            // From here on there is something to play.
            self.sink.publish()?;
        }
        Ok(())
    }
}

impl Target for Out {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.spool {
            Some(spool) => {
                self.cancel.check()?;
                spool.write(bytes)
            }
            None => self.give(bytes),
        }
    }

    fn seek(&mut self, to: u64) -> Option<Result<(), Error>> {
        self.spool.as_mut().and_then(|spool| spool.seek(to))
    }

    fn len(&self) -> u64 {
        self.spool.as_ref().map_or(self.written, Target::len)
    }

    fn position(&self) -> u64 {
        self.spool.as_ref().map_or(self.written, Target::position)
    }
}

/// Follows the top-level boxes of what is written, to count whole fragments.
#[derive(Debug, Default)]
pub(crate) struct BoxWatch {
    header: Vec<u8>,
    /// Bytes of the present box that are still to come; only when its header is whole.
    left: Option<u64>,
    after_moof: bool,
    /// moof and mdat, both whole.
    pub(crate) fragments: u64,
}

impl BoxWatch {
    fn see(&mut self, mut bytes: &[u8]) {
        loop {
            if let Some(left) = self.left {
                let now = left.min(bytes.len() as u64);
                bytes = &bytes[now as usize..];
                self.left = Some(left - now);
                if left > now {
                    return;
                }
                self.end_of_box();
            }
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.header.push(*first);
            bytes = rest;
            self.left = remaining(&self.header);
        }
    }

    fn end_of_box(&mut self) {
        let kind = &self.header[4..8];
        if kind == b"mdat" && self.after_moof {
            self.fragments += 1;
        }
        self.after_moof = kind == b"moof";
        self.header.clear();
        self.left = None;
    }
}

/// Bytes of a box behind its header; `None` while the header is not whole.
fn remaining(header: &[u8]) -> Option<u64> {
    let size = u32::from_be_bytes(*header.first_chunk::<4>()?);
    if header.len() < 8 {
        return None;
    }
    match size {
        0 => Some(u64::MAX),
        1 => {
            let size = header.get(8..16)?.try_into().ok()?;
            Some(u64::from_be_bytes(size).saturating_sub(16))
        }
        size => Some(u64::from(size).saturating_sub(8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_fragments_are_counted_however_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        for (kind, len) in [
            (b"ftyp", 12_u32),
            (b"moov", 0),
            (b"moof", 5),
            (b"mdat", 30),
            (b"moof", 1),
            (b"mdat", 2),
            (b"mdat", 3),
        ] {
            bytes.extend((len + 8).to_be_bytes());
            bytes.extend(kind);
            bytes.resize(bytes.len() + len as usize, 0);
        }
        for step in 1..20 {
            let mut watch = BoxWatch::default();
            bytes.chunks(step).for_each(|chunk| watch.see(chunk));
            assert_eq!(watch.fragments, 2, "{step}");
        }
        let mut cut = BoxWatch::default();
        cut.see(&bytes[..bytes.len() - 15]);
        assert_eq!(cut.fragments, 1);
    }
}
