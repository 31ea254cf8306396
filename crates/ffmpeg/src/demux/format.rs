//! A source opened by FFmpeg, which may open nothing else.

use super::headers;
use crate::{
    avio::{Avio, Source},
    error, log, raii, sys as ff, table,
};
use beamline_container::Error;
use beamline_io::{ByteSource, Cancel};
use beamline_media::MAX_PIXELS;
use std::{
    ffi::{c_char, c_int, c_void},
    ptr::NonNull,
    sync::Arc,
};

/// Bytes that are looked over at most to learn what the headers leave unsaid.
const PROBE_BYTES: &str = "2000000";

/// An AVFormatContext and the bytes it reads; the context goes first.
pub(super) struct Format {
    pub(super) ctx: NonNull<ff::AVFormatContext>,
    pub(super) io: Avio<Source>,
}

// SAFETY: a format context may move between threads as long as calls do not overlap, which `&mut` sees to.
unsafe impl Send for Format {}

impl Drop for Format {
    fn drop(&mut self) {
        let mut ctx = self.ctx.as_ptr();
        // SAFETY: ours, opened, not used after this; it leaves a custom AVIOContext alone, which `io` frees afterwards.
        unsafe { ff::avformat_close_input(&raw mut ctx) };
    }
}

unsafe extern "C" fn cancelled(opaque: *mut c_void) -> c_int {
    // SAFETY: `opaque` is the state of the AVIO, which outlives the context; the flag is read by a shared reference to its own field.
    let cancel = unsafe { &(*opaque.cast::<Source>()).cancel };
    c_int::from(cancel.is_cancelled())
}

/// No file refers to another one.
unsafe extern "C" fn refuse(
    _ctx: *mut ff::AVFormatContext,
    _pb: *mut *mut ff::AVIOContext,
    _url: *const c_char,
    _flags: c_int,
    _options: *mut *mut ff::AVDictionary,
) -> c_int {
    ff::AVERROR_PROTOCOL_NOT_FOUND
}

impl Format {
    /// Opens the source and reads its headers, and what they leave unsaid.
    pub(super) fn open(source: &Arc<dyn ByteSource>, name: &str, cancel: &Cancel) -> Result<Self, Error> {
        let mut format = Self::open_only(source, name, cancel)?;
        if !headers::say_all(&mut format) {
            format.look_over(name)?;
        }
        Ok(format)
    }

    pub(super) fn streams(&self) -> &[*mut ff::AVStream] {
        // SAFETY: the context is open; the list has nb_streams entries and changes only inside calls that need `&mut`.
        unsafe {
            let ctx = self.ctx.as_ref();
            if ctx.streams.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(ctx.streams, ctx.nb_streams as usize)
            }
        }
    }

    /// Whether the bytes have come to their end.
    pub(super) fn at_end(&self) -> bool {
        // SAFETY: the AVIO context is ours and valid.
        unsafe { (*self.io.ptr()).eof_reached != 0 }
    }

    /// Reads the headers.
    pub(super) fn open_only(source: &Arc<dyn ByteSource>, name: &str, cancel: &Cancel) -> Result<Self, Error> {
        log::install();
        cancel.check()?;
        let mut io = Avio::reader(Arc::clone(source), cancel.clone()).ok_or_else(|| error::container_memory("open"))?;
        let mut options = raii::Dict::new()
            .with("format_whitelist", table::DEMUXERS)
            .with("codec_whitelist", table::PROBE_DECODERS)
            .with("protocol_whitelist", "none")
            .with("probesize", PROBE_BYTES)
            .with("max_streams", "64");
        let url = ff::c_string(name.rsplit('/').next().unwrap_or(name));
        // SAFETY: the context is new and ours; on failure avformat_open_input frees it. The AVIO and its state outlive it.
        let (mut ctx, code) = unsafe {
            let mut ctx = ff::avformat_alloc_context();
            if ctx.is_null() {
                return Err(error::container_memory("open"));
            }
            (*ctx).pb = io.ptr();
            (*ctx).flags |= ff::AVFMT_FLAG_CUSTOM_IO as c_int;
            (*ctx).io_open = Some(refuse);
            (*ctx).interrupt_callback = ff::AVIOInterruptCB {
                callback: Some(cancelled),
                opaque: io.state_ptr().cast(),
            };
            let code = ff::avformat_open_input(&raw mut ctx, url.as_ptr(), std::ptr::null(), &raw mut options.0);
            (NonNull::new(ctx), code)
        };
        if let Some(failure) = io.take_failure() {
            // SAFETY: still ours when it is not null; closed before its AVIO goes.
            unsafe { ff::avformat_close_input((&raw mut ctx).cast()) };
            return Err(failure.into());
        }
        match (ctx, code) {
            (Some(ctx), 0..) => Ok(Format { ctx, io }),
            _ if cancel.is_cancelled() => Err(beamline_io::Error::Cancelled.into()),
            _ => Err(crate::refusal::not_media(source.as_ref(), name, cancel, code)),
        }
    }

    /// Reads what the headers leave unsaid: some packets, up to [`PROBE_BYTES`].
    pub(super) fn look_over(&mut self, name: &str) -> Result<(), Error> {
        let most = ff::c_string(&MAX_PIXELS.to_string());
        let mut each = Vec::new();
        for _ in self.streams() {
            let mut options = raii::Dict::new();
            options.set("threads", "1");
            options.set("max_pixels", &most.to_string_lossy());
            each.push(options);
        }
        let mut raw: Vec<_> = each.iter().map(|dict| dict.0).collect();
        // SAFETY: the context is open; there is one dictionary per stream, and the list may be changed by FFmpeg, so that ownership is
        // taken back from it below.
        let code = unsafe { ff::avformat_find_stream_info(self.ctx.as_ptr(), raw.as_mut_ptr()) };
        for (dict, raw) in each.iter_mut().zip(raw) {
            dict.0 = raw;
        }
        if let Some(failure) = self.io.take_failure() {
            return Err(failure.into());
        }
        if code < 0 {
            return Err(Error::Data {
                name: name.to_owned(),
                detail: error::text(code),
            });
        }
        Ok(())
    }
}
