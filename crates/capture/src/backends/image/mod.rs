//! Pictures from files, replayed as a capture.
//!
//! | what | gives | options |
//! |---|---|---|
//! | `clip.y4m` | frames | `frameRate` (the file's, else 25), `loop`, `live` |
//! | `raw:clip.yuv` | frames | `width`, `height` and `format` are needed; `frameRate` (25), `loop`, `live` |
//! | `shots/%05d.png`, `shots/%d.jpg` | packets | `frameRate` (25), `loop`, `live`, `start` (the lowest number that is there) |
//! | `picture.png`, `picture.jpg` | one packet | the same but `start` |
//!
//! `live` (default `true`) paces them at their rate and loses what nobody takes in time, as a camera does; `false` gives them as
//! fast as they are taken. `loop` (default `false`) begins anew after the last, timestamps going on. Timestamps are n / rate.
//! A sequence ends before the first number that is missing. PNG and JPEG are told by their bytes, not by their names.
//!
//! Start reading at `frames.rs` and `sequence.rs`; `y4m.rs`, `still.rs` and `numbered.rs` are the parsers.

mod frames;
pub mod numbered;
mod sequence;
pub mod still;
pub mod y4m;

use crate::{Backend, Context, DeviceInfo, Error, Request, Source};
use beamline_media::Rational;
use std::path::Path;

/// The backend.
#[derive(Clone, Copy, Debug)]
pub struct Image;

/// What URLs of headerless files begin with.
const RAW: &str = "raw:";
/// Endings of compressed pictures.
const PICTURES: &[&str] = &["png", "jpg", "jpeg"];
/// Pictures per second when nothing is said.
const DEFAULT_RATE: Rational = Rational { num: 25, den: 1 };

impl Backend for Image {
    fn slug(&self) -> &'static str {
        "image"
    }

    fn kind(&self) -> &'static str {
        "image"
    }

    fn examples(&self) -> &'static [&'static str] {
        &[
            "shots/%05d.png?frameRate=25",
            "clip.y4m",
            "raw:clip.yuv?format=i420&width=640&height=360",
        ]
    }

    /// None: files are opened by name.
    fn list(&self) -> Vec<DeviceInfo> {
        Vec::new()
    }

    fn parse(&self, url: &str) -> Option<Result<Request, Error>> {
        let path = url.rsplit_once('?').map_or(url, |(path, _)| path);
        let is_remote = path.contains("://");
        (path.starts_with(RAW) || !is_remote && Kind::of(path).is_some()).then(|| Request::from_url(url))
    }

    fn open(&self, request: &Request, context: &Context) -> Result<Box<dyn Source>, Error> {
        context.cancel.check()?;
        match Kind::of(&request.device) {
            Some(Kind::Raw(path)) => Ok(Box::new(frames::open_raw(path, request, context)?)),
            Some(Kind::Y4m) => Ok(Box::new(frames::open_y4m(request, context)?)),
            Some(Kind::Pictures) => Ok(Box::new(sequence::open(request, context)?)),
            None => Err(Error::UnknownDevice {
                device: request.device.clone(),
                known: self.examples().to_vec(),
            }),
        }
    }
}

/// How a file is read, by its name.
enum Kind<'a> {
    /// Headerless, at this path.
    Raw(&'a str),
    Y4m,
    Pictures,
}

impl<'a> Kind<'a> {
    fn of(device: &'a str) -> Option<Self> {
        if let Some(path) = device.strip_prefix(RAW) {
            return Some(Kind::Raw(path));
        }
        let ending = Path::new(device).extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "y4m" => Some(Kind::Y4m),
            e if PICTURES.contains(&e) => Some(Kind::Pictures),
            _ => None,
        }
    }
}
