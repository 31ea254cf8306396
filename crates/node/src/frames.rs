//! Frames: handing them over, showing their bytes, copying, closing.

use crate::{
    error::{BindingError, BindingResult, cross},
    events::Outcome,
    state::NativeRuntime,
    sys::buffer::{self, RawValue, ViewHold},
    token,
};
use beamline_codec::ImageKind;
use beamline_convert::{Converter, Source, Target};
use beamline_flow::{Error, Held, convert_frame, copy_frame, encode_image};
use beamline_media::{
    ColorSpace, ErrorCode, Frame, FrameError, FrameInfo, Layout, PLANES_MAX, PixelFormat, Rect, Rotation, Size,
};
use napi::{
    Env, JsValue,
    bindgen_prelude::{Uint8Array, Unknown},
};
use napi_derive::napi;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc};

/// A frame in JavaScript's hands.
pub(crate) struct FrameEntry {
    pub(crate) held: Held,
    /// One per ArrayBuffer that shows it.
    views: Vec<Arc<ViewHold>>,
}

/// Everything about a frame that is the same for the next one of its stream. Told once, then by number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayoutKey {
    format: usize,
    coded: Size,
    visible: Rect,
    rotation: u32,
    flip: bool,
    color: [i32; 4],
    /// Per plane: which buffer, offset in it, stride, bytes.
    planes: Vec<[usize; 4]>,
    /// Per buffer: offset in its slot, bytes, bytes of the slot.
    buffers: Vec<[usize; 3]>,
}

/// Layouts that JavaScript may still ask for: it does so at once, so a few are enough, and a user who cuts another rectangle out of each
/// frame does not make them grow.
#[derive(Default)]
pub(crate) struct Layouts {
    newest: VecDeque<LayoutKey>,
    /// Number of the oldest that is still there.
    first: usize,
}

/// The most layouts that are kept.
const LAYOUTS_MAX: usize = 256;

impl Layouts {
    fn number_of(&mut self, key: LayoutKey) -> usize {
        // The newest first: a stream's frames mostly look like the one before.
        if let Some(at) = self.newest.iter().rposition(|l| *l == key) {
            return self.first + at;
        }
        if self.newest.len() == LAYOUTS_MAX {
            self.newest.pop_front();
            self.first += 1;
        }
        self.newest.push_back(key);
        self.first + self.newest.len() - 1
    }

    fn get(&self, number: usize) -> Option<&LayoutKey> {
        self.newest.get(number.checked_sub(self.first)?)
    }
}

/// Where bytes are to go, as `copyTo` says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CopySpec {
    format: Option<usize>,
    rect: [u32; 4],
    color: Option<[i32; 4]>,
    layout: Vec<[usize; 2]>,
}

/// A frame made from bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BytesSpec {
    format: usize,
    coded: [u32; 2],
    layout: Vec<[usize; 2]>,
    #[serde(flatten)]
    words: Words,
}

/// What may be said anew about a frame; `None` leaves it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Words {
    visible: Option<[u32; 4]>,
    rotation: Option<f64>,
    flip: Option<bool>,
    timestamp: Option<i64>,
    duration: Option<i64>,
    no_duration: Option<bool>,
    color: Option<[i32; 4]>,
}

impl Words {
    fn put_on(&self, info: &mut FrameInfo) {
        if let Some([x, y, width, height]) = self.visible {
            info.visible = Rect { x, y, width, height };
        }
        if let Some(degrees) = self.rotation {
            info.rotation = Rotation::from_degrees(degrees);
        }
        info.flip = self.flip.unwrap_or(info.flip);
        info.timestamp_us = self.timestamp.or(info.timestamp_us);
        info.duration_us = if self.no_duration == Some(true) {
            None
        } else {
            self.duration.or(info.duration_us)
        };
        info.color = self.color.map_or(info.color, color_from);
    }
}

fn color_from([primaries, transfer, matrix, range]: [i32; 4]) -> ColorSpace {
    let code = |n: i32| u8::try_from(n).unwrap_or(2);
    ColorSpace {
        primaries: code(primaries),
        transfer: code(transfer),
        matrix: code(matrix),
        full_range: (range >= 0).then_some(range == 1),
    }
}

fn color_to(color: ColorSpace) -> [i32; 4] {
    let range = color.full_range.map_or(-1, i32::from);
    [
        color.primaries.into(),
        color.transfer.into(),
        color.matrix.into(),
        range,
    ]
}

