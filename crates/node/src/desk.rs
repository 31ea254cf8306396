//! What the frame path of one JavaScript environment works on, and the functions of that path: what runs once per frame, or per wake.
//!
//! They are no methods of an exported class, whose calls cost more than what these do (see `sys/raw.rs`).

use crate::{
    frame_layout::{LayoutKey, Layouts, buffer_of},
    frames::time,
    input::{Ended, Stream},
    sys::{
        buffer::{self, RawValue},
        raw::{Answer, Body, Call},
    },
    table::Table,
};
use beamline_flow::{Held, Pop};
use napi::bindgen_prelude::Float64Array;
use std::cell::RefCell;

/// Frames, streams, and where their numbers are told.
pub struct Desk {
    /// Four numbers per frame that a stream hands over: id, layout, timestamp, duration.
    scratch: RefCell<Float64Array>,
    pub(crate) frames: RefCell<Table<Held>>,
    pub(crate) layouts: RefCell<Layouts>,
    pub(crate) streams: RefCell<Table<Stream>>,
}

/// What `take` says when it hands nothing over.
pub(crate) const EMPTY: i32 = -1;
pub(crate) const EXHAUSTED: i32 = -2;
pub(crate) const ENDED: i32 = -3;
pub(crate) const FAILED: i32 = -4;

/// The functions of the frame path; `state.rs` says their types to TypeScript.
pub(crate) const FUNCTIONS: &[(&str, Body)] = &[
    ("take", |desk, call| {
        call.give(f64::from(desk.take(call.number(0), call.number(1) as usize)))
    }),
    ("closeFrame", |desk, call| {
        desk.close_frame(call.number(0));
        Answer::UNDEFINED
    }),
    ("closeWith", |desk, call| {
        buffer::detach(call.env(), call.value(1));
        desk.close_frame(call.number(0));
        Answer::UNDEFINED
    }),
    ("view", |desk, call| {
        desk.view(call, call.number(0), call.number(1) as usize)
            .as_ref()
            .map_or(Answer::UNDEFINED, Answer::value)
    }),
    ("slotKey", |desk, call| {
        call.give(desk.slot_key(call.number(0), call.number(1) as usize))
    }),
];

impl Desk {
    pub(crate) fn new(scratch: Float64Array) -> Self {
        Desk {
            scratch: RefCell::new(scratch),
            frames: RefCell::default(),
            layouts: RefCell::default(),
            streams: RefCell::default(),
        }
    }

    /// Puts a frame into the table: its number and its layout's.
    pub(crate) fn adopt(&self, held: Held) -> (f64, usize) {
        let layout = self.layouts.borrow_mut().number_of(LayoutKey::of(&held.frame));
        (self.frames.borrow_mut().insert(held), layout)
    }

    /// Hands over up to `max` frames that wait: their four numbers each lie in the scratch array. Else one of the constants above; after
    /// `EMPTY` and `EXHAUSTED` a READY event will come.
    fn take(&self, id: f64, max: usize) -> i32 {
        let mut streams = self.streams.borrow_mut();
        let Some(Stream::Frames(stream, ended)) = streams.get_mut(id) else {
            return ENDED;
        };
        let mut scratch = self.scratch.borrow_mut();
        let scratch = buffer::numbers_mut(&mut scratch);
        let max = max.min(scratch.len() / 4);
        let mut taken = 0;
        while taken < max {
            match stream.pop() {
                Pop::Item(held) => {
                    let info = held.frame.info();
                    let times = [time(info.timestamp_us), time(info.duration_us)];
                    let (id, layout) = self.adopt(held);
                    scratch[taken * 4..][..4].copy_from_slice(&[id, layout as f64, times[0], times[1]]);
                    taken += 1;
                }
                Pop::Empty if taken > 0 => break,
                Pop::Empty => {
                    if stream.arm() {
                        return if stream.exhausted() { EXHAUSTED } else { EMPTY };
                    }
                }
                Pop::End(_) if taken > 0 => break,
                Pop::End(error) => return last_word(ended, error),
            }
        }
        taken as i32
    }

    /// Lets go of a frame whose views are detached.
    pub(crate) fn close_frame(&self, id: f64) {
        let held = self.frames.borrow_mut().remove(id);
        // Outside the borrow: the last lease may ring a gate.
        drop(held);
    }

    /// Way `external`: an ArrayBuffer over buffer `index` of the frame. It is detached before the frame is closed.
    fn view(&self, call: &Call, id: f64, index: usize) -> Option<RawValue> {
        let frames = self.frames.borrow();
        let (lease, offset, len) = buffer_of(&frames.get(id)?.frame, index)?;
        buffer::external(call.env(), &lease, offset, len)
    }

    /// Way `wasm`: a number for the slot behind buffer `index`; −1 when there is none.
    fn slot_key(&self, id: f64, index: usize) -> f64 {
        let frames = self.frames.borrow();
        frames
            .get(id)
            .and_then(|held| buffer_of(&held.frame, index))
            .map_or(-1.0, |(lease, ..)| {
                let at = lease.slot_ref();
                f64::from(at.segment) * 64.0 + f64::from(at.slot)
            })
    }
}

fn last_word(ended: &mut Ended, error: Option<std::sync::Arc<beamline_flow::Error>>) -> i32 {
    let code = if error.is_some() { FAILED } else { ENDED };
    *ended = Some(error);
    code
}
