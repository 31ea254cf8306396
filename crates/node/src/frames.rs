//! Frames: handing them over, showing their bytes, copying, closing.

use crate::{
    error::{BindingError, BindingResult, cross},
    events::Outcome,
    frame_layout::{LayoutKey, color_from},
    frame_spec::{BytesSpec, CopySpec, Words, format_from, read, shared_planes, split},
    state::NativeRuntime,
    sys::buffer,
    token,
};
use beamline_codec::ImageKind;
use beamline_convert::{Converter, Source, Target};
use beamline_flow::{Error, Held, convert_frame, copy_frame, encode_image};
use beamline_media::{ErrorCode, FrameInfo, Layout, Rect, Size};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use std::sync::Arc;

impl NativeRuntime {
    pub(crate) fn held(&self, id: f64) -> Result<Held, BindingError> {
        self.frames
            .borrow()
            .get(id)
            .cloned()
            .ok_or_else(|| BindingError::closed("the frame"))
    }

    pub(crate) fn count_copy(&self) {
        self.runtime.copies.add(1);
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

    /// Its number and layout: the same ones when it is written in its place. Without memory for a copy it stays as it was.
    fn make_writable(&self, id: f64) -> Result<(f64, usize), BindingError> {
        let closed = || BindingError::closed("the frame");
        let alone = self.frames.borrow_mut().update(id, |held| match held.try_unshare() {
            Ok(alone) => (alone, true),
            Err(shared) => (shared, false),
        });
        if alone.ok_or_else(closed)? {
            let layout = LayoutKey::of(&self.held(id)?.frame);
            return Ok((id, self.layouts.borrow_mut().number_of(layout)));
        }
        let copy = copy_frame(&self.runtime, &self.held(id)?.frame, &self.pool)?;
        self.frames.borrow_mut().remove(id);
        Ok(self.adopt(Held::free(copy)))
    }
}

#[napi]
impl NativeRuntime {
    /// A layout by its number, as JSON.
    #[napi]
    pub fn layout(&self, layout: u32) -> String {
        self.layouts
            .borrow()
            .get(layout as usize)
            .map(LayoutKey::json)
            .unwrap_or_default()
    }

    /// Lets go of frames that were collected without `close()`. Their ArrayBuffers, if somebody still has them, hold on by themselves.
    #[napi]
    pub fn drop_frames(&self, ids: Vec<f64>) -> u32 {
        let mut dropped = 0;
        for id in ids {
            let held = self.frames.borrow_mut().remove(id);
            dropped += u32::from(held.is_some());
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

    /// The frame for writing: `[id, layout]` of itself, when we are its only holder, else of a copy: then the old number is void.
    #[napi]
    pub fn writable(&self, id: f64) -> BindingResult<Vec<f64>> {
        cross(self.make_writable(id).map(|(id, layout)| vec![id, layout as f64]))
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
}

/// A time as JavaScript gets it: NaN where there is none.
pub(crate) fn time(us: Option<i64>) -> f64 {
    us.map_or(f64::NAN, |us| us as f64)
}
