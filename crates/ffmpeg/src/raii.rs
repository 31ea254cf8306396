//! FFmpeg's objects with owners: each is freed exactly once, at drop.
//!
//! ```text
//! Frame  (AVFrame)        one picture: references to its buffers
//! Packet (AVPacket)       one packet; as a `Bytes` owner it is never changed again
//! Codec  (AVCodecContext) one decoder or encoder, opened or not
//! Dict   (AVDictionary)   options by name
//! ```

use crate::{error, sys as ff};
use beamline_codec::Error;
use bytes::Bytes;
use std::{
    ffi::{CStr, c_int},
    ptr::NonNull,
};

/// An AVFrame.
#[derive(Debug)]
pub(crate) struct Frame(NonNull<ff::AVFrame>);

// SAFETY: an AVFrame has no thread of its own; its buffers are counted atomically.
unsafe impl Send for Frame {}

impl Frame {
    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: takes nothing; null when there is no memory.
        let frame = NonNull::new(unsafe { ff::av_frame_alloc() });
        frame.map(Frame).ok_or_else(|| error::codec_memory("make a frame"))
    }

    pub(crate) fn ptr(&self) -> *mut ff::AVFrame {
        self.0.as_ptr()
    }

    pub(crate) fn unref(&mut self) {
        // SAFETY: the frame is ours and valid.
        unsafe { ff::av_frame_unref(self.ptr()) };
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let mut ptr = self.ptr();
        // SAFETY: ours, valid, and not used after this.
        unsafe { ff::av_frame_free(&raw mut ptr) };
    }
}

/// An AVPacket.
#[derive(Debug)]
pub(crate) struct Packet(NonNull<ff::AVPacket>);

// SAFETY: an AVPacket has no thread of its own; its buffer is counted atomically.
unsafe impl Send for Packet {}

impl Packet {
    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: takes nothing; null when there is no memory.
        let packet = NonNull::new(unsafe { ff::av_packet_alloc() });
        packet.map(Packet).ok_or_else(|| error::codec_memory("make a packet"))
    }

    pub(crate) fn ptr(&self) -> *mut ff::AVPacket {
        self.0.as_ptr()
    }

    pub(crate) fn unref(&mut self) {
        // SAFETY: the packet is ours and valid.
        unsafe { ff::av_packet_unref(self.ptr()) };
    }

    /// Fills it with a copy of `data`, padded as decoders want it.
    pub(crate) fn fill(&mut self, data: &[u8]) -> c_int {
        self.unref();
        let Ok(size) = c_int::try_from(data.len()) else {
            return error::INVALID;
        };
        // SAFETY: the packet is ours and empty; av_new_packet gives it a buffer of `size` bytes and padding, all ours.
        unsafe {
            let code = ff::av_new_packet(self.ptr(), size);
            if code >= 0 {
                std::ptr::copy_nonoverlapping(data.as_ptr(), (*self.ptr()).data, data.len());
            }
            code
        }
    }

    /// The packet's bytes, without a copy; this packet is empty afterwards.
    pub(crate) fn take_bytes(&mut self) -> Result<Bytes, Error> {
        let owner = Packet::new()?;
        // SAFETY: both packets are ours and valid; the new one is empty.
        unsafe { ff::av_packet_move_ref(owner.ptr(), self.ptr()) };
        Ok(Bytes::from_owner(owner))
    }
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the packet is ours; `data` holds `size` initialised bytes, or is null with size 0. Nobody writes to them while
        // it is borrowed: writing takes `&mut self`, and libraries that hold a reference treat the buffer as read-only.
        unsafe {
            let packet = self.0.as_ref();
            match (packet.data.is_null(), usize::try_from(packet.size)) {
                (false, Ok(size)) => std::slice::from_raw_parts(packet.data, size),
                _ => &[],
            }
        }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut ptr = self.ptr();
        // SAFETY: ours, valid, and not used after this.
        unsafe { ff::av_packet_free(&raw mut ptr) };
    }
}

/// An AVCodecContext.
#[derive(Debug)]
pub(crate) struct Codec {
    ctx: NonNull<ff::AVCodecContext>,
    name: &'static str,
}

// SAFETY: a codec context may move between threads as long as calls do not overlap, which `&mut self` sees to.
unsafe impl Send for Codec {}

impl Codec {
    /// A context for `codec`, not yet opened.
    pub(crate) fn new(codec: &'static ff::AVCodec) -> Result<Self, Error> {
        // SAFETY: codecs are static descriptions.
        let ctx = NonNull::new(unsafe { ff::avcodec_alloc_context3(codec) });
        // SAFETY: a codec's name is a static string.
        let name = unsafe { ff::static_str(codec.name) };
        let ctx = ctx.ok_or_else(|| error::codec_memory("make a codec"))?;
        Ok(Codec { ctx, name })
    }

