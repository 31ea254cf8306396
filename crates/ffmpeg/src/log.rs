//! FFmpeg's log goes to `tracing` (target `ffmpeg`); without a subscriber nothing is formatted and nothing is printed.

use crate::sys as ff;
use std::sync::Once;

/// Takes over the library's log, once per process: FFmpeg has one callback for all.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(set_callback);
}

#[cfg(all(target_arch = "x86_64", not(windows)))]
fn set_callback() {
    // SAFETY: the callback is a plain function that may be called from any thread.
    unsafe { ff::av_log_set_callback(Some(forward)) };
}

/// Elsewhere `va_list` has another shape: FFmpeg is silent.
#[cfg(not(all(target_arch = "x86_64", not(windows))))]
fn set_callback() {
    // SAFETY: sets one number.
    unsafe { ff::av_log_set_level(-8) };
}

#[cfg(all(target_arch = "x86_64", not(windows)))]
unsafe extern "C" fn forward(
    about: *mut std::ffi::c_void,
    level: std::ffi::c_int,
    format: *const std::ffi::c_char,
    arguments: *mut ff::__va_list_tag,
) {
    let severity = Severity::of(level & 0xff);
    let wanted = match severity {
        Severity::Error => tracing::enabled!(target: "ffmpeg", tracing::Level::ERROR),
        Severity::Warning => tracing::enabled!(target: "ffmpeg", tracing::Level::WARN),
        Severity::Info => tracing::enabled!(target: "ffmpeg", tracing::Level::INFO),
        Severity::Verbose => tracing::enabled!(target: "ffmpeg", tracing::Level::DEBUG),
        Severity::Noise => false,
    };
    if !wanted {
        return;
    }
    let mut line = [0; 1024];
    let mut prefix = 1;
    // SAFETY: `about`, `format` and `arguments` are what FFmpeg gave us for this very purpose; the line is as long as said and ends
    // with a NUL.
    let line = unsafe {
        let length = line.len() as std::ffi::c_int;
        ff::av_log_format_line2(
            about,
            level,
            format,
            arguments,
            line.as_mut_ptr(),
            length,
            &raw mut prefix,
        );
        std::ffi::CStr::from_ptr(line.as_ptr()).to_string_lossy()
    };
    let line = line.trim_end();
    match severity {
        Severity::Error => tracing::error!(target: "ffmpeg", "{line}"),
        Severity::Warning => tracing::warn!(target: "ffmpeg", "{line}"),
        Severity::Info => tracing::info!(target: "ffmpeg", "{line}"),
        Severity::Verbose | Severity::Noise => tracing::debug!(target: "ffmpeg", "{line}"),
    }
}

/// FFmpeg's levels, as far as we tell them apart.
#[cfg(all(target_arch = "x86_64", not(windows)))]
#[derive(Clone, Copy)]
enum Severity {
    Error,
    Warning,
    Info,
    Verbose,
    Noise,
}

#[cfg(all(target_arch = "x86_64", not(windows)))]
impl Severity {
    /// By the numbers of `AV_LOG_…`, which are part of FFmpeg's interface.
    fn of(level: std::ffi::c_int) -> Self {
        match level {
            ..=16 => Severity::Error,
            17..=24 => Severity::Warning,
            25..=32 => Severity::Info,
            33..=40 => Severity::Verbose,
            _ => Severity::Noise,
        }
    }
}