fn format_from(index: usize) -> Result<PixelFormat, BindingError> {
    PixelFormat::ALL.get(index).copied().ok_or_else(|| {
        BindingError::new(
            ErrorCode::InvalidConfig,
            "invalid-argument",
            format!("there is no pixel format number {index}"),
        )
    })
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, BindingError> {
    serde_json::from_str(json).map_err(|e| BindingError::options(&e))
}

impl LayoutKey {
    fn of(frame: &Frame) -> Self {
        let info = frame.info();
        let leases: Vec<_> = frame.leases().collect();
        let mut spans = vec![(usize::MAX, 0usize); leases.len()];
        let mut planes = Vec::with_capacity(frame.plane_count());
        for i in 0..frame.plane_count() {
            let (lease, offset, stride) = frame.plane(i);
            let (bytes, _) = frame.plane_bytes(i);
            let buffer = leases.iter().position(|l| l.same_slot(lease)).unwrap_or(0);
            let span = &mut spans[buffer];
            *span = (span.0.min(offset), span.1.max(offset + bytes.len()));
            planes.push([buffer, offset, stride, bytes.len()]);
        }
        for plane in &mut planes {
            plane[1] -= spans[plane[0]].0;
        }
        LayoutKey {
            format: info.format.index(),
            coded: info.coded,
            visible: info.visible,
            rotation: info.rotation.degrees(),
            flip: info.flip,
            color: color_to(info.color),
            planes,
            buffers: spans
                .iter()
                .zip(&leases)
                .map(|((a, b), l)| [*a, b - a, l.len()])
                .collect(),
        }
    }
}

impl NativeRuntime {
    /// Puts a frame into the table: its number and its layout's.
    pub(crate) fn adopt(&self, held: Held) -> (f64, usize) {
        let layout = self.layout_of(&held.frame);
        (
            self.frames.borrow_mut().insert(FrameEntry {
                held,
                views: Vec::new(),
            }),
            layout,
        )
    }

    fn layout_of(&self, frame: &Frame) -> usize {
        self.layouts.borrow_mut().number_of(LayoutKey::of(frame))
    }

    pub(crate) fn held(&self, id: f64) -> Result<Held, BindingError> {
        self.frames
            .borrow()
            .get(id)
            .map(|e| e.held.clone())
            .ok_or_else(|| BindingError::closed("the frame"))
    }

    fn count_copy(&self) {
        self.runtime.copies.add(1);
        self.js_copies.set(self.js_copies.get() + 1);
    }

    fn copy_out(&self, id: f64, into: &mut [u8], json: &str) -> Result<(), BindingError> {
        let held = self.held(id)?;
        let spec: CopySpec = read(json)?;
        let [x, y, width, height] = spec.rect;
        let rect = Rect { x, y, width, height };
        let source = Source::crop(&held.frame, rect).map_err(Error::from)?;
        let format = spec.format.map_or(Ok(source.format()), format_from)?;
        let color = spec.color.map_or(source.color(), color_from);
        let planes = split(into, format, rect.size(), &spec.layout)?;
        let mut target = Target::from_planes(format, rect.size(), color, planes).map_err(Error::from)?;
        self.count_copy();
        Ok(Converter::new().convert(&source, &mut target).map_err(Error::from)?)
    }

    fn frame_of_bytes(&self, data: &[u8], json: &str) -> Result<Held, BindingError> {
        let spec: BytesSpec = read(json)?;
        let size = Size::new(spec.coded[0], spec.coded[1]);
        let mut info = FrameInfo::new(format_from(spec.format)?, size);
        spec.words.put_on(&mut info);
        info.check().map_err(Error::from)?;
        let layout = if spec.layout.is_empty() {
            let packed = Layout::packed(info.format, size).map_err(Error::from)?;
            packed.planes[..info.format.plane_count()]
                .iter()
                .map(|p| [p.offset, p.stride])
                .collect()
        } else {
            spec.layout
        };
        let planes = shared_planes(data, info.format, size, &layout)?;
        let source = Source::from_planes(info.format, size, info.color, &planes).map_err(Error::from)?;
        let mut made = self
            .pool
            .acquire(info, beamline_arena::Wait::Grow)
            .map_err(Error::from)?;
        // All of it is filled, not only the visible part.
        made.set_info(|i| i.visible = Rect::all(size));
        self.count_copy();
        let converted = Target::of(&mut made).and_then(|mut target| Converter::new().convert(&source, &mut target));
        converted.map_err(Error::from)?;
        Ok(Held::free(made.freeze().with_info(|i| i.visible = info.visible)))
    }

    fn make_writable(&self, id: f64) -> Result<Held, BindingError> {
        let entry = self
            .frames
            .borrow_mut()
            .remove(id)
            .ok_or_else(|| BindingError::closed("the frame"))?;
        // Views are other holders only until they are detached, which TypeScript did before it called.
        for view in &entry.views {
            view.release();
        }
        entry.held.try_unshare().or_else(|shared| {
            self.js_copies.set(self.js_copies.get() + 1);
            Ok(Held::free(copy_frame(&self.runtime, &shared.frame, &self.pool)?))
        })
    }
}

fn layout_error(format: PixelFormat, got: usize) -> BindingError {
    Error::from(FrameError::PlaneCount {
        format,
        expected: format.plane_count(),
        got,
    })
    .into()
}

/// Ranges of the planes in a buffer of `have` bytes.
fn ranges(
    format: PixelFormat,
    size: Size,
    layout: &[[usize; 2]],
    have: usize,
) -> Result<Vec<(usize, usize, usize)>, BindingError> {
    if layout.len() != format.plane_count() {
        return Err(layout_error(format, layout.len()));
    }
    let mut ranges = Vec::with_capacity(PLANES_MAX);
    for (plane, &[offset, stride]) in layout.iter().enumerate() {
        let row_bytes = format.row_bytes(plane, size.width);
        if stride < row_bytes {
            return Err(Error::from(FrameError::Stride {
                plane,
                row_bytes,
                stride,
            })
            .into());
        }
        let need = stride
            .saturating_mul(format.rows(plane, size.height).saturating_sub(1))
            .saturating_add(row_bytes);
        let end = offset.saturating_add(need);
        if end > have {
            return Err(Error::from(FrameError::Plane {
                plane,
                format,
                size,
                need,
                offset,
                have,
            })
            .into());
        }
        ranges.push((offset, end, stride));
    }
    Ok(ranges)
}

fn shared_planes<'a>(
    data: &'a [u8],
    format: PixelFormat,
    size: Size,
    layout: &[[usize; 2]],
) -> Result<Vec<(&'a [u8], usize)>, BindingError> {
    Ok(ranges(format, size, layout, data.len())?
        .into_iter()
        .map(|(a, b, stride)| (&data[a..b], stride))
        .collect())
}

