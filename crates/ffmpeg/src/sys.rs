//! FFmpeg's C names, and the few places where its versions differ.

pub(crate) use ffmpeg_sys_next::*;
use std::ffi::{CStr, CString, c_char, c_int};

/// "No timestamp" of FFmpeg.
pub(crate) const NOPTS: i64 = AV_NOPTS_VALUE;
/// Our unit of time.
pub(crate) const MICROS: AVRational = AVRational { num: 1, den: 1_000_000 };
/// Zeros that decoders may read behind their input.
pub(crate) const PADDING: usize = AV_INPUT_BUFFER_PADDING_SIZE as usize;

/// Flags of a packet; bindgen gives them different types in different versions.
pub(crate) const KEY: c_int = 1;
pub(crate) const CORRUPT: c_int = 2;
pub(crate) const DISCARD: c_int = 4;

/// What a write callback gets.
#[cfg(ffmpeg_7_0)]
pub(crate) type WriteBuf = *const u8;
/// What a write callback gets.
#[cfg(not(ffmpeg_7_0))]
pub(crate) type WriteBuf = *mut u8;

/// Reads a C enum as the number that it is. FFmpeg stores numbers from files in enum fields; as a Rust enum, a number without a
/// name would be undefined behaviour.
macro_rules! enum_get {
    ($place:expr) => {
        (&raw const $place).cast::<std::ffi::c_int>().read()
    };
}
/// Writes a C enum by its number.
macro_rules! enum_set {
    ($place:expr, $value:expr) => {
        (&raw mut $place).cast::<std::ffi::c_int>().write($value)
    };
}
pub(crate) use {enum_get, enum_set};

/// A pixel format by its number, when it is one that the headers know.
pub(crate) fn pixel_format(number: c_int) -> Option<AVPixelFormat> {
    if number < 0 || number >= AVPixelFormat::AV_PIX_FMT_NB as c_int {
        return None;
    }
    // SAFETY: the enum names every number from 0 to AV_PIX_FMT_NB, which C's enumerators are without a gap, and is 4 bytes wide.
    Some(unsafe { std::mem::transmute::<c_int, AVPixelFormat>(number) })
}

/// A string for C; NULs inside end it.
pub(crate) fn c_string(text: &str) -> CString {
    let until = text.split('\0').next().unwrap_or_default();
    CString::new(until).unwrap_or_default()
}

/// A static string of FFmpeg.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string that lives as long as the library.
pub(crate) unsafe fn static_str(text: *const c_char) -> &'static str {
    if text.is_null() {
        return "";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("")
}

/// The name of a codec id: FFmpeg's slug.
pub(crate) fn codec_name(id: c_int) -> &'static str {
    // SAFETY: descriptors are static tables, and so are the names in them; the walk over them takes no ids, so that no number from
    // a file is ever made an enum.
    unsafe {
        let mut at = avcodec_descriptor_next(std::ptr::null());
        while !at.is_null() {
            if enum_get!((*at).id) == id {
                return static_str((*at).name);
            }
            at = avcodec_descriptor_next(at);
        }
    }
    "unknown"
}

/// Side data of a stream.
///
/// # Safety
/// `stream` is valid; the slice lives until the stream changes.
pub(crate) unsafe fn stream_side_data<'a>(stream: *const AVStream, kind: AVPacketSideDataType) -> Option<&'a [u8]> {
    let (data, size);
    #[cfg(ffmpeg_6_1)]
    {
        // SAFETY: a valid stream has valid parameters, whose list and count belong together.
        let entry = unsafe {
            let par = (*stream).codecpar;
            av_packet_side_data_get((*par).coded_side_data, (*par).nb_coded_side_data, kind)
        };
        if entry.is_null() {
            return None;
        }
        // SAFETY: not null, so an entry of that list.
        (data, size) = unsafe { ((*entry).data.cast_const(), (*entry).size) };
    }
    #[cfg(not(ffmpeg_6_1))]
    {
        let mut bytes = 0;
        // SAFETY: the stream is valid by the caller's promise.
        let found = unsafe { av_stream_get_side_data(stream, kind, &raw mut bytes) };
        (data, size) = (found.cast_const(), bytes);
    }
    if data.is_null() {
        return None;
    }
    // SAFETY: FFmpeg gives `size` readable bytes at `data`, owned by the stream.
    Some(unsafe { std::slice::from_raw_parts(data, size) })
}

/// Adds side data to a stream; false when there is no memory.
///
/// # Safety
/// `stream` is valid and used by nobody else.
pub(crate) unsafe fn add_stream_side_data(stream: *mut AVStream, kind: AVPacketSideDataType, bytes: &[u8]) -> bool {
    #[cfg(ffmpeg_6_1)]
    // SAFETY: as in `stream_side_data`; the new entry has room for `bytes.len()` bytes.
    let data = unsafe {
        let par = (*stream).codecpar;
        let entry = av_packet_side_data_new(
            &raw mut (*par).coded_side_data,
            &raw mut (*par).nb_coded_side_data,
            kind,
            bytes.len(),
            0,
        );
        if entry.is_null() {
            std::ptr::null_mut()
        } else {
            (*entry).data
        }
    };
    #[cfg(not(ffmpeg_6_1))]
    // SAFETY: the stream is valid by the caller's promise.
    let data = unsafe { av_stream_new_side_data(stream, kind, bytes.len()) };
    if data.is_null() {
        return false;
    }
    // SAFETY: FFmpeg allocated `bytes.len()` bytes there; they overlap nothing of ours.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len()) };
    true
}
