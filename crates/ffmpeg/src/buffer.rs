//! Slots of the arena as FFmpeg's buffers, both ways and without a copy.
//!
//! ```text
//! decoder:  get_buffer2 → slot, frozen → AVBufferRef (its opaque owns one Lease)
//!           output AVFrame → Frame (a further Lease on the same slot) ; FFmpeg's references go when it is done predicting
//! encoder:  Frame → AVFrame whose buffers each own a Lease, planes point into the slots
//! ```
//!
//! A decoder's slot is frozen before it is written: only the decoder knows it until the picture comes out, and it writes through
//! the raw pointer. From then on the lease that FFmpeg holds keeps everybody from writing (`Frame::try_into_mut` fails).

use crate::{pixel, raii, sys as ff};
use beamline_arena::{Lease, Wait};
use beamline_media::{Frame, FrameError, FrameInfo, FramePool, MAX_PIXELS, PixelFormat, Plane, Rational, Rect, Size};
use std::{
    ffi::{c_int, c_void},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Planes and rows begin on multiples of this: the widest SIMD that FFmpeg uses.
const ALIGN: usize = 64;
/// Bytes behind each plane that decoders may run over (build-and-border.md, trap 8).
const TAIL: usize = 16 + 63;

/// Where a decoder's pictures are born. Shared with the buffers, which may outlive the decoder.
#[derive(Debug)]
pub(crate) struct Nursery {
    pool: Arc<FramePool>,
    /// Addresses of the owners behind the buffers that are out: tells our buffers from FFmpeg's own.
    owners: Mutex<Vec<usize>>,
    /// Why the last allocation failed; FFmpeg itself only says "no memory".
    failed: Mutex<Option<FrameError>>,
}

/// What the opaque of a decoder's buffer owns.
struct Owner {
    lease: Lease,
    nursery: Arc<Nursery>,
}

/// How long decoders and converters wait for memory where a budget is used up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Never a wait for a slot: the decoder itself may hold every one (build-and-border.md, trap 2).
pub(crate) fn growing() -> Wait<'static> {
    Wait::GrowUntil(Instant::now() + PATIENCE)
}

/// Where the planes of a decoder's picture lie.
struct Places {
    offsets: [usize; 4],
    strides: [usize; 4],
    len: usize,
}