/// Cuts a buffer into planes that may be written at the same time: they must not overlap.
fn split<'a>(
    into: &'a mut [u8],
    format: PixelFormat,
    size: Size,
    layout: &[[usize; 2]],
) -> Result<Vec<(&'a mut [u8], usize)>, BindingError> {
    let ranges = ranges(format, size, layout, into.len())?;
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|i| ranges[*i].0);
    let mut planes: Vec<Option<(&mut [u8], usize)>> = ranges.iter().map(|_| None).collect();
    let (mut rest, mut begin) = (into, 0);
    for i in order {
        let (from, to, stride) = ranges[i];
        if from < begin {
            return Err(BindingError::new(
                ErrorCode::InvalidConfig,
                "invalid-argument",
                "the planes of `layout` overlap",
            ));
        }
        let (plane, after) = std::mem::take(&mut rest)[from - begin..].split_at_mut(to - from);
        planes[i] = Some((plane, stride));
        (rest, begin) = (after, to);
    }
    Ok(planes.into_iter().flatten().collect())
}

#[napi]
impl NativeRuntime {
    /// A layout by its number, as JSON.
    #[napi]
    pub fn layout(&self, layout: u32) -> String {
        let layouts = self.layouts.borrow();
        layouts
            .get(layout as usize)
            .and_then(|l| serde_json::to_string(l).ok())
            .unwrap_or_default()
    }

    /// Way `external`: an ArrayBuffer over buffer `index` of the frame. Detach it by `closeView` before the frame is closed.
    #[napi(ts_return_type = "ArrayBuffer | null")]
    pub fn view(&self, env: Env, id: f64, index: u32) -> Option<RawValue> {
        let mut frames = self.frames.borrow_mut();
        let entry = frames.get_mut(id)?;
        let (lease, offset, len) = buffer_of(&entry.held.frame, index as usize)?;
        let (value, hold) = buffer::external(&env, &lease, offset, len)?;
        entry.views.push(hold);
        Some(value)
    }

