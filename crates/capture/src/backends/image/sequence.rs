//! PNG and JPEG files as packets.

use super::{DEFAULT_RATE, numbered::Numbered, still::parse_still};
use crate::{Context, Error, Event, Request, Source, SourceStats, pace::Pace};
use beamline_io::{ByteSource, Cancel, FileSource};
use beamline_media::{Caps, Packet};
use bytes::Bytes;
use std::{path::PathBuf, sync::Arc};

/// The largest file that is taken for a picture.
const MAX_BYTES: u64 = 256 << 20;

/// One file, or a run of numbers.
#[derive(Debug)]
enum Files {
    One(PathBuf),
    Run(Numbered, u32),
}

impl Files {
    fn path(&self, index: u64) -> PathBuf {
        match self {
            Files::One(path) => path.clone(),
            Files::Run(numbered, first) => numbered.path(first + index as u32),
        }
    }
}

/// Reads file after file.
#[derive(Debug)]
pub(crate) struct Sequence {
    files: Files,
    count: u64,
    pace: Pace,
    caps: Caps,
    /// The file that was read last, so that a single picture is read once.
    last: (u64, Bytes),
    /// A packet whose change of caps was told first.
    pending: Option<Packet>,
}

pub(crate) fn open(request: &Request, context: &Context) -> Result<Sequence, Error> {
    let numbered = Numbered::parse(&request.device);
    let known: &[_] = match numbered {
        Some(_) => &["loop", "live", "start"],
        None => &["loop", "live"],
    };
    request.allow_options("image", known)?;
    let rate = request.rate_or(DEFAULT_RATE)?;
    let (looped, live) = (request.flag("loop", false)?, request.flag("live", true)?);
    let (files, count) = match numbered {
        None => (Files::One(request.device.clone().into()), 1),
        Some(numbered) => {
            let (first, count) = numbered.find(request.number("start", "a number")?)?;
            (Files::Run(numbered, first), count)
        }
    };
    let first = read(&files.path(0), &context.cancel)?;
    let mut caps = caps_of(&files.path(0), &first)?;
    caps.frame_rate = Some(rate);
    refuse_other_size(request, &caps)?;
    Ok(Sequence {
        files,
        count,
        pace: Pace::new(Arc::clone(&context.clock), rate, live, (!looped).then_some(count)),
        caps,
        last: (0, first),
        pending: None,
    })
}

impl Sequence {
    fn bytes(&mut self, index: u64, cancel: &Cancel) -> Result<Bytes, Error> {
        if self.last.0 != index {
            self.last = (index, read(&self.files.path(index), cancel)?);
        }
        Ok(self.last.1.clone())
    }
}

impl Source for Sequence {
    fn caps(&self) -> Caps {
        self.caps.clone()
    }

    fn live(&self) -> bool {
        self.pace.live()
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error> {
        if let Some(packet) = self.pending.take() {
            self.pace.done();
            return Ok(Event::Packet(packet));
        }
        let Some(n) = self.pace.wait(cancel)? else {
            return Ok(Event::End);
        };
        let index = n % self.count;
        let data = self.bytes(index, cancel)?;
        let caps = Caps {
            frame_rate: self.caps.frame_rate,
            ..caps_of(&self.files.path(index), &data)?
        };
        let packet = Packet {
            timestamp_us: Some(self.pace.nth_us(n)),
            decode_us: Some(self.pace.nth_us(n)),
            duration_us: Some(self.pace.duration_us(n)),
            key: true,
            ..Packet::new(data)
        };
        if caps != self.caps {
            self.caps = caps.clone();
            self.pending = Some(packet);
            return Ok(Event::Caps(caps));
        }
        self.pace.done();
        Ok(Event::Packet(packet))
    }

    fn stats(&self) -> SourceStats {
        self.pace.stats()
    }

    fn picture_id(&self) -> Option<u64> {
        Some(self.last.0)
    }
}

fn read(path: &PathBuf, cancel: &Cancel) -> Result<Bytes, Error> {
    let source = FileSource::open(path)?;
    let len = source.len().unwrap_or(0);
    if len > MAX_BYTES {
        return Err(Error::BadFile {
            name: source.name().into(),
            why: format!("expected a picture of at most {MAX_BYTES} bytes, but it has {len}"),
        });
    }
    let mut bytes = vec![0; len as usize];
    let got = source.read_full_at(0, &mut bytes, cancel)?;
    bytes.truncate(got);
    Ok(bytes.into())
}

fn caps_of(path: &std::path::Path, bytes: &[u8]) -> Result<Caps, Error> {
    let (kind, size) = parse_still(bytes).map_err(|e| Error::BadFile {
        name: path.display().to_string(),
        why: e.to_string(),
    })?;
    Ok(Caps::encoded(kind, size))
}

/// Compressed pictures come as they are.
fn refuse_other_size(request: &Request, caps: &Caps) -> Result<(), Error> {
    super::frames::expect_same("width", request.width, caps.size.width)?;
    super::frames::expect_same("height", request.height, caps.size.height)?;
    match request.pixel_format {
        None => Ok(()),
        Some(format) => Err(crate::request::bad(
            "format",
            "no format (pictures come compressed)",
            format.slug(),
        )),
    }
}
