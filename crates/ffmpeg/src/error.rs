//! FFmpeg's error numbers as errors of the codec and container crates.

use crate::sys as ff;
use std::ffi::{CStr, c_int};

/// FFmpeg's words for an error number.
pub(crate) fn text(code: c_int) -> String {
    let mut buffer = [0; 256];
    // SAFETY: the buffer is as long as said; av_strerror ends it with a NUL in every case.
    unsafe {
        ff::av_strerror(code, buffer.as_mut_ptr(), buffer.len());
        CStr::from_ptr(buffer.as_ptr()).to_string_lossy().into_owned()
    }
}

/// An error of a codec.
pub(crate) fn codec(library: &str, action: &'static str, code: c_int) -> beamline_codec::Error {
    beamline_codec::Error::Library {
        library: format!("FFmpeg ({library})"),
        action,
        detail: text(code),
    }
}

/// An error of a container.
pub(crate) fn container(library: &str, action: &'static str, code: c_int) -> beamline_container::Error {
    beamline_container::Error::Library {
        library: format!("FFmpeg ({library})"),
        action,
        detail: text(code),
    }
}

/// No memory, for a codec.
pub(crate) fn codec_memory(action: &'static str) -> beamline_codec::Error {
    codec("libavcodec", action, NO_MEMORY)
}

/// No memory, for a container.
pub(crate) fn container_memory(action: &'static str) -> beamline_container::Error {
    container("libavformat", action, NO_MEMORY)
}

/// `AVERROR(ENOMEM)`.
pub(crate) const NO_MEMORY: c_int = -12;
/// `AVERROR(EAGAIN)`.
pub(crate) const AGAIN: c_int = -11;
/// `AVERROR(EIO)`.
pub(crate) const IO: c_int = -5;
/// `AVERROR(ENOSYS)`.
pub(crate) const NOT_THERE: c_int = -38;
/// `AVERROR(EINVAL)`.
pub(crate) const INVALID: c_int = -22;