    /// Way `wasm`: a number for the slot behind buffer `index`.
    #[napi]
    pub fn slot_key(&self, id: f64, index: u32) -> f64 {
        let frames = self.frames.borrow();
        frames
            .get(id)
            .and_then(|e| buffer_of(&e.held.frame, index as usize))
            .map_or(-1.0, |(lease, ..)| {
                let at = lease.slot_ref();
                f64::from(at.segment) * 64.0 + f64::from(at.slot)
            })
    }

    /// Way `wasm`: maps the slot behind buffer `index` over the start of a WebAssembly memory.
    #[napi]
    pub fn map_slot(&self, env: Env, id: f64, index: u32, memory: Unknown<'_>) -> bool {
        let lease = self
            .frames
            .borrow()
            .get(id)
            .and_then(|e| buffer_of(&e.held.frame, index as usize))
            .map(|(l, ..)| l);
        lease.is_some_and(|lease| buffer::map_over(&env, &lease, memory.raw()))
    }

    /// Way `copy`: the bytes of buffer `index`, copied.
    #[napi]
    pub fn copied(&self, id: f64, index: u32) -> Option<Uint8Array> {
        let held = self.held(id).ok()?;
        let (lease, offset, len) = buffer_of(&held.frame, index as usize)?;
        if index == 0 {
            self.count_copy();
        }
        Some(Uint8Array::new(lease.bytes()[offset..offset + len].to_vec()))
    }

    /// Way `copy`: puts the bytes of a frame that JavaScript has written back into its slot: gives its number from now on. A
    /// frame that somebody else holds too stays as it was.
    #[napi]
    pub fn write_back(&self, id: f64, bytes: Uint8Array) -> f64 {
        let Some(FrameEntry { held, views }) = self.frames.borrow_mut().remove(id) else {
            return 0.0;
        };
        let layout = LayoutKey::of(&held.frame);
        let fits = layout.buffers.len() == 1 && layout.buffers[0][1] == bytes.len();
        let written = if fits {
            held.write_with(|frame| {
                for (i, [_, offset, _, len]) in layout.planes.iter().enumerate() {
                    frame.plane_mut(i).0.copy_from_slice(&bytes[*offset..offset + len]);
                }
            })
        } else {
            Err(held)
        };
        self.count_copy();
        let (Ok(held) | Err(held)) = written;
        self.frames.borrow_mut().insert(FrameEntry { held, views })
    }

    /// Detaches an ArrayBuffer that `view` gave.
    #[napi]
    pub fn close_view(&self, env: Env, view: Unknown<'_>) -> bool {
        buffer::detach(&env, view.raw())
    }

    /// Lets go of a frame whose views are detached.
    #[napi]
    pub fn close_frame(&self, id: f64) {
        let entry = self.frames.borrow_mut().remove(id);
        if let Some(entry) = entry {
            for view in &entry.views {
                view.release();
            }
        }
    }

    /// Detaches the one ArrayBuffer that shows a frame and lets go of it: `closeView` and `closeFrame` in one call.
    #[napi]
    pub fn close_with(&self, env: Env, id: f64, view: Unknown<'_>) {
        buffer::detach(&env, view.raw());
        self.close_frame(id);
    }

    /// Lets go of frames that were collected without `close()`. Their ArrayBuffers, if somebody still has them, hold on by themselves.
    #[napi]
    pub fn drop_frames(&self, ids: Vec<f64>) -> u32 {
        let mut dropped = 0;
        for id in ids {
            let entry = self.frames.borrow_mut().remove(id);
            dropped += u32::from(entry.is_some());
        }
        dropped
    }

    /// Another frame over the same memory, with other words about it where `json` has any: `[id, layout]`.
    #[napi]
    pub fn derive(&self, id: f64, json: String) -> BindingResult<Vec<f64>> {
        cross((|| {
            let held = self.held(id)?;
            let words: Words = read(&json)?;
            let mut info = *held.frame.info();
            words.put_on(&mut info);
            info.check().map_err(Error::from)?;
            let frame = held.frame.clone().with_info(|i| *i = info);
            let (id, layout) = self.adopt(held.with(frame));
            Ok(vec![id, layout as f64])
        })())
    }

    /// A frame from bytes, copied into a slot: `[id, layout]`.
    #[napi]
    pub fn frame_from(&self, data: Uint8Array, json: String) -> BindingResult<Vec<f64>> {
        cross(self.frame_of_bytes(&data, &json).map(|held| {
            let (id, layout) = self.adopt(held);
            vec![id, layout as f64]
        }))
    }

