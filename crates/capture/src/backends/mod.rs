//! All backends that are built in. Adding one: its folder here, its row in [`BACKENDS`], its line in `tests/conformance.rs`.

use crate::Backend;

// image follows
pub mod pattern;

/// The table, in the order in which backends are asked.
pub const BACKENDS: &[&dyn Backend] = &[&pattern::Pattern];
