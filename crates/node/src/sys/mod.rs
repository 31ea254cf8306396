//! The only unsafe code of the border: the doorbell and array buffers over shared memory, by raw Node-API. napi-rs' own helpers for
//! these copy silently, lose queued data at exit, or forbid two buffers over one pointer (`reference/ecosystem.md` §1.3).
#![expect(unsafe_code, reason = "raw Node-API calls; see the head of this module")]

pub(crate) mod buffer;
pub(crate) mod doorbell;
pub(crate) mod raw;
