//! The border between Rust and JavaScript: everything `#[napi]`, and nothing else.
//!
//! It converts, calls, wraps. Each JavaScript environment makes one [`state::NativeRuntime`]; frames, streams, inputs, outputs live in
//! its tables under numbers. Threads reach JavaScript by one doorbell per environment ([`sys::doorbell`]); what they have to say
//! waits in a queue that JavaScript drains in one call. Errors cross as values ([`error::BindingError`]).
//!
//! Loading it registers classes and does nothing else. The public API is written in TypeScript, in `src/`.
//!
//! Start reading at `state.rs`, then `desk.rs` (what runs per frame) and `sys/doorbell.rs`.
#![expect(
    missing_debug_implementations,
    reason = "what napi exports is seen by JavaScript alone"
)]

mod capture;
mod desk;
mod error;
mod events;
mod frame_layout;
mod frame_spec;
mod frame_views;
mod frames;
mod info;
mod input;
mod output;
mod runtime;
mod share;
mod shared_output;
mod state;
mod sys;
mod table;
mod token;
mod watch;
