//! Y4M and headerless files as frames: the file is read straight into the slot.

use super::{DEFAULT_RATE, y4m};
use crate::{Context, Error, Event, Request, Source, SourceStats, pace::Pace, request::bad};
use beamline_io::{ByteSource, Cancel, FileSource};
use beamline_media::{Caps, ColorSpace, FrameInfo, FrameMut, FramePool, Layout, Model, PixelFormat, Rational, Size};
use std::{fmt::Display, sync::Arc};

/// Options of both.
const OPTIONS: &[&str] = &["loop", "live"];

/// Replays pictures of one size.
#[derive(Debug)]
pub(crate) struct FileFrames {
    file: FileSource,
    info: FrameInfo,
    /// Where the first picture begins.
    first: u64,
    /// Bytes of a picture, without its line.
    frame_len: u64,
    /// Whether a line stands before each picture.
    has_lines: bool,
    looped: bool,
    at: Place,
    pace: Pace,
    pool: Arc<FramePool>,
}

/// Which picture comes next in the file.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Where its line, or the picture, begins.
    offset: u64,
    /// Its number in the stream.
    number: u64,
    /// Its number in the file.
    in_file: u64,
}

pub(crate) fn open_y4m(request: &Request, context: &Context) -> Result<FileFrames, Error> {
    request.allow_options("image", OPTIONS)?;
    let file = FileSource::open(&request.device)?;
    let mut begin = [0; y4m::MAX_LINE];
    let got = file.read_full_at(0, &mut begin, &context.cancel)?;
    let parsed = y4m::parse_header(&begin[..got]).map_err(|e| y4m_error(&file, &e))?;
    let (header, len) = parsed.ok_or_else(|| Error::BadFile {
        name: file.name().into(),
        why: "it ends inside its first line".into(),
    })?;
    expect_same("width", request.width, header.size.width)?;
    expect_same("height", request.height, header.size.height)?;
    expect_same("format", request.pixel_format, header.format)?;
    let mut info = FrameInfo::new(header.format, header.size);
    info.color.full_range = header.full_range;
    info.pixel_aspect = header.pixel_aspect.unwrap_or(Rational::ONE);
    let rate = request.rate_or(header.rate.unwrap_or(DEFAULT_RATE))?;
    FileFrames::new(file, info, (len as u64, true), rate, request, context)
}

pub(crate) fn open_raw(path: &str, request: &Request, context: &Context) -> Result<FileFrames, Error> {
    request.allow_options("image", OPTIONS)?;
    let missing = |expected| {
        move || Error::MissingOption {
            device: request.device.clone(),
            expected,
        }
    };
    let width = request.width.ok_or_else(missing("width=PIXELS"))?;
    let height = request.height.ok_or_else(missing("height=PIXELS"))?;
    let format = request.pixel_format.ok_or_else(missing("format=NAME, as in i420,"))?;
    let mut info = FrameInfo::new(format, Size::new(width, height));
    info.color = match format.info().model {
        Model::Rgb => ColorSpace::SRGB,
        Model::Yuv | Model::Gray => ColorSpace::UNSPECIFIED,
    };
    let rate = request.rate_or(DEFAULT_RATE)?;
    FileFrames::new(FileSource::open(path)?, info, (0, false), rate, request, context)
}

/// Refuses a wish that the file does not fulfil.
pub(super) fn expect_same<T: PartialEq + Display>(option: &str, wish: Option<T>, is: T) -> Result<(), Error> {
    match wish {
        Some(wish) if wish != is => Err(bad(option, &format!("what the file has, {is},"), &wish.to_string())),
        _ => Ok(()),
    }
}

fn y4m_error(file: &FileSource, error: &y4m::Y4mError) -> Error {
    let (name, why) = (file.name().to_owned(), error.to_string());
    match error {
        y4m::Y4mError::NotSupported { .. } => Error::UnsupportedFile { name, why },
        _ => Error::BadFile { name, why },
    }
}

impl FileFrames {
    fn new(
        file: FileSource,
        info: FrameInfo,
        (first, has_lines): (u64, bool),
        rate: beamline_media::Rational,
        request: &Request,
        context: &Context,
    ) -> Result<Self, Error> {
        info.check()?;
        let frame_len = Layout::packed(info.format, info.coded)?.len as u64;
        let (looped, live) = (request.flag("loop", false)?, request.flag("live", true)?);
        // At most so many pictures, the last perhaps cut off; lines may be longer than the shortest, "FRAME\n".
        let each = frame_len + if has_lines { 6 } else { 0 };
        let most = file.len().unwrap_or(0).saturating_sub(first).div_ceil(each);
        Ok(FileFrames {
            info,
            first,
            frame_len,
            has_lines,
            looped,
            at: Place {
                offset: first,
                number: 0,
                in_file: 0,
            },
            pace: Pace::new(Arc::clone(&context.clock), rate, live, (!looped).then_some(most)),
            pool: context.frame_pool("image", info.format, info.coded)?,
            file,
        })
    }

