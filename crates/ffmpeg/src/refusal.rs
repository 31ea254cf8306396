//! Why a source cannot be opened, in words that help: what was found instead.

use crate::{error, sys as ff};
use beamline_container::{
    Error,
    boxes::{self, Examination, Index},
};
use beamline_io::{ByteSource, Cancel};
use std::ffi::c_int;

/// Beginnings of things that people take for video.
const KINDS: &[(&[u8], &str)] = &[
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x7fELF", "a program (ELF)"),
    (b"GIF8", "a GIF picture"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"#EXTM3U", "an HLS playlist, which refers to other files"),
    (b"ffconcat", "a concat list, which refers to other files"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"SQLite format", "an SQLite database"),
];

/// The error for a source that FFmpeg would not open.
pub(crate) fn not_media(source: &dyn ByteSource, name: &str, cancel: &Cancel, code: c_int) -> Error {
    let mut head = [0; 64];
    let head = match source.read_full_at(0, &mut head, cancel) {
        Ok(n) => &head[..n],
        Err(failure) => return failure.into(),
    };
    let name = name.to_owned();
    if code == ff::AVERROR_INVALIDDATA {
        // ISO files say themselves what is missing.
        match boxes::examine(source, cancel) {
            Ok(Some(found)) => return iso(name, found),
            Err(failure) => return failure,
            Ok(None) => {}
        }
    }
    Error::NotMedia {
        name,
        detail: format!("it is {} ({})", describe(head), error::text(code)),
    }
}

/// An MP4 or MOV that FFmpeg will not open.
fn iso(name: String, found: Examination) -> Error {
    match found.index {
        Index::Missing { detail } | Index::Cut { detail } => Error::Truncated { name, detail },
        Index::Whole => Error::Data {
            name,
            detail: "its index is there, but cannot be read".into(),
        },
    }
}

fn describe(head: &[u8]) -> String {
    if head.is_empty() {
        return "empty".into();
    }
    if let Some((_, what)) = KINDS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (*what).to_owned();
    }
    if head.iter().all(|b| matches!(b, 9 | 10 | 13 | 32..=126)) {
        let text: String = head.iter().take(24).map(|b| char::from(*b)).collect();
        return format!("text that begins with {text:?}");
    }
    let bytes: Vec<_> = head.iter().take(12).map(|b| format!("{b:02x}")).collect();
    format!("unknown data that begins with {}", bytes.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_io::BytesSource;

    #[test]
    fn words_name_what_was_found() {
        let say = |bytes: &'static [u8]| {
            let source = BytesSource::new(bytes, "x");
            not_media(&source, "x", &Cancel::new(), ff::AVERROR_INVALIDDATA).to_string()
        };
        assert!(say(b"%PDF-1.4").contains("a PDF document"));
        assert!(say(b"hello").contains("text that begins with \"hello\""));
        assert!(say(b"").contains("empty"));
        assert!(say(b"\x00\x00\x00\x18ftypisom").contains("ends too early"));
        assert!(say(b"\xff\x00\x01").contains("ff 00 01"));
    }
}
