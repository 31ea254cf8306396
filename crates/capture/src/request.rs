//! What is wanted, said as an object or as a URL.

use crate::Error;
use beamline_media::{MAX_DIMENSION, PixelFormat, Rational};
use std::{collections::BTreeMap, str::FromStr};

/// Pictures per second, at most.
pub(crate) const MAX_RATE: u32 = 1000;

/// A wish for a capture. `{ device, width, height, frameRate, format, …options }` and `device?width=…&…` become the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What is opened, without options: `pattern:smpte`, `shots/%05d.png`, an id of `listDevices`.
    pub device: String,
    /// Pixels per row, 1 to [`MAX_DIMENSION`].
    pub width: Option<u32>,
    /// Rows, 1 to [`MAX_DIMENSION`].
    pub height: Option<u32>,
    /// Pictures per second, more than 0, at most 1000.
    pub frame_rate: Option<Rational>,
    /// How pixels lie in memory.
    pub pixel_format: Option<PixelFormat>,
    /// Everything else, by the backend's names.
    pub options: BTreeMap<String, String>,
}

impl Request {
    /// That device, as its backend likes it best.
    #[must_use]
    pub fn new(device: impl Into<String>) -> Self {
        Request {
            device: device.into(),
            ..Request::default()
        }
    }

    /// From `device?name=value&name=value`. The query begins at the last `?`; in values `%23` and the like stand for bytes, in the
    /// device they do not (`%05d`).
    ///
    /// # Errors
    /// [`Error::BadOption`] for a value that a size, rate or format cannot have, for a name without `=`, for a name said twice.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let (device, query) = url.rsplit_once('?').unwrap_or((url, ""));
        let mut request = Request::new(device);
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(bad(pair, "a value, as in name=value,", ""));
            };
            if seen.contains(&name) {
                return Err(bad(name, "one value", pair));
            }
            seen.push(name);
            request.set(name, &unescape(name, value)?)?;
        }
        Ok(request)
    }

    /// Sets an option by its name in JavaScript: `width`, `height`, `frameRate`, `format`, or one of the backend's.
    ///
    /// # Errors
    /// [`Error::BadOption`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "width" => self.width = Some(side(name, value)?),
            "height" => self.height = Some(side(name, value)?),
            "frameRate" => self.frame_rate = Some(parse_rate(value).ok_or_else(|| rate_error(value))?),
            "format" => self.pixel_format = Some(PixelFormat::from_name(value).ok_or_else(|| format_error(value))?),
            _ => {
                self.options.insert(name.into(), value.into());
            }
        }
        Ok(())
    }

    /// Refuses options that a backend does not have.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] with those that it has.
    pub fn allow_options(&self, backend: &'static str, known: &[&'static str]) -> Result<(), Error> {
        match self.options.keys().find(|k| !known.contains(&k.as_str())) {
            None => Ok(()),
            Some(option) => Err(Error::UnknownOption {
                backend,
                option: option.clone(),
                known: ["width", "height", "frameRate", "format"]
                    .into_iter()
                    .chain(known.iter().copied())
                    .collect(),
            }),
        }
    }

    /// An option that is `true` or `false`.
    ///
    /// # Errors
    /// [`Error::BadOption`].
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.options.get(name).map(String::as_str) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(bad(name, "true or false", other)),
        }
    }

    /// An option that is a number.
    ///
    /// # Errors
    /// [`Error::BadOption`] with `expected`.
    pub fn number<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Error> {
        let parse = |value: &String| value.parse().map_err(|_| bad(name, expected, value));
        self.options.get(name).map(parse).transpose()
    }

    /// The rate, checked: for requests that were not made by [`Request::from_url`].
    ///
    /// # Errors
    /// [`Error::BadOption`] beyond 0 < rate ≤ 1000.
    pub fn rate_or(&self, default: Rational) -> Result<Rational, Error> {
        let rate = self.frame_rate.unwrap_or(default);
        let possible = rate.num > 0 && rate.den > 0 && u64::from(rate.num) <= u64::from(rate.den) * u64::from(MAX_RATE);
        possible.then_some(rate).ok_or_else(|| rate_error(&rate.to_string()))
    }
}

