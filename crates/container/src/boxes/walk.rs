//! The walk over the outermost boxes.

use super::{
    Examination, fragment,
    header::{Extent, FourCc, Header, Read},
    movie::{MAX_TRACKS, Movie},
    window::Window,
};
use crate::Error;
use beamline_io::{ByteSource, Cancel};

/// The largest index that is read, in bytes: some days of video.
const MAX_MOOV: u64 = 256 << 20;
/// The largest head of a fragment that is read, in bytes.
const MAX_MOOF: u64 = 16 << 20;
/// The most boxes of the outermost level: a week of ten fragments per second.
const MAX_BOXES: u32 = 1 << 24;

/// A fragment's head whose media have not all come yet.
pub(super) struct Open {
    at: u64,
    /// Where its samples end.
    pub(super) need: u64,
    /// Where the last `mdat` behind it ends.
    pub(super) covered: u64,
}

/// What comes after a box.
enum Next {
    /// The box at this offset.
    At(u64),
    /// Nothing.
    End,
}

pub(super) struct Walk<'a> {
    pub(super) window: Window<'a>,
    pub(super) movie: Option<Movie>,
    /// The index is there, but cut.
    pub(super) index_cut: Option<String>,
    /// The first thing that is missing.
    pub(super) missing: Option<String>,
    pub(super) open: Option<Open>,
    pub(super) fragments_whole: u32,
    /// Whether the list of random access points that ends our files was there.
    pub(super) trailer: bool,
    /// Whether the outermost level has a `meta`: a still picture.
    picture: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a dyn ByteSource, cancel: &'a Cancel) -> Self {
        Walk {
            window: Window::new(source, cancel),
            movie: None,
            index_cut: None,
            missing: None,
            open: None,
            fragments_whole: 0,
            trailer: false,
            picture: false,
        }
    }

    pub(super) fn run(mut self) -> Result<Option<Examination>, Error> {
        let first = self.window.peek(0, 16)?;
        let known = first.get(4..8).and_then(|kind| kind.first_chunk());
        if !known.is_some_and(|kind| FourCc(*kind).is_outermost()) {
            return Ok(None);
        }
        let mut at = 0;
        for boxes in 0.. {
            if boxes == MAX_BOXES {
                return Err(self.wrong(format!("it has more than {MAX_BOXES} boxes")));
            }
            match self.step(at)? {
                Next::At(next) => at = next,
                Next::End => break,
            }
        }
        if self.movie.is_none() && self.index_cut.is_none() && self.picture {
            return Ok(None);
        }
        self.judge(at)
    }

    /// One box.
    fn step(&mut self, at: u64) -> Result<Next, Error> {
        let bytes = self.window.peek(at, 16)?;
        if bytes.is_empty() {
            return Ok(Next::End);
        }
        let there = bytes.len();
        let junk = |kind: FourCc| !kind.is_outermost();
        let header = match Header::read(bytes) {
            Read::Whole(header) => header,
            Read::Cut => {
                self.miss(|_| format!("the file ends after {there} bytes of a box's header at {at}"));
                return Ok(Next::End);
            }
            // Behind a whole index, whatever is no box is something that somebody appended.
            Read::TooSmall(kind, _) if junk(kind) && self.movie.is_some() => return Ok(Next::End),
            Read::TooSmall(kind, size) => {
                let text = format!("the box '{kind}' at {at} announces {size} bytes, fewer than its own header has");
                return Err(self.wrong(text));
            }
        };
        match header.extent {
            Extent::ToEnd => {
                self.visit(at, &header, None)?;
                Ok(Next::End)
            }
            Extent::Bytes(size) => {
                let end = at.checked_add(size);
                let whole = end.map_or(Ok(false), |end| self.window.reaches(end))?;
                match end {
                    Some(end) if whole => {
                        self.visit(at, &header, Some(end))?;
                        Ok(Next::At(end))
                    }
                    _ => {
                        if !(junk(header.kind) && self.movie.is_some()) {
                            self.cut_short(at, header.kind, size);
                        }
                        Ok(Next::End)
                    }
                }
            }
        }
    }

    /// A box that reaches behind the end.
    fn cut_short(&mut self, at: u64, kind: FourCc, size: u64) {
        let text = format!(
            "the box '{kind}' at {at} announces {size} bytes, but {}",
            self.window.end_words()
        );
        if kind.0 == *b"moov" && self.movie.is_none() {
            self.index_cut = Some(text.clone());
        }
        self.miss(|_| text);
    }

    /// A box that is there; `end` is `None` when it reaches to the end of the file.
    fn visit(&mut self, at: u64, header: &Header, end: Option<u64>) -> Result<(), Error> {
        match &header.kind.0 {
            b"moov" if self.movie.is_none() => {
                if let Some(content) = self.content(at, header, end, MAX_MOOV)? {
                    let too_many = || format!("its index has more than {MAX_TRACKS} tracks");
                    self.movie = Some(
                        Movie::read(&content)
                            .ok_or_else(too_many)
                            .map_err(|text| self.wrong(text))?,
                    );
                }
            }
            b"moof" => {
                self.close_fragment();
                if self.movie.is_some()
                    && let Some(content) = self.content(at, header, end, MAX_MOOF)?
                    && let Some(movie) = &mut self.movie
                {
                    let need = fragment::read(&content, at, movie);
                    self.open = Some(Open { at, need, covered: 0 });
                }
            }
            b"mdat" => {
                if let Some(open) = &mut self.open {
                    open.covered = end.unwrap_or(u64::MAX);
                }
            }
            b"mfra" => {
                self.close_fragment();
                self.trailer = true;
            }
            b"meta" => self.picture = true,
            _ => {}
        }
        Ok(())
    }

    /// What stands behind the header. `None`, and noted, when the source ends in the middle of it in spite of its length.
    fn content(&mut self, at: u64, header: &Header, end: Option<u64>, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let begin = at + header.len;
        let end = match end {
            Some(end) => end,
            None => self.find_end(begin, begin + most)?,
        };
        let len = end - begin;
        if len > most {
            let text = format!(
                "the box '{}' at {at} has {len} bytes, more than the {most} that are read",
                header.kind
            );
            return Err(self.wrong(text));
        }
        let content = self.window.read(begin, len as usize)?;
        if content.is_none() {
            self.cut_short(at, header.kind, end - at);
        }
        Ok(content)
    }

    /// Where the source ends, by halving when it does not know: at most one step behind `most`.
    fn find_end(&mut self, begin: u64, most: u64) -> Result<u64, Error> {
        let (mut there, mut beyond) = (begin, most + 1);
        while there + 1 < beyond {
            let middle = there + (beyond - there) / 2;
            if self.window.reaches(middle)? {
                there = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(there)
    }

    /// The fragment's media should have come: did they?
    pub(super) fn close_fragment(&mut self) {
        let Some(Open { at, need, covered }) = self.open.take() else {
            return;
        };
        if need <= covered {
            self.fragments_whole += 1;
        } else if covered == 0 {
            self.miss(|end| format!("the fragment at {at} has no media (no box 'mdat' behind it); {end}"));
        } else {
            self.miss(|end| {
                format!("the fragment at {at} needs bytes up to {need}, but its media end at {covered}; {end}")
            });
        }
    }

    /// Notes the first thing that is missing; `words` gets "the file ends after N bytes".
    pub(super) fn miss(&mut self, words: impl FnOnce(&str) -> String) {
        if self.missing.is_none() {
            self.missing = Some(words(&self.window.end_words()));
        }
    }

    fn wrong(&self, detail: String) -> Error {
        Error::Data {
            name: self.window.name(),
            detail,
        }
    }
}
