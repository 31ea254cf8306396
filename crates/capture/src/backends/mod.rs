//! All backends that are built in. Adding one: its folder here, its row in [`BACKENDS`], its line in `tests/conformance.rs`.

use crate::Backend;

mod hosted;
pub mod image;
pub mod pattern;
pub mod shared;

/// The table, in the order in which backends are asked.
pub const BACKENDS: &[&dyn Backend] = &[&pattern::Pattern, &shared::Shared, &image::Image];