    /// The library's name of it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn ptr(&self) -> *mut ff::AVCodecContext {
        self.ctx.as_ptr()
    }

    /// Gives it out-of-band data.
    pub(crate) fn set_extradata(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // SAFETY: the context is ours and not opened yet; its old extradata is null or from av_malloc.
        let code = unsafe {
            let ctx = self.ctx.as_mut();
            put_extradata(&mut ctx.extradata, &mut ctx.extradata_size, bytes)
        };
        if code < 0 {
            return Err(error::codec(self.name, "take the description", code));
        }
        Ok(())
    }

    /// The out-of-band data that an encoder gives.
    pub(crate) fn extradata(&self) -> &[u8] {
        // SAFETY: the context is ours; extradata holds extradata_size bytes, or is null.
        unsafe {
            let ctx = self.ctx.as_ref();
            extradata_of(ctx.extradata, ctx.extradata_size)
        }
    }

    /// Opens it. Options that the codec does not know are an error, so that a typo cannot hide.
    pub(crate) fn open(&mut self, mut options: Dict, action: &'static str) -> Result<(), Error> {
        // SAFETY: the context is ours, made for its codec, and opened once: all callers open what they have just made.
        let code = unsafe { ff::avcodec_open2(self.ptr(), std::ptr::null(), &raw mut options.0) };
        if code < 0 {
            return Err(error::codec(self.name, action, code));
        }
        match options.first_key() {
            Some(left) => Err(Error::Library {
                library: format!("FFmpeg ({})", self.name),
                action,
                detail: format!("the option '{left}' is not known"),
            }),
            None => Ok(()),
        }
    }

    /// Forgets everything it was given.
    pub(crate) fn flush(&mut self) {
        // SAFETY: the context is ours and opened.
        unsafe { ff::avcodec_flush_buffers(self.ptr()) };
    }
}

impl Drop for Codec {
    fn drop(&mut self) {
        let mut ptr = self.ptr();
        // SAFETY: ours, valid, and not used after this; joins the codec's threads.
        unsafe { ff::avcodec_free_context(&raw mut ptr) };
    }
}

/// The bytes of an extradata field.
///
/// # Safety
/// `data` is null or holds `size` bytes for as long as the result is used.
pub(crate) unsafe fn extradata_of<'a>(data: *const u8, size: c_int) -> &'a [u8] {
    match usize::try_from(size) {
        Ok(size) if !data.is_null() && size > 0 => {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts(data, size) }
        }
        _ => &[],
    }
}

/// Replaces an extradata field by a padded copy of `bytes`.
///
/// # Safety
/// The old pointer is null or from av_malloc and nobody else's.
pub(crate) unsafe fn put_extradata(data: &mut *mut u8, size: &mut c_int, bytes: &[u8]) -> c_int {
    let Ok(len) = c_int::try_from(bytes.len()) else {
        return error::INVALID;
    };
    // SAFETY: the caller's promise for the old pointer; the new block has room for the bytes and their padding.
    unsafe {
        ff::av_freep((&raw mut *data).cast());
        *size = 0;
        let block = ff::av_mallocz(bytes.len() + ff::PADDING).cast::<u8>();
        if block.is_null() {
            return error::NO_MEMORY;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), block, bytes.len());
        *data = block;
    }
    *size = len;
    0
}

/// An AVDictionary.
#[derive(Debug)]
pub(crate) struct Dict(pub(crate) *mut ff::AVDictionary);

impl Dict {
    pub(crate) fn new() -> Self {
        Dict(std::ptr::null_mut())
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let (key, value) = (ff::c_string(key), ff::c_string(value));
        // SAFETY: both strings live through the call, which copies them; the dictionary is ours.
        unsafe { ff::av_dict_set(&raw mut self.0, key.as_ptr(), value.as_ptr(), 0) };
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    /// What is set for a key.
    #[cfg(test)]
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let key = ff::c_string(key);
        // SAFETY: as in `first_key`; a value is a NUL-terminated string as well.
        unsafe {
            let entry = ff::av_dict_get(self.0, key.as_ptr(), std::ptr::null(), 0).as_ref()?;
            Some(CStr::from_ptr(entry.value).to_string_lossy().into_owned())
        }
    }

    /// The first key in it.
    pub(crate) fn first_key(&self) -> Option<String> {
        let flags = ff::AV_DICT_IGNORE_SUFFIX as c_int;
        // SAFETY: the dictionary is ours (null is an empty one); an entry's key is a NUL-terminated string that lives in it.
        unsafe {
            let entry = ff::av_dict_get(self.0, c"".as_ptr(), std::ptr::null(), flags);
            (!entry.is_null()).then(|| CStr::from_ptr((*entry).key).to_string_lossy().into_owned())
        }
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        // SAFETY: ours; null is allowed.
        unsafe { ff::av_dict_free(&raw mut self.0) };
    }
}