/// A rate as people write it: `60`, `29.97`, `30000/1001`. `None` beyond 0 < rate ≤ 1000.
pub(crate) fn parse_rate(text: &str) -> Option<Rational> {
    let rate = match text.split_once('/') {
        Some((num, den)) => Rational::new(num.parse().ok()?, den.parse().ok()?)?,
        None => Rational::from_rate(text.parse().ok()?)?,
    };
    (rate.num > 0 && u64::from(rate.num) <= u64::from(rate.den) * u64::from(MAX_RATE)).then_some(rate)
}

pub(crate) fn bad(option: &str, expected: &str, got: &str) -> Error {
    Error::BadOption {
        option: option.into(),
        expected: expected.into(),
        got: got.into(),
    }
}

fn side(name: &str, value: &str) -> Result<u32, Error> {
    let fits = |n: &u32| (1..=MAX_DIMENSION).contains(n);
    let expected = || bad(name, &format!("1 to {MAX_DIMENSION} pixels"), value);
    value.parse().ok().filter(fits).ok_or_else(expected)
}

fn rate_error(value: &str) -> Error {
    let expected = format!("a rate above 0 and up to {MAX_RATE}, as a number or num/den,");
    bad("frameRate", &expected, value)
}

fn format_error(value: &str) -> Error {
    let all: Vec<_> = PixelFormat::ALL.iter().map(|f| f.slug()).collect();
    bad("format", &format!("a pixel format of {}", all.join(", ")), value)
}

/// Puts bytes in the place of `%xx`.
fn unescape(name: &str, value: &str) -> Result<String, Error> {
    let wrong = || bad(name, "UTF-8 with two hexadecimal digits behind each '%'", value);
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|d| char::from(*d).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(wrong());
        };
        bytes.push((high << 4 | low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_and_an_object_say_the_same() {
        let url =
            Request::from_url("pattern:smpte?width=1920&height=1080&frameRate=60&format=NV12&live=false").unwrap();
        let object = Request {
            width: Some(1920),
            height: Some(1080),
            frame_rate: Rational::new(60, 1),
            pixel_format: Some(PixelFormat::NV12),
            options: [("live".to_owned(), "false".to_owned())].into(),
            ..Request::new("pattern:smpte")
        };
        assert_eq!(url, object);
    }

    #[test]
    fn only_values_are_unescaped() {
        let request = Request::from_url("shots/%05d.png?color=%23ff0000").unwrap();
        assert_eq!(request.device, "shots/%05d.png");
        assert_eq!(request.options["color"], "#ff0000");
    }

    #[test]
    fn impossible_values_are_refused_with_what_was_expected() {
        for url in [
            "p?width=0",
            "p?width=16385",
            "p?width=-1",
            "p?height=1.5",
            "p?frameRate=0",
            "p?frameRate=1001",
            "p?frameRate=30/0",
            "p?frameRate=NaN",
            "p?frameRate=4294967295/1",
            "p?format=rgb565",
            "p?width",
            "p?width=1&width=1",
            "p?a=%",
            "p?a=%ff",
        ] {
            let error = Request::from_url(url).unwrap_err();
            assert_eq!(error.code(), beamline_media::ErrorCode::InvalidConfig, "{url}");
            assert!(error.to_string().starts_with("expected "), "{error}");
        }
    }

    #[test]
    fn rates_are_numbers_or_fractions() {
        assert_eq!(parse_rate("29.97"), Rational::new(30000, 1001));
        assert_eq!(parse_rate("30000/1001"), Rational::new(30000, 1001));
        assert_eq!(parse_rate("1/10"), Rational::new(1, 10));
        assert_eq!(parse_rate("1000"), Rational::new(1000, 1));
    }

    proptest! {
        #[test]
        fn no_url_panics(url in ".{0,200}") {
            let _ = Request::from_url(&url);
        }

        #[test]
        fn what_is_set_is_what_is_read(width in 1..=MAX_DIMENSION, num in 1..30_000u32, value in "[a-z0-9#/ ]{0,20}") {
            let escaped: String = value.bytes().map(|b| format!("%{b:02x}")).collect();
            let url = format!("a:b?width={width}&frameRate={num}/30&x={escaped}");
            let request = Request::from_url(&url).unwrap();
            prop_assert_eq!(request.width, Some(width));
            prop_assert_eq!(request.frame_rate, Rational::new(num, 30));
            prop_assert_eq!(&request.options["x"], &value);
        }
    }
}
