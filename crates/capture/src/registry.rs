//! Which backends there are: a value, not a global.

use crate::{Backend, Context, DeviceInfo, Error, Request, Source, backends::BACKENDS};
use std::path::Path;

/// Backends in the order in which they are asked.
#[derive(Debug, Default)]
pub struct Registry(Vec<&'static dyn Backend>, Vec<Box<dyn Backend>>);

/// Endings of files that `openInput` reads.
const CONTAINERS: &[&str] = &[
    "3gp", "avi", "flv", "h264", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts", "webm",
    "wmv",
];

/// Beginnings of URLs that people will try, and what opens them one day.
const ELSEWHERE: &[(&str, &str)] = &[
    ("/dev/video", "cameras"),
    ("camera:", "cameras"),
    ("rtsp:", "network streams"),
    ("rtsps:", "network streams"),
    ("http:", "network streams"),
    ("https:", "network streams"),
];

impl Registry {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With all of [`BACKENDS`].
    #[must_use]
    pub fn with_builtins() -> Self {
        Registry(BACKENDS.to_vec(), Vec::new())
    }

    /// Adds one, asked before all others.
    pub fn register(&mut self, backend: Box<dyn Backend>) {
        self.1.insert(0, backend);
    }

    /// All, in the order in which they are asked.
    pub fn backends(&self) -> impl Iterator<Item = &dyn Backend> {
        self.1.iter().map(AsRef::as_ref).chain(self.0.iter().copied())
    }

    /// All devices of all backends.
    ///
    /// Thread: any but JavaScript's. Blocks: as [`Backend::list`].
    #[must_use]
    pub fn list(&self) -> Vec<DeviceInfo> {
        self.backends().flat_map(Backend::list).collect()
    }

    /// The request that a URL stands for.
    ///
    /// # Errors
    /// As the backend's [`Backend::parse`]; InvalidConfig or NotSupported when nobody claims it.
    pub fn parse(&self, url: &str) -> Result<Request, Error> {
        let claimed = self.backends().find_map(|b| b.parse(url));
        claimed.unwrap_or_else(|| Err(self.nobody(url)))
    }

    /// Opens what the request asks for, with the first backend that claims its device.
    ///
    /// # Errors
    /// As [`Backend::open`] and [`Registry::parse`].
    pub fn open(&self, request: &Request, context: &Context) -> Result<Box<dyn Source>, Error> {
        let claims = |b: &&dyn Backend| b.parse(&request.device).is_some();
        match self.backends().find(claims) {
            Some(backend) => backend.open(request, context),
            None => Err(self.nobody(&request.device)),
        }
    }

    /// Why nobody opens it.
    fn nobody(&self, url: &str) -> Error {
        let path = url.rsplit_once('?').map_or(url, |(path, _)| path);
        let ending = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default();
        if let Some((_, what)) = ELSEWHERE.iter().find(|(begin, _)| url.starts_with(begin)) {
            return Error::NoBackend {
                device: url.into(),
                what,
                known: self.backends().map(Backend::slug).collect(),
            };
        }
        if CONTAINERS.contains(&ending.to_ascii_lowercase().as_str()) {
            return Error::VideoFile { path: path.into() };
        }
        Error::UnknownDevice {
            device: url.into(),
            known: self.backends().flat_map(|b| b.examples()).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_media::ErrorCode;

    #[test]
    fn slugs_are_unique_and_kebab_case() {
        let registry = Registry::with_builtins();
        let slugs: Vec<_> = registry.backends().map(Backend::slug).collect();
        for (i, slug) in slugs.iter().enumerate() {
            assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{slug}");
            assert!(!slugs[..i].contains(slug), "{slug} stands twice");
        }
    }

    #[test]
    fn every_example_is_claimed() {
        let registry = Registry::with_builtins();
        for example in registry.backends().flat_map(|b| b.examples()) {
            registry.parse(example).unwrap();
        }
    }

    #[test]
    fn a_video_file_is_an_input_and_the_error_says_so() {
        let error = Registry::with_builtins()
            .parse("holiday/movie.MP4?live=true")
            .unwrap_err();
        assert_eq!((error.code(), error.reason()), (ErrorCode::InvalidConfig, "video-file"));
        assert!(error.to_string().contains("openInput"), "{error}");
    }

    #[test]
    fn what_nobody_claims_is_told_with_what_there_is() {
        let registry = Registry::with_builtins();
        for (url, code) in [
            ("/dev/video0", ErrorCode::NotSupported),
            ("rtsp://camera/stream", ErrorCode::NotSupported),
            ("laser:1", ErrorCode::InvalidConfig),
            ("", ErrorCode::InvalidConfig),
        ] {
            let error = registry.parse(url).unwrap_err();
            assert_eq!(error.code(), code, "{url}");
            assert!(error.to_string().contains("pattern"), "{error}");
        }
    }
}