    /// Copies a part of a frame into bytes, converted where `json` says so.
    #[napi]
    pub fn copy_to(&self, id: f64, mut into: Uint8Array, json: String) -> BindingResult<bool> {
        cross(self.copy_out(id, buffer::bytes_mut(&mut into), &json).map(|()| true))
    }

    /// Converts the visible part of a frame on another thread into a packed frame of another format; settles with `[id, layout]`.
    #[napi]
    pub fn convert(&self, request: u32, id: f64, format: u32, color: Vec<i32>) -> BindingResult<bool> {
        cross((|| {
            let held = self.held(id)?;
            let format = format_from(format as usize)?;
            let color = <[i32; 4]>::try_from(color).map_or(held.frame.info().color, color_from);
            let pool = Arc::clone(&self.pool);
            self.count_copy();
            self.run(request, move || {
                let info = *held.frame.info();
                let info = FrameInfo {
                    color,
                    timestamp_us: info.timestamp_us,
                    duration_us: info.duration_us,
                    ..FrameInfo::new(format, info.visible.size())
                };
                convert_frame(&mut Converter::new(), &held.frame, info, &pool).map(Outcome::Frame)
            });
            Ok(true)
        })())
    }

    /// The frame for writing: `[id, layout]` of itself, when we are its only holder, else of a copy. The old number is void.
    #[napi]
    pub fn writable(&self, id: f64) -> BindingResult<Vec<f64>> {
        cross(self.make_writable(id).map(|held| {
            let (id, layout) = self.adopt(held);
            vec![id, layout as f64]
        }))
    }

    /// Leaves the frame for another worker_thread; gives a token that is good once.
    #[napi]
    pub fn put_token(&self, id: f64) -> BindingResult<f64> {
        cross(self.held(id).map(|held| token::put(held, self.environment) as f64))
    }

    /// Takes the frame that a token stands for: `[id, layout, timestamp, duration]`.
    #[napi]
    pub fn take_token(&self, token: f64) -> BindingResult<Vec<f64>> {
        let held = token::take(token as u64).ok_or_else(|| {
            BindingError::new(
                ErrorCode::NotFound,
                "token-void",
                "the token was redeemed already, is older than 5 s, or its worker has ended",
            )
        });
        cross(held.map(|held| {
            let info = *held.frame.info();
            let (id, layout) = self.adopt(held);
            vec![id, layout as f64, time(info.timestamp_us), time(info.duration_us)]
        }))
    }

    /// The token's time is over.
    #[napi]
    pub fn expire_token(&self, token: f64) -> bool {
        token::expire(token as u64)
    }

    /// Encodes a still on another thread; settles with its bytes.
    #[napi]
    pub fn encode_image(&self, request: u32, id: f64, media_type: String, quality: f64) -> BindingResult<bool> {
        cross((|| {
            let held = self.held(id)?;
            let kind = match media_type.as_str() {
                "image/png" => ImageKind::Png,
                "image/jpeg" => ImageKind::Jpeg {
                    quality: quality as f32,
                },
                other => {
                    let message = format!("expected 'image/png' or 'image/jpeg' for 'type' but received '{other}'");
                    return Err(BindingError::new(ErrorCode::NotSupported, "invalid-argument", message));
                }
            };
            let runtime = self.runtime.clone();
            self.run(request, move || {
                Ok(Outcome::Bytes(encode_image(&runtime, &held.frame, kind)?.bytes))
            });
            Ok(true)
        })())
    }

    /// Copies that JavaScript of this environment asked for or made necessary: `[all]`.
    #[napi]
    pub fn js_copies(&self) -> f64 {
        self.js_copies.get() as f64
    }
}

/// A time as JavaScript gets it: NaN where there is none.
pub(crate) fn time(us: Option<i64>) -> f64 {
    us.map_or(f64::NAN, |us| us as f64)
}

/// Lease, offset and length of a frame's `index`th distinct slot, as far as its planes use it.
fn buffer_of(frame: &Frame, index: usize) -> Option<(beamline_arena::Lease, usize, usize)> {
    let lease = frame.leases().nth(index)?.clone();
    let (mut from, mut to) = (usize::MAX, 0);
    for i in 0..frame.plane_count() {
        let (l, offset, _) = frame.plane(i);
        if l.same_slot(&lease) {
            from = from.min(offset);
            to = to.max(offset + frame.plane_bytes(i).0.len());
        }
    }
    (from < to).then_some((lease, from, to - from))
}