    /// Where the bytes of the next picture begin; `None` after the last.
    fn locate(&mut self, cancel: &Cancel) -> Result<Option<u64>, Error> {
        let len = self.file.len().unwrap_or(0);
        if self.at.offset >= len {
            if !self.looped || self.at.in_file == 0 {
                return Ok(None);
            }
            self.at.offset = self.first;
            self.at.in_file = 0;
        }
        let truncated = |offset: u64| Error::Truncated {
            name: self.file.name().into(),
            picture: self.at.in_file,
            expected: self.frame_len,
            got: len.saturating_sub(offset),
        };
        let mut begin = self.at.offset;
        if self.has_lines {
            let mut line = [0; y4m::MAX_LINE];
            let want = line.len().min(64);
            // Nearly all lines are six bytes long; the rest of a long one is only read when there is one.
            let mut got = self.file.read_full_at(begin, &mut line[..want], cancel)?;
            if got == want && !line[..want].contains(&b'\n') {
                got = self.file.read_full_at(begin, &mut line, cancel)?;
            }
            let parsed = y4m::parse_frame_header(&line[..got]).map_err(|e| y4m_error(&self.file, &e))?;
            begin += parsed.ok_or_else(|| truncated(begin))? as u64;
        }
        if begin + self.frame_len > len {
            return Err(truncated(begin));
        }
        Ok(Some(begin))
    }

    fn advance(&mut self, begin: u64) {
        self.at = Place {
            offset: begin + self.frame_len,
            number: self.at.number + 1,
            in_file: self.at.in_file + 1,
        };
    }

    /// Goes to picture `n` over those that were lost.
    fn locate_nth(&mut self, n: u64, cancel: &Cancel) -> Result<Option<u64>, Error> {
        loop {
            let Some(begin) = self.locate(cancel)? else {
                return Ok(None);
            };
            if self.at.number >= n {
                return Ok(Some(begin));
            }
            self.advance(begin);
        }
    }

    fn read_into(&self, frame: &mut FrameMut, begin: u64, cancel: &Cancel) -> Result<(), Error> {
        let (format, size): (PixelFormat, Size) = (self.info.format, self.info.coded);
        let mut offset = begin;
        for i in 0..format.plane_count() {
            let row_bytes = format.row_bytes(i, size.width);
            let rows = format.rows(i, size.height);
            let (bytes, stride) = frame.plane_mut(i);
            // Without padding the plane is one read; else one per row, still without a second pass.
            let piece = if stride == row_bytes {
                row_bytes * rows
            } else {
                row_bytes
            };
            for to in bytes.chunks_mut(if stride == row_bytes { piece } else { stride }) {
                if self.file.read_full_at(offset, &mut to[..piece], cancel)? < piece {
                    return Err(Error::Truncated {
                        name: self.file.name().into(),
                        picture: self.at.in_file,
                        expected: self.frame_len,
                        got: offset - begin,
                    });
                }
                offset += piece as u64;
            }
        }
        Ok(())
    }
}

impl Source for FileFrames {
    fn caps(&self) -> Caps {
        Caps {
            frame_rate: Some(self.pace.rate()),
            color: self.info.color,
            ..Caps::raw(self.info.format, self.info.coded)
        }
    }

    fn live(&self) -> bool {
        self.pace.live()
    }

    fn next(&mut self, cancel: &Cancel) -> Result<Event, Error> {
        loop {
            let Some(n) = self.pace.wait(cancel)? else {
                return Ok(Event::End);
            };
            let Some(begin) = self.locate_nth(n, cancel)? else {
                self.pace.finish();
                return Ok(Event::End);
            };
            let mut info = self.info;
            info.timestamp_us = Some(self.pace.nth_us(n));
            info.duration_us = Some(self.pace.duration_us(n));
            let Some(mut frame) = self.pace.slot(&self.pool, info, cancel)? else {
                continue;
            };
            self.read_into(&mut frame, begin, cancel)?;
            self.advance(begin);
            self.pace.done();
            return Ok(Event::Frame(frame.freeze()));
        }
    }

    fn stats(&self) -> SourceStats {
        self.pace.stats()
    }
}
