//! The bytes of frames as JavaScript sees them: the three ways of `zeroCopyMode`.

use crate::{
    frame_layout::{LayoutKey, buffer_of},
    state::NativeRuntime,
    sys::buffer,
};
use beamline_arena::Access;
use napi::{
    Env, JsValue,
    bindgen_prelude::{Uint8Array, Unknown},
};
use napi_derive::napi;

#[napi]
impl NativeRuntime {
    /// Way `wasm`: maps the slot behind buffer `index` over the start of a WebAssembly memory. 0: it could not; 1: it is mapped; 2: it is, and
    /// it is another process's.
    #[napi]
    pub fn map_slot(&self, env: Env, id: f64, index: u32, memory: Unknown<'_>) -> u32 {
        let lease = self
            .frames
            .borrow()
            .get(id)
            .and_then(|held| buffer_of(&held.frame, index as usize))
            .map(|(l, ..)| l);
        lease
            .filter(|lease| buffer::map_over(&env, lease, memory.raw()))
            .map_or(0, |lease| match lease.segment().access() {
                Access::Shared => 1,
                Access::Read | Access::Private => 2,
            })
    }

    /// Way `wasm`: undoes what was stored into the first `bytes` bytes of a memory for which `mapSlot` gave 2, while nobody looks at it.
    /// `part`: only into that part; all of it when it is below 0. Gives whether there was anything.
    #[napi]
    pub fn undo_strays(&self, env: Env, memory: Unknown<'_>, bytes: u32, part: i32) -> bool {
        let part = u32::try_from(part).ok();
        buffer::undo_strays(&env, &self.runtime.arena, memory.raw(), bytes as usize, part)
    }

    /// Way `copy`: copies the bytes of buffer `index` into an array of that length.
    #[napi]
    pub fn copied(&self, id: f64, index: u32, mut into: Uint8Array) -> bool {
        let Ok(held) = self.held(id) else { return false };
        let Some((lease, offset, len)) = buffer_of(&held.frame, index as usize) else {
            return false;
        };
        if into.len() != len {
            return false;
        }
        if index == 0 {
            self.count_copy();
        }
        buffer::bytes_mut(&mut into).copy_from_slice(&lease.bytes()[offset..offset + len]);
        true
    }

    /// Way `copy`: puts the bytes of a frame that JavaScript has written back into its slot: gives its number from now on. A
    /// frame that somebody else holds too stays as it was.
    #[napi]
    pub fn write_back(&self, id: f64, bytes: Uint8Array) -> f64 {
        let Some(held) = self.frames.borrow_mut().remove(id) else {
            return 0.0;
        };
        let layout = LayoutKey::of(&held.frame);
        let fits = layout.buffers().len() == 1 && layout.buffers()[0][1] == bytes.len();
        let written = if fits {
            held.write_with(|frame| {
                for (i, [_, offset, _, len]) in layout.planes().iter().enumerate() {
                    frame.plane_mut(i).0.copy_from_slice(&bytes[*offset..offset + len]);
                }
            })
        } else {
            Err(held)
        };
        self.count_copy();
        let (Ok(held) | Err(held)) = written;
        self.frames.borrow_mut().insert(held)
    }

    /// Detaches an ArrayBuffer that `view` gave.
    #[napi]
    pub fn close_view(&self, env: Env, view: Unknown<'_>) -> bool {
        let detached = buffer::detach(&env, view.raw());
        // What the probe showed, if it was that: see `probe_external`.
        self.probed.take();
        detached
    }
}