impl Nursery {
    pub(crate) fn new(pool: Arc<FramePool>) -> Self {
        Nursery {
            pool,
            owners: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    pub(crate) fn pool(&self) -> &FramePool {
        &self.pool
    }

    /// Why there was no memory, once.
    pub(crate) fn take_failure(&self) -> Option<FrameError> {
        lock(&self.failed).take()
    }

    fn allocate(self: &Arc<Self>, places: &Places) -> Result<(*mut ff::AVBufferRef, *mut u8), FrameError> {
        let class = self.pool.pool().class(places.len)?;
        let lease = class.acquire(growing())?.freeze();
        let (data, len) = (lease.as_ptr().as_ptr(), lease.len());
        let owner = Box::into_raw(Box::new(Owner {
            lease,
            nursery: Arc::clone(self),
        }));
        lock(&self.owners).push(owner.addr());
        // Read-only: a decoder that goes on in the same buffer for its next picture (`av_frame_is_writable`) must not, because
        // FFmpeg's count of references knows nothing of our leases. Decoders write what they have just got without asking.
        let flags = ff::AV_BUFFER_FLAG_READONLY as c_int;
        // SAFETY: the slot stays mapped while the owner's lease lives, and `release` drops the owner exactly once.
        let buffer = unsafe { ff::av_buffer_create(data, len, Some(release), owner.cast(), flags) };
        if buffer.is_null() {
            // SAFETY: FFmpeg did not take the owner, so it is still ours.
            unsafe { release(owner.cast(), data) };
            return Err(FrameError::Memory(beamline_arena::Error::Size { got: len, max: 0 }));
        }
        Ok((buffer, data))
    }

    /// The lease behind a buffer that we made.
    ///
    /// # Safety
    /// `buffer` is null or valid.
    pub(crate) unsafe fn lease_of(&self, buffer: *const ff::AVBufferRef) -> Option<Lease> {
        if buffer.is_null() {
            return None;
        }
        // SAFETY: valid by the caller's promise.
        let opaque = unsafe { ff::av_buffer_get_opaque(buffer) };
        if !lock(&self.owners).contains(&opaque.addr()) {
            return None;
        }
        // SAFETY: the address is that of an owner that is out, and `buffer` keeps it alive.
        Some(unsafe { (*opaque.cast::<Owner>()).lease.clone() })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last reference to a decoder's buffer is gone. Comes from any thread.
unsafe extern "C" fn release(opaque: *mut c_void, _data: *mut u8) {
    // SAFETY: `opaque` is the box of `Nursery::allocate`; FFmpeg calls this once per buffer.
    let owner = unsafe { Box::from_raw(opaque.cast::<Owner>()) };
    lock(&owner.nursery.owners).retain(|address| *address != opaque.addr());
    drop(owner);
}

/// FFmpeg's `get_buffer2`: the codec context's `opaque` is the decoder's [`Nursery`]. Comes from several threads at once.
pub(crate) unsafe extern "C" fn get_buffer(
    ctx: *mut ff::AVCodecContext,
    frame: *mut ff::AVFrame,
    flags: c_int,
) -> c_int {
    // SAFETY: FFmpeg gives a valid context and frame, which are this call's alone.
    let format = unsafe { (*frame).format };
    let Some((format, _)) = pixel::ours(format) else {
        // A format that we do not have lies in FFmpeg's own memory and is converted when it comes out.
        // SAFETY: the arguments as we got them.
        return unsafe { ff::avcodec_default_get_buffer2(ctx, frame, flags) };
    };
    // SAFETY: as above; `opaque` was set by `decode.rs` to a nursery that outlives the context. The Arc is only borrowed here.
    let nursery = unsafe { std::mem::ManuallyDrop::new(Arc::from_raw((*ctx).opaque.cast::<Nursery>())) };
    // SAFETY: as above.
    let given = unsafe { places(ctx, frame, format) }.and_then(|places| {
        let (buffer, data) = nursery.allocate(&places)?;
        Ok((places, buffer, data))
    });
    match given {
        Ok((places, buffer, data)) => {
            // SAFETY: the frame is ours to fill; offsets lie inside the slot by the way `places` adds them up.
            unsafe {
                (*frame).buf[0] = buffer;
                for i in 0..format.plane_count() {
                    (*frame).data[i] = data.add(places.offsets[i]);
                    (*frame).linesize[i] = places.strides[i] as c_int;
                }
                (*frame).extended_data = (&raw mut (*frame).data).cast();
            }
            0
        }
        Err(failure) => {
            *lock(&nursery.failed) = Some(failure);
            crate::error::NO_MEMORY
        }
    }
}

/// Layout for a decoder: its own alignment of the size, then wider until every row is aligned.
unsafe fn places(
    ctx: *mut ff::AVCodecContext,
    frame: *const ff::AVFrame,
    format: PixelFormat,
) -> Result<Places, FrameError> {
    let mut aligns = [0; 8];
    // SAFETY: context and frame are valid by the contract of `get_buffer2`; the array has AV_NUM_DATA_POINTERS places.
    let (size, mut width, mut height) = unsafe { (frame_size(frame), (*frame).width, (*frame).height) };
    check(size)?;
    // SAFETY: as above.
    unsafe { ff::avcodec_align_dimensions2(ctx, &raw mut width, &raw mut height, aligns.as_mut_ptr()) };
    let (mut width, height) = (width.max(1) as u32, height.max(1) as u32);
    let planes = 0..format.plane_count();
    let stride = |plane, width| format.row_bytes(plane, width);
    while planes
        .clone()
        .any(|i| !stride(i, width).is_multiple_of(ALIGN.max(aligns[i] as usize)))
    {
        width += width & width.wrapping_neg();
    }
    let mut at = Places {
        offsets: [0; 4],
        strides: [0; 4],
        len: 0,
    };
    for i in planes {
        at.offsets[i] = at.len;
        at.strides[i] = stride(i, width);
        at.len = (at.len + at.strides[i] * format.rows(i, height) + TAIL).next_multiple_of(ALIGN);
    }
    Ok(at)
}

fn check(size: Size) -> Result<(), FrameError> {
    let pixels = u64::from(size.width) * u64::from(size.height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(FrameError::Size(size));
    }
    Ok(())
}

/// Size of a frame with what will be cropped.
///
/// # Safety
/// `frame` is valid.
pub(crate) unsafe fn frame_size(frame: *const ff::AVFrame) -> Size {
    // SAFETY: the caller's promise.
    let (width, height) = unsafe { ((*frame).width, (*frame).height) };
    Size::new(u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))
}

/// The part of a frame that is shown.
///
/// # Safety
/// `frame` is valid.
pub(crate) unsafe fn visible(frame: *const ff::AVFrame) -> Rect {
    // SAFETY: the caller's promise.
    let (size, crop) = unsafe {
        let frame = &*frame;
        let crop = [frame.crop_left, frame.crop_top, frame.crop_right, frame.crop_bottom];
        (frame_size(frame), crop.map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
    };
    let [left, top, right, bottom] = crop;
    let rect = Rect {
        x: left,
        y: top,
        width: size.width.saturating_sub(left).saturating_sub(right),
        height: size.height.saturating_sub(top).saturating_sub(bottom),
    };
    if rect.fits(size) { rect } else { Rect::all(size) }
}

/// A decoded picture as a frame on the same slot; `None` when it does not lie in a slot of ours.
///
/// # Safety
/// `frame` is a valid decoded picture.
pub(crate) unsafe fn to_frame(
    nursery: &Nursery,
    frame: *const ff::AVFrame,
    info: FrameInfo,
) -> Option<Result<Frame, FrameError>> {
    // SAFETY: the caller's promise; the first buffer is null or valid.
    let lease = unsafe { nursery.lease_of((*frame).buf[0]) }?;
    let begin = lease.as_ptr().as_ptr().addr();
    let planes = (0..info.format.plane_count())
        .map(|i| {
            // SAFETY: the caller's promise.
            let (data, linesize) = unsafe { ((*frame).data[i].addr(), (*frame).linesize[i]) };
            // Turned upside down or elsewhere: not as we laid it out.
            Some(Plane {
                lease: lease.clone(),
                offset: data.checked_sub(begin)?,
                stride: usize::try_from(linesize).ok()?,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Frame::new(info, planes))
}

/// A shape of pixels as FFmpeg has it; square where it has no such number.
pub(crate) fn aspect(shape: Rational) -> ff::AVRational {
    match (c_int::try_from(shape.num), c_int::try_from(shape.den)) {
        (Ok(num), Ok(den)) if num > 0 && den > 0 => ff::AVRational { num, den },
        _ => ff::AVRational { num: 1, den: 1 },
    }
}

/// The visible part of a frame as an AVFrame over the same slots.
pub(crate) fn from_frame(frame: &Frame) -> Result<raii::Frame, beamline_codec::Error> {
    let info = frame.info();
    let Some(format) = pixel::av(info.format) else {
        return Err(beamline_codec::Error::NotSupported {
            what: format!("encoding pictures of format {}", info.format),
            why: "FFmpeg has no such format".into(),
        });
    };
    let visible = info.visible;
    let out = raii::Frame::new()?;
    // SAFETY: the AVFrame is new and ours; plane pointers lie inside slots that its buffers hold leases of, and the offset of the
    // visible part stays inside because `visible` fits into `coded`, which the planes were checked against.
    unsafe {
        let to = out.ptr();
        (*to).format = format as c_int;
        (*to).width = visible.width as c_int;
        (*to).height = visible.height as c_int;
        crate::color::to_frame(to, &info.color);
        (*to).sample_aspect_ratio = aspect(info.pixel_aspect);
        for i in 0..frame.plane_count() {
            let (lease, offset, stride) = frame.plane(i);
            let plane = &info.format.info().planes[i];
            if !visible.x.is_multiple_of(u32::from(plane.sub_x)) || !visible.y.is_multiple_of(u32::from(plane.sub_y)) {
                return Err(beamline_codec::Error::Config {
                    expected: format!(
                        "a visible part of {} that begins on whole groups of pixels",
                        info.format
                    ),
                    got: format!("one that begins at {}, {}", visible.x, visible.y),
                });
            }
            let into = info.format.row_bytes(i, visible.x) + (visible.y / u32::from(plane.sub_y)) as usize * stride;
            (*to).data[i] = lease.as_ptr().as_ptr().add(offset + into);
            (*to).linesize[i] = stride as c_int;
        }
        (*to).extended_data = (&raw mut (*to).data).cast();
        for (i, lease) in frame.leases().enumerate() {
            let owner = Box::into_raw(Box::new(lease.clone()));
            let flags = ff::AV_BUFFER_FLAG_READONLY as c_int;
            let data = lease.as_ptr().as_ptr();
            let buffer = ff::av_buffer_create(data, lease.len(), Some(release_lease), owner.cast(), flags);
            if buffer.is_null() {
                drop(Box::from_raw(owner));
                return Err(crate::error::codec_memory("wrap a frame"));
            }
            (*to).buf[i] = buffer;
        }
    }
    Ok(out)
}

/// The last reference to an encoder's input is gone. Comes from any thread.
unsafe extern "C" fn release_lease(opaque: *mut c_void, _data: *mut u8) {
    // SAFETY: `opaque` is the box of `from_frame`; FFmpeg calls this once per buffer.
    drop(unsafe { Box::from_raw(opaque.cast::<Lease>()) });
}
