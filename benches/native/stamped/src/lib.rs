//! The product's border, compiled from the product's own files, over a composition root of ours (`runtime.rs`): the same but for one
//! more capture source (`source.rs`), whose frames carry the time of their push. So the product needs no switch for measuring.
//!
//! Loaded by `BEAMLINE_NATIVE_PATH`, under the unchanged TypeScript.

// Written by lib/native.mjs:
#[path = "../../../../crates/node/src/capture.rs"]
mod capture;
#[path = "../../../../crates/node/src/desk.rs"]
mod desk;
#[path = "../../../../crates/node/src/error.rs"]
mod error;
#[path = "../../../../crates/node/src/events.rs"]
mod events;
#[path = "../../../../crates/node/src/frame_layout.rs"]
mod frame_layout;
#[path = "../../../../crates/node/src/frame_spec.rs"]
mod frame_spec;
#[path = "../../../../crates/node/src/frame_views.rs"]
mod frame_views;
#[path = "../../../../crates/node/src/frames.rs"]
mod frames;
#[path = "../../../../crates/node/src/info.rs"]
mod info;
#[path = "../../../../crates/node/src/input.rs"]
mod input;
#[path = "../../../../crates/node/src/output.rs"]
mod output;
mod runtime;
mod source;
#[path = "../../../../crates/node/src/share.rs"]
mod share;
#[path = "../../../../crates/node/src/shared_output.rs"]
mod shared_output;
#[path = "../../../../crates/node/src/state.rs"]
mod state;
#[path = "../../../../crates/node/src/sys/mod.rs"]
mod sys;
#[path = "../../../../crates/node/src/table.rs"]
mod table;
#[path = "../../../../crates/node/src/token.rs"]
mod token;
#[path = "../../../../crates/node/src/watch.rs"]
mod watch;
